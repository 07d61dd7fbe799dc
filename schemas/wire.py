"""The two forms in which a record travels, told apart by the first bytes.

Confluent framing: `00`, schema id as 4 bytes big-endian, body; where there is a schema registry.
Avro single-object encoding: `c3 01`, CRC-64-AVRO of the writer's schema as 8 bytes little-endian,
body; where there is none. What we write ourselves always takes the second form.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any

from schemas import avro, catalogue
from schemas.codec import Decoder, Encoder
from schemas.datum import Datum
from schemas.errors import ContractError, Reason
from schemas.registry import LocalRegistry, Registry

CONFLUENT_MAGIC = b"\x00"
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
CONFLUENT_HEADER = 5
SINGLE_OBJECT_HEADER = 10
_EVENTS = frozenset(catalogue.EVENT_TYPES)


class Framing(StrEnum):
    """How a record names the schema it was written with."""

    CONFLUENT = "confluent"
    SINGLE_OBJECT = "single-object"


def writer(value: bytes, registry: Registry, ask: bool = True) -> tuple[Decoder, int]:
    """The decoder for a record and where its body starts; ContractError if there is none."""
    magic = value[:2]
    if magic == SINGLE_OBJECT_MAGIC:
        if len(value) < SINGLE_OBJECT_HEADER:
            raise ContractError(Reason.TRUNCATED, None, "the bytes end inside the fingerprint")
        decoder = registry.by_fingerprint(value[2:SINGLE_OBJECT_HEADER])
        start = SINGLE_OBJECT_HEADER
    elif magic[:1] == CONFLUENT_MAGIC:
        if len(value) < CONFLUENT_HEADER:
            raise ContractError(Reason.TRUNCATED, None, "the bytes end inside the schema id")
        decoder = registry.by_id(int.from_bytes(value[1:CONFLUENT_HEADER], "big"), ask)
        start = CONFLUENT_HEADER
    elif not value:
        raise ContractError(Reason.EMPTY, None, "no value")
    else:
        raise ContractError(Reason.UNKNOWN_FRAMING, None, "neither 00 nor c3 01 at the start")
    if decoder is None:
        raise ContractError(Reason.UNKNOWN_SCHEMA, None, "no version of the contract has this id")
    return decoder, start


def decode(value: bytes, registry: Registry) -> Datum:
    """The raw datum of an event; ContractError unless every byte belongs to one event."""
    decoder, start = writer(value, registry)
    if decoder.name not in _EVENTS:
        raise ContractError(Reason.UNKNOWN_SCHEMA, None, "not an event of the contract")
    try:
        datum = decoder(value, start)
        event_type = datum["event_type"]
    except ContractError:
        # All schemas begin with the same envelope: if it names another event, that is the fault.
        event_type = decoder.prefix(value, start, ("event_type",)).get("event_type")
        if event_type == decoder.name or event_type not in _EVENTS:
            raise
    if event_type != decoder.name:
        detail = "event_type is not the name of the writer's schema"
        raise ContractError(Reason.SCHEMA_MISMATCH, "event_type", detail)
    return datum


def encode(
    datum: Datum, framing: Framing = Framing.SINGLE_OBJECT, schema_id: int | None = None
) -> bytes:
    """An event in the given form; `schema_id` is the registry's number, by default our own."""
    try:
        encoder, version = _encoder(datum["event_type"])
    except (KeyError, TypeError):
        raise ContractError(Reason.UNKNOWN_EVENT_TYPE, "event_type") from None
    return header(version, framing, schema_id) + encoder(datum)


def header(version: avro.Version, framing: Framing, schema_id: int | None = None) -> bytes:
    """The first bytes of a record written with a published version."""
    if framing is Framing.CONFLUENT:
        return CONFLUENT_MAGIC + (version.id if schema_id is None else schema_id).to_bytes(4, "big")
    return SINGLE_OBJECT_MAGIC + bytes.fromhex(version.fingerprint)


def encode_output(name: str, datum: Datum) -> bytes:
    """An alert, aggregate, reject or receipt in single-object encoding."""
    encoder, version = _encoder(name)
    return header(version, Framing.SINGLE_OBJECT) + encoder(datum)


def decode_output(value: bytes) -> tuple[str, dict[str, Any]]:
    """Name and raw datum of one of our own records; ContractError for anything else."""
    decoder, start = writer(value, _local())
    if decoder.name not in catalogue.OUTPUT_TYPES:
        raise ContractError(Reason.UNKNOWN_SCHEMA, None, "not a record of the platform")
    return decoder.name, decoder(value, start)


@cache
def _local() -> LocalRegistry:
    return LocalRegistry()


@cache
def _encoder(name: str) -> tuple[Encoder, avro.Version]:
    newest = [v for v in avro.published() if v.name == name]
    return Encoder(catalogue.schema(name)), newest[-1]
