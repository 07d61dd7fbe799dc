"""Events as the core sees them, and the evidence that case files keep of them.

An ``Event`` is one admitted record of ``ih.events``: the decoded datum with its platform facts.
``Evidence`` is what a case file keeps: identity, times and only those payload fields that some rule
reads (RULES 2.1, GX 31 「最少可用原则」).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from schemas.catalogue import EVENT_TYPES

_BITS = {event_type: 1 << position for position, event_type in enumerate(EVENT_TYPES)}
_FACT = 1 << len(EVENT_TYPES)
SIGN_OF_LIFE = _FACT << 1
"""The bit of fresh evidence that somebody was there, which can only take from what is missing."""
ANY = (SIGN_OF_LIFE << 1) - 1
"""The mask of everything that can be received or told."""


def mask_of(event_type: str) -> int:
    """The bit of an event type; what is no event is a fact told by another case file."""
    return _BITS.get(event_type, _FACT)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One admitted event.

    ``body`` is the flat datum (envelope and payload). ``received_at`` is the broker's append time
    in epoch milliseconds, ``partition`` and ``offset`` its place in the log (line number in files).
    """

    body: Mapping[str, Any]
    received_at: int
    partition: int = 0
    offset: int = 0
    signature_valid: bool | None = None

    @property
    def id(self) -> str:
        event_id: str = self.body["event_id"]
        return event_id

    @property
    def type(self) -> str:
        event_type: str = self.body["event_type"]
        return event_type

    @property
    def institution_id(self) -> str:
        institution_id: str = self.body["institution_id"]
        return institution_id

    @property
    def occurred_at(self) -> int:
        occurred_at: int = self.body["occurred_at"]
        return occurred_at


class Evidence(msgspec.Struct, array_like=True, gc=False):
    """What a case file remembers of one event; ``t`` occurred and ``r`` received, in epoch ms.

    ``supersedes`` names the event that a correction (``revision > 0``) replaces.
    """

    id: str
    type: str
    t: int
    r: int
    body: dict[str, Any]
    revision: int = 0
    supersedes: str | None = None

    def __getitem__(self, field: str) -> Any:
        return self.body[field]

    def get(self, field: str) -> Any:
        return self.body.get(field)


def evidence_of(event: Event, fields: tuple[str, ...]) -> Evidence:
    """Keep of an event its identity, its times and the named payload fields."""
    body = event.body
    return Evidence(
        body["event_id"],
        body["event_type"],
        body["occurred_at"],
        event.received_at,
        {field: body[field] for field in fields},
        body["revision"],
        body["supersedes_event_id"],
    )


def digest_of(event: Event) -> bytes:
    """A short hash of what an event says, equal for equal contents."""
    return blake2b(msgspec.msgpack.encode(event.body), digest_size=8).digest()


newest_last = attrgetter("t", "revision", "id")
"""Sort key of evidence that puts the version in force last: by occurrence, revision, identity."""
