"""What is generated equals a rebuild, and what was published stays as it is."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from schemas import avro, build, catalogue, evolution
from schemas.catalogue import EVENT_TYPES, OUTPUT_TYPES

ALL = (*EVENT_TYPES, *OUTPUT_TYPES)


def test_every_generated_file_equals_a_rebuild(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_no_schema_is_left_over() -> None:
    committed = {p.stem for d in ("events", "outputs") for p in (catalogue.HERE / d).iterdir()}
    assert committed == set(ALL)


def test_check_reports_a_file_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.main(["--check"]) == 3
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    page = tmp_path / "docs" / "events.md"
    page.write_text(page.read_text(encoding="utf-8") + "typed by hand\n", encoding="utf-8")
    capsys.readouterr()
    assert build.main(["--check"]) == 3
    assert capsys.readouterr().err == "differs: docs/events.md\n"


def test_numbers_and_fingerprints_name_one_version_only() -> None:
    versions = avro.published()
    assert len({v.id for v in versions}) == len({v.fingerprint for v in versions}) == len(versions)


@pytest.mark.parametrize("name", ALL)
def test_published_versions_are_as_their_hashes_say(name: str) -> None:
    """A version that hospitals write with is never edited: neither fields nor scale."""
    for version in avro.published():
        if version.name == name:
            assert avro.fingerprint(version.schema) == version.fingerprint
            assert avro.sha256(version.schema) == version.sha256


@pytest.mark.parametrize("name", ALL)
def test_current_schema_may_replace_every_published_version(name: str) -> None:
    published = [v for v in avro.published() if v.name == name]
    for version in published:
        assert evolution.faults(version.schema, catalogue.schema(name)) == []
    assert published[-1].sha256 == avro.sha256(catalogue.schema(name))


def test_fingerprint_is_crc_64_avro_in_wire_order() -> None:
    """The reference value of the Avro specification's algorithm for `"int"`, little-endian."""
    from fastavro.schema import fingerprint

    assert fingerprint('"int"', "CRC-64-AVRO") == "8f5c393f1ad57572"


def test_publishing_refuses_a_breaking_change_and_numbers_an_allowed_one() -> None:
    built = [copy.deepcopy(catalogue.schema("ServiceRated"))]
    built[0]["fields"].append({"name": "note_code", "type": ["null", "string"], "default": None})
    newest = build.publish(built)[-1]
    assert (newest.name, newest.version) == ("ServiceRated", 2)
    assert newest.id not in {v.id for v in avro.published()}
    built[0]["fields"][-1] = {"name": "note_code", "type": "string"}
    with pytest.raises(ValueError, match="note_code"):
        build.publish(built)


def test_the_documents_name_every_event_and_reason() -> None:
    page = (build.ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for event_type in EVENT_TYPES:
        assert f"### {catalogue.code(event_type)} {event_type}\n" in page
        example = json.loads(page.split(f" {event_type}\n")[1].split("```json")[1].split("```")[0])
        assert example["event_type"] == event_type
