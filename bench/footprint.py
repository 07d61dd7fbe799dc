"""What one event leaves behind: bytes in the log, in outputs, in the changelog and in the table.

    python -m bench.footprint [--write]

Simulated hospitals through the worker's own intake and core, without Kafka: records are encoded and
signed as hospitals do and their length reckoned by Kafka's format. Traffic makes the difference: an
event that comes alone has every case file it touches written, many in one batch share them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import click

from bench.machine import RESULTS, machine
from schemas.directory import Directory
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, simulate
from streams.supervisor import DECODED_LIMIT
from tests.support.replay import Logged, Rules, Sender, Written, process

_FRAME = 15
"""Bytes of a record beside key, value and headers, without its share of the batch's header."""
RESULT = RESULTS / "footprint.json"


class Traffic(NamedTuple):
    """Hospitals in each of five jurisdictions, sessions a day of each, and events in a batch."""

    each: int
    sessions: int
    batch: int

    @property
    def described(self) -> str:
        of = "alone" if self.batch == 1 else f"in batches of {self.batch}"
        return f"{5 * self.each} hospitals, {self.sessions} sessions a day each, events {of}"


TRAFFIC = (
    Traffic(2, 40, 1),
    Traffic(1, 400, 1),
    Traffic(2, 100, 10),
    Traffic(2, 100, 100),
    Traffic(2, 100, 500),
    Traffic(1, 800, 500),
)


def record_bytes(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
) -> int:
    """The length of a record in Kafka's log."""
    parts = sum(2 + len(name) + len(content) for name, content in headers)
    return _FRAME + len(key or b"") + len(value or b"") + parts


def log_of(traffic: Traffic) -> tuple[Directory, list[Logged]]:
    """A simulated day, encoded and signed, all hospitals in one partition."""
    simulation = simulate(
        SimulationConfig(
            seed=7,
            days=1,
            institutions=dict.fromkeys(RULEBOOKS, traffic.each),
            rate=float(traffic.sessions),
            violations=0.01,
            late=0.02,
        )
    )
    written = Written(Sender(simulation.directory), 1)
    for upload in simulation.uploads:
        written.event(upload.datum, upload.received_at)
    return simulation.directory, written.log[0]


def footprint(traffic: Traffic) -> dict[str, Any]:
    """Bytes for each event of the day."""
    directory, records = log_of(traffic)
    events = len(records)
    table: dict[str, bytes] = {}
    outputs: Counter[str] = Counter()
    changelog = largest = 0
    processor = Rules(directory).processor(0, table, limit=DECODED_LIMIT)
    for _, processed in process(processor, records, lambda: traffic.batch):
        for effect in processed.effects:
            outputs[effect.topic.partition(".")[2]] += record_bytes(effect.key, effect.value)
        for key, value in processed.saves.items():
            changelog += record_bytes(key.encode(), value)
            largest = max(largest, len(value))
        table |= processed.saves
    log = sum(record_bytes(r.key, r.value, r.headers) for r in records)
    return {
        "traffic": traffic.described,
        "events": events,
        "log": log / events,
        "value": sum(len(r.value or b"") for r in records) / events,
        **{
            name: outputs[name] / events
            for name in ("alerts", "aggregates", "practice", "receipts")
        },
        "outputs": sum(outputs.values()) / events,
        "changelog": changelog / events,
        "case_files": len(table) / events,
        "table": sum(len(key) + len(value) for key, value in table.items()) / events,
        "largest": largest,
    }


@click.command()
@click.option("--write/--no-write", default=False, help=f"Write {RESULT.name} in bench/results.")
def main(write: bool) -> None:
    """Measure what events leave behind under several kinds of traffic."""
    found = []
    for traffic in TRAFFIC:
        one = footprint(traffic)
        found.append(one)
        numbers = ", ".join(f"{k} {v:,.2f}" for k, v in one.items() if k != "traffic")
        click.echo(f"{one['traffic']}: {numbers}")
    if write:
        RESULT.write_text(json.dumps({"machine": machine(), "footprints": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
