"""Events per second of the worker on a real Kafka, beside what a user would pick instead.

    python -m bench.throughput [--quick] [--runs 5] [--only NAME] [--no-write]

A realistic mix of all event types (bench/load.py) is encoded and signed once. Every run gets a
fresh topic with the same records in the same partitions, and a contender in a process of its own on
one core (bench/contenders.py). Contenders alternate. What each published is then compared with
`ihwatch check`. Writes bench/results/throughput.json and .svg, and docs/benchmarks.md.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from bench import pages
from bench.contenders import (
    CONTENDERS,
    FLOOR,
    PEERS,
    Cluster,
    Contender,
    Run,
    core_of_contender,
    run,
)
from bench.findings import Findings, check
from bench.load import Load, make_load
from bench.machine import RESULTS, machine
from bench.plot import points
from bench.report import summary
from tests.support.kafka import RealKafka


@dataclass(frozen=True)
class Size:
    """How many hospitals in each of five jurisdictions, with how many sessions a day."""

    each: int
    rate: float


WHOLE = Size(each=40, rate=20.0)
QUICK = Size(each=4, rate=25.0)


def measure(loads: dict[float, Load], runs: int, contenders: Sequence[Contender]) -> list[Run]:
    """All contenders, alternating, on one broker; loads by the hours that a contender is given."""
    judged = {one.hours for one in contenders if one.name != FLOOR}
    expected: dict[float, Findings] = {hours: check(loads[hours]) for hours in sorted(judged)}
    core, found = core_of_contender(), []
    if core is not None:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})
    with RealKafka(heap_mb=768, fast_jit=True) as kafka:
        cluster = Cluster(kafka)
        for number in range(runs):
            for one in contenders:
                done = run(one, cluster, loads[one.hours], expected.get(one.hours, {}), core)
                found.append(done)
                click.echo(
                    f"run {number + 1}/{runs}  {one.name:16} {done.events:8,} records:"
                    f" {done.rate:8,.0f}/s, {done.cpu_rate:8,.0f} a CPU second"
                    + ("" if done.right is not False else "  FINDINGS DIFFER")
                )
    return found


def described(whole: Load, size: Size) -> dict[str, Any]:
    """The load, for the report."""
    values = [len(value) for _, value, *_ in whole.before + whole.timed if value is not None]
    return {
        "institutions": len(whole.directory.institutions),
        "sessions_a_day": size.rate,
        "before": len(whole.before),
        "mean_value_bytes": round(sum(values) / len(values)),
    }


@click.command()
@click.option("--quick", is_flag=True, help="A small load, one run, in under two minutes.")
@click.option("--runs", default=5, show_default=True, help="Runs of each contender.")
@click.option("--only", multiple=True, type=click.Choice([one.name for one in CONTENDERS]))
@click.option("--write/--no-write", default=True, help="Write results and docs (not with --quick).")
def main(quick: bool, runs: int, only: tuple[str, ...], write: bool) -> None:
    """Measure throughput and write it down."""
    if not PEERS.exists():
        raise click.ClickException("the peers' environment is missing: `make bench` makes it")
    runs, size = (1, QUICK) if quick else (runs, WHOLE)
    contenders = [one for one in CONTENDERS if not only or one.name in only]
    where = machine()
    whole = make_load(size.each, size.rate, max(one.hours for one in contenders))
    loads = {one.hours: whole.first(one.hours) for one in contenders}
    load = described(whole, size)
    click.echo(f"{load['institutions']} hospitals, {load['before']:,} records before")
    found = measure(loads, runs, contenders)
    report = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "runs": runs,
        "machine": where,
        "load": load,
        "measured": [asdict(one) for one in found],
    }
    rows = summary(found)
    for row in rows:
        click.echo(f"{row.name:16} {row.rate}  worker is {row.ratio} times that")
    if write and not quick and not only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "throughput.json").write_text(json.dumps(report, indent=1) + "\n")
        (RESULTS / "throughput.svg").write_text(points(rows), encoding="utf-8")
        pages.write()
    if any(one.right is False for one in found):
        raise click.ClickException("a contender's findings differ from those of `ihwatch check`")


if __name__ == "__main__":
    main()
