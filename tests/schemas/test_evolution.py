"""Each change that would break or falsify older data is refused, and the harmless ones are not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from schemas import avro, catalogue, evolution

Change = Callable[[dict[str, Any]], None]


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in schema["fields"] if f["name"] == name)
    return found


def changed(change: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    old = catalogue.schema("PrescriptionIssued")
    new = copy.deepcopy(old)
    change(new)
    return old, new


def quantity(schema: dict[str, Any]) -> dict[str, Any]:
    return field(field(schema, "items")["type"]["items"], "quantity")


def remove(schema: dict[str, Any]) -> None:
    schema["fields"].remove(field(schema, "trusted_timestamp"))


def rename(schema: dict[str, Any]) -> None:
    field(schema, "prescriber_id")["name"] = "doctor_id"


def swap(schema: dict[str, Any]) -> None:
    fields = schema["fields"]
    fields[0], fields[3] = fields[3], fields[0]


def insert(schema: dict[str, Any]) -> None:
    schema["fields"].insert(1, {"name": "extra", "type": ["null", "string"], "default": None})


def mandatory(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "extra", "type": "string"})


def not_null_default(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "extra", "type": ["string", "null"], "default": ""})


def scale(schema: dict[str, Any]) -> None:
    quantity(schema)["type"]["scale"] = 2


def precision(schema: dict[str, Any]) -> None:
    quantity(schema)["type"]["precision"] = 10


def micros(schema: dict[str, Any]) -> None:
    field(schema, "occurred_at")["type"]["logicalType"] = "timestamp-micros"


def no_logical_type(schema: dict[str, Any]) -> None:
    field(schema, "occurred_at")["type"] = "long"


def promote(schema: dict[str, Any]) -> None:
    field(schema, "patient_age_years")["type"] = "long"


def drop_symbol(schema: dict[str, Any]) -> None:
    field(schema, "origin")["type"]["symbols"].pop()


def insert_symbol(schema: dict[str, Any]) -> None:
    field(schema, "origin")["type"]["symbols"].insert(1, "NEW")


def no_enum_default(schema: dict[str, Any]) -> None:
    del field(schema, "origin")["type"]["default"]


def require(schema: dict[str, Any]) -> None:
    schema_field = field(schema, "session_id")
    schema_field["type"] = "string"
    del schema_field["default"]


def change_default(schema: dict[str, Any]) -> None:
    del field(schema, "session_id")["default"]


def move_to_v2(schema: dict[str, Any]) -> None:
    schema["namespace"] = "cn.ihwatch.events.v2"


def array_to_map(schema: dict[str, Any]) -> None:
    field(schema, "diagnosis_codes")["type"] = {"type": "map", "values": "string"}


BREAKING = [
    (remove, "removed, renamed or moved"),
    (rename, "removed, renamed or moved"),
    (swap, "removed, renamed or moved"),
    (insert, "removed, renamed or moved"),
    (mandatory, "must be nullable"),
    (not_null_default, "must be nullable"),
    (scale, "scale changed"),
    (precision, "precision changed"),
    (micros, "logicalType changed"),
    (no_logical_type, "type changed"),
    (promote, "type changed"),
    (drop_symbol, "only grow at its end"),
    (insert_symbol, "only grow at its end"),
    (no_enum_default, "default changed"),
    (require, "nullability changed"),
    (change_default, "default changed"),
    (move_to_v2, "name changed"),
    (array_to_map, "type changed"),
]


@pytest.mark.parametrize(("change", "said"), BREAKING)
def test_breaking_changes_are_refused(change: Change, said: str) -> None:
    faults = evolution.faults(*changed(change))
    assert any(said in fault for fault in faults), faults


@pytest.mark.parametrize("change", [scale, micros])
def test_changes_that_avro_itself_cannot_see_change_our_hash(change: Change) -> None:
    old, new = changed(change)
    assert avro.fingerprint(old) == avro.fingerprint(new)
    assert avro.sha256(old) != avro.sha256(new)


def grow(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "extra", "type": ["null", "string"], "default": None})
    field(schema, "origin")["type"]["symbols"].append("DICTATED")
    field(schema, "items")["type"]["items"]["fields"].append(
        {"name": "batch_no", "type": ["null", "string"], "default": None}
    )


def reword(schema: dict[str, Any]) -> None:
    schema["doc"] = "other words"
    field(schema, "origin")["doc"] = "other words"
    field(schema, "origin")["type"]["symbols_zh"] = {}


@pytest.mark.parametrize("change", [grow, reword])
def test_harmless_changes_are_allowed(change: Change) -> None:
    assert evolution.faults(*changed(change)) == []


def test_words_do_not_count_as_a_new_version() -> None:
    old, new = changed(reword)
    assert avro.sha256(old) == avro.sha256(new)


def test_the_same_schema_as_other_tools_write_it_is_the_same() -> None:
    """Java annotates strings, canonical forms carry full names: both are our schema."""
    old = catalogue.schema("MedicalRecordArchived")
    new = copy.deepcopy(old)
    field(new, "record_id")["type"] = {"type": "string", "avro.java.string": "String"}
    present = field(new, "sections_present")["type"]
    present["items"]["namespace"] = new["namespace"]
    field(new, "sections_not_applicable")["type"]["items"] = (
        f"{new['namespace']}.{present['items']['name']}"
    )
    new["name"] = f"{new.pop('namespace')}.{new['name']}"
    assert evolution.faults(old, new) == evolution.faults(new, old) == []


def test_recursive_and_undefined_types_are_refused() -> None:
    node = {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "next", "type": ["null", "Node"]}],
    }
    with pytest.raises(ValueError, match="recursive"):
        avro.expanded(node)
    with pytest.raises(ValueError, match="undefined"):
        avro.expanded({"type": "array", "items": "Nowhere"})
