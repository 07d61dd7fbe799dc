"""Whether a raw datum keeps the contract: known enumeration values, ranges, non-empty ids, revision
rules.

What is checked comes from the Avro schema itself (`minimum`, `maximum`, `non_empty`, logical
types), so that a hospital's own tools can check the same. Every instant must lie between 2000 and
2100 and every date between 1900 and 9999: an `occurred_at` in the near future passes here and is
judged by UPL-05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from schemas import catalogue, limits
from schemas.avro import expanded
from schemas.datum import Datum, misfit
from schemas.errors import ContractError, Reason

_Check = Callable[[Any, str], None]
_Range = tuple[str, int, int, Reason]


def validate(datum: Datum) -> None:
    """Raises the ContractError for the first fault; returns for an event that may be judged.

    Types are those of the raw datum; a datum made by hand with other types raises WRONG_TYPE.
    """
    event_type = datum.get("event_type")
    if event_type not in catalogue.EVENT_TYPES:
        raise ContractError(Reason.UNKNOWN_EVENT_TYPE, "event_type")
    checker = checker_for(event_type)
    for field, kind in checker.types.items():
        if field not in datum:
            raise ContractError(Reason.MISSING_FIELD, field)
        misfit(kind, datum[field], field)
    for field, check in checker.enums:
        check(datum[field], field)
    checker(datum)


def check_values(datum: Datum) -> None:
    """The part of `validate` that `wire.decode` and `flat.from_flat` leave: ranges, ids, revisions.

    Six times faster; only for what came from one of those two, which guarantee types and symbols.
    """
    checker_for(datum["event_type"])(datum)


@dataclass(frozen=True, slots=True)
class Checker:
    """The checks of one event type; calling it checks what Avro has not."""

    types: dict[str, Any]
    enums: tuple[tuple[str, _Check], ...]
    ids: tuple[str, ...]
    ranges: tuple[_Range, ...]
    inner: tuple[tuple[str, _Check], ...]

    def __call__(self, datum: Datum) -> None:
        """Raises ContractError for the first fault of a datum whose types are right."""
        for field in self.ids:
            value = datum[field]
            if value is not None and not 0 < len(value) <= limits.MAX_ID:
                _check_id(value, field)
        for field, low, high, reason in self.ranges:
            value = datum[field]
            if value is not None and not low <= value <= high:
                raise ContractError(reason, field, "outside the range of the contract")
        for field, check in self.inner:
            check(datum[field], field)
        supersedes = datum["supersedes_event_id"]
        if (datum["revision"] > 0) != (supersedes is not None):
            detail = "supersedes_event_id is set if and only if revision > 0"
            raise ContractError(Reason.BAD_REVISION, "supersedes_event_id", detail)
        if supersedes is not None and supersedes == datum["event_id"]:
            raise ContractError(
                Reason.BAD_REVISION, "supersedes_event_id", "an event cannot correct itself"
            )


@cache
def checker_for(event_type: str) -> Checker:
    """The checks of an event type, made once."""
    schema = catalogue.schema(event_type)
    tree = expanded(schema)
    types = {field["name"]: field["type"] for field in tree["fields"]}
    ids, ranges, inner, enums = [], list[_Range](), [], []
    for field in schema["fields"]:
        name, kind = field["name"], _bare(types[field["name"]])
        limit = _limit(field, kind)
        if field.get("non_empty") and kind == "string":
            ids.append(name)
        elif limit is not None:
            ranges.append((name, *limit))
        elif (check := _items(field, types[name], _item_check)) is not None:
            inner.append((name, check))
        if (check := _items(field, types[name], _enum_check)) is not None:
            enums.append((name, check))
    return Checker(types, tuple(enums), tuple(ids), tuple(ranges), tuple(inner))


def _bare(kind: Any) -> Any:
    """The type without its null."""
    return kind[1] if isinstance(kind, list) else kind


def _limit(field: dict[str, Any], kind: Any) -> tuple[int, int, Reason] | None:
    """Lowest and highest value and the reason to refuse others; None for what is no number."""
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    if logical == "timestamp-millis":
        return limits.MIN_INSTANT, limits.MAX_INSTANT, Reason.BAD_TIMESTAMP
    if logical == "date":
        return limits.MIN_DATE, limits.MAX_DATE, Reason.BAD_TIMESTAMP
    if logical == "decimal":
        low, high = -limits.MAX_DECIMAL, limits.MAX_DECIMAL
        return field.get("minimum", low), field.get("maximum", high), Reason.OUT_OF_RANGE
    if kind not in ("int", "long"):
        return None
    low, high = (
        (limits.MIN_INT, limits.MAX_INT) if kind == "int" else (limits.MIN_LONG, limits.MAX_LONG)
    )
    return field.get("minimum", low), field.get("maximum", high), Reason.OUT_OF_RANGE


def _items(
    field: dict[str, Any], kind: Any, scalar: Callable[[dict[str, Any], Any], _Check | None]
) -> _Check | None:
    """A check of everything inside a value, or None when there is nothing to check."""
    if isinstance(kind, list):
        inner = _items(field, kind[1], scalar)
        return None if inner is None else _if_present(inner)
    if isinstance(kind, dict) and kind["type"] == "array":
        return _each(_items(field, kind["items"], scalar))
    if isinstance(kind, dict) and kind["type"] == "map":
        return _each_value(_items(field, kind["values"], scalar))
    if isinstance(kind, dict) and kind["type"] == "record":
        annotated = _record_of(field)
        checks = [
            (f["name"], _items(f, t["type"], scalar))
            for f, t in zip(annotated, kind["fields"], strict=True)
        ]
        return _each_field(tuple((name, check) for name, check in checks if check is not None))
    return scalar(field, kind)


def _record_of(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields, with our attributes, of the record inside a field's type."""
    kind = _bare(field["type"])
    while "fields" not in kind:
        kind = _bare(kind["items"])
    fields: list[dict[str, Any]] = kind["fields"]
    return fields


def _item_check(field: dict[str, Any], kind: Any) -> _Check | None:
    if field.get("non_empty") and kind == "string":
        return _check_id
    limit = _limit(field, kind)
    return None if limit is None else _within(*limit)


def _enum_check(field: dict[str, Any], kind: Any) -> _Check | None:
    return _not_unknown if isinstance(kind, dict) and kind["type"] == "enum" else None


def _check_id(value: Any, path: str) -> None:
    if value == "":
        raise ContractError(Reason.OUT_OF_RANGE, path, "must not be empty")
    if value is not None and len(value) > limits.MAX_ID:
        raise ContractError(Reason.OUT_OF_RANGE, path, f"longer than {limits.MAX_ID} characters")


def _not_unknown(value: Any, path: str) -> None:
    if value == limits.UNKNOWN:
        raise ContractError(Reason.UNKNOWN_ENUM, path, "no such value in the enumeration")


def _within(low: int, high: int, reason: Reason) -> _Check:
    def check(value: Any, path: str) -> None:
        if not low <= value <= high:
            raise ContractError(reason, path, "outside the range of the contract")

    return check


def _if_present(inner: _Check) -> _Check:
    def check(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def _each(inner: _Check | None) -> _Check | None:
    if inner is None:
        return None

    def check(values: Any, path: str) -> None:
        for index, value in enumerate(values):
            inner(value, f"{path}[{index}]")

    return check


def _each_value(inner: _Check | None) -> _Check | None:
    if inner is None:
        return None

    def check(values: Any, path: str) -> None:
        for key, value in values.items():
            inner(value, f"{path}.{key}")

    return check


def _each_field(checks: tuple[tuple[str, _Check], ...]) -> _Check | None:
    if not checks:
        return None

    def check(item: Any, path: str) -> None:
        for name, inner in checks:
            inner(item[name], f"{path}.{name}")

    return check
