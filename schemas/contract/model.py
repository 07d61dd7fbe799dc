"""The words the contract is written in: fields, enumerations, inner records, events.

A field is written `f("name", type, "中文", "English")`. Types are those of RULES section 2: `string
int long boolean date ts decimal` and `id` (a string that is never empty), `?` for nullable, `[]`
for an array; an Enum or a Record stands in place of a type word. Units and zone of instants, dates
and decimals are added to every description here, so that no field can lack them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SCALARS: dict[str, Any] = {
    "string": "string",
    "id": "string",
    "int": "int",
    "long": "long",
    "boolean": "boolean",
    "double": "double",
    "bytes": "bytes",
    "date": {"type": "int", "logicalType": "date"},
    "ts": {"type": "long", "logicalType": "timestamp-millis"},
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3},
}
"""Avro form of each type word of RULES section 2."""

UNITS: dict[str, tuple[str, str]] = {
    "ts": ("UTC 毫秒时间戳", "instant, epoch milliseconds, UTC"),
    "date": ("北京时间日历日（UTC+8）", "calendar day in Asia/Shanghai, UTC+8"),
    "decimal": ("定点小数，精度 18、小数 3 位", "decimal, precision 18, scale 3"),
}


@dataclass(frozen=True, slots=True)
class Symbol:
    """One value of an enumeration and its meaning."""

    name: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Enum:
    """A closed list of values. Avro adds the symbol UNKNOWN, so that a newer list can still be
    read; an event that carries it is refused.
    """

    name: str
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An inner record, such as one line of a prescription."""

    name: str
    zh: str
    en: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """What a field holds: a word, an Enum or a Record; possibly many of them, possibly null."""

    of: str | Enum | Record
    array: bool = False
    map: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field with its meaning in both languages and, for numbers, the range that is accepted."""

    name: str
    type: Type
    zh: str
    en: str
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event type: who publishes it, what it records, by what it is keyed, its payload."""

    name: str
    zh: str
    en: str
    records_zh: str
    records_en: str
    publisher_zh: str
    publisher_en: str
    key: str
    fields: tuple[Field, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Output:
    """One record type that the platform writes."""

    name: str
    zh: str
    en: str
    key: str
    fields: tuple[Field, ...]


HOSPITAL = ("医疗机构", "hospital")
SUPERVISOR = ("监管部门", "supervisor")


def enum(name: str, table: str) -> Enum:
    """An enumeration from lines `SYMBOL | 中文 | English`."""
    symbols = []
    for line in table.strip().splitlines():
        symbol, zh, en = (part.strip() for part in line.split("|"))
        symbols.append(Symbol(symbol, zh, en))
    return Enum(name, tuple(symbols))


def record(name: str, zh: str, en: str, *fields: Field) -> Record:
    """An inner record."""
    return Record(name, zh, en, fields)


def array(of: Enum | Record) -> Type:
    """Many of an Enum or a Record."""
    return Type(of, array=True)


def nullable(of: Enum | Record | Type) -> Type:
    """An Enum, a Record or an array of them that may be null."""
    if isinstance(of, Type):
        return Type(of.of, of.array, of.map, nullable=True)
    return Type(of, nullable=True)


def f(
    name: str,
    type_: str | Enum | Record | Type,
    zh: str,
    en: str,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Field:
    """A field. `type_` in words: `string`, `date?`, `id[]`, `map<long>`."""
    if isinstance(type_, Type):
        kind = type_
    elif isinstance(type_, Enum | Record):
        kind = Type(type_)
    else:
        word, null = (type_[:-1], True) if type_.endswith("?") else (type_, False)
        many, mapped = word.endswith("[]"), word.startswith("map<")
        word = word[:-2] if many else word[4:-1] if mapped else word
        if word not in SCALARS:
            raise ValueError(f"{name}: no type {type_}")
        kind = Type(word, many, mapped, null)
    return Field(name, kind, zh, en, minimum, maximum)


def event(
    name: str,
    title: tuple[str, str],
    records: tuple[str, str],
    key: str,
    fields: Sequence[Field],
    publisher: tuple[str, str] = HOSPITAL,
) -> Event:
    """An event type; its upload class and group are in `schemas/catalogue.py`."""
    return Event(name, *title, *records, *publisher, key, tuple(fields))
