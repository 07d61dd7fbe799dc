"""The raw datum: the form in which events are handled everywhere in the process.

A flat dict in the order of the schema, envelope first: instants int epoch ms, dates int days since
1970, decimals int thousandths, enumerations str, arrays list, maps dict, null None. Never datetime
or Decimal objects.
"""

from __future__ import annotations

from typing import Any

from schemas.errors import ContractError, Reason

Datum = dict[str, Any]


def misfit(kind: Any, value: Any, path: str) -> None:
    """Raises the ContractError that names where a raw value does not fit an expanded Avro type."""
    if isinstance(kind, list):
        if value is not None:
            misfit(kind[1], value, path)
        return
    name = kind if isinstance(kind, str) else kind["type"]
    if name == "enum" and isinstance(value, str):
        if value not in kind["symbols"]:
            raise ContractError(Reason.UNKNOWN_ENUM, path, "no such value in the enumeration")
        return
    decimal = isinstance(kind, dict) and kind.get("logicalType") == "decimal"
    expected: Any = int if decimal else _PYTHON[name]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise ContractError(Reason.WRONG_TYPE, path, f"expected {name}")
    if name == "array":
        for index, item in enumerate(value):
            misfit(kind["items"], item, f"{path}[{index}]")
    elif name == "map":
        for key, item in value.items():
            misfit("string", key, path)
            misfit(kind["values"], item, f"{path}{{}}")
    elif name == "record":
        for field in kind["fields"]:
            inner = f"{path}.{field['name']}"
            if field["name"] not in value:
                raise ContractError(Reason.MISSING_FIELD, inner)
            misfit(field["type"], value[field["name"]], inner)


_PYTHON: dict[str, Any] = {
    "string": str,
    "enum": str,
    "int": int,
    "long": int,
    "double": (int, float),
    "boolean": bool,
    "bytes": bytes,
    "array": list,
    "map": dict,
    "record": dict,
}
