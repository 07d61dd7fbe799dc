"""What is said about an Avro schema: its form for the wire, its fingerprints, its published
versions.

CRC-64-AVRO is taken over the parsing canonical form, which leaves out logical types, decimal scale
and defaults: two schemas that differ only there share it. So each version is also held to a SHA-256
over everything but the words.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).parent / "published.json"

_BINDING = ("name", "namespace", "type", "items", "values", "symbols", "default", "aliases")
_LOGICAL = ("logicalType", "precision", "scale")
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of a schema; `id` is its number in Confluent framing."""

    name: str
    version: int
    id: int
    fingerprint: str
    sha256: str
    schema: dict[str, Any]


def binding(schema: Any) -> Any:
    """The schema without its words: no doc and no attribute of ours."""
    if isinstance(schema, list):
        return [binding(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key in (*_BINDING, *_LOGICAL):
        if key in schema:
            value = schema[key]
            kept[key] = binding(value) if key in ("type", "items", "values") else value
    if "fields" in schema:
        kept["fields"] = [binding(field) for field in schema["fields"]]
    return kept


def full_name(schema: dict[str, Any]) -> str:
    """Namespace and name of a record, however they are written."""
    name: str = schema["name"]
    return name if "." in name else f"{schema.get('namespace', '')}.{name}"


def expanded(schema: Any, _named: dict[str, Any] | None = None) -> Any:
    """The binding part as a tree: references replaced by what they name, names without namespace.

    Tools write the same schema in different ways (full names, annotated primitives); this form is
    the same for all. ValueError for a recursive schema, which the contract has none of, and for a
    name that is not defined.
    """
    named: dict[str, Any] = {} if _named is None else _named
    if isinstance(schema, list):
        return [expanded(branch, named) for branch in schema]
    if isinstance(schema, str):
        if schema in PRIMITIVES:
            return schema
        if named.get(_short(schema)) is None:
            raise ValueError(f"undefined or recursive type {schema}")
        return named[_short(schema)]
    kept = {key: schema[key] for key in (*_BINDING, *_LOGICAL) if key in schema}
    kept.pop("namespace", None)
    if "name" in kept:
        kept["name"] = _short(kept["name"])
        named[kept["name"]] = None
    for key in ("items", "values"):
        if key in kept:
            kept[key] = expanded(kept[key], named)
    if isinstance(kept["type"], dict | list):
        return expanded(kept["type"], named)
    if "fields" in schema:
        kept["fields"] = [_field(field, named) for field in schema["fields"]]
    if "name" in kept:
        named[kept["name"]] = kept
    return kept["type"] if set(kept) == {"type"} else kept


def _field(field: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    kept = {"name": field["name"], "type": expanded(field["type"], named)}
    return kept | {"default": field["default"]} if "default" in field else kept


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def canonical(schema: dict[str, Any]) -> str:
    """Avro's parsing canonical form."""
    from fastavro.schema import to_parsing_canonical_form

    return str(to_parsing_canonical_form(schema))


def fingerprint(schema: dict[str, Any]) -> str:
    """CRC-64-AVRO in hex, in the little-endian byte order of single-object encoding."""
    from fastavro.schema import fingerprint as crc

    return str(crc(canonical(schema), "CRC-64-AVRO"))


def sha256(schema: dict[str, Any]) -> str:
    """SHA-256 in hex over the binding part, logical types and decimal scale included."""
    text = json.dumps(binding(schema), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def published() -> tuple[Version, ...]:
    """Every version ever published, oldest first, from `schemas/published.json`."""
    entries = json.loads(PUBLISHED.read_text(encoding="utf-8")) if PUBLISHED.exists() else []
    return tuple(Version(**entry) for entry in entries)
