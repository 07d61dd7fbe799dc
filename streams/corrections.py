"""Corrections and what they supersede, joined across case files.

A correction may lie in another case file than what it corrects: another session, another hour. Each
of the two is then told of the other, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from streams.cases.base import CaseFile
from streams.cases.shelf import Name, Shelf
from streams.cases.uploads import Lateness, shard_of
from streams.events import Event, Evidence, evidence_of
from streams.timeline import HOUR

Concern = Callable[[Name, CaseFile, Evidence], None]
"""Has every case file judged again that some evidence can change."""


class Links:
    """The corrections of one institution; ``window`` is how long one replaces its target, in ms."""

    def __init__(self, institution_id: str, shelf: Shelf, window: int, concern: Concern) -> None:
        self._institution_id = institution_id
        self._shelf = shelf
        self._window = window
        self._concern = concern
        self._superseded: dict[str, list[Evidence]] | None = None

    def link(self, event: Event) -> None:
        """Join corrections and what they supersede where a case file holds only one of the two."""
        corrections = self._corrections()
        if event.body["supersedes_event_id"] is not None:
            note = evidence_of(event, ())
            if self._shelf.open((self._institution_id, "corrections", "")).fold(note):
                corrections.setdefault(str(note.supersedes), []).append(note)
            for other in corrections[str(note.supersedes)]:
                self._join(other)
        for note in corrections.get(event.id, ()):
            self._join(note)

    def _join(self, correction: Evidence) -> None:
        superseded = str(correction.supersedes)
        originals = self._holding(superseded)
        received = self._received(superseded, correction.r)
        for name, case in originals:
            if correction.id not in case.evidence:
                _replace(case, superseded, correction.r)
                self._shelf.stale(name)
                item = _as_received(case.evidence[superseded], correction.r)
                self._concern(name, case, item)
        if received is None:
            return
        for name, case in self._holding(correction.id):
            if superseded not in case.evidence and case.targets.get(superseded) != received:
                case.targets[superseded] = received
                self._shelf.stale(name)
                item = _as_received(case.evidence[correction.id], received[1])
                self._concern(name, case, item)

    def _received(self, event_id: str, around: int) -> tuple[int, int] | None:
        """When an event occurred and was received, if it occurred near an instant.

        That is enough for corrections: what happened long before one is received it cannot replace.
        """
        first, last = shard_of(around - 2 * self._window), shard_of(around + HOUR)
        mark = mark_of(event_id)
        for shard in sorted(self._shelf.ids(self._institution_id, "lateness"), key=int):
            if first <= int(shard) <= last:
                case = self._shelf.find((self._institution_id, "lateness", shard))
                receipt = case.seen.get(mark) if isinstance(case, Lateness) else None
                if receipt is not None:
                    return receipt.occurred_at, receipt.received_at
        return None

    def _corrections(self) -> dict[str, list[Evidence]]:
        if self._superseded is None:
            self._superseded = {}
            record = self._shelf.find((self._institution_id, "corrections", ""))
            for note in record.evidence.values() if record is not None else ():
                self._superseded.setdefault(str(note.supersedes), []).append(note)
        return self._superseded

    def _holding(self, event_id: str) -> list[tuple[Name, CaseFile]]:
        found = []
        for kind in sorted({*self._shelf.kinds(self._institution_id)} - {"corrections"}):
            for case_id in sorted(self._shelf.ids(self._institution_id, kind)):
                name = (self._institution_id, kind, case_id)
                case = self._shelf.find(name)
                if case is not None and event_id in case.evidence:
                    found.append((name, self._shelf.open(name)))
        return found


def mark_of(event_id: str) -> int:
    """A short number for an event id, by which the receipts of events are remembered."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big")


def _replace(case: CaseFile, event_id: str, received_at: int) -> None:
    case.replaced[event_id] = min(received_at, case.replaced.get(event_id, received_at))


def _as_received(item: Evidence, other: int) -> Evidence:
    """Evidence as it concerns its case file from another receipt on, if that came later."""
    later = max(item.r, other)
    return Evidence(item.id, item.type, item.t, later, item.body, item.revision, item.id)
