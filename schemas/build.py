"""`python -m schemas.build` writes the Avro schemas and documents of the contract; `--check` only
compares.

Written from `schemas/contract/` and `schemas/texts/errors.toml`: `schemas/events/*.avsc`,
`schemas/outputs/*.avsc`, `schemas/published.json`, `docs/events.md`, `docs/errors.md`. A schema
that changed is added to the published versions under a new number; a change that would break a
hospital on an older version is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from schemas import avro, catalogue, docgen, evolution
from schemas.contract import EVENTS, OUTPUTS
from schemas.contract.envelope import ENVELOPE_FIELDS
from schemas.contract.model import SCALARS, UNITS, Enum, Event, Field, Output, Record, Type
from schemas.limits import UNKNOWN

ROOT = Path(__file__).parent.parent
_WINDOW = {
    catalogue.UploadClass.FILING: "7d",
    catalogue.UploadClass.CLINICAL: "24h",
    catalogue.UploadClass.SUPERVISOR: None,
}
_FIRST_OUTPUT_ID = 1001


def doc(zh: str, en: str) -> str:
    """Both languages of one description."""
    return f"{zh} | {en}"


class _Writer:
    """Turns one event or output into Avro; its inner types are named after it."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.named: dict[str, Enum | Record] = {}

    def of(self, kind: str | Enum | Record) -> Any:
        """Avro for a type word, an enumeration or an inner record."""
        if isinstance(kind, str):
            return SCALARS[kind]
        name = self.owner + kind.name
        if name in self.named:
            if self.named[name] != kind:
                raise ValueError(f"{name} means two things")
            return name
        self.named[name] = kind
        return self.enum(name, kind) if isinstance(kind, Enum) else self.record(name, kind)

    def enum(self, name: str, kind: Enum) -> dict[str, Any]:
        """An enumeration: UNKNOWN first and as default, so that old readers survive a new one."""
        return {
            "type": "enum",
            "name": name,
            "doc": doc(
                "、".join(f"{s.name}：{s.zh}" for s in kind.symbols),
                "; ".join(f"{s.name}: {s.en}" for s in kind.symbols),
            ),
            "symbols": [UNKNOWN, *(s.name for s in kind.symbols)],
            "default": UNKNOWN,
            "symbols_zh": {s.name: s.zh for s in kind.symbols},
            "symbols_en": {s.name: s.en for s in kind.symbols},
        }

    def record(self, name: str, kind: Record) -> dict[str, Any]:
        """An inner record."""
        return {
            "type": "record",
            "name": name,
            "doc": doc(kind.zh, kind.en),
            "fields": [self.field(field) for field in kind.fields],
        }

    def type(self, kind: Type) -> Any:
        """Avro for what a field holds."""
        inner = self.of(kind.of)
        if kind.array:
            inner = {"type": "array", "items": inner}
        elif kind.map:
            inner = {"type": "map", "values": inner}
        return ["null", inner] if kind.nullable else inner

    def field(self, field: Field) -> dict[str, Any]:
        """A field with its meaning, unit and range."""
        zh, en = field.zh, field.en
        if isinstance(field.type.of, str) and field.type.of in UNITS:
            unit_zh, unit_en = UNITS[field.type.of]
            zh, en = f"{zh}（{unit_zh}）", f"{en} ({unit_en})"
        out: dict[str, Any] = {
            "name": field.name,
            "doc": doc(zh, en),
            "type": self.type(field.type),
        }
        if field.type.nullable:
            out["default"] = None
        if field.type.of == "id":
            out["non_empty"] = True
        if field.minimum is not None:
            out["minimum"] = field.minimum
        if field.maximum is not None:
            out["maximum"] = field.maximum
        return out


def event_schema(event: Event) -> dict[str, Any]:
    """The Avro schema of an event: one flat record, envelope first, then payload."""
    writer = _Writer(event.name)
    upload = catalogue.upload_class(event.name)
    return {
        "type": "record",
        "name": event.name,
        "namespace": catalogue.EVENT_NAMESPACE,
        "doc": doc(f"{event.zh}：{event.records_zh}", f"{event.en}: {event.records_en}"),
        "code": catalogue.code(event.name),
        "group": str(catalogue.group(event.name)),
        "upload_class": str(upload),
        "upload_window": _WINDOW[upload],
        "publisher_zh": event.publisher_zh,
        "publisher_en": event.publisher_en,
        "key": event.key,
        "fields": [writer.field(field) for field in (*ENVELOPE_FIELDS, *event.fields)],
    }


def output_schema(output: Output) -> dict[str, Any]:
    """The Avro schema of one record type that the platform writes."""
    writer = _Writer(output.name)
    return {
        "type": "record",
        "name": output.name,
        "namespace": catalogue.OUTPUT_NAMESPACE,
        "doc": doc(output.zh, output.en),
        "key": output.key,
        "fields": [writer.field(field) for field in output.fields],
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its path below the root of the repository."""
    built = {f"schemas/events/{event.name}.avsc": event_schema(event) for event in EVENTS}
    built |= {f"schemas/outputs/{output.name}.avsc": output_schema(output) for output in OUTPUTS}
    return built


def publish(built: Sequence[dict[str, Any]]) -> tuple[avro.Version, ...]:
    """The published versions with changed schemas added; ValueError if one breaks an older."""
    versions = list(avro.published())
    faults: list[str] = []
    for schema in built:
        name, digest = schema["name"], avro.sha256(schema)
        older = [v for v in versions if v.name == name]
        if older and older[-1].sha256 == digest:
            continue
        faults += [
            f"{name}: {fault}" for v in older for fault in evolution.faults(v.schema, schema)
        ]
        first = _FIRST_OUTPUT_ID if schema["namespace"] == catalogue.OUTPUT_NAMESPACE else 1
        taken = [
            v.id for v in versions if (v.id >= _FIRST_OUTPUT_ID) == (first == _FIRST_OUTPUT_ID)
        ]
        versions.append(
            avro.Version(
                name=name,
                version=len(older) + 1,
                id=max(taken, default=first - 1) + 1,
                fingerprint=avro.fingerprint(schema),
                sha256=digest,
                schema=avro.binding(schema),
            )
        )
    if faults:
        raise ValueError("the contract may not change like this:\n" + "\n".join(faults))
    return tuple(versions)


def _published_json(versions: Sequence[avro.Version]) -> str:
    """One line a version, so that a change reads well in a diff."""
    lines = (json.dumps(asdict(v), ensure_ascii=False, separators=(",", ":")) for v in versions)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def files() -> dict[str, str]:
    """Everything this command writes: text by path below the root of the repository."""
    built = schemas()
    versions = publish(list(built.values()))
    texts = {path: json.dumps(s, ensure_ascii=False, indent=2) + "\n" for path, s in built.items()}
    texts["schemas/published.json"] = _published_json(versions)
    events = [s for path, s in built.items() if path.startswith("schemas/events/")]
    outputs = [s for path, s in built.items() if path.startswith("schemas/outputs/")]
    texts["docs/events.md"] = docgen.events_page(events, outputs, versions)
    texts["docs/errors.md"] = docgen.errors_page()
    return texts


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with `--check` only compare: 0 when nothing differs, 3 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m schemas.build", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare only; exit 3 if a file differs"
    )
    options = parser.parse_args(arguments)
    stale = []
    for path, text in files().items():
        target = ROOT / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not options.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for path in stale:
        sys.stderr.write(f"{'differs' if options.check else 'written'}: {path}\n")
    return 3 if options.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
