"""Flat JSON is read as ARCHITECTURE section 3 says, and every fault has its own reason and path."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import flat
from schemas.errors import ContractError, Reason
from schemas.flat import from_flat, parse, rfc3339, signature_valid, to_flat
from tests.schemas.examples import example

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.decimals(allow_nan=True),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def opened(**changes: Any) -> dict[str, Any]:
    """A SessionOpened as flat JSON with some fields changed; a field set to ... is left out."""
    return changed("SessionOpened", **changes)


def changed(name: str, /, **changes: Any) -> dict[str, Any]:
    """The example of an event type with some fields changed or left out."""
    merged = {**example(name).flat, **changes}
    return {name: value for name, value in merged.items() if value is not ...}


def refused(obj: Any) -> tuple[Reason, str | None]:
    with pytest.raises(ContractError) as caught:
        from_flat(obj)
    return caught.value.reason, caught.value.field


def test_defaults_are_filled_in() -> None:
    datum, received_at, warnings = from_flat(
        opened(
            recorded_at=...,
            revision=...,
            schema_version=...,
            stream_id=...,
            stream_seq=...,
            received_at=...,
        )
    )
    assert datum["recorded_at"] == datum["occurred_at"]
    assert (datum["revision"], datum["schema_version"]) == (0, 1)
    assert datum["stream_id"] is datum["stream_seq"] is datum["supersedes_event_id"] is None
    assert datum["signer_cert"] is None
    assert received_at is None
    assert warnings == []


def test_an_empty_stream_is_no_stream() -> None:
    assert from_flat(opened(stream_id=""))[0]["stream_id"] is None


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T12:00:00.000+08:00",
        "2026-03-02T04:00:00.000Z",
        "2026-03-02T04:00:00Z",
        "2026-03-02 12:00:00+08:00",
        "2026-03-02T12:00:00.000999+08:00",
        1772424000000,
        1772424000000.0,
        Decimal("1772424000000.0"),
    ],
)
def test_instants_may_be_written_in_several_ways(written: Any) -> None:
    datum, received_at, _ = from_flat(opened(occurred_at=written, received_at=written))
    assert datum["occurred_at"] == received_at == 1772424000000


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T12:00:00.000",
        "2026-03-02",
        "20260302T120000+0800",
        "2026-W10-1T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-02T24:30:00Z",
        "yesterday",
        "",
        "1772424000000",
    ],
)
def test_instants_without_offset_or_sense_are_bad_timestamps(written: str) -> None:
    assert refused(opened(occurred_at=written)) == (Reason.BAD_TIMESTAMP, "occurred_at")


@pytest.mark.parametrize("written", [946684799999, 4102444800001, 1772424000, 1772424000000000])
def test_received_at_outside_the_range_is_a_bad_timestamp(written: int) -> None:
    assert refused(opened(received_at=written)) == (Reason.BAD_TIMESTAMP, "received_at")


@pytest.mark.parametrize("written", ["2026-3-2", "20260302", "2026-W10-1", "2026-02-29", "", "x"])
def test_dates_have_one_form(written: str) -> None:
    staff = changed("StaffFiled", change_completed_on=written)
    assert refused(staff) == (Reason.BAD_TIMESTAMP, "change_completed_on")


def test_dates_are_days() -> None:
    for written, days in (("1970-01-01", 0), ("1969-12-31", -1), ("9999-12-31", 2932896)):
        datum, _, _ = from_flat(changed("StaffFiled", change_completed_on=written))
        assert datum["change_completed_on"] == days


def items(quantity: Any) -> dict[str, Any]:
    lines = [{**line, "quantity": quantity} for line in example("DrugSupplied").flat["lines"][:1]]
    return changed("DrugSupplied", lines=lines)


@pytest.mark.parametrize(
    ("written", "thousandths"),
    [
        (3.5, 3500),
        ("3.5", 3500),
        (Decimal("3.500"), 3500),
        (0.001, 1),
        (0.1, 100),
        ("1E+3", 1000000),
        (-2, -2000),
        ("999999999999999.999", 10**18 - 1),
        (0, 0),
        ("0E-30", 0),
        ("0E-999999999", 0),
        ("1.50000000000000000000000000000000000000000000000", 1500),
    ],
)
def test_decimals_are_thousandths(written: Any, thousandths: int) -> None:
    assert from_flat(items(written))[0]["lines"][0]["quantity"] == thousandths


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (float("nan"), Reason.NOT_A_NUMBER),
        (float("inf"), Reason.NOT_A_NUMBER),
        ("NaN", Reason.NOT_A_NUMBER),
        ("-Infinity", Reason.NOT_A_NUMBER),
        ("sNaN", Reason.NOT_A_NUMBER),
        ("two", Reason.NOT_A_NUMBER),
        ("", Reason.NOT_A_NUMBER),
        ("1e999999999", Reason.OUT_OF_RANGE),
        ("1e-999999999", Reason.OUT_OF_RANGE),
        ("0.0001", Reason.OUT_OF_RANGE),
        ("1.00000000000000000000000000000000000000000000001", Reason.OUT_OF_RANGE),
        ("9" * 100_000, Reason.OUT_OF_RANGE),
        (1e300, Reason.OUT_OF_RANGE),
        (10**15, Reason.OUT_OF_RANGE),
        (True, Reason.WRONG_TYPE),
        ([], Reason.WRONG_TYPE),
        (None, Reason.MISSING_FIELD),
    ],
)
def test_what_is_no_decimal(written: Any, reason: Reason) -> None:
    assert refused(items(written)) == (reason, "lines[0].quantity")


def test_decimals_are_written_as_numbers_while_those_are_exact() -> None:
    for thousandths, written in [
        (3500, 3.5),
        (3000, 3),
        (1, 0.001),
        (10**15 - 1, 999999999999.999),
        (10**18 - 1, "999999999999999.999"),
    ]:
        datum = from_flat(items(0))[0]
        datum["lines"][0]["quantity"] = thousandths
        back = to_flat(datum)
        assert back["lines"][0]["quantity"] == written
        assert from_flat(json.loads(json.dumps(back)))[0] == datum


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"event_type": ...}, Reason.MISSING_FIELD, "event_type"),
        ({"event_type": "sessionopened"}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"event_type": ["SessionOpened"]}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"event_id": ...}, Reason.MISSING_FIELD, "event_id"),
        ({"occurred_at": ...}, Reason.MISSING_FIELD, "occurred_at"),
        ({"assisting_staff_ids": ...}, Reason.MISSING_FIELD, "assisting_staff_ids"),
        ({"patient_full_capacity": "true"}, Reason.WRONG_TYPE, "patient_full_capacity"),
        ({"patient_full_capacity": 1}, Reason.WRONG_TYPE, "patient_full_capacity"),
        ({"patient_age_years": "63"}, Reason.WRONG_TYPE, "patient_age_years"),
        ({"patient_age_years": 63.5}, Reason.WRONG_TYPE, "patient_age_years"),
        ({"patient_age_years": True}, Reason.WRONG_TYPE, "patient_age_years"),
        ({"patient_age_years": float("nan")}, Reason.NOT_A_NUMBER, "patient_age_years"),
        ({"patient_age_years": 2**31}, Reason.OUT_OF_RANGE, "patient_age_years"),
        ({"stream_seq": 2**63}, Reason.OUT_OF_RANGE, "stream_seq"),
        ({"occurred_at": float("nan")}, Reason.NOT_A_NUMBER, "occurred_at"),
        ({"session_id": 7}, Reason.WRONG_TYPE, "session_id"),
        ({"session_id": "\ud800"}, Reason.BAD_UTF8, "session_id"),
        ({"mode": "SMELL"}, Reason.UNKNOWN_ENUM, "mode"),
        ({"mode": 2}, Reason.WRONG_TYPE, "mode"),
        ({"assisting_staff_ids": "N-1"}, Reason.WRONG_TYPE, "assisting_staff_ids"),
        ({"assisting_staff_ids": ["N-1", None]}, Reason.MISSING_FIELD, "assisting_staff_ids[1]"),
        ({"recorded_at": ..., "revision": 1}, Reason.MISSING_RECORDED_AT, "recorded_at"),
        ({"recorded_at": None, "revision": 1}, Reason.MISSING_RECORDED_AT, "recorded_at"),
        ({"revision": "1"}, Reason.WRONG_TYPE, "revision"),
    ],
)
def test_each_fault_has_its_reason_and_path(
    changes: dict[str, Any], reason: Reason, field: str
) -> None:
    assert refused(opened(**changes)) == (reason, field)


def test_counts_of_a_manifest_name_the_event_type() -> None:
    manifest = changed("DailyManifestPublished", counts={"SessionOpened": "many"})
    assert refused(manifest) == (Reason.WRONG_TYPE, "counts.SessionOpened")


def test_unknown_fields_are_named_and_ignored_and_the_platforms_are_not_even_named() -> None:
    obj = opened(schema_valid=True, signature_valid=None, rulebook="guangxi", colour="red")
    datum, _, warnings = from_flat(obj)
    assert datum == example("SessionOpened").datum
    assert warnings == ["unknown field colour ignored"]
    lines = [{**line, "batch": "1"} for line in example("DrugSupplied").flat["lines"]]
    warnings = from_flat(changed("DrugSupplied", lines=lines))[2]
    assert warnings == [f"unknown field lines[{i}].batch ignored" for i in range(len(lines))]


def test_what_the_platform_found_of_the_signature() -> None:
    assert signature_valid(opened()) is None
    for found in (True, False, None):
        assert signature_valid(opened(signature_valid=found)) is found
    with pytest.raises(ContractError) as caught:
        signature_valid(opened(signature_valid="yes"))
    assert (caught.value.reason, caught.value.field) == (Reason.WRONG_TYPE, "signature_valid")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", Reason.BAD_JSON),
        ("{", Reason.BAD_JSON),
        ('{"a": 1},', Reason.BAD_JSON),
        (b"\xff{}", Reason.BAD_UTF8),
        ("[" * 100_000, Reason.BAD_JSON),
        ("9" * 5000, Reason.BAD_JSON),
        ("1.0e" + "9" * 30, Reason.BAD_JSON),
    ],
)
def test_lines_that_are_no_json(line: str | bytes, reason: Reason) -> None:
    with pytest.raises(ContractError) as caught:
        parse(line)
    assert caught.value.reason is reason


@pytest.mark.parametrize("obj", [None, [], "x", 1, True])
def test_an_event_is_an_object(obj: Any) -> None:
    assert refused(obj)[0] is Reason.BAD_JSON


def test_parse_keeps_nan_for_the_field_to_be_named() -> None:
    text = json.dumps(opened()).replace("63", "NaN")
    assert refused(parse(text)) == (Reason.NOT_A_NUMBER, "patient_age_years")


def test_details_never_quote_what_was_sent() -> None:
    for changes in ({"session_id": 7}, {"mode": "secret"}, {"occurred_at": "secret"}):
        with pytest.raises(ContractError) as caught:
            from_flat(opened(**changes))
        assert "secret" not in str(caught.value)


@given(st.sampled_from(["SessionOpened", "DrugSupplied", "BusinessHoursDeclared"]), st.data())
def test_any_json_in_any_field_is_read_or_refused(event_type: str, data: st.DataObject) -> None:
    obj = dict(example(event_type).flat)
    obj[data.draw(st.sampled_from(sorted(obj)))] = data.draw(JSON)
    try:
        datum, received_at, _ = from_flat(obj)
    except ContractError as error:
        assert str(error)  # noqa: PT017 - any other exception is what this test is about
    else:
        assert set(datum) == set(example(event_type).datum)
        assert received_at is None or isinstance(received_at, int)


@given(JSON)
def test_any_json_at_all_is_refused(obj: Any) -> None:
    refused(obj)


def test_instants_are_written_in_shanghai_time() -> None:
    assert rfc3339(1772424000001) == "2026-03-02T12:00:00.001+08:00"
    assert rfc3339(-1) == "1970-01-01T07:59:59.999+08:00"


def test_platform_fields_are_those_of_the_rules() -> None:
    assert {"received_at", "schema_valid", "signature_valid", "rulebook"} == flat.PLATFORM_FIELDS
