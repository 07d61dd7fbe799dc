"""What a district, a province and a nation need: docs/capacity.md, from measured figures.

The arithmetic of the page stands here once (bench/pages.py writes it). Rates come from
bench/results/throughput.json (the worker's median), bytes from footprint.json, memory and restoring
from scale.json; what is planned with lies above what was measured, since identifiers of real
hospitals are longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from bench.contenders import WORKER
from bench.report import Spread

TEMPLATE = Path(__file__).with_name("capacity.template.md")

DAYS, RECEIPT_DAYS, COPIES = 28, 7, 3  # schemas/topics.py; IHWATCH_REPLICATION
EVENTS_A_SESSION, EVENTS_A_HOSPITAL_DAY = 11.6, 76  # of the simulator
BUSIEST_HOUR, HEADROOM, MARGIN = 0.10, 5, 2
EVENT, OUTPUTS_MONTH, OUTPUTS_WEEK = 400, 300, 150
"""Bytes in the log, planned for each event: itself, outputs kept a month, receipts kept a week."""
TABLE = 1_000
"""Bytes of case files planned for each event."""
DECODED = 0.13e9
"""Bytes of a worker's memory for the case files that it keeps decoded, for each partition."""
SEGMENT, FREE = 2**30, 1.3
CLICKHOUSE_EVENT, CLICKHOUSE_ALERTS, CLICKHOUSE_AGGREGATE = 150, 5, 10
AGGREGATES_A_HOSPITAL_DAY = 240
GB = 1e9


@dataclass(frozen=True)
class Size:
    """What is supervised: hospitals, their sessions a day, partitions of the topics."""

    hospitals: int
    sessions: int
    partitions: int

    @property
    def events(self) -> float:
        """Events a day."""
        return EVENTS_A_SESSION * self.sessions + EVENTS_A_HOSPITAL_DAY * self.hospitals

    @property
    def busiest(self) -> float:
        """Events a second in the busiest hour."""
        return self.events * BUSIEST_HOUR / 3_600


SIZES = (
    Size(42, 42 * 108, 12),
    Size(160, 62_400, 24),
    Size(3_400, 3_400 * 108 + 450_000 + 535_000, 96),
)
"""District, province and nation, from the public figures that the page cites."""


@dataclass(frozen=True)
class Measured:
    """What the page rests on: rates a second, bytes of memory and of changelog."""

    worker_rate: float
    memory_a_file: float
    restored: float
    recovery: tuple[int, float]
    footprints: list[dict[str, Any]]

    @classmethod
    def of(
        cls, throughput: dict[str, Any], scale: dict[str, Any], footprint: dict[str, Any]
    ) -> Measured:
        """The figures of the last measurements, as they were written down."""
        worker = [run for run in throughput["measured"] if run["contender"] == WORKER]
        largest = scale["sessions"]["measured"][-1]
        memory = largest["memory"]["restored"] - largest["memory"]["empty"]
        recovery = scale["recovery"]
        return cls(
            Spread.of([run["events"] / run["seconds"] for run in worker]).median,
            memory / largest["files"],
            largest["files"] / largest["restore"]["cpu"],
            (recovery["files"], recovery["empty"]["seconds"]),
            footprint["footprints"],
        )

    @property
    def changelog(self) -> float:
        """Bytes written for an event that comes alone, in a hospital of ordinary size."""
        return float(self.footprints[0]["changelog"])

    @property
    def memory(self) -> float:
        """Bytes of a worker's memory that an event leaves behind."""
        return self.memory_a_file * max(float(one["case_files"]) for one in self.footprints)


def workers(size: Size, rate: float) -> int:
    """Workers of a core each, for the busiest hour with headroom and margin."""
    return max(2, ceil(size.busiest * HEADROOM * MARGIN / rate))


def needs(size: Size, measured: Measured) -> dict[str, str]:
    """The rows of the page for one size."""
    day, hour = size.events, size.busiest
    log = day * (DAYS * (EVENT + OUTPUTS_MONTH) + RECEIPT_DAYS * OUTPUTS_WEEK)
    live = day * TABLE * DAYS
    copies = COPIES * FREE
    broker_in = hour * (EVENT + OUTPUTS_MONTH + OUTPUTS_WEEK + measured.changelog)
    broker_out = hour * (2 * EVENT + 2 * OUTPUTS_MONTH + OUTPUTS_WEEK)
    aggregates = AGGREGATES_A_HOSPITAL_DAY * size.hospitals
    clickhouse = day * (CLICKHOUSE_EVENT + CLICKHOUSE_ALERTS) + CLICKHOUSE_AGGREGATE * aggregates
    return {
        "events a day": count(day),
        "events/s: average, busiest hour, design": (
            f"{day / 86_400:,.1f}, {hour:,.1f}, {hour * HEADROOM:,.0f}"
        ),
        "partitions": f"{size.partitions}",
        "workers (a core each)": f"{workers(size, measured.worker_rate)}",
        "workers' memory after four weeks, all together": volume(
            DECODED * size.partitions + day * measured.memory * DAYS
        ),
        "… and more every day": volume(day * measured.memory),
        "case files on the workers' disks after four weeks": volume(live),
        "…  and more every day": volume(day * TABLE),
        "broker disk after four weeks, three copies": volume(
            (log + 2 * live + SEGMENT * size.partitions) * copies
        ),
        "…   and more every day": volume(2 * day * TABLE * copies),
        "broker network in, busiest hour": f"{volume(broker_in)}/s",
        "between brokers; out to readers": (
            f"{volume(broker_in * (COPIES - 1))}/s; {volume(broker_out)}/s"
        ),
        "changelog written a day, before compaction": volume(day * measured.changelog),
        "ClickHouse rows a year": count(365 * (day * 1.01 + aggregates)),
        "ClickHouse disk a year, one replica": volume(2 * 365 * clickhouse),
    }


def days_until_full(memory: float, size: Size, measured: Measured) -> float:
    """How long the index of all case files fits into so many bytes."""
    return (memory - DECODED * size.partitions) / (size.events * measured.memory)


def count(number: float) -> str:
    """A number to two digits."""
    for unit, name in ((1e9, " billion"), (1e6, " million")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return f"{round(number, -3):,.0f}"


def volume(size: float) -> str:
    """Bytes to two digits."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            digits = 1 if size < 10 * unit else 0
            return f"{size / unit:,.{digits}f} {name}"
    return f"{size / 1e3:,.0f} kB"


def document(measured: Measured) -> str:
    """docs/capacity.md."""
    columns = [needs(size, measured) for size in SIZES]
    rows = [
        f"| {name} | " + " | ".join(column[name] for column in columns) + " |"
        for name in columns[0]
    ]
    alone, large, _, hundred, *_ = measured.footprints
    district, province, _ = SIZES
    files, seconds = measured.recovery
    said = {
        "rows": "\n".join(" ".join(row.split()) for row in rows),
        "worker_rate": f"{measured.worker_rate:,.0f}",
        "value": f"{alone['value']:.0f}",
        "record": f"{alone['log']:.0f}",
        "outputs": f"{alone['outputs']:.0f}",
        "outputs_batched": f"{measured.footprints[4]['outputs']:.0f}",
        "changelog": f"{alone['changelog'] / 1e3:.0f}",
        "changelog_large": f"{large['changelog'] / 1e3:.0f}",
        "changelog_batched": f"{hundred['changelog'] / 1e3:.1f}",
        "table": f"{alone['table']:.0f}",
        "memory": f"{measured.memory:.0f}",
        "memory_a_file": f"{measured.memory_a_file:.0f}",
        "restored": count(measured.restored),
        "recovery": f"{count(files)} case files took {seconds:.0f} s",
        "months": f"{days_until_full(64 * GB, province, measured) / 30:.0f}",
        "weeks": f"{days_until_full(4 * GB, district, measured) / 7:.0f}",
    }
    return TEMPLATE.read_text(encoding="utf-8").format_map(said)
