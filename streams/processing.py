"""From a batch of one partition to everything that follows from it, as data.

This is what stands between the log and the core, without Faust: the agent publishes the effects,
stores the saves and only then lets the offset move (invariant 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.topics import Topics
from schemas.wire import encode_output
from streams.effects import Effect, Processed
from streams.events import Event
from streams.intake import Intake, LogRecord, Refusal
from streams.publication import aggregate, alert
from streams.sharing import fact_effect
from streams.supervisor import Outcome, Supervisor

_RECEIPT_ITEMS = 1_000


class Processor:
    """Processes the batches of one partition in order, through its own supervisor."""

    def __init__(
        self, partition: int, topics: Topics, intake: Intake, supervisor: Supervisor
    ) -> None:
        self.partition = partition
        self.supervisor = supervisor
        self._topics = topics
        self._intake = intake

    def process(self, batch: Sequence[LogRecord]) -> Processed:
        """Take a batch apart, judge it, and say what must be published and stored."""
        taken = self._intake.sort(batch)
        outcome = self.supervisor.apply(taken.records)
        events = [record for record in taken.records if isinstance(record, Event)]
        counts: Counter[tuple[str, ...]] = Counter()
        counts["records", "tick"] = len(taken.records) - len(events)
        counts["records", "duplicate"] = len(outcome.duplicates)
        counts["records", "accepted"] = len(events) - len(outcome.duplicates)
        for refusal in taken.refusals:
            counts["rejects", refusal.reason.value] += 1
        for change in outcome.changes:
            finding = change.transition.finding
            counts["findings", finding.rule_id, finding.state.value] += 1
        effects = [*self._alerts(outcome), *self._aggregates(outcome)]
        effects += [fact_effect(self._topics, at, fact) for at, fact in outcome.facts]
        effects += self._rejects(taken.refusals)
        effects += self._receipts(events, set(outcome.duplicates), taken.refusals)
        return Processed(effects, outcome.saves, counts)

    def _alerts(self, outcome: Outcome) -> list[Effect]:
        topic = self._topics.alerts.name
        found = []
        for change in outcome.changes:
            datum = alert(change, self.partition)
            key = datum["finding_id"].encode()
            found.append(Effect(topic, key, encode_output("Alert", datum)))
        return found

    def _aggregates(self, outcome: Outcome) -> list[Effect]:
        topic = self._topics.aggregates.name
        return [
            Effect(topic, _key(a.institution_id), encode_output("Aggregate", aggregate(a)))
            for a in outcome.aggregates
        ]

    def _rejects(self, refusals: list[Refusal]) -> list[Effect]:
        topic = self._topics.rejects.name
        return [
            Effect(topic, _key(r.institution_id), encode_output("Reject", r.datum))
            for r in refusals
        ]

    def _receipts(
        self, events: list[Event], duplicates: set[int], refusals: list[Refusal]
    ) -> list[Effect]:
        """Receipts by institution, naming every record of its and what became of it."""
        items: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for event in events:
            status = "DUPLICATE" if event.offset in duplicates else "ACCEPTED"
            item = _item(event.offset, event.id, status, None, None)
            items.setdefault(event.institution_id, []).append((event.received_at, item))
        for refusal in refusals:
            if refusal.institution_id is not None:
                reason = refusal.reason.value
                item = _item(refusal.offset, refusal.event_id, "REJECTED", reason, refusal.field)
                place = items.setdefault(refusal.institution_id, [])
                place.append((refusal.received_at, item))
        for found in items.values():
            found.sort(key=lambda pair: pair[1]["offset"])
        return [
            self._receipt(institution_id, found[start : start + _RECEIPT_ITEMS])
            for institution_id, found in items.items()
            for start in range(0, len(found), _RECEIPT_ITEMS)
        ]

    def _receipt(self, institution_id: str, found: list[tuple[int, dict[str, Any]]]) -> Effect:
        datum = {
            "institution_id": institution_id,
            "topic": self._topics.events.name,
            "partition": self.partition,
            "first_offset": found[0][1]["offset"],
            "last_offset": found[-1][1]["offset"],
            "received_at": max(received_at for received_at, _ in found),
            "items": [item for _, item in found],
        }
        name = self._topics.receipts.name
        return Effect(name, _key(institution_id), encode_output("Receipt", datum))


def _item(
    offset: int, event_id: str | None, status: str, reason: str | None, field: str | None
) -> dict[str, Any]:
    return {
        "offset": offset,
        "event_id": event_id,
        "status": status,
        "reason": reason,
        "field": field,
    }


def _key(institution_id: str | None) -> bytes | None:
    return None if institution_id is None else institution_id.encode()
