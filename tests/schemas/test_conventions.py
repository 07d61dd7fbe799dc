"""The schemas keep the conventions that no Avro linter checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from schemas import catalogue
from schemas.catalogue import ENVELOPE, EVENT_TYPES, OUTPUT_TYPES, UploadClass

ALL = (*EVENT_TYPES, *OUTPUT_TYPES)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{2}")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")
INSTANTS_NOT_NAMED_AT = {
    # names that RULES section 2 gives
    "StaffRegistryChecked.valid_as_of",
    "ProcessRecordArchived.coverage_start",
    "ProcessRecordArchived.coverage_end",
    # intervals of our own records
    "Alert.violation_start",
    "Alert.violation_end",
    "AlertTransition.at",
    "Aggregate.window_start",
    "Aggregate.window_end",
}
DATES_NOT_NAMED_ON = {
    # intervals and terms: *_from, *_to, *_until, *_since, and these
    "BusinessHoursDeclaredExceptionDay.date",
    "DailyManifestPublished.business_date",
}


def fields(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema with the name of its record, inner records included."""

    def walk(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for field in record["fields"]:
            yield record["name"], field
            for inner in named_types(field["type"]):
                if inner["type"] == "record":
                    yield from walk(inner)

    return walk(catalogue.schema(name))


def named_types(kind: Any) -> Iterator[dict[str, Any]]:
    """Enumerations and records directly inside a type."""
    if isinstance(kind, list):
        for branch in kind:
            yield from named_types(branch)
    elif isinstance(kind, dict):
        if "name" in kind:
            yield kind
        for key in ("items", "values"):
            if key in kind:
                yield from named_types(kind[key])


def logical(kind: Any) -> dict[str, Any]:
    """The annotated type inside a field's type, or an empty dict."""
    if isinstance(kind, list):
        kind = kind[-1]
    if isinstance(kind, dict) and kind["type"] == "array":
        kind = kind["items"]
    return kind if isinstance(kind, dict) and "logicalType" in kind else {}


def assert_bilingual(doc: str) -> None:
    zh, bar, en = doc.partition(" | ")
    assert bar
    assert CHINESE.search(zh)
    assert LATIN.search(en)
    assert not CHINESE.search(en)


@pytest.mark.parametrize("name", ALL)
def test_every_record_field_and_enumeration_is_described_in_both_languages(name: str) -> None:
    assert_bilingual(catalogue.schema(name)["doc"])
    for _, field in fields(name):
        assert_bilingual(field["doc"])
        for inner in named_types(field["type"]):
            assert_bilingual(inner["doc"])


@pytest.mark.parametrize("name", ALL)
def test_descriptions_of_instants_dates_and_decimals_state_unit_zone_and_precision(
    name: str,
) -> None:
    said = {
        "timestamp-millis": ("UTC 毫秒", "epoch milliseconds, UTC"),
        "date": ("北京时间", "Asia/Shanghai"),
        "decimal": ("小数 3 位", "scale 3"),
    }
    for _, field in fields(name):
        kind = logical(field["type"])
        for words in said[kind["logicalType"]] if kind else ():
            assert words in field["doc"], field["name"]


@pytest.mark.parametrize("name", ALL)
def test_amounts_and_rates_state_their_unit(name: str) -> None:
    said = {"_fen": "分", "_mbps": "Mbit/s", "_years": "周岁", "_minute": "分钟"}
    for _, field in fields(name):
        for ending, unit in said.items():
            if field["name"].endswith(ending):
                assert unit in field["doc"], field["name"]


@pytest.mark.parametrize("name", ALL)
def test_names_are_ascii_and_written_alike(name: str) -> None:
    schema = catalogue.schema(name)
    assert schema["namespace"].endswith(".v1")
    assert schema["name"] == name
    for record, field in fields(name):
        assert PASCAL.fullmatch(record)
        assert SNAKE.fullmatch(field["name"])
        for inner in named_types(field["type"]):
            assert inner["name"].startswith(name), "inner types are named after their record"
            for symbol in inner.get("symbols", ()):
                assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", symbol)


@pytest.mark.parametrize("name", ALL)
def test_enumerations_can_grow(name: str) -> None:
    for _, field in fields(name):
        for inner in named_types(field["type"]):
            if inner["type"] == "enum":
                assert inner["symbols"][0] == inner["default"] == "UNKNOWN"
                assert len(set(inner["symbols"])) == len(inner["symbols"]) > 1
                meant = inner["symbols"][1:]
                assert list(inner["symbols_zh"]) == list(inner["symbols_en"]) == meant


@pytest.mark.parametrize("name", ALL)
def test_nullable_fields_default_to_null_and_others_have_no_default(name: str) -> None:
    for _, field in fields(name):
        if isinstance(field["type"], list):
            assert field["type"][0] == "null"
            assert len(field["type"]) == 2
            assert field["default"] is None
        else:
            assert "default" not in field


@pytest.mark.parametrize("name", ALL)
def test_instants_dates_and_decimals_are_named_and_typed_alike(name: str) -> None:
    for record, field in fields(name):
        where, kind = f"{record}.{field['name']}", logical(field["type"])
        ends = field["name"].endswith
        if kind.get("logicalType") == "timestamp-millis":
            assert kind["type"] == "long"
            assert ends("_at") != (where in INSTANTS_NOT_NAMED_AT), where
        elif kind.get("logicalType") == "date":
            assert kind["type"] == "int"
            endings = ("_on", "_from", "_to", "_until", "_since")
            assert any(map(ends, endings)) != (where in DATES_NOT_NAMED_ON), where
        elif kind:
            assert kind == {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": 18,
                "scale": 3,
            }
        else:
            assert not ends("_at"), where
            assert not ends("_on"), where


def test_exceptions_to_the_naming_exist() -> None:
    known = {f"{record}.{field['name']}" for name in ALL for record, field in fields(name)}
    assert known >= INSTANTS_NOT_NAMED_AT | DATES_NOT_NAMED_ON


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_envelope_comes_first_and_filings_say_when_the_change_was_completed(
    event_type: str,
) -> None:
    schema = catalogue.schema(event_type)
    names = [field["name"] for field in schema["fields"]]
    assert tuple(names[: len(ENVELOPE)]) == ENVELOPE
    assert len(set(names)) == len(names)
    filing = catalogue.upload_class(event_type) is UploadClass.FILING
    assert ("change_completed_on" in names) == filing
    assert schema["upload_class"] == catalogue.upload_class(event_type)
    assert schema["group"] == catalogue.group(event_type)
    assert schema["code"] == catalogue.code(event_type)
    assert schema["publisher_zh"]
    assert schema["publisher_en"]
    assert schema["key"]


def test_named_types_are_unique_in_their_namespace() -> None:
    seen: dict[tuple[str, str], str] = {}
    for name in ALL:
        namespace = catalogue.schema(name)["namespace"]
        for _, field in fields(name):
            for inner in named_types(field["type"]):
                assert seen.setdefault((namespace, inner["name"]), name) == name
    assert not {(catalogue.EVENT_NAMESPACE, name) for name in EVENT_TYPES} & seen.keys()


PERSONAL = re.compile(
    r"(^|_)(name|names|phone|telephone|address|id_number|id_card|birth\w*|email|photo)($|_)"
)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_no_field_is_made_for_a_persons_name_number_or_address(event_type: str) -> None:
    """GX 31 「最少可用原则」; flags and names of institutions are no person's."""
    allowed = {
        "registered_name",
        "applicant_short_name",
        "partner_short_names",
        "host_name",
        "id_number_filed",
        "photo_filed",
    }
    for _, field in fields(event_type):
        assert field["name"] in allowed or not PERSONAL.search(field["name"]), field["name"]
