"""Every example goes through every processor, in every form, and comes back the same."""

from __future__ import annotations

import pytest
from hypothesis import given

from schemas import avro, catalogue, flat, signing, wire
from schemas.admission import Admission
from schemas.catalogue import EVENT_TYPES
from schemas.directory import Directory
from schemas.registry import LocalRegistry
from schemas.validate import validate
from schemas.wire import Framing
from tests.schemas.examples import FOLDER, bytes_by_fastavro, example
from tests.schemas.strategies import any_data

REGISTRY = LocalRegistry()


def test_there_is_an_example_of_every_event_and_nothing_else() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(EVENT_TYPES)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_examples_keep_the_contract(event_type: str) -> None:
    datum = example(event_type).datum
    validate(datum)
    assert tuple(datum) == catalogue.ENVELOPE + catalogue.payload_fields(event_type)


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_flat_to_datum_to_wire_to_datum_to_flat(event_type: str, framing: Framing) -> None:
    source = example(event_type)
    datum = wire.decode(wire.encode(source.datum, framing), REGISTRY)
    assert datum == source.datum
    assert list(datum) == list(source.datum)
    assert flat.to_flat(datum, source.received_at) == source.flat


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_bytes_of_another_encoder_are_the_bytes_we_write_and_read(
    event_type: str, framing: Framing
) -> None:
    source = example(event_type)
    assert wire.encode(source.datum, framing) == source.wire[framing]
    assert wire.decode(source.wire[framing], REGISTRY) == source.datum


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_examples_are_admitted_when_signed_by_whom_they_should_be(event_type: str) -> None:
    source = example(event_type)
    directory = Directory.generate([(source.key.decode(), "邕江示范医院互联网医院", "guangxi")])
    supervisor = catalogue.upload_class(event_type) is catalogue.UploadClass.SUPERVISOR
    owner = directory.institutions[source.key.decode()]
    key = directory.supervisor[0] if supervisor else owner.keys[0]
    value = source.wire[Framing.SINGLE_OBJECT]
    headers = signing.headers(key.id, key.secret, source.key, value)
    admitted = Admission(REGISTRY, directory).admit(source.key, value, headers)
    assert admitted.datum == source.datum
    assert admitted.signature_valid is True


@given(any_data())
def test_any_event_survives_the_wire_and_flat_json(datum: dict[str, object]) -> None:
    validate(datum)
    for framing in Framing:
        assert wire.decode(wire.encode(datum, framing), REGISTRY) == datum
    read, received_at, warnings = flat.from_flat(flat.to_flat(datum, 1_772_416_800_000))
    assert read == datum
    assert received_at == 1_772_416_800_000
    assert warnings == []


@given(any_data())
def test_our_bytes_are_those_of_fastavro_with_logical_types(datum: dict[str, object]) -> None:
    """Where Python's date and datetime can hold the values, which is the whole range we accept."""
    event_type = str(datum["event_type"])
    head = len(wire.header(_newest(event_type), Framing.SINGLE_OBJECT))
    ours = wire.encode(datum)[head:]
    theirs = bytes_by_fastavro(event_type, datum)
    decoder = REGISTRY.by_fingerprint(bytes.fromhex(_newest(event_type).fingerprint))
    assert decoder is not None
    assert decoder(theirs) == decoder(ours) == datum


def _newest(event_type: str) -> avro.Version:
    return [v for v in avro.published() if v.name == event_type][-1]
