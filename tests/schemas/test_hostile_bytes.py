"""Whatever the bytes are, decoding ends in a datum or a ContractError, fast and without memory."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avro, catalogue, strict, wire
from schemas.catalogue import EVENT_TYPES
from schemas.codec import Decoder
from schemas.errors import ContractError, Reason
from schemas.registry import LocalRegistry
from schemas.validate import check_values, validate
from schemas.wire import Framing
from tests.schemas.examples import example

REGISTRY = LocalRegistry()
EVENTS = st.sampled_from(EVENT_TYPES)


def zigzag(number: int) -> bytes:
    """Avro's form of an integer."""
    rest, out = (number << 1) ^ (number >> 63), b""
    while rest > 0x7F:
        out, rest = out + bytes([rest & 0x7F | 0x80]), rest >> 7
    return out + bytes([rest])


def judge(value: bytes) -> Reason | None:
    """None for an event that decodes and validates, else why not; any other error escapes."""
    try:
        datum = wire.decode(value, REGISTRY)
        check_values(datum)
    except ContractError as error:
        return error.reason
    validate(datum)
    return None


@given(st.binary(max_size=300))
def test_any_bytes(value: bytes) -> None:
    judge(value)


@given(EVENTS, st.binary(max_size=300), st.sampled_from(Framing))
def test_any_body_under_a_known_schema(event_type: str, body: bytes, framing: Framing) -> None:
    head = 5 if framing is Framing.CONFLUENT else 10
    judge(example(event_type).wire[framing][:head] + body)


@given(EVENTS, st.data())
def test_a_good_event_with_some_bytes_changed(event_type: str, data: st.DataObject) -> None:
    value = bytearray(example(event_type).wire[Framing.SINGLE_OBJECT])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at] = data.draw(st.integers(0, 255))
    judge(bytes(value))


@given(EVENTS, st.data())
def test_a_good_event_with_bytes_put_in_or_taken_out(event_type: str, data: st.DataObject) -> None:
    value = example(event_type).wire[Framing.SINGLE_OBJECT]
    at = data.draw(st.integers(0, len(value)))
    gone = data.draw(st.integers(0, 8))
    judge(value[:at] + data.draw(st.binary(max_size=8)) + value[at + gone :])


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_truncation_is_refused(event_type: str) -> None:
    value = example(event_type).wire[Framing.SINGLE_OBJECT]
    for end in range(10, len(value)):
        assert judge(value[:end]) is Reason.TRUNCATED, end


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@pytest.mark.parametrize("more", [b"\x00", b"\x02\x00", b"\xff" * 30])
def test_every_extension_is_refused(event_type: str, more: bytes) -> None:
    value = example(event_type).wire[Framing.SINGLE_OBJECT]
    assert judge(value + more) is Reason.TRAILING_BYTES


@given(EVENTS, st.data())
def test_the_fast_reader_accepts_only_what_the_strict_one_does(
    event_type: str, data: st.DataObject
) -> None:
    """But for the odd encodings that the codec's docstring names."""
    value = bytearray(example(event_type).wire[Framing.SINGLE_OBJECT])
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(10, len(value) - 1))] = data.draw(st.integers(0, 255))
    schema = avro.expanded(catalogue.schema(event_type))
    try:
        wire.decode(bytes(value), REGISTRY)
    except ContractError as refused:
        if refused.reason is not Reason.SCHEMA_MISMATCH:
            with pytest.raises(ContractError):
                strict.explain(schema, bytes(value), 10)
        return
    try:
        strict.explain(schema, bytes(value), 10)
    except ContractError as odd:
        if odd.detail not in ODD:
            raise


ODD = (
    "a boolean is one byte, 0 or 1",
    "no such branch of the union",
    "more than 32 bits",
    "negative block size",
    "integer longer than 64 bits",
)
GIANTS = [2**31, 2**40, 2**62, -(2**62), -(2**63)]


def session_closed(codes: bytes) -> bytes:
    """A SessionClosed whose diagnosis_codes are the given bytes."""
    datum = dict(example("SessionClosed").datum, diagnosis_codes=[])
    value = wire.encode(datum)
    assert value[-2:] == b"\x00\x02"
    return value[:-2] + codes + value[-1:]


@pytest.mark.parametrize("giant", GIANTS)
@pytest.mark.parametrize("where", ["items", "length", "block"])
def test_giant_lengths_cost_neither_memory_nor_time(giant: int, where: str) -> None:
    codes = {
        "items": zigzag(giant) + b"\x02A" * 50,
        "length": zigzag(1) + zigzag(giant) + b"A" * 50 + b"\x00",
        "block": zigzag(-1) + zigzag(giant) + b"\x02A\x00",
    }[where]
    value = session_closed(codes)
    tracemalloc.start()
    begin = time.perf_counter()
    judge(value)
    seconds = time.perf_counter() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert seconds < 1.0


def test_a_giant_map_costs_neither_memory_nor_time() -> None:
    value = wire.encode(dict(example("DailyManifestPublished").datum, counts={}))
    tracemalloc.start()
    assert judge(value[:-1] + zigzag(2**62) + b"\x02A\x02" * 20) is Reason.TRUNCATED
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_blocks_with_sizes_are_read_as_avro_allows() -> None:
    """Java writes an array as blocks with their size in bytes; that is no fault."""
    assert judge(session_closed(zigzag(-2) + zigzag(4) + b"\x02A\x02B" + b"\x00")) is None
    datum = wire.decode(session_closed(zigzag(1) + b"\x02A" + zigzag(1) + b"\x02B\x00"), REGISTRY)
    assert datum["diagnosis_codes"] == ["A", "B"]


def reason_of(value: bytes) -> tuple[Reason, str | None]:
    with pytest.raises(ContractError) as caught:
        wire.decode(value, REGISTRY)
    return caught.value.reason, caught.value.field


def replaced(event_type: str, old: bytes, new: bytes) -> bytes:
    """The example's bytes with one piece, which must occur once, replaced."""
    value = example(event_type).wire[Framing.SINGLE_OBJECT]
    assert value.count(old) == 1
    return value.replace(old, new)


def test_the_field_at_fault_is_named() -> None:
    item = b"\x1eXC08CAA058A001"[1:]
    assert reason_of(replaced("PrescriptionIssued", item, b"\xff" + item[1:])) == (
        Reason.BAD_UTF8,
        "items[0].drug_code",
    )
    score = example("ServiceRated").wire[Framing.SINGLE_OBJECT]
    assert reason_of(score[:-1]) == (Reason.TRUNCATED, "score")
    assert reason_of(score[:-1] + b"\x80") == (Reason.TRUNCATED, "score")


@pytest.mark.parametrize("index", [0, 5, 6, -1, -3, 2**40, -(2**40)])
def test_an_enumeration_index_outside_the_list_is_unknown_not_the_last_symbol(index: int) -> None:
    """fastavro alone reads -1 as the last symbol, and index 0 is UNKNOWN, which nobody sends."""
    value = example("UnsuitabilityIdentified").wire[Framing.SINGLE_OBJECT]
    assert value[-1:] == zigzag(2)
    if 0 < index < 8:
        assert wire.decode(value[:-1] + zigzag(index), REGISTRY)
    else:
        assert reason_of(value[:-1] + zigzag(index)) == (Reason.UNKNOWN_ENUM, "reason")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x7f\xf8\x00\x00\x00\x00\x00\x00",  # a double's NaN, big-endian
        b"\x7f\xf0\x00\x00\x00\x00\x00\x00",  # infinity
        (10**18).to_bytes(8, "big"),
        (10**30).to_bytes(16, "big"),
    ],
)
def test_bytes_that_are_no_decimal_of_precision_18(raw: bytes) -> None:
    quantity = b"\x04\x1d\x4c"  # 7.500
    assert reason_of(replaced("PrescriptionIssued", quantity, zigzag(len(raw)) + raw)) == (
        Reason.NOT_A_NUMBER,
        "items[1].quantity",
    )


def test_decimals_keep_sign_and_every_digit() -> None:
    quantity = b"\x04\x1d\x4c"
    for thousandths in (-1, -128, -(10**18) + 1, 10**18 - 1, 0, 127, 128):
        raw = thousandths.to_bytes(8, "big", signed=True)
        value = replaced("PrescriptionIssued", quantity, zigzag(8) + raw)
        assert wire.decode(value, REGISTRY)["items"][1]["quantity"] == thousandths


def grown(schema: dict[str, Any]) -> dict[str, Any]:
    """A later version of a schema: a new last field, a new symbol in each enumeration."""
    later: dict[str, Any] = avro.expanded(schema)
    for field in later["fields"]:
        if isinstance(field["type"], dict) and field["type"]["type"] == "enum":
            symbols = [*field["type"]["symbols"], "NEWER"]
            field["type"] = field["type"] | {"symbols": symbols}
    later["fields"].append({"name": "newer", "type": ["null", "string"], "default": None})
    return later


def test_a_newer_writer_is_understood_as_far_as_we_know_the_words() -> None:
    ours = catalogue.schema("SessionClosed")
    decoder = Decoder(grown(ours), ours)
    body = example("SessionClosed").wire[Framing.SINGLE_OBJECT][10:]
    assert decoder(body + b"\x00") == example("SessionClosed").datum
    assert decoder(body + b"\x02\x02x") == example("SessionClosed").datum
    newer = body[:-1] + zigzag(4)  # ai_involvement, the last field, as NEWER
    with pytest.raises(ContractError) as caught:
        decoder(newer + b"\x00")
    assert (caught.value.reason, caught.value.field) == (Reason.UNKNOWN_ENUM, "ai_involvement")


def test_an_older_writer_leaves_the_new_fields_null() -> None:
    ours = catalogue.schema("SessionClosed")
    decoder = Decoder(ours, {**grown(ours), "namespace": ours["namespace"]})
    body = example("SessionClosed").wire[Framing.SINGLE_OBJECT][10:]
    assert decoder(body) == {**example("SessionClosed").datum, "newer": None}
