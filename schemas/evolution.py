"""Which changes of a schema are allowed: those after which every older writer and reader still
works.

FULL_TRANSITIVE, and stricter where Avro's own rule is blind: a field is never removed, renamed or
given another type; a new field is nullable with default null and comes last; an enumeration only
grows at its end; logical type and decimal precision and scale never change (Avro calls millis and
micros, or scale 2 and 3, compatible).
"""

from __future__ import annotations

from typing import Any

from schemas.avro import expanded, full_name


def faults(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is wrong with putting `new` in the place of `old`; empty when it is allowed."""
    if full_name(old) != full_name(new):
        return [f"the record: name changed from {full_name(old)} to {full_name(new)}"]
    return _compare("", expanded(old), expanded(new))


def _compare(path: str, old: Any, new: Any) -> list[str]:
    where = path or "the record"
    if isinstance(old, list) or isinstance(new, list):
        if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
            return [f"{where}: nullability changed"]
        return [f for a, b in zip(old, new, strict=True) for f in _compare(path, a, b)]
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{where}: type changed from {_name(old)} to {_name(new)}"]
    for key in ("type", "name", "logicalType", "precision", "scale"):
        if old.get(key) != new.get(key):
            return [f"{where}: {key} changed from {_name(old.get(key))} to {_name(new.get(key))}"]
    if old["type"] == "enum":
        return _compare_enum(where, old, new)
    if old["type"] == "array":
        return _compare(f"{path}[]", old["items"], new["items"])
    if old["type"] == "map":
        return _compare(f"{path}{{}}", old["values"], new["values"])
    return _compare_fields(path, old, new) if old["type"] == "record" else []


def _compare_enum(where: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    if new["symbols"][: len(old["symbols"])] != old["symbols"]:
        return [f"{where}: an enumeration may only grow at its end"]
    if old.get("default") != new.get("default"):
        return [f"{where}: default changed"]
    return []


def _compare_fields(path: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found: list[str] = []
    olds, news = old["fields"], new["fields"]
    if [f["name"] for f in news[: len(olds)]] != [f["name"] for f in olds]:
        return [f"{path or 'the record'}: a field was removed, renamed or moved"]
    for a, b in zip(olds, news, strict=False):
        inner = f"{path}.{a['name']}" if path else a["name"]
        found += _compare(inner, a["type"], b["type"])
        if ("default" in a) != ("default" in b) or a.get("default") != b.get("default"):
            found.append(f"{inner}: default changed")
    for b in news[len(olds) :]:
        nullable = isinstance(b["type"], list) and b["type"][0] == "null"
        if not nullable or "default" not in b or b["default"] is not None:
            found.append(f"{b['name']}: a new field must be nullable with default null")
    return found


def _name(kind: Any) -> str:
    return str(kind.get("name") or kind.get("type")) if isinstance(kind, dict) else str(kind)
