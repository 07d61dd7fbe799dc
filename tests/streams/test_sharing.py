"""What institutions share is judged only as far as every partition of events has told it."""

from __future__ import annotations

from typing import Any

from schemas.topics import Topics
from streams.effects import Effect
from streams.events import Event
from streams.rulebook import Library
from streams.sharing import SharedProcessor, clock_effects, fact_effect
from streams.supervisor import Supervisor, Tick
from streams.timeline import HOUR, MINUTE
from tests.schemas.examples import example
from tests.support.replay import Logged

TEN = 1_772_416_800_000  # 10:00 in Shanghai
LATER = TEN + 96 * HOUR  # when nothing more may lawfully come
TOPICS = Topics.named()


def event(event_type: str, institution_id: str, at: int, **changes: Any) -> dict[str, Any]:
    return {
        **example(event_type).datum,
        "institution_id": institution_id, "session_id": f"s-{institution_id}",
        "event_id": f"{event_type}-{institution_id}", "stream_id": None, "stream_seq": None,
        "occurred_at": at, "recorded_at": at, **changes,
    }  # fmt: skip


def video(institution_id: str, opened: int, closed: int) -> list[dict[str, Any]]:
    return [
        event("SessionOpened", institution_id, opened, doctor_id="d1", mode="VIDEO"),
        event("SessionClosed", institution_id, closed),
    ]


class Partition:
    """One partition of events as a worker judges it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._supervisor = Supervisor(Library.load(), default="guangxi", alone=False)
        self._offset = 0

    def tell(self, *data: dict[str, Any], clock: int) -> list[Effect]:
        """Judge events up to a clock: what they tell others, then the clock for both shards."""
        records: list[Event | Tick] = []
        for datum in data:
            records.append(Event(datum, datum["occurred_at"], 0, self._offset, True))
            self._offset += 1
        records.append(Tick(clock, self._offset))
        self._offset += 1
        told = self._supervisor.apply(records).facts
        facts = [fact_effect(TOPICS, at, fact) for at, fact in told]
        return facts + clock_effects(TOPICS, self.number, clock, 1)


class Shard:
    """One partition of what is shared, with two partitions of events telling it."""

    def __init__(self, stored: dict[str, bytes] | None = None, offset: int = 0) -> None:
        self.stored = {} if stored is None else stored
        supervisor = Supervisor(Library.load(), load=self.stored.get, alone=False)
        supervisor.restore(self.stored.items())
        self._processor = SharedProcessor(0, TOPICS, supervisor, 2)
        self.offset = offset

    def hear(self, effects: list[Effect]) -> list[tuple[str, ...]]:
        """Judge what was told: rule and state of all that is published."""
        records = [
            Logged(0, self.offset + number, 0, 0, effect.key, effect.value, [])
            for number, effect in enumerate(effects)
        ]
        self.offset += len(records)
        processed = self._processor.process(records)
        self.stored |= processed.saves
        return [labels[1:] for labels in processed.counts if labels[0] == "findings"]


def test_a_partition_far_behind_leads_to_no_suspicion() -> None:
    ahead, behind, shard = Partition(0), Partition(1), Shard()
    first, second = video("I-b", TEN, TEN + 20 * MINUTE), video("I-a", TEN + HOUR, TEN + 2 * HOUR)
    assert shard.hear(behind.tell(first[0], clock=TEN + MINUTE)) == []
    assert shard.hear(ahead.tell(*second, clock=LATER)) == []
    assert shard.hear(behind.tell(first[1], clock=LATER)) == []


def test_two_sessions_at_once_are_suspected_when_both_partitions_have_passed() -> None:
    ahead, behind, shard = Partition(0), Partition(1), Shard()
    first, second = video("I-b", TEN, TEN + HOUR), video("I-a", TEN + MINUTE, TEN + HOUR)
    assert shard.hear(ahead.tell(second[0], clock=TEN + 30 * MINUTE)) == []
    assert shard.hear(behind.tell(first[0], clock=TEN + 2 * MINUTE)) == []
    assert shard.hear(behind.tell(clock=TEN + 30 * MINUTE)) == [("IDV-04", "SUSPECTED")]
    later = behind.tell(first[1], clock=LATER)
    assert shard.hear(ahead.tell(second[1], clock=LATER)) == []
    assert shard.hear(later) == [("IDV-04", "CONFIRMED")]


def test_who_judges_remembers_how_far_each_partition_has_told() -> None:
    ahead, behind, shard = Partition(0), Partition(1), Shard()
    first, second = video("I-b", TEN, TEN + HOUR), video("I-a", TEN + MINUTE, TEN + HOUR)
    assert shard.hear(ahead.tell(*second, clock=LATER)) == []
    again = Shard(shard.stored, shard.offset)
    assert again.hear(behind.tell(*first, clock=LATER)) == [
        ("IDV-04", "SUSPECTED"),
        ("IDV-04", "CONFIRMED"),
    ]


def test_a_clock_never_goes_back() -> None:
    ahead, behind, shard = Partition(0), Partition(1), Shard()
    first, second = video("I-b", TEN, TEN + HOUR), video("I-a", TEN + MINUTE, TEN + HOUR)
    told = ahead.tell(*second, clock=LATER)
    earlier = clock_effects(TOPICS, 0, TEN + MINUTE, 1)
    assert shard.hear([*told, *earlier]) == []
    assert shard.hear(behind.tell(*first, clock=LATER)) != []


def test_what_was_told_is_taken_back_when_an_earlier_receipt_moves_it() -> None:
    """Receipts go back where the clock of a broker did."""
    opened = event("SessionOpened", "I-a", TEN, doctor_id="d1", mode="VIDEO")
    moved = {**opened, "event_id": "moved", "session_id": "s-other", "doctor_id": "d2"}
    moved |= {"revision": 1, "supersedes_event_id": opened["event_id"]}
    elsewhere = event("SessionOpened", "I-b", TEN, doctor_id="d1", mode="VIDEO")
    core = Supervisor(Library.load(), default="guangxi")
    core.apply([Event(opened, TEN + HOUR, 0, 0, True), Tick(TEN + 2 * HOUR, 1)])
    core.apply([Event(moved, TEN + MINUTE, 0, 2, True), Tick(TEN + 2 * HOUR, 3)])
    core.apply([Event(elsewhere, TEN + 3 * HOUR, 0, 4, True), Tick(LATER, 5)])
    assert [finding for finding in core.findings() if finding.rule_id == "IDV-04"] == []
