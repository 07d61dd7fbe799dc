"""Events per second of the worker on a real Kafka, beside plain Faust and the decoding floor.

    python -m bench.throughput [--quick] [--runs 3] [--no-write]     (writes docs/benchmarks.md)

A realistic mix of all event types (the simulator's) is encoded and signed once. Every run gets a
fresh topic with the same records in the same partitions, and a contender in a process of its own,
started when all is on the broker. Contenders alternate. Timed is from the first commit seen to the
last, so without start-up; what the contender published is then compared with `ihwatch check`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from schemas.directory import Directory
from schemas.topics import TICK_HEADER, TICK_VALUE
from streams.simulator import SimulationConfig, simulate
from tests.support.kafka import ROOT, RealKafka
from tests.support.replay import Results, Sender, checked, differences_from_check
from tests.support.trust import RealCluster
from tests.support.worker import IHWATCH, Deployment

RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PARTITIONS = 4
ROUNDS = 10  # readings of the floor, which is over soon
WORKER, PLAIN, FLOOR = "ihwatch worker", "plain Faust, per event", "decode only"
NAMES = {
    WORKER: "micro-batches, full durability",
    PLAIN: "the same core, stock Faust agent and table, stock durability",
    FLOOR: "confluent-kafka `consume()` and decoding, no state, no effects",
}
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

Encoded = tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int, int | None]


@dataclass(frozen=True)
class Load:
    """What is published: every record encoded once, in order."""

    directory: Directory
    records: list[Encoded]
    institutions: int
    bytes: int


@dataclass(frozen=True)
class Run:
    """One contender, once; `right` says whether its findings are those of `ihwatch check`."""

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


def make_load(each: int, rate: float) -> Load:
    """A day of hospitals in all five jurisdictions, 1 % of sessions unlawful."""
    books = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
    simulation = simulate(
        SimulationConfig(
            seed=7, institutions=dict.fromkeys(books, each), rate=rate, violations=0.01,
            late=0.02, duplicates=0.01,
        )
    )  # fmt: skip
    sender = Sender(simulation.directory)
    records: list[Encoded] = [
        (*sender.record(upload.datum), upload.received_at, None) for upload in simulation.uploads
    ]
    size = sum(len(value or b"") for _, value, *_ in records)
    for partition in range(PARTITIONS):
        tick = [(TICK_HEADER, TICK_VALUE)]
        records.append((None, None, tick, simulation.end + 1, partition))
    return Load(simulation.directory, records, 5 * each, size)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def timed(deployment: Deployment, process: subprocess.Popen[bytes], name: str) -> Run:
    """Watch a group's commits from the first to the last."""
    total = sum(high for _, high in deployment.ends(deployment.topics.events.name).values())
    first: tuple[float, int, float] | None = None
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended early with {process.returncode}")
        now, done = time.perf_counter(), sum(deployment.committed().values())
        used = cpu_seconds(process.pid)
        if first is None and done:
            first = now, done, used
        if first is not None and done == total:
            return Run(name, total - first[1], now - first[0], used - first[2], None)
        time.sleep(0.02)


def run_faust(cluster: RealCluster, load: Load, name: str) -> Run:
    """Run one of the two Faust contenders over a fresh topic."""
    with Deployment(cluster, load.directory, partitions=PARTITIONS) as deployment:
        publish(deployment, load.records)
        command: list[str] = {
            WORKER: [str(IHWATCH), "worker", "--settle=0"],
            PLAIN: [sys.executable, "-m", "bench.plain_faust"],
        }[name]
        environ = {**os.environ, **deployment.environ, "PYTHONPATH": str(ROOT)}
        environ["IHWATCH_DATA_DIR"] = str(deployment.folder / "disk")
        with (deployment.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, env=environ, cwd=ROOT, stdout=output, stderr=output,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            run = timed(deployment, process, name)
        finally:
            process.terminate()
            process.wait()
        return Run(**{**asdict(run), "right": is_right(deployment)})


def publish(deployment: Deployment, records: Iterable[Encoded]) -> None:
    for record in records:
        deployment.send(*record)
    deployment.flush()


def is_right(deployment: Deployment) -> bool:
    found = Results(deployment.topics)
    for message in deployment.read(deployment.topics.alerts.name):
        found.take(deployment.topics.alerts.name, message.value() or b"")
    return not differences_from_check(checked(deployment.log(), deployment.rules), found)


def run_floor(cluster: RealCluster, load: Load) -> Run:
    with Deployment(cluster, load.directory, partitions=PARTITIONS) as deployment:
        publish(deployment, load.records)
        done = subprocess.run(
            [sys.executable, "-m", "bench.decode_floor", cluster.address,
             deployment.topics.events.name, str(PARTITIONS), str(len(load.records)), str(ROUNDS)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        said = json.loads(done.stdout)
        return Run(FLOOR, said["events"], said["seconds"], said["cpu"], None)


def measure(load: Load, runs: int) -> list[Run]:
    """All contenders, alternating, on one broker."""
    found = []
    with RealKafka(heap_mb=768, fast_jit=True) as kafka:
        cluster = RealCluster(kafka)
        for number in range(runs):
            for name in NAMES:
                run = run_floor(cluster, load) if name == FLOOR else run_faust(cluster, load, name)
                found.append(run)
                click.echo(
                    f"run {number + 1}/{runs}  {name:24} {run.rate:10,.0f} events/s,"
                    f" {run.cpu_rate:10,.0f} a CPU second"
                )
    return found


def machine() -> dict[str, Any]:
    """What it ran on; no name of the machine."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("faust-streaming", "aiokafka", "fastavro")},
    }


def spread(values: list[float]) -> str:
    """The median, with the lowest and the highest."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def document(report: dict[str, Any], runs: list[Run], command: str) -> str:
    """docs/benchmarks.md."""
    by_name = {name: [run for run in runs if run.contender == name] for name in NAMES}
    ours = statistics.median(run.rate for run in by_name[WORKER])
    ours_cpu = statistics.median(run.cpu_rate for run in by_name[WORKER])
    rows = []
    for name, mine in by_name.items():
        rate = statistics.median(run.rate for run in mine)
        cpu = statistics.median(run.cpu_rate for run in mine)
        rows.append(
            f"| {name} | {NAMES[name]} | {spread([r.rate for r in mine])} | {rate / ours:.2f} |"
            f" {spread([r.cpu_rate for r in mine])} | {cpu / ours_cpu:.2f} |"
        )
    right = all(run.right is not False for run in runs)
    where, load = report["machine"], report["load"]
    size, busy = load["bytes"] / load["records"], where["load_before"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    return f"""\
# Benchmarks

Written by `{command}` ({report["date"]}); the numbers behind it are in
[bench/results](../bench/results). A first figure: it says where the worker stands, and the work on
its speed has not begun.

| contender | what it does | events/s | to the worker | events per CPU second | to the worker |
|---|---|---|---|---|---|
{chr(10).join(rows)}

- Medians of {report["runs"]} alternating runs, lowest and highest in brackets.
- {load["records"]:,} signed records of {load["institutions"]} hospitals in all five jurisdictions,
  {size:.0f} bytes of value each on average: a simulated day of all event types with its filings,
  1 % of sessions unlawful. Every run has a topic of its own with the same records in {PARTITIONS}
  partitions.
- Timed from the first commit to the last, to within the commit interval of half a second. CPU
  seconds are of the whole process (user and system, all threads) in the same time; where the
  machine has other work they say more. The floor times itself over {ROUNDS} readings.
- Findings of both Faust contenders equal to `ihwatch check` over the same events in every run:
  {"yes" if right else "NO"}.
- Machine: {where["processor"]}, {where["cores"]} cores shared by broker,
  contender and harness; load average {busy:.1f} before the start (above 0.5: other work ran);
  {where["system"]}, Python {where["python"]}, {packages}.
"""


@click.command()
@click.option("--quick", is_flag=True, help="A small load, one run, in under two minutes.")
@click.option("--runs", default=3, show_default=True, help="Runs of each contender.")
@click.option("--write/--no-write", default=True, help="Write results and docs (not with --quick).")
def main(quick: bool, runs: int, write: bool) -> None:
    """Measure throughput and write it down."""
    runs = 1 if quick else runs
    load = make_load(*((2, 30.0) if quick else (6, 40.0)))
    where = machine()
    click.echo(f"{len(load.records)} records of {load.institutions} hospitals")
    found = measure(load, runs)
    if any(run.right is False for run in found):
        raise click.ClickException("a contender's findings differ from those of `ihwatch check`")
    if quick or not write:
        return
    report = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "runs": runs,
        "machine": where,
        "load": {
            "records": len(load.records), "institutions": load.institutions, "bytes": load.bytes,
        },
        "measured": [asdict(run) for run in found],
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "throughput.json").write_text(json.dumps(report, indent=1) + "\n")
    DOCUMENT.write_text(document(report, found, "python -m bench.throughput"), encoding="utf-8")
    click.echo(f"written: {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
