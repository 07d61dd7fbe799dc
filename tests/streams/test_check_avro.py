"""Avro containers as input of `ihwatch check`."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas import catalogue
from schemas.flat import from_flat, to_flat
from tests.support.cases import FOLDER
from tests.support.check_cli import IDENTITY, LATER, OPENED, run, write


def container(*records: dict[str, Any]) -> bytes:
    """An Avro container of raw data, all of one event type."""
    schema = catalogue.schema(records[0]["event_type"])
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), _decimals(list(records)))
    return file.getvalue()


def _decimals(value: Any, name: str = "") -> Any:
    """Raw data as other tools hold them: quantities are decimals, not thousandths."""
    if isinstance(value, dict):
        return {key: _decimals(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_decimals(item) for item in value]
    return Decimal(value).scaleb(-3) if name == "quantity" else value


def test_an_avro_container(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no `received_at`: each event counts as received when it was recorded."""
    datum = from_flat(OPENED)[0]
    path = tmp_path / "events.avro"
    path.write_bytes(container(datum))
    arguments = ["check", str(path), *IDENTITY, "--as-of", LATER, "--history"]
    code, out, err = run(arguments, capsys)
    assert code == 3, err
    assert json.loads(out)["history"][0]["at"] == "2026-03-02T10:05:00.000+08:00"


def test_an_avro_container_of_every_event_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Judged as the same event in JSON that was received when it was recorded."""
    for event_type in catalogue.EVENT_TYPES:
        text = (FOLDER.parent / f"fixtures/events/{event_type}.json").read_text("utf-8")
        datum = from_flat(json.loads(text))[0]
        path = tmp_path / f"{event_type}.avro"
        path.write_bytes(container(datum))
        lines = write(tmp_path / "e.jsonl", to_flat(datum, datum["recorded_at"]))
        in_avro, in_json = run(["check", str(path)], capsys), run(["check", lines], capsys)
        assert in_avro == in_json, event_type
        assert "1 events, 0 bad" in in_avro[2]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_avro_container(
    cut: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.avro"
    path.write_bytes(container(from_flat(OPENED)[0])[:-cut])
    code, _, err = run(["check", str(path)], capsys)
    assert code == 5
    assert "MALFORMED" in err
