"""The framing decides under which schema bytes are read; nothing else does."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from schemas import avro, catalogue, wire
from schemas.errors import ContractError, Reason
from schemas.registry import LocalRegistry
from schemas.wire import Framing
from tests.schemas.examples import example

REGISTRY = LocalRegistry()


def refused(value: bytes) -> Reason:
    with pytest.raises(ContractError) as caught:
        wire.decode(value, REGISTRY)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"\x00", Reason.TRUNCATED),
        (b"\x00\x00\x00\x00", Reason.TRUNCATED),
        (b"\xc3", Reason.UNKNOWN_FRAMING),
        (b"\xc3\x01", Reason.TRUNCATED),
        (b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00", Reason.TRUNCATED),
        (b"\xc3\x02" + bytes(20), Reason.UNKNOWN_FRAMING),
        (b"Obj\x01" + bytes(20), Reason.UNKNOWN_FRAMING),
        (b'{"event_id": "e"}', Reason.UNKNOWN_FRAMING),
        (b"\x1f\x8b\x08" + bytes(20), Reason.UNKNOWN_FRAMING),
        (b"\x00\x00\x00\xff\xff" + bytes(20), Reason.UNKNOWN_SCHEMA),
        (b"\xc3\x01" + bytes(20), Reason.UNKNOWN_SCHEMA),
    ],
)
def test_what_is_no_event_is_told_by_its_first_bytes(value: bytes, reason: Reason) -> None:
    assert refused(value) is reason


def test_a_writers_schema_of_the_same_shape_does_not_swap_fields() -> None:
    """Two ids exchanged: the bytes fit our schema, but the fingerprint is not one of ours."""
    schema = copy.deepcopy(catalogue.schema("RefundRequested"))
    names = [field["name"] for field in schema["fields"]]
    one, two = names.index("refund_id"), names.index("fee_id")
    schema["fields"][one]["name"], schema["fields"][two]["name"] = "fee_id", "refund_id"
    body = io.BytesIO()
    plain: Any = avro.binding(schema)
    for field in plain["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = field["type"]["type"]
    schemaless_writer(body, parse_schema(plain), example("RefundRequested").datum)
    fingerprint = bytes.fromhex(avro.fingerprint(schema))
    assert refused(b"\xc3\x01" + fingerprint + body.getvalue()) is Reason.UNKNOWN_SCHEMA
    ours = wire.encode(example("RefundRequested").datum)[:10]
    swapped = wire.decode(ours + body.getvalue(), REGISTRY)
    assert swapped["refund_id"] == example("RefundRequested").datum["fee_id"], "so it must decide"


def test_bytes_under_another_events_schema_of_the_same_shape_are_refused() -> None:
    """A string and an enumeration, like ComplaintResolved: the bytes would fit."""
    version = {v.name: v for v in avro.published()}
    value = bytearray(example("UnsuitabilityIdentified").wire[Framing.CONFLUENT])
    value[4] = version["ComplaintResolved"].id
    assert refused(bytes(value)) is Reason.SCHEMA_MISMATCH
    value[4] = version["ServiceRated"].id
    assert refused(bytes(value)) is Reason.SCHEMA_MISMATCH
    value[4] = version["StaffFiled"].id
    assert refused(bytes(value)) is Reason.SCHEMA_MISMATCH


def _body(datum: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    plain: Any = avro.binding(catalogue.schema("RefundRequested"))
    for field in plain["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = field["type"]["type"]
    schemaless_writer(stream, parse_schema(plain), datum)
    return stream.getvalue()


def test_event_type_must_be_the_name_of_the_schema() -> None:
    version = {v.name: v for v in avro.published()}["RefundRequested"]
    datum = {**example("RefundRequested").datum, "event_type": "RefundSettled"}
    value = wire.header(version, Framing.SINGLE_OBJECT) + _body(datum)
    assert refused(value) is Reason.SCHEMA_MISMATCH


def test_our_own_records_are_no_events() -> None:
    """A Reject has a field event_type too: it must not pass for an event."""
    for framing in Framing:
        for version in avro.published():
            if version.name in catalogue.OUTPUT_TYPES:
                head = wire.header(version, framing)
                assert refused(head + bytes(50)) is Reason.UNKNOWN_SCHEMA


REJECT = {
    "topic": "ih.events",
    "partition": 3,
    "offset": 17,
    "received_at": 1_772_416_800_000,
    "key": b"\xff",
    "value": None,
    "headers": {"ih-key-id": b"k"},
    "reason": "EMPTY",
    "field": None,
    "detail": "no value",
    "institution_id": None,
    "event_id": None,
    "event_type": "Reject",
}
RECEIPT = {
    "institution_id": "i",
    "topic": "ih.events",
    "partition": 3,
    "first_offset": 17,
    "last_offset": 18,
    "received_at": 1_772_416_800_000,
    "items": [
        {"offset": 17, "event_id": "e", "status": "ACCEPTED", "reason": None, "field": None},
        {"offset": 18, "event_id": None, "status": "REJECTED", "reason": "EMPTY", "field": None},
    ],
}
AGGREGATE = {
    "institution_id": "i",
    "rulebook": "guangxi",
    "window_start": 1_772_416_800_000,
    "window_end": 1_772_420_400_000,
    "metrics": {"events": 12.0, "latency_p50_ms": 1500.5},
    "revision": 4,
}
ALERT = {
    "finding_id": "f",
    "version": 2,
    "state": "CONFIRMED",
    "previous_state": "SUSPECTED",
    "rule_id": "IDV-02",
    "clause": "b",
    "rulebook": "guangxi",
    "institution_id": "i",
    "subject_type": "session",
    "subject_id": "s",
    "severity": "critical",
    "notify": True,
    "changed_at": 1_772_416_800_000,
    "violation_start": 1_772_410_000_000,
    "violation_end": None,
    "evidence": ["e1", "e2"],
    "params": {"idv02.max_gap": "10m"},
    "flags": ["feed_gap"],
    "citations": ["GX 19 「并在诊疗过程中接受动态监管」"],
    "title_zh": "诊疗过程动态监管缺失",
    "title_en": "No dynamic identity supervision in session",
    "message_zh": "…",
    "message_en": "…",
    "history": [{"state": "SUSPECTED", "at": 1_772_412_000_000}],
    "cause_partition": 0,
    "cause_offset": 12,
}
OUTPUTS = {"Alert": ALERT, "Aggregate": AGGREGATE, "Reject": REJECT, "Receipt": RECEIPT}


@pytest.mark.parametrize("name", catalogue.OUTPUT_TYPES)
def test_outputs_round_trip(name: str) -> None:
    value = wire.encode_output(name, OUTPUTS[name])
    assert value[:2] == b"\xc3\x01"
    assert wire.decode_output(value) == (name, OUTPUTS[name])


@pytest.mark.parametrize("name", catalogue.OUTPUT_TYPES)
def test_damaged_outputs_are_refused(name: str) -> None:
    value = wire.encode_output(name, OUTPUTS[name])
    for bad in (
        value[:-1],
        value + b"\x00",
        b"",
        value[:5],
        wire.encode(example("ServiceRated").datum),
    ):
        with pytest.raises(ContractError):
            wire.decode_output(bad)


def test_confluent_framing_carries_the_registrys_number_or_ours() -> None:
    datum = example("ServiceRated").datum
    ours = [v.id for v in avro.published() if v.name == "ServiceRated"][-1]
    assert wire.encode(datum, Framing.CONFLUENT)[:5] == b"\x00" + ours.to_bytes(4, "big")
    assert wire.encode(datum, Framing.CONFLUENT, 70_000)[:5] == b"\x00\x00\x01\x11\x70"


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"event_type": "Nothing"}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"event_type": ["ServiceRated"]}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"mode": "SMELL"}, Reason.UNKNOWN_ENUM, "mode"),
        ({"mode": None}, Reason.WRONG_TYPE, "mode"),
        ({"patient_age_years": "63"}, Reason.WRONG_TYPE, "patient_age_years"),
        ({"occurred_at": 2**70}, Reason.WRONG_TYPE, None),
        ({"assisting_staff_ids": 7}, Reason.WRONG_TYPE, "assisting_staff_ids"),
        ({"assisting_staff_ids": [1]}, Reason.WRONG_TYPE, "assisting_staff_ids[0]"),
        ({"session_id": "\ud800"}, Reason.WRONG_TYPE, None),
        ({"surplus": 1}, Reason.WRONG_TYPE, "surplus"),
    ],
)
def test_the_encoder_says_what_does_not_fit(
    change: dict[str, Any], reason: Reason, field: str | None
) -> None:
    with pytest.raises(ContractError) as caught:
        wire.encode({**example("SessionOpened").datum, **change})
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_the_encoder_names_what_is_missing_inside() -> None:
    datum = copy.deepcopy(example("PrescriptionIssued").datum)
    del datum["items"][1]["quantity"]
    with pytest.raises(ContractError) as caught:
        wire.encode(datum)
    assert caught.value.field == "items[1].quantity"
    del datum["session_id"]
    with pytest.raises(ContractError) as caught:
        wire.encode(datum)
    assert (caught.value.reason, caught.value.field) == (Reason.MISSING_FIELD, "session_id")
