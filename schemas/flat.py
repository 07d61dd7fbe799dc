"""Flat JSON, the form for files and people, to raw data and back.

One object an event: envelope, payload and `received_at`, named as in RULES section 2. Instants are
RFC 3339 with offset, or epoch ms; dates `YYYY-MM-DD`; decimals numbers or strings. Omitted nullable
fields are null, `recorded_at` is `occurred_at` and `revision` 0 unless said otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from schemas import catalogue, limits
from schemas.avro import expanded
from schemas.datum import Datum
from schemas.errors import ContractError, Reason

PLATFORM_FIELDS = frozenset({"received_at", "schema_valid", "signature_valid", "rulebook"})
"""What the platform adds on receipt (RULES 2.1): no part of the event. `received_at` and
`signature_valid` are read, the others ignored.
"""

SHANGHAI = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHANGHAI_EPOCH = datetime(1970, 1, 1, 8)  # noqa: DTZ001 the offset is written behind it
_MS = timedelta(milliseconds=1)
_EPOCH_DAY = limits.EPOCH.toordinal()
_EXACT = 10**15

Read = Callable[[Any, str, list[str]], Any]
FieldReader = tuple[str, Read, bool]
Write = Callable[[Any], Any]


def parse(line: str | bytes) -> Any:
    """The JSON value of one line, decimals with every digit; ContractError otherwise."""
    try:
        return json.loads(line, parse_float=Decimal)
    except UnicodeDecodeError:
        raise ContractError(Reason.BAD_UTF8, None, "not UTF-8") from None
    except (ValueError, ArithmeticError, RecursionError) as fault:
        detail = f"column {fault.colno}" if isinstance(fault, json.JSONDecodeError) else "not JSON"
        raise ContractError(Reason.BAD_JSON, None, detail) from None


def from_flat(obj: Any) -> tuple[Datum, int | None, list[str]]:
    """The raw datum, `received_at` in epoch ms if given, and warnings about ignored fields.

    Types are checked here, ranges and revision rules by `validate`.
    """
    if not isinstance(obj, dict):
        raise ContractError(Reason.BAD_JSON, None, "an event is a JSON object")
    event_type = obj.get("event_type")
    if event_type is None:
        raise ContractError(Reason.MISSING_FIELD, "event_type")
    if not isinstance(event_type, str) or event_type not in catalogue.EVENT_TYPES:
        raise ContractError(Reason.UNKNOWN_EVENT_TYPE, "event_type")
    warnings: list[str] = []
    datum = _fields(_reader(event_type), _with_defaults(obj), "", warnings)
    warnings += [
        f"unknown field {name!s} ignored"
        for name in obj
        if name not in datum and name not in PLATFORM_FIELDS
    ]
    received = obj.get("received_at")
    if received is None:
        return datum, None, warnings
    instant = _instant(received, "received_at", warnings)
    if not limits.MIN_INSTANT <= instant <= limits.MAX_INSTANT:
        raise ContractError(
            Reason.BAD_TIMESTAMP, "received_at", "outside the range of the contract"
        )
    return datum, instant, warnings


def signature_valid(obj: dict[str, Any]) -> bool | None:
    """What the platform found of an event's signature; null or left out for an unsigned one."""
    value = obj.get("signature_valid")
    return None if value is None else _boolean(value, "signature_valid", [])


def to_flat(datum: Datum, received_at: int | None = None) -> dict[str, Any]:
    """The flat JSON object of a raw datum without its nulls; instants in Shanghai time."""
    flat = _written(datum, _writer(datum["event_type"]))
    if received_at is not None:
        flat["received_at"] = rfc3339(received_at)
    return flat


def payload(datum: Datum) -> dict[str, Any]:
    """What `to_flat` writes of an event beside its envelope."""
    return _written(datum, _payload_writer(datum["event_type"]))


def _written(datum: Datum, writer: tuple[tuple[str, Write], ...]) -> dict[str, Any]:
    return {name: write(value) for name, write in writer if (value := datum[name]) is not None}


def rfc3339(instant: int) -> str:
    """An instant in epoch ms as RFC 3339 in Shanghai time with milliseconds."""
    return (_SHANGHAI_EPOCH + instant * _MS).isoformat(timespec="milliseconds") + "+08:00"


def _with_defaults(obj: dict[str, Any]) -> dict[str, Any]:
    given = dict(obj)
    if given.get("schema_version") is None:
        given["schema_version"] = 1
    if given.get("revision") is None:
        given["revision"] = 0
    if given.get("stream_id") == "":
        given["stream_id"] = None
    if given.get("recorded_at") is None:
        if given["revision"] != 0:
            raise ContractError(
                Reason.MISSING_RECORDED_AT, "recorded_at", "mandatory when revision > 0"
            )
        given["recorded_at"] = given.get("occurred_at")
    return given


@cache
def _reader(event_type: str) -> tuple[FieldReader, ...]:
    return _readers(expanded(catalogue.schema(event_type))["fields"])


@cache
def _writer(event_type: str) -> tuple[tuple[str, Write], ...]:
    fields = expanded(catalogue.schema(event_type))["fields"]
    return tuple((field["name"], _write(field["type"])) for field in fields)


@cache
def _payload_writer(event_type: str) -> tuple[tuple[str, Write], ...]:
    return _writer(event_type)[len(catalogue.ENVELOPE) :]


def _read(kind: Any) -> Read:
    """What reads a JSON value, which is not null, of an Avro type without its null."""
    if isinstance(kind, str):
        return _SCALARS[kind]
    if "logicalType" in kind:
        return _SCALARS[kind["logicalType"]]
    if kind["type"] == "enum":
        return _read_enum(frozenset(kind["symbols"]) - {limits.UNKNOWN})
    if kind["type"] == "array":
        return _read_array(_read(kind["items"]))
    if kind["type"] == "map":
        return _read_map(_read(kind["values"]))
    return _read_record(_readers(kind["fields"]))


def _readers(fields: list[dict[str, Any]]) -> tuple[FieldReader, ...]:
    """For each field: name, what reads it, whether it may be null."""
    made = []
    for field in fields:
        kind = field["type"]
        nullable = isinstance(kind, list)
        made.append((field["name"], _read(kind[1] if nullable else kind), nullable))
    return tuple(made)


def _read_enum(symbols: frozenset[str]) -> Read:
    def symbol(value: Any, path: str, warnings: list[str]) -> Any:
        if not isinstance(value, str):
            raise ContractError(Reason.WRONG_TYPE, path, "expected a string")
        if value not in symbols:
            raise ContractError(Reason.UNKNOWN_ENUM, path, "no such value in the enumeration")
        return value

    return symbol


def _read_array(read: Read) -> Read:
    def array(value: Any, path: str, warnings: list[str]) -> list[Any]:
        if not isinstance(value, list):
            raise ContractError(Reason.WRONG_TYPE, path, "expected an array")
        if None in value:
            raise ContractError(Reason.MISSING_FIELD, f"{path}[{value.index(None)}]")
        return [read(item, f"{path}[{index}]", warnings) for index, item in enumerate(value)]

    return array


def _read_map(read: Read) -> Read:
    def mapping(value: Any, path: str, warnings: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ContractError(Reason.WRONG_TYPE, path, "expected an object")
        for name, item in value.items():
            _string(name, path, warnings)
            if item is None:
                raise ContractError(Reason.MISSING_FIELD, f"{path}.{name}")
        return {name: read(item, f"{path}.{name}", warnings) for name, item in value.items()}

    return mapping


def _read_record(fields: tuple[FieldReader, ...]) -> Read:
    known = frozenset(name for name, _, _ in fields)

    def record(value: Any, path: str, warnings: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ContractError(Reason.WRONG_TYPE, path, "expected an object")
        warnings += [f"unknown field {path}.{name} ignored" for name in value if name not in known]
        return _fields(fields, value, f"{path}.", warnings)

    return record


def _fields(
    fields: tuple[FieldReader, ...], given: dict[str, Any], prefix: str, warnings: list[str]
) -> dict[str, Any]:
    """Every field of a record, read from a JSON object."""
    read_ones = {}
    for name, read, nullable in fields:
        value = given.get(name)
        if value is not None:
            read_ones[name] = read(value, prefix + name, warnings)
        elif nullable:
            read_ones[name] = None
        else:
            raise ContractError(Reason.MISSING_FIELD, prefix + name)
    return read_ones


def _string(value: Any, path: str, warnings: list[str]) -> str:
    if not isinstance(value, str):
        raise ContractError(Reason.WRONG_TYPE, path, "expected a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ContractError(Reason.BAD_UTF8, path, "a lone surrogate is no text") from None
    return value


def _boolean(value: Any, path: str, warnings: list[str]) -> bool:
    if not isinstance(value, bool):
        raise ContractError(Reason.WRONG_TYPE, path, "expected true or false")
    return value


def _finite(value: Any, path: str) -> Decimal:
    """A JSON number as it was written; NOT_A_NUMBER for NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ContractError(Reason.WRONG_TYPE, path, "expected a number")
    if not math.isfinite(value):
        raise ContractError(Reason.NOT_A_NUMBER, path, "not a finite number")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _integer(value: Any, path: str, low: int, high: int) -> int:
    if type(value) is not int:
        number = _finite(value, path)
        if abs(number) > high or number != int(number):
            raise ContractError(Reason.WRONG_TYPE, path, "expected a whole number")
        value = int(number)
    if not low <= value <= high:
        raise ContractError(Reason.OUT_OF_RANGE, path, "more bits than the type has")
    return int(value)


def _int(value: Any, path: str, warnings: list[str]) -> int:
    return _integer(value, path, limits.MIN_INT, limits.MAX_INT)


def _long(value: Any, path: str, warnings: list[str]) -> int:
    return _integer(value, path, limits.MIN_LONG, limits.MAX_LONG)


def _instant(value: Any, path: str, warnings: list[str]) -> int:
    if not isinstance(value, str):
        return _integer(value, path, limits.MIN_LONG, limits.MAX_LONG)
    try:
        if value[4] != "-" or value[7] != "-" or value[10] not in "T ":
            raise ValueError
        when = datetime.fromisoformat(value)
    except (ValueError, IndexError):
        raise ContractError(Reason.BAD_TIMESTAMP, path, "not an RFC 3339 instant") from None
    if when.tzinfo is None:
        raise ContractError(
            Reason.BAD_TIMESTAMP, path, "an instant needs its offset, such as +08:00"
        )
    since = when - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _date(value: Any, path: str, warnings: list[str]) -> int:
    if not isinstance(value, str):
        raise ContractError(Reason.WRONG_TYPE, path, "expected a date, YYYY-MM-DD")
    try:
        if len(value) != 10 or value[4] != "-" or value[7] != "-":
            raise ValueError
        return date.fromisoformat(value).toordinal() - _EPOCH_DAY
    except ValueError:
        raise ContractError(Reason.BAD_TIMESTAMP, path, "not a date YYYY-MM-DD") from None


def _decimal(value: Any, path: str, warnings: list[str]) -> int:
    try:
        number = Decimal(value) if isinstance(value, str) else _finite(value, path)
    except InvalidOperation:
        raise ContractError(Reason.NOT_A_NUMBER, path, "not a decimal number") from None
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ContractError(Reason.NOT_A_NUMBER, path, "not a finite number")
    if not number:
        return 0
    # exact whole numbers, not Decimal's own arithmetic, which rounds to 28 digits
    if number.adjusted() > 18 or len(digits) > 99:
        raise ContractError(Reason.OUT_OF_RANGE, path, "more than 18 digits")
    if number.adjusted() < -3:
        raise ContractError(Reason.OUT_OF_RANGE, path, "more than three decimals")
    unscaled, shift = int("".join(map(str, digits))), exponent + 3
    whole: int = unscaled * 10**shift if shift >= 0 else unscaled // 10**-shift
    if shift < 0 and unscaled % 10**-shift:
        raise ContractError(Reason.OUT_OF_RANGE, path, "more than three decimals")
    if whole > limits.MAX_DECIMAL:
        raise ContractError(Reason.OUT_OF_RANGE, path, "more than 18 digits")
    return -whole if sign else whole


_SCALARS: dict[str, Read] = {
    "string": _string,
    "int": _int,
    "long": _long,
    "boolean": _boolean,
    "timestamp-millis": _instant,
    "date": _date,
    "decimal": _decimal,
}


def _write(kind: Any) -> Write:
    """What writes a raw value of an Avro type as JSON."""
    if isinstance(kind, list):
        inner = _write(kind[1])
        return lambda value: None if value is None else inner(value)
    if isinstance(kind, str) or kind["type"] in ("enum", "map"):
        return _same
    if kind.get("logicalType") == "timestamp-millis":
        return rfc3339
    if kind.get("logicalType") == "date":
        return lambda days: date.fromordinal(days + _EPOCH_DAY).isoformat()
    if kind.get("logicalType") == "decimal":
        return _write_decimal
    if kind["type"] == "array":
        item = _write(kind["items"])
        return lambda values: [item(value) for value in values]
    fields = tuple((f["name"], _write(f["type"])) for f in kind["fields"])
    return lambda value: {name: write(value[name]) for name, write in fields}


def _same(value: Any) -> Any:
    return value


def _write_decimal(thousandths: int) -> int | float | str:
    """A JSON number while a double holds every digit, else a string."""
    if thousandths % 1000 == 0:
        return thousandths // 1000
    if abs(thousandths) < _EXACT:
        return thousandths / 1000
    return str(Decimal(thousandths).scaleb(-3))
