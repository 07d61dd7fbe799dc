"""The contenders, and one run of one of them in a process of its own, pinned to one core.

Broker and harness share the other cores. Everybody first reads what came before the timed part and
makes it durable; then the timed part is published while the contender is held (SIGSTOP), and the
clock runs from its release until its own progress says that all is done.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.findings import Findings, differences
from bench.load import Encoded, Load
from tests.support.kafka import ROOT, free_ports
from tests.support.trust import RealCluster
from tests.support.worker import IHWATCH, Deployment

PARTITIONS = 4
PEERS = ROOT / ".cache" / "bench-venv" / "bin" / "python"
"""The interpreter of the peers' environment, which `make bench` makes."""
WORKER, PLAIN, QUIX = "ihwatch worker", "plain Faust", "Quix Streams"
BYTEWAX, FLOOR = "Bytewax", "decode only"

_LOOK_EVERY = 0.05  # seconds
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_LONGEST = 900.0  # seconds
_SENT_AT_ONCE = 20_000


@dataclass(frozen=True)
class Contender:
    """Its name, what it does, and how many of the timed hours it is given."""

    name: str
    does: str
    hours: float = 33.0


CONTENDERS = (
    Contender(WORKER, "micro-batches; effects, then changelog, then offsets, each acknowledged"),
    Contender(PLAIN, "event by event; stock agents, table and changelog", hours=2.0),
    Contender(QUIX, "event by event; state and changelog, checkpoints of 5 s", hours=4.0),
    Contender(BYTEWAX, "batches; recovery store (SQLite), epochs of 10 s"),
    Contender(FLOOR, "`consume()` and decoding; no state, no effects"),
)


class Timing(NamedTuple):
    """How many events, in how many seconds on the clock and of CPU (all threads)."""

    events: int
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Run:
    """One contender, once; ``right`` says whether all it published is as it must be."""

    contender: str
    events: int
    seconds: float
    cpu_seconds: float
    right: bool | None

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_rate(self) -> float:
        return self.events / self.cpu_seconds


class Cluster(RealCluster):
    """Topics whose simulated timestamps, months old, do not age them away."""

    def create(self, topic: str, partitions: int, config: dict[str, str]) -> None:
        super().create(topic, partitions, {**config, "retention.ms": "-1"})


def core_of_contender() -> int | None:
    """The core that only contenders use; None where there is but one."""
    cores = os.sched_getaffinity(0)
    return max(cores) if len(cores) > 1 else None


def run(
    contender: Contender, cluster: Cluster, load: Load, expected: Findings, core: int | None
) -> Run:
    """Run a contender over a fresh topic with the load in it."""
    ours, peers = [sys.executable, "-m"], [str(PEERS), "-m"]
    total, timed = str(len(load.before) + len(load.timed)), str(len(load.timed))
    commands = {
        WORKER: [str(IHWATCH), "worker", "--settle=0"],
        PLAIN: [*ours, "bench.plain_faust"],
        QUIX: [*peers, "bench.quix_streams", total, str(load.ticks)],
        BYTEWAX: [*peers, "bench.bytewax_flow"],
        FLOOR: [*ours, "bench.decode_floor", str(PARTITIONS), timed],
    }
    words = commands[contender.name]
    with Deployment(cluster, load.directory, partitions=PARTITIONS) as deployment:
        if contender.name == FLOOR:
            publish(deployment, load.timed)
            timing = by_itself(words, deployment, core)
        elif contender.name == BYTEWAX:
            publish(deployment, load.before)
            by_itself(words, deployment, core)
            publish(deployment, load.timed)
            timing = by_itself(words, deployment, core)
            assert timing.events == len(load.timed)
        else:
            timing = by_commits(words, deployment, load, core)
        right = None
        if contender.name != FLOOR:
            wrong = differences(expected, load, deployment)
            right = not wrong
            for one in wrong[:5]:
                print(f"  {contender.name}: {one[:400]}", file=sys.stderr)
        return Run(contender.name, *timing, right)


def publish(deployment: Deployment, records: Iterable[Encoded]) -> None:
    for number, record in enumerate(records, 1):
        deployment.send(*record)
        if number % _SENT_AT_ONCE == 0:  # the producer's queue is not without end
            deployment.flush()
    deployment.flush()


@contextmanager
def started(
    words: list[str], deployment: Deployment, core: int | None, name: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the deployment's settings, ended with the block.

    Two at a time need names: each has a disk and an output of its own.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IHWATCH_")}
    environ = {
        **clean,
        **deployment.environ,
        "IHWATCH_DATA_DIR": str(deployment.folder / f"disk{name}"),
        "IHWATCH_WEB_PORT": str(free_ports(1)[0]),
        "PYTHONPATH": str(ROOT),
    }

    def pin() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})

    said_to, talk_to = (deployment.folder / f"{output}{name}" for output in ("stdout", "stderr"))
    with said_to.open("wb") as said, talk_to.open("wb") as talk:
        process = subprocess.Popen(
            words, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=talk,
            preexec_fn=pin,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def by_commits(words: list[str], deployment: Deployment, load: Load, core: int | None) -> Timing:
    """Time a contender from outside, by what its group has committed.

    What institutions share is committed after the events that tell it, and counts too.
    """
    publish(deployment, load.before)
    with started(words, deployment, core) as process:
        wait_for(lambda: deployment.finished, process, deployment)
        process.send_signal(signal.SIGSTOP)
        try:
            publish(deployment, load.timed)
        finally:
            begun, used = time.perf_counter(), cpu_seconds(process.pid)
            process.send_signal(signal.SIGCONT)
        wait_for(lambda: deployment.finished, process, deployment)
        seconds = time.perf_counter() - begun
        return Timing(len(load.timed), seconds, cpu_seconds(process.pid) - used)


def by_itself(words: list[str], deployment: Deployment, core: int | None) -> Timing:
    """Take a contender's own word for it, which it prints when it is done."""
    with started(words, deployment, core) as process:
        if process.wait(_LONGEST):
            raise RuntimeError(f"ended with {process.returncode}: {_tail(deployment)}")
    return Timing(**json.loads(_said(deployment).read_text().splitlines()[-1]))


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], deployment: Deployment
) -> None:
    deadline = time.monotonic() + _LONGEST
    while not condition():
        # Whoever has ended is left as it is, so that its CPU time can still be read.
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if (ended and not condition()) or time.monotonic() > deadline:
            raise RuntimeError(f"not done ({ended}): {_tail(deployment)}")
        time.sleep(_LOOK_EVERY)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _said(deployment: Deployment) -> Path:
    return deployment.folder / "stdout"


def _talk(deployment: Deployment) -> Path:
    return deployment.folder / "stderr"


def _tail(deployment: Deployment) -> str:
    return "".join(path(deployment).read_text()[-3_000:] for path in (_said, _talk))
