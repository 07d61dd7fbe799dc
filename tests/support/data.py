"""Any valid raw datum of any event type, drawn from its Avro schema and the ranges of the contract.

Ids come from a few, so that events speak of the same sessions and persons; instants lie within days
of 2026-03-02, now and then anywhere the contract allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from schemas import catalogue, limits

IDS = st.sampled_from(["s0", "s1", "d1", "p1", "in-chongqing", "in-guangxi", "third", "\u4e00"])
MONDAY = 20_514
INSTANTS = st.one_of(
    st.integers((MONDAY - 2) * 86_400_000, (MONDAY + 2) * 86_400_000),
    st.sampled_from([limits.MIN_INSTANT, limits.MAX_INSTANT]),
)
DAYS = st.one_of(
    st.integers(MONDAY - 3, MONDAY + 3), st.sampled_from([limits.MIN_DATE, limits.MAX_DATE])
)

Named = dict[str, st.SearchStrategy[Any]]


@st.composite
def data_of(draw: st.DrawFn, event_types: Sequence[str]) -> dict[str, Any]:
    """A datum of one of the event types that passes validation."""
    event_type = draw(st.sampled_from(event_types))
    datum: dict[str, Any] = {
        field["name"]: draw(_values(event_type, index))
        for index, field in enumerate(_fields(event_type))
    }
    datum["event_type"] = event_type
    datum["event_id"] = f"e{draw(st.integers(0, 30))}"
    datum["institution_id"] = draw(
        st.sampled_from(["in-chongqing", "in-guangxi", "in-yinchuan", "elsewhere"])
    )
    datum["schema_version"] = 1
    corrects = draw(st.integers(0, 4)) == 0
    datum["revision"] = draw(st.integers(1, 3)) if corrects else 0
    datum["supersedes_event_id"] = f"e{draw(st.integers(31, 60))}" if corrects else None
    if datum["stream_seq"] is None or datum["stream_id"] is None:
        datum["stream_seq"] = datum["stream_id"] = None
    return datum


@cache
def _fields(event_type: str) -> Sequence[dict[str, Any]]:
    fields: Sequence[dict[str, Any]] = catalogue.schema(event_type)["fields"]
    return fields


@cache
def _values(event_type: str, index: int) -> st.SearchStrategy[Any]:
    named: Named = {}
    for field in _fields(event_type)[:index]:
        _of(field["type"], field, named)
    field = _fields(event_type)[index]
    return _of(field["type"], field, named)


def _of(kind: Any, field: dict[str, Any], named: Named) -> st.SearchStrategy[Any]:
    """Values of an Avro type; `field` bounds its numbers, `named` keeps the types seen by name."""
    if isinstance(kind, list):
        return st.one_of(st.none(), _of(kind[1], field, named))
    if isinstance(kind, str):
        return named[kind] if kind in named else _scalar(kind, field)
    match kind.get("logicalType"):
        case "timestamp-millis":
            return INSTANTS
        case "date":
            return DAYS
        case "decimal":
            return st.integers(field.get("minimum", 0), 10**9)
    match kind["type"]:
        case "enum":
            symbols = [symbol for symbol in kind["symbols"] if symbol != "UNKNOWN"]
            named[kind["name"]] = st.sampled_from(symbols)
            return named[kind["name"]]
        case "array":
            return st.lists(_of(kind["items"], field, named), max_size=3)
        case "map":
            names = st.sampled_from(catalogue.EVENT_TYPES)
            return st.dictionaries(names, _of(kind["values"], field, named), max_size=3)
        case "record":
            fields = {inner["name"]: _of(inner["type"], inner, named) for inner in kind["fields"]}
            named[kind["name"]] = st.fixed_dictionaries(fields)
            return named[kind["name"]]
    return _of(kind["type"], field, named)


def _scalar(kind: str, field: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "string":
        return IDS
    if kind == "boolean":
        return st.booleans()
    low, high = field.get("minimum", 0), field.get("maximum", 2**31 - 1)
    return st.one_of(st.integers(low, min(low + 5, high)), st.integers(low, high))
