"""The case file: evidence about one subject, in whatever order it came.

Evidence is kept by ``event_id``; a second copy changes nothing and of two receipts the first
counts (D37). What a case file shows at an instant is computed by ``effective``: everything received
by then, with corrections applied that came within their window (RULES 1.6.5, D38).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.events import Evidence, newest_first
from streams.findings import Finding


class CaseFile(msgspec.Struct, array_like=True):
    """Evidence, the findings drawn from it, and where judging stands.

    ``settled`` is the last instant judged; ``pending`` holds receipts not judged yet and ``wake``
    the next instant at which the verdict may change without new evidence (0: never). ``replaced``
    gives the receipt of a correction that lies in another case file, ``targets`` the occurrence
    and the receipt of a superseded event that does. ``watches`` names other case files this one
    waits for. ``retired`` holds published findings by id while a case file is judged anew from its
    start. ``applied`` is the last log offset all of whose consequences are in here: a crash may
    leave some case files newer than others, and records that come again change only those that lack
    them.
    """

    evidence: dict[str, Evidence] = {}
    findings: list[Finding] = []
    wake: int = 0
    settled: int = 0
    pending: list[int] = []
    replaced: dict[str, int] = {}
    targets: dict[str, tuple[int, int]] = {}
    watches: list[str] = []
    retired: dict[str, Finding] = {}
    applied: int = -1

    def fold(self, item: Evidence) -> bool:
        """Take evidence in; False when this changes nothing."""
        known = self.evidence.get(item.id)
        if known is not None and _rank(known) <= _rank(item):
            return False
        self.evidence[item.id] = item
        return True

    def restart(self, receipts: Iterable[int]) -> None:
        """Forget what was judged, so that it is judged anew at every receipt, in their order."""
        self.retired |= {finding.id: finding for finding in self.findings}
        self.findings = []
        self.settled = self.wake = 0
        self.pending = sorted({*receipts, *self.pending})

    def receipts(self) -> set[int]:
        """Every receipt at which the evidence in force may change, judged or not."""
        told = (received_at for _, received_at in self.targets.values())
        return {*(i.r for i in self.evidence.values()), *self.replaced.values(), *told}

    def due(self, upto: int) -> bool:
        """Whether something is to be judged by ``upto`` (inclusive)."""
        instants = [*self.pending, *([self.wake] if self.wake else [])]
        return bool(instants) and min(instants) <= upto

    def touch(self, received_at: int) -> None:
        """Note a receipt that this case file must be judged at."""
        if received_at not in self.pending:
            self.pending.append(received_at)


def _rank(item: Evidence) -> tuple[int, bytes]:
    """The first receipt wins; two receipts at one instant are told apart by content."""
    return item.r, msgspec.msgpack.encode(item)


@dataclass(slots=True)
class Corrections:
    """What judging learned about corrections on the way: any taking effect now, any too late."""

    now: int
    window: int
    honour_late: bool = False
    applied_now: bool = False
    late: set[str] = field(default_factory=set)


def effective(case: CaseFile, corrections: Corrections, as_uploads: bool = False) -> list[Evidence]:
    """Evidence in force at ``corrections.now``, oldest first.

    A correction received by ``t(superseded) + window`` replaces what it supersedes, of several the
    highest revision; one that came later replaces nothing and is no evidence itself, but it was an
    upload all the same (``as_uploads``).
    """
    now = corrections.now
    known = [item for item in case.evidence.values() if item.r <= now]
    revised = [item for item in known if item.supersedes is not None]
    if revised or case.replaced:
        hidden, stored_only = _superseded(case, known, revised, corrections)
        out = hidden if as_uploads else hidden | stored_only
        known = [item for item in known if item.id not in out]
    known.sort(key=newest_first)
    return known


def _superseded(
    case: CaseFile, known: list[Evidence], revised: list[Evidence], corrections: Corrections
) -> tuple[set[str], set[str]]:
    """Ids of the evidence that a correction replaced, and of corrections that replace nothing.

    Of a superseded event never kept here or elsewhere the correction's own time is taken.
    """
    by_id = {item.id: item for item in known}
    hidden: set[str] = set()
    for item_id, received_at in case.replaced.items():
        original = by_id.get(item_id)
        if (
            original is not None
            and received_at <= corrections.now
            and _admitted(corrections, item_id, original.t, received_at)
        ):
            hidden.add(item_id)
    stored_only: set[str] = set()
    successor: dict[str, str] = {}
    for item in sorted(revised, key=lambda e: (e.revision, e.r, e.id)):
        target_id = str(item.supersedes)
        original = by_id.get(target_id)
        occurred, told = case.targets.get(target_id, (item.t, 0))
        if original is not None or told > corrections.now:
            occurred = item.t if original is None else original.t
        in_time = _admitted(corrections, target_id, occurred, item.r)
        if target_id in stored_only or not in_time:
            stored_only.add(item.id)
            continue
        hidden.add(target_id)
        if target_id in successor:
            hidden.add(successor[target_id])
        successor[target_id] = item.id
    return hidden, stored_only


def _admitted(corrections: Corrections, target_id: str, occurred: int, received_at: int) -> bool:
    """Whether a correction replaces its target; notes what judging must know about it."""
    in_time = received_at <= occurred + corrections.window
    if not in_time:
        corrections.late.add(target_id)
    elif received_at == corrections.now:
        corrections.applied_now = True
    return in_time or corrections.honour_late


def encode(case: CaseFile) -> bytes:
    """The stored form of a case file (MessagePack, positional)."""
    return msgspec.msgpack.encode(case)


def decode(kind: type[CaseFile], data: bytes) -> Any:
    """Read a stored case file of a kind; raises ``msgspec.DecodeError`` for anything else."""
    return msgspec.msgpack.decode(data, type=kind)
