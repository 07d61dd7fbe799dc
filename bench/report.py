"""What the runs say: medians, spreads, ratios, and docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.contenders import BYTEWAX, CONTENDERS, PARTITIONS, WORKER, Run
from bench.decode_floor import ROUNDS

ENOUGH = 5  # runs
WANTED_OF_BYTEWAX = 1.3
TEMPLATE = Path(__file__).with_name("benchmarks.template.md")


class Spread(NamedTuple):
    """The median of several values, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 2
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


class Row(NamedTuple):
    """One contender; the ratios are what the worker does for each event of it, run by run."""

    name: str
    does: str
    events: int
    rate: Spread
    ratio: Spread
    cpu_rate: Spread
    cpu_ratio: Spread


def summary(runs: Sequence[Run]) -> list[Row]:
    """A row for each contender that ran; ratios are to it itself where the worker did not run."""
    by_name = {one.name: [run for run in runs if run.contender == one.name] for one in CONTENDERS}
    rows = []
    for one in CONTENDERS:
        mine = by_name[one.name]
        if not mine:
            continue
        pairs = list(zip(by_name[WORKER] or mine, mine, strict=True))
        rows.append(
            Row(
                one.name,
                one.does,
                mine[0].events,
                Spread.of([run.rate for run in mine]),
                Spread.of([ours.rate / theirs.rate for ours, theirs in pairs]),
                Spread.of([run.cpu_rate for run in mine]),
                Spread.of([ours.cpu_rate / theirs.cpu_rate for ours, theirs in pairs]),
            )
        )
    return rows


def document(report: dict[str, Any], runs: Sequence[Run], parts: Mapping[str, str]) -> str:
    """docs/benchmarks.md; ``parts`` are texts from other measurements, by their place in it."""
    rows = []
    micros = {}
    for row in summary(runs):
        name, does, events, *spreads = row
        micros[name] = 1e6 / row.rate.median
        rows.append("| " + " | ".join([name, does, f"{events:,}", *map(str, spreads)]) + " |")
    right = all(run.right is not False for run in runs)
    said = {
        **report["machine"],
        **report["load"],
        **parts,
        "packages": _versions(report["machine"]["packages"]),
        "peers": _versions(report["machine"]["peers"]),
        "date": report["date"],
        "runs": f"{report['runs']} alternating runs" if report["runs"] > 1 else "one run",
        "remark": "" if report["runs"] >= ENOUGH else " Fewer than five runs: a first look only.",
        "rows": "\n".join(rows),
        "right": "equal in every run" if right else "NOT EQUAL",
        "partitions": PARTITIONS,
        "rounds": ROUNDS,
        "worker_micros": f"{micros[WORKER]:.0f}",
        "allowed_micros": f"{micros[BYTEWAX] / WANTED_OF_BYTEWAX:.0f}",
    }
    return TEMPLATE.read_text(encoding="utf-8").format_map(said)


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in packages.items())
