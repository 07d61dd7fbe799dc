"""Records as they stand in the log: signed events, alerts, aggregates, rejects; made to order."""

import json
from pathlib import Path
from typing import Any

from schemas import signing, wire
from schemas.admission import Admission
from schemas.directory import Directory, Institution, Key
from schemas.flat import from_flat
from schemas.registry import LocalRegistry
from schemas.topics import TICK_HEADER, TICK_VALUE, Topics
from sinks.clickhouse.rows import Decoders
from sinks.log import Headers, Record

TOPICS = Topics.named("ih")
FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "events").glob("*.json"))
# 2026-03-02T04:00:00Z
NOON = 1_772_424_000_000
HOUR = 3_600_000
SECRET = bytes(range(32))
HOSPITAL, OTHER = "PDY00000145010011A5182", "PDY00000250010022B6293"


def directory() -> Directory:
    """Two hospitals in two regions and the supervisor; every secret is known to the tests."""
    keys = [Institution(one, one, book, (Key(f"{one}-1", one, SECRET),))
            for one, book in ((HOSPITAL, "guangxi"), (OTHER, "chongqing"))]  # fmt: skip
    return Directory(keys, [Key("supervisor-1", None, SECRET)])


def decoders(topics: Topics = TOPICS) -> Decoders:
    """The decoders as the process has them: our own schema files, signatures demanded."""
    known = directory()
    return Decoders(topics, Admission(LocalRegistry(), known), known)


def fixture(event_type: str) -> dict[str, Any]:
    """The example of an event, as flat JSON."""
    path = next(path for path in FIXTURES if path.stem == event_type)
    flat: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return flat


def event(
    offset: int,
    event_type: str = "SessionOpened",
    *,
    partition: int = 0,
    received_at: int | None = None,
    institution_id: str = HOSPITAL,
    key_id: str | None = None,
    **changes: Any,
) -> Record:
    """One signed event; by default its id is that of the offset, received a second apart."""
    flat = fixture(event_type)
    flat |= {"event_id": f"E-{partition}-{offset}", "institution_id": institution_id, **changes}
    datum, _, _ = from_flat(flat)
    key = institution_id.encode()
    value = wire.encode(datum)
    headers: Headers = [*signing.headers(key_id or f"{institution_id}-1", SECRET, key, value)]
    at = NOON + 1000 * offset if received_at is None else received_at
    return Record(TOPICS.events.name, partition, offset, at, key, value, headers)


def tick(offset: int, partition: int = 0) -> Record:
    """A record that only moves the clock."""
    at = NOON + 1000 * offset
    return Record(
        TOPICS.events.name, partition, offset, at, None, None, [(TICK_HEADER, TICK_VALUE)]
    )


def alert(finding_id: str = "f" * 16, version: int = 1, **changes: Any) -> dict[str, Any]:
    """One version of a finding, confirmed and to be notified unless told otherwise."""
    state = changes.get("state", "CONFIRMED")
    return {
        "finding_id": finding_id,
        "version": version,
        "state": state,
        "previous_state": None,
        "rule_id": "IDV-01",
        "clause": None,
        "rulebook": "guangxi",
        "institution_id": HOSPITAL,
        "subject_type": "session",
        "subject_id": "S-20260302-0001",
        "severity": "critical",
        "notify": True,
        "changed_at": NOON + 60_000 * version,
        "violation_start": NOON,
        "violation_end": None,
        "evidence": ["E-0-1", "E-0-2"],
        "params": {"idv01.pre_max_age": "15m"},
        "flags": [],
        "citations": ["GX 16 「医师接诊前需进行实名认证」"],
        "title_zh": "接诊前医师身份核验缺失",
        "title_en": "Doctor identity not verified before reception",
        "message_zh": "医师接诊前没有核验身份。",
        "message_en": "The doctor was not verified before reception.",
        "history": [
            {"state": "CONFIRMED", "at": NOON + 60_000},
            {"state": state, "at": NOON + 60_000 * version},
        ],
        "cause_partition": 0,
        "cause_offset": 17,
        **changes,
    }


def alert_record(offset: int, datum: dict[str, Any], partition: int = 0) -> Record:
    """An alert in its topic."""
    value = wire.encode_output("Alert", datum)
    key = str(datum["finding_id"]).encode()
    return Record(TOPICS.alerts.name, partition, offset, datum["changed_at"], key, value, [])


def aggregate_record(
    offset: int, slot: int, revision: int, metrics: dict[str, float], partition: int = 0
) -> Record:
    """The figures of one hour of the hospital."""
    start = NOON + slot * HOUR
    datum = {
        "institution_id": HOSPITAL,
        "rulebook": "guangxi",
        "window_start": start,
        "window_end": start + HOUR,
        "metrics": metrics,
        "revision": revision,
    }
    value = wire.encode_output("Aggregate", datum)
    return Record(TOPICS.aggregates.name, partition, offset, start, HOSPITAL.encode(), value, [])


def reject_record(offset: int, source_offset: int, partition: int = 0) -> Record:
    """A refused record with bytes that are no text."""
    datum = {
        "topic": TOPICS.events.name,
        "partition": partition,
        "offset": source_offset,
        "received_at": NOON + source_offset,
        "key": b"\xff\x00key",
        "value": b"\xc3\x01\x00\xfe\xff",
        "headers": {"ih-key-id": b"\x80"},
        "reason": "TRUNCATED",
        "field": None,
        "detail": "the bytes end inside the fingerprint",
        "institution_id": None,
        "event_id": None,
        "event_type": None,
    }
    value = wire.encode_output("Reject", datum)
    return Record(TOPICS.rejects.name, partition, offset, NOON, None, value, [])
