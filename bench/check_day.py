"""A day of 100,000 events through `ihwatch check`, as a hospital or an outsider runs it.

    python -m bench.check_day [--events 100000] [--runs 3] [--no-write]

Every run is a process of its own on one core. Beside it, in the same run, stands what no check can
do without: reading the same file and parsing each line. Peak memory is of the whole process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from bench.machine import RESULTS, machine
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig
from tests.support.worker import IHWATCH

EVENTS_A_SESSION = 13
HOUSES = 10  # in each jurisdiction
PARSE = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"


class Cost(NamedTuple):
    """What one process took: seconds on the clock and of CPU, and MiB at its peak."""

    seconds: float
    cpu: float
    peak: float


def cost(*command: str, allowed: tuple[int, ...] = (0,)) -> Cost:
    """Run a command on one core."""
    core = min(os.sched_getaffinity(0))
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = code = os.waitstatus_to_exitcode(status)
    if code not in allowed:
        raise click.ClickException(f"{command[0]} ended with {code}")
    seconds = time.perf_counter() - begun
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def write_day(folder: Path, events: int) -> tuple[str, str, int, str]:
    """A lawful day with 1 % of sessions unlawful: file, directory, number of events, end."""
    rate = events / EVENTS_A_SESSION / HOUSES / len(RULEBOOKS)
    file, directory = str(folder / "day.jsonl"), str(folder / "institutions.toml")
    subprocess.run(
        [IHWATCH, "simulate", "--seed=7", f"--institutions={HOUSES}", f"--rate={rate}",
         "--violations=0.01", "--late=0.02", "--duplicates=0.01", f"--out={file}",
         f"--directory={directory}"],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    config = SimulationConfig(seed=7)
    with Path(file).open("rb") as lines:
        return file, directory, sum(1 for _ in lines), str(config.end)


def measure(events: int, runs: int) -> dict[str, Any]:
    """All runs, alternating."""
    found: dict[str, list[Cost]] = {"check": [], "parse": []}
    with tempfile.TemporaryDirectory() as name:
        file, directory, count, end = write_day(Path(name), events)
        for number in range(runs):
            check = cost(
                str(IHWATCH), "check", file, f"--directory={directory}", f"--as-of={end}",
                allowed=(0, 3),
            )  # fmt: skip
            found["check"].append(check)
            found["parse"].append(cost(sys.executable, "-c", PARSE, file))
            click.echo(
                f"run {number + 1}/{runs}  {count:,} events in {check.seconds:.1f} s"
                f" ({check.cpu:.1f} s of CPU, {check.peak:.0f} MiB)"
            )
    return {"events": count, **{name: [c._asdict() for c in all_] for name, all_ in found.items()}}


@click.command()
@click.option("--events", default=100_000, show_default=True, help="About so many.")
@click.option("--runs", default=3, show_default=True)
@click.option("--write/--no-write", default=True, help="Write bench/results/check.json.")
def main(events: int, runs: int, write: bool) -> None:
    """Measure `ihwatch check` over a day."""
    found = {"machine": machine(), **measure(events, runs)}
    cpu = {name: statistics.median(c["cpu"] for c in found[name]) for name in ("check", "parse")}
    peak = max(c["peak"] for c in found["check"])
    click.echo(
        f"{found['events'] / cpu['check']:,.0f} events a CPU second, {peak:.0f} MiB;"
        f" parsing alone takes {cpu['parse'] / cpu['check']:.1%} of that time"
    )
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "check.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
