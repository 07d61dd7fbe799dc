"""Which sequence number of a stream carried which event, to notice two events under one number."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.cases.base import CaseFile

CHANGED, REUSED = "CHANGED_CONTENT", "SAME_NUMBER"
"""Two receipts of one event id that say different things; two events under one number."""
SHARD = 50
"""Numbers of a stream that share a case file."""


class Use(msgspec.Struct, array_like=True, gc=False):
    """The event that bore a number first, where it lies in the log, and its two times."""

    event_id: str
    offset: int
    received_at: int
    occurred_at: int

    @property
    def rank(self) -> tuple[int, int]:
        """Of several events under one number the one received first has it."""
        return self.received_at, self.offset


class Clash(NamedTuple):
    """What was received second of two that cannot both be right, the other event, and why."""

    second: Use
    other: str
    cause: str


class Sequence(CaseFile):
    """Who bears each of ``SHARD`` numbers of a stream."""

    uses: dict[int, Use] = msgspec.field(default_factory=dict)

    def bear(self, number: int, mine: Use) -> Clash | None:
        """Give a number to an event, or say with what it clashes there.

        An event that comes again, said to have occurred at another time, never takes the number.
        """
        known = self.uses.setdefault(number, mine)
        if known.event_id == mine.event_id and known.occurred_at != mine.occurred_at:
            if known.offset == mine.offset:
                return None
            second = mine if mine.rank > known.rank else known
            return Clash(second, mine.event_id, CHANGED)
        first, second = (known, mine) if known.rank <= mine.rank else (mine, known)
        self.uses[number] = first
        if known.event_id == mine.event_id:
            return None
        return Clash(second, first.event_id, REUSED)


def shard_id(stream_id: str, number: int) -> str:
    """The case file that remembers a number."""
    return f"{stream_id}/{number // SHARD}"
