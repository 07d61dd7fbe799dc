"""docs/benchmarks.md and docs/capacity.md, from what stands in bench/results.

    python -m bench.pages

Every measurement writes its own file there; the pages are made of all of them, so that none can say
something else than what was measured last.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench import capacity, scale, sink
from bench.contenders import Run
from bench.machine import RESULTS
from bench.report import Spread, document
from tests.support.kafka import ROOT

BENCHMARKS = ROOT / "docs" / "benchmarks.md"
CAPACITY = ROOT / "docs" / "capacity.md"


def read(name: str) -> Any:
    """What a measurement wrote down last."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """Both pages as they should be."""
    throughput = read("throughput")
    parts = {
        "stages": stages(read("stages")),
        "growth": growth(read("scale")),
        "sink": sinks(read("sink")),
        "check": check(read("check")),
    }
    runs = [Run(**one) for one in throughput["measured"]]
    return {
        BENCHMARKS: document(throughput, runs, parts),
        CAPACITY: capacity.document(
            capacity.Measured.of(throughput, read("scale"), read("footprint"))
        ),
    }


def stages(found: dict[str, Any]) -> str:
    """The stages of one event as a table."""
    each = found["microseconds"]
    rows = [f"| {name} | {s * each:.0f} | {s:.0%} |" for name, s in found["shares"].items()]
    return "\n".join([*rows, f"| **all** | **{each:.0f}** | |"])


def growth(found: dict[str, Any]) -> str:
    """What each part of `bench.scale` comes to, as a list, with what the machine did beside it."""
    lines = []
    for part, one in found.items():
        load = one["machine"]["load_before"]
        lines.append(f"- **{part}** ({one['date']}, load before {load}):")
        lines += [f"  - {' '.join(line.split())}" for line in scale.summary(part, one)]
    return "\n".join(lines)


def sinks(found: dict[str, Any]) -> str:
    """Rows or records a second of the ClickHouse sink and its floors, as a table."""
    runs = [sink.Run(**one) for one in found["measured"]]
    rows = []
    for name in dict.fromkeys(run.contender for run in runs):
        mine = [run for run in runs if run.contender == name]
        of = "rows" if mine[0].rows else "records"
        rate, cpu = (Spread.of([getattr(r, kind) for r in mine]) for kind in ("rate", "cpu_rate"))
        rows.append(f"| {name} | {mine[0].counted:,} {of} | {rate} | {cpu} |")
    return "\n".join(rows)


def check(found: dict[str, Any]) -> str:
    """What `ihwatch check` did, in a sentence."""
    rate = Spread.of([found["events"] / one["cpu"] for one in found["check"]])
    peak = max(one["peak"] for one in found["check"])
    return f"{found['events']:,} events at {rate} a CPU second, {peak:.0f} MiB at the peak"


def write() -> None:
    """Write both pages anew."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        click.echo(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    write()
