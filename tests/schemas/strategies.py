"""Hypothesis strategies for raw data that keep the contract, made from the schemas themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from schemas import avro, catalogue, limits
from schemas.catalogue import EVENT_TYPES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def data(event_type: str) -> st.SearchStrategy[dict[str, Any]]:
    """Raw data of an event type that decode, validate and travel."""
    schema = catalogue.schema(event_type)
    kinds = {field["name"]: field["type"] for field in avro.expanded(schema)["fields"]}
    fields = {field["name"]: value(field, kinds[field["name"]]) for field in schema["fields"]}
    fields["event_type"] = st.just(event_type)
    return st.fixed_dictionaries(fields).map(_consistent)


def any_data() -> st.SearchStrategy[dict[str, Any]]:
    """Raw data of any event type."""
    return st.sampled_from(EVENT_TYPES).flatmap(data)


def value(field: dict[str, Any], kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type within the range the schema states."""
    if isinstance(kind, list):
        return st.none() | value(field, kind[1])
    name = kind if isinstance(kind, str) else kind["type"]
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    if logical == "timestamp-millis":
        return st.integers(limits.MIN_INSTANT, limits.MAX_INSTANT)
    if logical == "date":
        return st.integers(limits.MIN_DATE, limits.MAX_DATE)
    if name in ("int", "long", "bytes"):
        low, high = {
            "int": (limits.MIN_INT, limits.MAX_INT),
            "long": (limits.MIN_LONG, limits.MAX_LONG),
            "bytes": (-limits.MAX_DECIMAL, limits.MAX_DECIMAL),
        }[name]
        return st.integers(field.get("minimum", low), field.get("maximum", high))
    if name == "string":
        return IDS if field.get("non_empty") else TEXT
    if name == "boolean":
        return st.booleans()
    if name == "enum":
        return st.sampled_from(kind["symbols"][1:])
    if name == "array":
        return st.lists(value(_inside(field), kind["items"]), max_size=3)
    if name == "map":
        return st.dictionaries(TEXT, value(field, kind["values"]), max_size=3)
    annotated = {inner["name"]: inner for inner in field["fields"]}
    return st.fixed_dictionaries(
        {inner["name"]: value(annotated[inner["name"]], inner["type"]) for inner in kind["fields"]}
    )


def _inside(field: dict[str, Any]) -> dict[str, Any]:
    """The annotated record inside an array, or the field itself where the items are no records."""
    kind = field["type"][1] if isinstance(field["type"], list) else field["type"]
    items = kind["items"]
    return items if isinstance(items, dict) and "fields" in items else field


def _consistent(datum: dict[str, Any]) -> dict[str, Any]:
    """Revision and supersedes_event_id speak of the same thing."""
    if datum["revision"] == 0:
        return {**datum, "supersedes_event_id": None}
    superseded = datum["supersedes_event_id"]
    if superseded is None or superseded == datum["event_id"]:
        superseded = datum["event_id"] + "'"
    return {**datum, "supersedes_event_id": superseded}
