"""Facts that institutions share, on their way through ``ih.practice`` (IDV-04, LIC-07).

Sessions of one doctor at two hospitals lie in two partitions of ``ih.events``. The supervisor of
each tells what concerns others as facts; these are re-keyed by the person or host they are about,
and the case files in which they meet are judged by a supervisor of their own, partition by
partition. Facts name the instant they were told at, and each partition of events says how far it
has told everything. Only what all of them have passed is judged, so the same is found as if all
institutions were supervised in one place, however far one partition is behind the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.topics import Topics
from schemas.wire import encode_output
from streams.checks.base import Fact
from streams.effects import Effect, Processed
from streams.intake import DeployFault, LogRecord
from streams.publication import alert
from streams.supervisor import Supervisor


class _Told(msgspec.Struct, array_like=True, frozen=True, tag="told"):
    """A record of ``ih.practice``: a fact, and the instant it was told at."""

    at: int
    place: str
    source: str
    t: int
    begins: tuple[str, str]
    body: dict[str, Any]


class _Clock(msgspec.Struct, array_like=True, frozen=True, tag="clock"):
    """The other record: before which instant a partition of events has told everything."""

    partition: int
    clock: int


_READER: msgspec.msgpack.Decoder[_Told | _Clock] = msgspec.msgpack.Decoder(_Told | _Clock)


def fact_effect(topics: Topics, told_at: int, fact: Fact) -> Effect:
    """The record that takes a fact to those it concerns.

    Case files of one person or host lie in one partition, whatever follows the last slash.
    """
    told = _Told(told_at, fact.place, fact.source, fact.t, fact.begins, dict(fact.body))
    kind, case_id = fact.begins
    key = f"{kind}/{case_id.rpartition('/')[0] or case_id}".encode()
    return Effect(topics.practice.name, key, msgspec.msgpack.encode(told))


def clock_effects(topics: Topics, source: int, clock: int, partitions: int) -> list[Effect]:
    """The records that pass the clock of a partition of events on, to whoever judges by it.

    To be sent after all facts told before ``clock``, and by the same producer.
    """
    value = msgspec.msgpack.encode(_Clock(source, clock))
    name = topics.practice.name
    return [Effect(name, None, value, partition) for partition in range(partitions)]


class SharedProcessor:
    """Processes one partition of ``ih.practice`` in order, through its own supervisor."""

    def __init__(
        self, partition: int, topics: Topics, supervisor: Supervisor, partitions: int
    ) -> None:
        self.partition = partition
        self.supervisor = supervisor
        self._topics = topics
        self._partitions = partitions

    def process(self, batch: Sequence[LogRecord]) -> Processed:
        """Judge what a batch tells; DeployFault for a record that no worker wrote."""
        facts: list[tuple[int, int, Fact]] = []
        clocks: dict[int, int] = {}
        for record in batch:
            told = self._read(record)
            if isinstance(told, _Clock):
                clocks[told.partition] = max(told.clock, clocks.get(told.partition, 0))
            else:
                fact = Fact(told.place, told.source, told.t, told.body, told.begins, shared=True)
                facts.append((record.offset, told.at, fact))
        last = max(record.offset for record in batch)
        outcome = self.supervisor.hear(facts, clocks, self._partitions, last)
        counts: Counter[tuple[str, ...]] = Counter()
        effects = []
        for change in outcome.changes:
            finding = change.transition.finding
            counts["findings", finding.rule_id, finding.state.value] += 1
            datum = alert(change, None)
            key = datum["finding_id"].encode()
            effects.append(Effect(self._topics.alerts.name, key, encode_output("Alert", datum)))
        return Processed(effects, outcome.saves, counts)

    def _read(self, record: LogRecord) -> _Told | _Clock:
        try:
            return _READER.decode(record.value or b"")
        except msgspec.DecodeError as error:
            name = self._topics.practice.name
            where = f"{name} {record.partition}@{record.offset}"
            raise DeployFault(f"{where} is no fact; only workers may write there") from error
