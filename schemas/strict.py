"""Says exactly what is wrong with bytes that fastavro refused: the reason and the path of the
field.

A second, slow reader by the letter of the Avro specification, over an expanded schema
(`avro.expanded`). It runs only on the bytes of a record that is refused anyway, and builds no
values, so a length of 2**62 in the bytes costs nothing.
"""

from __future__ import annotations

from typing import Any

from schemas.errors import ContractError, Reason
from schemas.limits import MAX_DECIMAL, UNKNOWN


def explain(schema: Any, data: bytes, start: int = 0) -> None:
    """Raises the ContractError that names the first fault of `data[start:]`, if there is one."""
    walker = _Walker(data, start)
    walker.read(schema, "")
    walker.finish()


def prefix(
    schema: dict[str, Any], data: bytes, start: int, names: tuple[str, ...]
) -> dict[str, str]:
    """The named string fields as far as they can be read, for telling whose bad record this is.

    Stops at the first fault or once all are found; each value is cut at 200 characters.
    """
    walker, found = _Walker(data, start), dict[str, str]()
    try:
        for field in schema["fields"]:
            begin = walker.at
            walker.read(field["type"], field["name"])
            if field["name"] in names and field["type"] == "string":
                found[field["name"]] = walker.text(begin)[:200]
            if len(found) == len(names):
                break
    except ContractError:
        return found
    return found


class _Walker:
    """Walks over encoded data by a schema and checks each step."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start

    def finish(self) -> None:
        """Every byte must have been consumed."""
        left = len(self.data) - self.at
        if left:
            raise ContractError(Reason.TRAILING_BYTES, None, f"{left} bytes after the record")

    def take(self, size: int, path: str) -> bytes:
        """The next `size` bytes."""
        if size < 0:
            raise ContractError(Reason.MALFORMED, path, "negative length")
        if size > len(self.data) - self.at:
            raise ContractError(Reason.TRUNCATED, path, "the bytes end inside this field")
        self.at += size
        return self.data[self.at - size : self.at]

    def long(self, path: str) -> int:
        """A zig-zag variable-length integer of at most 64 bits."""
        shift = value = 0
        while True:
            byte = self.take(1, path)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift >= 70:
                raise ContractError(Reason.MALFORMED, path, "integer longer than 64 bits")
        if value >= 2**64:
            raise ContractError(Reason.MALFORMED, path, "integer longer than 64 bits")
        return (value >> 1) ^ -(value & 1)

    def text(self, begin: int) -> str:
        """The string that starts at `begin`, which has been walked over before."""
        back, self.at = self.at, begin
        raw = self.take(self.long(""), "")
        self.at = back
        return raw.decode()

    def read(self, schema: Any, path: str) -> None:
        """Walks over one value."""
        if isinstance(schema, list):
            branch = self.long(path)
            if not 0 <= branch < len(schema):
                raise ContractError(Reason.MALFORMED, path, "no such branch of the union")
            return self.read(schema[branch], path)
        if isinstance(schema, dict):
            return self.named(schema, path)
        return self.primitive(schema, path)

    def primitive(self, kind: str, path: str) -> None:
        """Walks over a value of a primitive type."""
        if kind in ("int", "long"):
            value = self.long(path)
            if kind == "int" and not -(2**31) <= value < 2**31:
                raise ContractError(Reason.OUT_OF_RANGE, path, "more than 32 bits")
        elif kind == "boolean":
            if self.take(1, path)[0] > 1:
                raise ContractError(Reason.MALFORMED, path, "a boolean is one byte, 0 or 1")
        elif kind in ("string", "bytes"):
            raw = self.take(self.long(path), path)
            if kind == "string":
                try:
                    raw.decode()
                except UnicodeDecodeError:
                    raise ContractError(Reason.BAD_UTF8, path, "not UTF-8") from None
        elif kind == "double":
            self.take(8, path)
        elif kind != "null":
            raise ContractError(
                Reason.UNKNOWN_SCHEMA, path, "the schema uses a type we do not know"
            )

    def named(self, schema: dict[str, Any], path: str) -> None:
        """Walks over a record, an enumeration, an array, a map or an annotated primitive."""
        kind = schema["type"]
        if kind == "record":
            for field in schema["fields"]:
                self.read(field["type"], f"{path}.{field['name']}" if path else field["name"])
        elif kind == "enum":
            index, symbols = self.long(path), schema["symbols"]
            if not 0 <= index < len(symbols) or symbols[index] == UNKNOWN:
                raise ContractError(Reason.UNKNOWN_ENUM, path, "no such value in the enumeration")
        elif kind in ("array", "map"):
            self.blocks(schema, path)
        elif schema.get("logicalType") == "decimal":
            self.decimal(path)
        else:
            self.read(kind, path)

    def blocks(self, schema: dict[str, Any], path: str) -> None:
        """Walks over an array or a map; an item takes at least one byte, so this ends."""
        index = 0
        while count := self.long(path):
            if count < 0:
                count, size = -count, self.long(path)
                if size < 0:
                    raise ContractError(Reason.MALFORMED, path, "negative block size")
            if count > len(self.data) - self.at:
                raise ContractError(Reason.TRUNCATED, path, "more items announced than bytes left")
            for _ in range(count):
                if schema["type"] == "map":
                    self.read("string", f"{path}{{}}")
                    self.read(schema["values"], f"{path}{{}}")
                else:
                    self.read(schema["items"], f"{path}[{index}]")
                index += 1

    def decimal(self, path: str) -> None:
        """A decimal of precision 18: one to eight bytes, two's complement, big-endian."""
        raw = self.take(self.long(path), path)
        if not 0 < len(raw) <= 8 or abs(int.from_bytes(raw, "big", signed=True)) > MAX_DECIMAL:
            raise ContractError(Reason.NOT_A_NUMBER, path, "not a decimal of precision 18")
