"""What follows from a batch, where it must not outgrow a topic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from schemas.errors import Reason
from schemas.flat import from_flat
from schemas.topics import Topics
from schemas.wire import decode_output
from streams.cases.base import glance
from streams.events import Event
from streams.findings import SHOWN_EVIDENCE, State, Verdict, open_finding, restate
from streams.intake import Intake, LogRecord, Refusal, Sorted
from streams.processing import Processor
from streams.rulebook import Library
from streams.simulator import SimulationConfig, simulate
from streams.supervisor import Supervisor
from tests.support.replay import Rules, Sender, Written, process

EXAMPLE = Path(__file__).parents[1] / "fixtures" / "events" / "ServiceRated.json"


def event(offset: int) -> Event:
    flat = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    flat |= {"event_id": f"e{offset}", "stream_id": None, "stream_seq": None}
    datum, received_at, _ = from_flat(flat)
    assert received_at is not None
    return Event(datum, received_at, 0, offset)


def refusal(offset: int, institution_id: str) -> Refusal:
    datum: dict[str, Any] = {
        "topic": "ih.events",
        "partition": 0,
        "offset": offset,
        "received_at": 0,
        "key": None,
        "value": b"x",
        "headers": {},
        "reason": "MALFORMED",
        "field": None,
        "detail": "",
        "institution_id": institution_id,
        "event_id": None,
        "event_type": None,
    }
    return Refusal(offset, 0, institution_id, None, Reason.MALFORMED, None, datum)


class Given:
    """An intake that has already sorted a batch."""

    def __init__(self, found: Sorted) -> None:
        self._found = found

    def sort(self, batch: Sequence[LogRecord]) -> Sorted:
        return self._found


def test_every_record_is_in_one_receipt_and_no_receipt_is_long() -> None:
    events = [event(offset) for offset in range(0, 5_000, 2)]
    owner = events[0].institution_id
    refused = [refusal(offset, owner) for offset in range(1, 100, 2)]
    intake = cast(Intake, Given(Sorted(list(events), refused)))
    processor = Processor(0, Topics.named(), intake, Supervisor(Library.load()))
    receipts = [
        datum
        for name, datum in (decode_output(e.value) for e in processor.process([]).effects)
        if name == "Receipt"
    ]
    assert [len(receipt["items"]) for receipt in receipts] == [1_000, 1_000, 550]
    offsets = [item["offset"] for receipt in receipts for item in receipt["items"]]
    assert offsets == sorted([e.offset for e in events] + [r.offset for r in refused])
    bounds = [(receipt["first_offset"], receipt["last_offset"]) for receipt in receipts]
    assert all(left[1] < right[0] for left, right in pairwise(bounds))


def test_a_finding_names_only_so_much_evidence() -> None:
    settings = Library.load().books["guangxi"].rules["IDV-01"]
    named = tuple(f"e{number}" for number in range(5_000))
    verdict = Verdict("session", "s1", State.SUSPECTED, evidence=named)
    finding = open_finding(verdict, settings, "guangxi", "I1")
    restate(finding, verdict, settings, "guangxi")
    assert finding.evidence == list(named[:SHOWN_EVIDENCE])


def test_what_is_told_is_watched_by_nobody() -> None:
    """Whoever tells has the case file judged: to watch it as well would grow with every fact."""
    simulation = simulate(SimulationConfig(seed=3, days=2, institutions={"guangxi": 1}, rate=20.0))
    written = Written(Sender(simulation.directory), 1)
    for upload in simulation.uploads:
        written.event(upload.datum, upload.received_at)
    written.tick(simulation.end)
    table: dict[str, bytes] = {}
    processor = Rules(simulation.directory).processor(0, table)
    for _, processed in process(processor, written.log[0], lambda: 50):
        table |= processed.saves
    assert any(key.split("\x1f")[1:] == ["ratings", ""] for key in table)
    watched = {topic for value in table.values() for topic in glance(value).watches}
    assert any(topic.startswith("ledger/") for topic in watched)
    assert not any(topic.startswith("told/") for topic in watched)
