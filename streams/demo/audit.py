"""Holds what is in ClickHouse against what was published, and the findings against the truth.

The auditor is a consumer of its own on every topic with rows, so both sides of each comparison come
from the real log and the real tables.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer

from schemas.admission import Admission
from schemas.errors import ContractError
from schemas.topics import Topics, is_tick
from schemas.wire import decode_output
from streams.simulator.truth import Comparison, Expected, compare

AggregateKey = tuple[str, int, str]


@dataclass
class Published:
    """What the topics hold, reduced as the tables reduce it: by identity, newest version."""

    events: set[str] = field(default_factory=set)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    aggregates: dict[AggregateKey, tuple[int, float]] = field(default_factory=dict)
    rejects: int = 0
    receipts: int = 0
    messages: int = 0


class Auditor:
    """Reads the topics from their beginning until told to stop."""

    def __init__(self, brokers: str, topics: Topics, admission: Admission) -> None:
        self.seen = Published()
        self._topics = topics
        self._admission = admission
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "demo-auditor",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "log_level": 2,
            }
        )
        ours = (topics.practice, topics.dead_webhooks)  # between workers; read by their sink
        self._consumer.subscribe([topic.name for topic in topics.all() if topic not in ours])

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for message in self._consumer.consume(2_000, 0.1):
                if message.error() is None:
                    self._take(message)
        self._consumer.close()

    def _take(self, message: Any) -> None:
        self.seen.messages += 1
        if message.topic() == self._topics.events.name:
            if not is_tick(message.headers(), message.value()):
                self._event(message)
            return
        name, datum = decode_output(message.value())
        match name:
            case "Alert":
                known = self.seen.alerts.get(datum["finding_id"])
                if known is None or known["version"] < datum["version"]:
                    self.seen.alerts[datum["finding_id"]] = datum
            case "Aggregate":
                for metric, value in datum["metrics"].items():
                    key = (datum["institution_id"], datum["window_start"], metric)
                    if datum["revision"] >= self.seen.aggregates.get(key, (0, 0.0))[0]:
                        self.seen.aggregates[key] = datum["revision"], value
            case "Reject":
                self.seen.rejects += 1
            case "Receipt":
                self.seen.receipts += len(datum["items"])

    def _event(self, message: Any) -> None:
        try:
            admitted = self._admission.admit(message.key(), message.value(), message.headers())
        except ContractError:
            return
        self.seen.events.add(admitted.datum["event_id"])


@dataclass(frozen=True, slots=True)
class Match:
    """One line of the audit: how many rows there are, how many there should be, and equality."""

    what: str
    found: int
    expected: int
    equal: bool


def compare_tables(client: Any, seen: Published) -> list[Match]:
    """Every table against the topics: same identities, same newest versions and values."""
    events = {row[0] for row in _rows(client, "SELECT event_id FROM events FINAL")}
    alerts = _rows(client, "SELECT finding_id, version, toString(state) FROM alerts FINAL")
    stored = {(row[0], row[1], row[2]) for row in alerts}
    wanted = {(a["finding_id"], a["version"], a["state"]) for a in seen.alerts.values()}
    aggregates = _rows(
        client,
        "SELECT institution_id, toUnixTimestamp64Milli(window_start), metric, revision, value"
        " FROM aggregates FINAL",
    )
    values = {(row[0], row[1], row[2]): (row[3], row[4]) for row in aggregates}
    rejects = _rows(client, "SELECT count() FROM rejects FINAL")[0][0]
    return [
        Match("events", len(events), len(seen.events), events == seen.events),
        Match("alerts", len(stored), len(wanted), stored == wanted),
        Match("aggregates", len(values), len(seen.aggregates), values == seen.aggregates),
        Match("rejects", rejects, seen.rejects, rejects == seen.rejects),
    ]


def compare_findings(client: Any, truth: list[Expected]) -> dict[str, Comparison]:
    """Findings as ClickHouse holds them against the truth, by rule."""
    columns = ("rule_id", "clause", "institution_id", "subject_type", "subject_id", "state")
    found = [
        {**dict(zip(columns, row, strict=True)), "clause": row[1] or None}
        for row in _rows(client, f"SELECT {', '.join(columns)} FROM alerts FINAL")
    ]
    rules = sorted({e.rule_id for e in truth} | {str(f["rule_id"]) for f in found})
    return {
        rule: compare(
            [e for e in truth if e.rule_id == rule], [f for f in found if f["rule_id"] == rule]
        )
        for rule in rules
    }


def _rows(client: Any, query: str) -> list[Any]:
    return list(client.query(query).result_rows)
