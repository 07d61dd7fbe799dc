"""Turns the body of an Avro record into a raw datum (`schemas.datum`) and back.

Made once for each writer's schema, fast afterwards. Logical types are stripped before fastavro sees
the schema (it would raise on an instant out of range and build slow objects), and enumerations are
read as plain numbers, since fastavro takes index -1 for the last symbol. A record written by an
older or newer version of the contract is resolved to ours: fields we do not know are dropped,
fields the writer did not know are null.

What fastavro refuses, `schemas.strict` explains. A few encodings that no Avro library writes are
read as fastavro reads them (integers of more than 64 bits wrap, any other boolean byte than 0 is
true, a negative union index counts from the end): worker and sinks share this code, so all see the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas import strict
from schemas.avro import expanded
from schemas.datum import Datum, misfit
from schemas.errors import ContractError, Reason
from schemas.limits import MAX_DECIMAL, UNKNOWN

__all__ = ["Datum", "Decoder", "Encoder"]

Convert = Callable[[Any], Any]

_FAULTS = (EOFError, LookupError, ValueError, ArithmeticError, TypeError, AttributeError)


class Decoder:
    """Decodes bodies written with `writer` into data of `reader`, two versions of a record."""

    def __init__(self, writer: dict[str, Any], reader: dict[str, Any]) -> None:
        ours = expanded(reader)
        self.name: str = reader["name"]
        self._writer = _aligned(expanded(writer), ours)
        self._schema = parse_schema(_readable(self._writer))
        self._finish = _record(self._writer, ours)

    def __call__(self, value: bytes, start: int = 0) -> Datum:
        """The datum in `value[start:]`; ContractError unless every byte is part of it."""
        stream = BytesIO(value)
        stream.seek(start)
        try:
            datum: Datum = schemaless_reader(stream, self._schema, None)  # type: ignore[assignment]
            if stream.tell() == len(value):
                return self._finish(datum)
            fault = "not every byte was consumed"
        except _FAULTS as error:
            fault = type(error).__name__
        strict.explain(self._writer, value, start)
        raise ContractError(Reason.MALFORMED, None, fault)

    def prefix(self, value: bytes, start: int, names: tuple[str, ...]) -> dict[str, str]:
        """The named string fields as far as a bad body lets them be read."""
        return strict.prefix(self._writer, value, start, names)


class Encoder:
    """Encodes raw data of our schema; refuses missing, surplus and ill-typed fields.

    It does not check ranges, nor what Python lets pass (a str is a sequence of str): `validate`
    does.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        tree = expanded(schema)
        self.name: str = schema["name"]
        self._fields = {field["name"]: field["type"] for field in tree["fields"]}
        self._schema = parse_schema(_writable(schema))
        self._decimals = tuple(_decimals(tree))

    def __call__(self, datum: Datum) -> bytes:
        """The body; ContractError when the datum does not fit the schema."""
        stream = BytesIO()
        try:
            if self._decimals:
                datum = {**datum, **{n: convert(datum[n]) for n, convert in self._decimals}}
            schemaless_writer(stream, self._schema, datum, strict=True)
        except _FAULTS as error:
            for name in sorted(self._fields.keys() - datum.keys()):
                raise ContractError(Reason.MISSING_FIELD, name) from None
            for name in sorted(datum.keys() - self._fields.keys()):
                raise ContractError(Reason.WRONG_TYPE, name, "no such field") from None
            for name, kind in self._fields.items():
                misfit(kind, datum[name], name)
            raise ContractError(Reason.WRONG_TYPE, None, type(error).__name__) from None
        return stream.getvalue()


def _aligned(writer: Any, reader: Any) -> Any:
    """The writer's schema with every symbol that the reader does not know replaced by UNKNOWN."""
    if isinstance(writer, list):
        return [_aligned(a, b) for a, b in zip(writer, reader, strict=True)]
    if not isinstance(writer, dict):
        return writer
    if writer["type"] == "enum":
        known = set(reader["symbols"])
        return writer | {"symbols": [s if s in known else UNKNOWN for s in writer["symbols"]]}
    if writer["type"] == "record":
        ours = {field["name"]: field["type"] for field in reader["fields"]}
        return writer | {
            "fields": [
                field | {"type": _aligned(field["type"], ours.get(field["name"], field["type"]))}
                for field in writer["fields"]
            ]
        }
    inner = {
        key: _aligned(writer[key], reader[key]) for key in ("items", "values") if key in writer
    }
    return writer | inner


def _readable(schema: Any) -> Any:
    """What fastavro is given to read with: enumerations as int, no logical types."""
    if isinstance(schema, dict) and schema["type"] == "enum":
        return "int"
    return _stripped(schema, _readable)


def _writable(schema: Any) -> Any:
    """What fastavro is given to write with: no logical types."""
    return _stripped(schema, _writable)


def _stripped(schema: Any, descend: Convert) -> Any:
    if isinstance(schema, list):
        return [descend(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] == "record":
        fields = [field | {"type": descend(field["type"])} for field in schema["fields"]]
        return schema | {"fields": fields}
    inner = {key: descend(schema[key]) for key in ("items", "values") if key in schema}
    if inner:
        return {"type": schema["type"], **inner}
    return schema if schema["type"] == "enum" else schema["type"]


@dataclass(frozen=True, slots=True)
class _Record:
    """Makes a record that fastavro read into one of our schema, in place."""

    steps: tuple[tuple[str, Convert], ...]
    surplus: tuple[str, ...]
    missing: tuple[str, ...]

    def __call__(self, datum: Datum) -> Datum:
        for name, convert in self.steps:
            datum[name] = convert(datum[name])
        for name in self.surplus:
            del datum[name]
        for name in self.missing:
            datum[name] = None
        return datum


def _record(writer: dict[str, Any], reader: dict[str, Any]) -> _Record:
    ours = {field["name"]: field["type"] for field in reader["fields"]}
    theirs = {field["name"]: field["type"] for field in writer["fields"]}
    steps = [(name, _convert(theirs[name], ours[name])) for name in theirs if name in ours]
    return _Record(
        steps=tuple((name, convert) for name, convert in steps if convert is not None),
        surplus=tuple(name for name in theirs if name not in ours),
        missing=tuple(name for name in ours if name not in theirs),
    )


def _convert(writer: Any, reader: Any) -> Convert | None:
    """What turns a value that fastavro read into the raw form; None where it already is."""
    if isinstance(writer, list):
        return _optional(writer[1], reader[1])
    if not isinstance(writer, dict):
        return None
    if writer["type"] == "enum":
        return _symbols(writer).__getitem__
    if writer["type"] == "record":
        record = _record(writer, reader)
        return record if record.steps or record.surplus or record.missing else None
    if writer["type"] == "array":
        return _each(_convert(writer["items"], reader["items"]))
    return _thousandths if writer.get("logicalType") == "decimal" else None


def _symbols(writer: dict[str, Any]) -> dict[int | None, str | None]:
    """Symbol by index; UNKNOWN is left out, so that looking it up fails."""
    return {i: s for i, s in enumerate(writer["symbols"]) if s != UNKNOWN}


def _optional(writer: Any, reader: Any) -> Convert | None:
    if isinstance(writer, dict) and writer["type"] == "enum":
        return {**_symbols(writer), None: None}.__getitem__
    convert = _convert(writer, reader)
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _each(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda values: [convert(value) for value in values]


def _thousandths(raw: bytes) -> int:
    """The unscaled value of a decimal; ValueError for bytes that are no decimal of precision 18."""
    value = int.from_bytes(raw, "big", signed=True)
    if not 0 < len(raw) <= 8 or not -MAX_DECIMAL <= value <= MAX_DECIMAL:
        raise ValueError("not a decimal")
    return value


def _decimals(schema: Any) -> Iterator[tuple[str, Convert]]:
    """For each field that holds decimals: what turns its raw value into Avro's bytes."""
    for field in schema["fields"]:
        convert = _encode(field["type"])
        if convert is not None:
            yield field["name"], convert


def _encode(kind: Any) -> Convert | None:
    if not isinstance(kind, dict):
        return None
    if kind.get("logicalType") == "decimal":
        return lambda value: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    if kind["type"] == "array":
        return _each(_encode(kind["items"]))
    if kind["type"] == "record":
        inner = tuple(_decimals(kind))
        return (lambda item: {**item, **{n: c(item[n]) for n, c in inner}}) if inner else None
    return None
