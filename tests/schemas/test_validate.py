"""Ranges, ids, revisions: at the limit good, one beyond refused, with reason and path."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas import catalogue, limits
from schemas.avro import expanded
from schemas.catalogue import EVENT_TYPES
from schemas.errors import ContractError, Reason
from schemas.validate import check_values, validate
from tests.schemas.examples import example


def refused(datum: dict[str, Any]) -> tuple[Reason, str | None]:
    with pytest.raises(ContractError) as caught:
        validate(datum)
    return caught.value.reason, caught.value.field


def put(event_type: str, path: str, value: Any) -> dict[str, Any]:
    """The example with the value at a path such as `items.0.quantity` replaced."""
    datum = copy.deepcopy(example(event_type).datum)
    target: Any = datum
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in way:
        target = target[step]
    target[last] = value
    return datum


RANGES = [
    ("ServiceRated", "score", 1, 5),
    ("BusinessHoursDeclared", "weekly.0.weekday", 1, 7),
    ("BusinessHoursDeclared", "weekly.0.end_minute", 0, 1440),
    ("BusinessHoursDeclared", "exceptions.1.intervals.0.start_minute", 0, 1440),
    ("SessionOpened", "patient_age_years", 0, 150),
    ("AssessmentCompleted", "mlps_level", 1, 5),
    ("SessionOpened", "stream_seq", 1, limits.MAX_LONG),
    ("FeeCharged", "total_fen", 0, limits.MAX_LONG),
    ("FeeCharged", "lines.0.quantity", 0, limits.MAX_DECIMAL),
    ("InfrastructureFiled", "bandwidth_mbps", 0, limits.MAX_INT),
    ("DailyManifestPublished", "counts.SessionOpened", 0, limits.MAX_LONG),
]


@pytest.mark.parametrize(("event_type", "path", "low", "high"), RANGES)
def test_numbers_at_the_limit_pass_and_beyond_do_not(
    event_type: str, path: str, low: int, high: int
) -> None:
    said = ".".join(path.split("."))
    for step in ("0", "1"):
        said = said.replace(f".{step}", f"[{step}]")
    for value in (low, high):
        validate(put(event_type, path, value))
    for value in (low - 1, high + 1):
        assert refused(put(event_type, path, value)) == (Reason.OUT_OF_RANGE, said)


INSTANTS = [
    (event_type, field["name"])
    for event_type in EVENT_TYPES
    for field in expanded(catalogue.schema(event_type))["fields"]
    if "timestamp-millis" in str(field["type"])
]


@pytest.mark.parametrize(("event_type", "name"), INSTANTS)
def test_every_instant_lies_between_2000_and_2100(event_type: str, name: str) -> None:
    for value in (limits.MIN_INSTANT, limits.MAX_INSTANT):
        validate(put(event_type, name, value))
    absurd = (
        limits.MIN_INSTANT - 1,
        limits.MAX_INSTANT + 1,
        0,
        -1,
        1_772_424_000,  # seconds
        1_772_424_000_000_000,  # microseconds
        limits.MIN_LONG,
        limits.MAX_LONG,
    )
    for value in absurd:
        assert refused(put(event_type, name, value)) == (Reason.BAD_TIMESTAMP, name)


DATES = [
    (event_type, field["name"])
    for event_type in EVENT_TYPES
    for field in expanded(catalogue.schema(event_type))["fields"]
    if "'logicalType': 'date'" in str(field["type"]) and "record" not in str(field["type"])
]


@pytest.mark.parametrize(("event_type", "name"), DATES)
def test_every_date_lies_between_1900_and_9999(event_type: str, name: str) -> None:
    for value in (limits.MIN_DATE, limits.MAX_DATE):
        validate(put(event_type, name, value))
    for value in (limits.MIN_DATE - 1, limits.MAX_DATE + 1, 20260302, limits.MIN_INT):
        assert refused(put(event_type, name, value)) == (Reason.BAD_TIMESTAMP, name)


def test_limits_are_the_days_they_say() -> None:
    assert limits.MIN_INSTANT == 946_684_800_000
    assert limits.MAX_INSTANT == 4_102_444_800_000
    assert limits.MIN_DATE == -25567
    assert limits.MAX_DATE == 2932896


def test_a_date_inside_a_record_is_judged_too() -> None:
    datum = put("BusinessHoursDeclared", "exceptions.1.date", 20260302)
    assert refused(datum) == (Reason.BAD_TIMESTAMP, "exceptions[1].date")


@pytest.mark.parametrize(
    ("event_type", "path", "said"),
    [
        ("SessionOpened", "event_id", "event_id"),
        ("SessionOpened", "institution_id", "institution_id"),
        ("SessionOpened", "stream_id", "stream_id"),
        ("SessionOpened", "session_id", "session_id"),
        ("SessionOpened", "patient_token", "patient_token"),
        ("SessionOpened", "assisting_staff_ids.0", "assisting_staff_ids[0]"),
        ("DrugSupplied", "prescription_id", "prescription_id"),
        ("PrescriptionIssued", "prescriber_id", "prescriber_id"),
    ],
)
def test_ids_are_never_empty_and_never_long(event_type: str, path: str, said: str) -> None:
    assert refused(put(event_type, path, "")) == (Reason.OUT_OF_RANGE, said)
    longest = "x" * limits.MAX_ID
    assert refused(put(event_type, path, longest + "x")) == (Reason.OUT_OF_RANGE, said)
    validate(put(event_type, path, longest))


ENUMS = [
    (event_type, field["name"])
    for event_type in EVENT_TYPES
    for field in expanded(catalogue.schema(event_type))["fields"]
    if "'enum'" in str(field["type"]) and "record" not in str(field["type"])
]


@pytest.mark.parametrize(("event_type", "name"), ENUMS)
def test_unknown_symbols_are_refused(event_type: str, name: str) -> None:
    many = isinstance(example(event_type).datum[name], list)
    for symbol in ("UNKNOWN", "NO_SUCH_SYMBOL"):
        datum = put(event_type, name, [symbol] if many else symbol)
        assert refused(datum) == (Reason.UNKNOWN_ENUM, f"{name}[0]" if many else name)


@pytest.mark.parametrize(
    ("revision", "supersedes", "reason"),
    [
        (0, None, None),
        (1, "e-0", None),
        (7, "e-0", None),
        (0, "e-0", Reason.BAD_REVISION),
        (1, None, Reason.BAD_REVISION),
        (1, "itself", Reason.BAD_REVISION),
        (-1, None, Reason.OUT_OF_RANGE),
        (1, "", Reason.OUT_OF_RANGE),
    ],
)
def test_revision_and_superseded_event_agree(
    revision: int, supersedes: str | None, reason: Reason | None
) -> None:
    datum = {
        **example("ServiceRated").datum,
        "event_id": "itself",
        "revision": revision,
        "supersedes_event_id": supersedes,
    }
    if reason is None:
        validate(datum)
        check_values(datum)
    else:
        assert refused(datum)[0] is reason
        with pytest.raises(ContractError) as caught:
            check_values(datum)
        assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"event_type": "Nothing"}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"event_type": None}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"event_type": ["x"]}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"score": "5"}, Reason.WRONG_TYPE, "score"),
        ({"score": 5.0}, Reason.WRONG_TYPE, "score"),
        ({"score": True}, Reason.WRONG_TYPE, "score"),
        ({"session_id": None}, Reason.WRONG_TYPE, "session_id"),
        ({"occurred_at": "2026-03-02"}, Reason.WRONG_TYPE, "occurred_at"),
    ],
)
def test_data_made_by_hand_with_wrong_types_are_refused_too(
    changes: dict[str, Any], reason: Reason, field: str
) -> None:
    assert refused({**example("ServiceRated").datum, **changes}) == (reason, field)


def test_a_missing_field_is_named() -> None:
    datum = dict(example("ServiceRated").datum)
    del datum["score"]
    assert refused(datum) == (Reason.MISSING_FIELD, "score")


def test_an_act_in_the_future_is_left_to_the_rules() -> None:
    """UPL-05(b) judges it: the event is good data about a wrong clock."""
    validate(put("ServiceRated", "occurred_at", limits.MAX_INSTANT))
