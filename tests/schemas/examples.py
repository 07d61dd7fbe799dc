"""The published example of each event, and the bytes that a hospital would send for it.

`python -m tests.schemas.examples` writes the bytes anew, with fastavro and the full schema
(datetime, date, Decimal objects), so that they do not depend on the code they test.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_writer

from schemas import avro, catalogue, flat
from schemas.wire import Framing

FOLDER = Path(__file__).parent.parent / "fixtures" / "events"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Example:
    """One example in each of its forms."""

    flat: dict[str, Any]
    datum: dict[str, Any]
    received_at: int
    wire: dict[Framing, bytes]

    @property
    def key(self) -> bytes:
        """The key of the Kafka record."""
        return str(self.datum["institution_id"]).encode()


@cache
def example(event_type: str) -> Example:
    """The example of an event type; do not change what is returned, copy it."""
    text = (FOLDER / f"{event_type}.json").read_text(encoding="utf-8")
    datum, received_at, warnings = flat.from_flat(flat.parse(text))
    assert received_at is not None
    assert not warnings
    lines = (FOLDER / f"{event_type}.hex").read_text(encoding="ascii").split()
    wire = {
        Framing(name): bytes.fromhex(digits)
        for name, digits in zip(*[iter(lines)] * 2, strict=True)
    }
    return Example(json.loads(text), datum, received_at, wire)


def bytes_by_fastavro(event_type: str, datum: dict[str, Any]) -> bytes:
    """The body that fastavro makes of an event on its own, with logical types."""
    schema = catalogue.schema(event_type)
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(schema), rich(avro.expanded(schema), datum), strict=True)
    return stream.getvalue()


def rich(kind: Any, value: Any) -> Any:
    """A raw value as the objects that fastavro's logical types want."""
    if isinstance(kind, list):
        return None if value is None else rich(kind[1], value)
    if isinstance(kind, str):
        return value
    logical = kind.get("logicalType")
    if logical == "timestamp-millis":
        return _EPOCH + timedelta(milliseconds=value)
    if logical == "date":
        return date(1970, 1, 1) + timedelta(days=value)
    if logical == "decimal":
        return Decimal(value).scaleb(-3)
    if kind["type"] == "array":
        return [rich(kind["items"], item) for item in value]
    if kind["type"] == "record":
        return {
            field["name"]: rich(field["type"], value[field["name"]]) for field in kind["fields"]
        }
    return value


def write_bytes() -> None:
    """Writes `<EventType>.hex` beside each example: one line for each form."""
    for event_type in catalogue.EVENT_TYPES:
        text = (FOLDER / f"{event_type}.json").read_text(encoding="utf-8")
        datum, _, _ = flat.from_flat(flat.parse(text))
        body = bytes_by_fastavro(event_type, datum)
        version = [v for v in avro.published() if v.name == event_type][-1]
        heads = {
            Framing.CONFLUENT: b"\x00" + version.id.to_bytes(4, "big"),
            Framing.SINGLE_OBJECT: b"\xc3\x01" + bytes.fromhex(version.fingerprint),
        }
        lines = [f"{framing} {(head + body).hex()}\n" for framing, head in heads.items()]
        (FOLDER / f"{event_type}.hex").write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    write_bytes()
