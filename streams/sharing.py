"""Facts that institutions share, on their way through ``ih.practice`` (IDV-04, LIC-07).

Sessions of one doctor at two hospitals lie in two partitions of ``ih.events``. The supervisor of
each tells what concerns others as facts; these are re-keyed by the person or host they are about,
and the case files in which they meet are judged by a supervisor of their own, partition by
partition. Facts name the instant they were told at, so that they are judged as if all institutions
were supervised in one place; nothing else in this topic has a say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.topics import Topics, is_tick
from schemas.wire import encode_output
from streams.checks.base import Fact
from streams.effects import Effect, Processed
from streams.intake import DeployFault, LogRecord
from streams.publication import alert
from streams.supervisor import Supervisor


class _Told(msgspec.Struct, array_like=True, frozen=True):
    """A record of ``ih.practice``: the instant, and a fact told then or none."""

    at: int
    place: str = ""
    source: str = ""
    t: int = 0
    begins: tuple[str, str] = ("", "")
    body: dict[str, Any] = {}


def fact_effect(topics: Topics, told_at: int, fact: Fact) -> Effect:
    """The record that takes a fact to those it concerns.

    Case files of one person or host lie in one partition, whatever follows the last slash.
    """
    told = _Told(told_at, fact.place, fact.source, fact.t, fact.begins, dict(fact.body))
    kind, case_id = fact.begins
    key = f"{kind}/{case_id.rpartition('/')[0] or case_id}".encode()
    return Effect(topics.practice.name, key, msgspec.msgpack.encode(told))


def clock_effect(topics: Topics, clock: int, partition: int) -> Effect:
    """The record that passes a clock on, to one partition."""
    value = msgspec.msgpack.encode(_Told(clock))
    return Effect(topics.practice.name, b"", value, partition)


class SharedProcessor:
    """Processes one partition of ``ih.practice`` in order, through its own supervisor."""

    def __init__(self, partition: int, topics: Topics, supervisor: Supervisor) -> None:
        self.partition = partition
        self.supervisor = supervisor
        self._topics = topics

    def process(self, batch: Sequence[LogRecord]) -> Processed:
        """Judge what a batch tells; DeployFault for a record that no worker wrote."""
        facts: list[tuple[int, int, Fact]] = []
        clock = 0
        for record in batch:
            if is_tick(record.headers, record.value):
                clock = max(clock, record.timestamp)
                continue
            told = self._read(record)
            clock = max(clock, told.at)
            if told.place:
                fact = Fact(told.place, told.source, told.t, told.body, told.begins, shared=True)
                facts.append((record.offset, told.at, fact))
        outcome = self.supervisor.hear(facts, clock, max(record.offset for record in batch))
        counts: Counter[tuple[str, ...]] = Counter()
        effects = []
        for change in outcome.changes:
            finding = change.transition.finding
            counts["findings", finding.rule_id, finding.state.value] += 1
            datum = alert(change, None)
            key = datum["finding_id"].encode()
            effects.append(Effect(self._topics.alerts.name, key, encode_output("Alert", datum)))
        return Processed(effects, outcome.saves, counts)

    def _read(self, record: LogRecord) -> _Told:
        try:
            return msgspec.msgpack.decode(record.value or b"", type=_Told)
        except msgspec.DecodeError as error:
            name = self._topics.practice.name
            where = f"{name} {record.partition}@{record.offset}"
            raise DeployFault(f"{where} is no fact; only workers may write there") from error
