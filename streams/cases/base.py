"""The case file: evidence about one subject, in whatever order it came.

Evidence is kept by ``event_id``; a second copy changes nothing and of two receipts the first
counts (D37). What a case file shows at an instant is computed by ``effective``: everything received
by then, with corrections applied that came within their window (RULES 1.6.5, D38).
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.events import ANY, Evidence, mask_of, newest_last
from streams.findings import Finding

FOREVER = 1 << 62
Name = tuple[str, str, str]
"""Institution, kind and id of a case file."""
Span = tuple[int, int]
"""The first and the last instant of a time."""
_NOTHING: frozenset[str] = frozenset()
_NEVER: frozenset[int] = frozenset()


class CaseFile(msgspec.Struct, array_like=True):
    """Evidence, the findings drawn from it, and where judging stands.

    ``settled`` is the last instant judged; ``pending`` holds receipts not judged yet with the types
    of what was received (``mask_of``), and ``wakes`` by rule the next instant at which its verdict
    may change without new evidence. ``replaced`` gives the receipt of a correction that lies in
    another case file, ``targets`` the occurrence and the receipt of a superseded event that does.
    ``watches`` names what the verdicts rest on beyond this case file, with the span of occurrence
    that matters. ``retired`` holds published findings by id while a case file is judged anew from
    its start. ``told`` remembers the facts given to other case files. ``began`` is the first
    receipt that concerned a case file without evidence of its own. ``applied`` is the last log
    offset all of whose consequences are in here: a crash may leave some case files newer than
    others, and records that come again change only those that lack them.
    """

    evidence: dict[str, Evidence] = {}
    findings: list[Finding] = []
    wakes: dict[str, int] = {}
    settled: int = 0
    pending: dict[int, int] = {}
    replaced: dict[str, int] = {}
    targets: dict[str, tuple[int, int]] = {}
    watches: dict[str, tuple[int, int]] = {}
    retired: dict[str, Finding] = {}
    applied: int = -1
    told: dict[str, Any] = {}
    began: int = FOREVER

    def fold(self, item: Evidence) -> bool:
        """Take evidence in; False when this changes nothing."""
        known = self.evidence.get(item.id)
        if known is not None and _rank(known) <= _rank(item):
            return False
        self.evidence[item.id] = item
        return True

    def restart(self) -> None:
        """Forget what was judged, so that it is judged anew at every receipt, in their order.

        What it looks up elsewhere asks for the receipts that matter there by itself. When it comes
        to the instants at which it told others something last, it tells them again.
        """
        self.retired |= {finding.id: finding for finding in self.findings}
        self.findings = []
        self.settled = 0
        self.wakes.clear()
        receipts = self.receipts() | ({self.began} if self.began != FOREVER else set())
        for key, was in self.told.items():
            self.told[key] = {**was, "body": None, "again": was["at"]}
            receipts.add(was["at"])
        self.pending = dict.fromkeys((*receipts, *self.pending), ANY)

    def receipts(self) -> set[int]:
        """Every receipt at which the evidence in force may change, judged or not."""
        told = (received_at for _, received_at in self.targets.values())
        return {*(i.r for i in self.evidence.values()), *self.replaced.values(), *told}

    @property
    def wake(self) -> int:
        """The next instant at which a verdict may change without new evidence (0: never)."""
        return min(self.wakes.values(), default=0)

    @property
    def next_due(self) -> int:
        """The next instant to be judged; ``FOREVER`` if there is none."""
        return _next_due(self.pending, self.wakes)

    def touch(self, received_at: int, mask: int = ANY) -> bool:
        """Note a receipt that this case file must be judged at; False where it was known."""
        known = self.pending.get(received_at)
        self.pending[received_at] = mask if known is None else known | mask
        return known is None


class Glance(msgspec.Struct, array_like=True):
    """What taking up the work needs of a stored case file; the rest is passed over undecoded."""

    evidence: msgspec.Raw
    findings: msgspec.Raw
    wakes: dict[str, int]
    settled: int
    pending: dict[int, int]
    replaced: msgspec.Raw
    targets: msgspec.Raw
    watches: dict[str, tuple[int, int]]
    retired: msgspec.Raw
    applied: int

    @property
    def next_due(self) -> int:
        """The next instant to be judged; ``FOREVER`` if there is none."""
        return _next_due(self.pending, self.wakes)


def _next_due(pending: dict[int, int], wakes: dict[str, int]) -> int:
    due = min(pending) if pending else FOREVER
    woken = min(wakes.values()) if wakes else FOREVER
    return min(due, woken)


def _rank(item: Evidence) -> tuple[int, bytes]:
    """The first receipt wins; two receipts at one instant are told apart by content."""
    return item.r, msgspec.msgpack.encode(item)


class Effective(msgspec.Struct):
    """Evidence in force from some instant until ``until``, oldest first.

    ``late`` names what is contested by corrections that came too late; ``admitted`` are the
    receipts of corrections that took effect. ``later`` is the mask of all that was folded and will
    be received from ``until`` on. ``dossier`` is what was made of the evidence to be looked
    at, once anyone asked.
    """

    items: list[Evidence]
    late: frozenset[str]
    admitted: frozenset[int]
    until: int
    later: int = ANY
    dossier: Any = None


class Corrections(msgspec.Struct):
    """What judging learned about corrections on the way: any taking effect now, any too late."""

    now: int
    window: int
    honour_late: bool = False
    applied_now: bool = False
    late: set[str] = set()

    def note(self, view: Effective) -> None:
        """Learn what some evidence in force says about corrections."""
        if view.late:
            self.late |= view.late
        if view.admitted and self.now in view.admitted:
            self.applied_now = True


def effective(
    case: CaseFile, now: int, window: int, honour_late: bool = False, as_uploads: bool = False
) -> Effective:
    """Evidence of a case file in force at ``now``.

    A correction received by ``t(superseded) + window`` replaces what it supersedes, of several the
    highest revision; one that came later replaces nothing and is no evidence itself, but it was an
    upload all the same (``as_uploads``).
    """
    known: list[Evidence] = []
    until, later = FOREVER, 0
    corrected = bool(case.replaced or case.targets)
    for item in case.evidence.values():
        received_at = item.r
        if received_at <= now:
            known.append(item)
            if item.supersedes is not None:
                corrected = True
        else:
            if received_at < until:
                until = received_at
            later |= ANY if item.supersedes is not None else mask_of(item.type)
    if not corrected:
        known.sort(key=newest_last)
        return Effective(known, _NOTHING, _NEVER, until, later)
    late: set[str] = set()
    admitted: set[int] = set()
    until = min((r for r in case.receipts() if r > now), default=FOREVER)
    trial = _Trial(now, window, honour_late, late, admitted)
    hidden, stored_only = _superseded(case, known, trial)
    out = hidden if as_uploads else hidden | stored_only
    known = [item for item in known if item.id not in out]
    known.sort(key=newest_last)
    return Effective(known, frozenset(late), frozenset(admitted), until)


class _Trial(msgspec.Struct):
    now: int
    window: int
    honour_late: bool
    late: set[str]
    admitted: set[int]

    def admits(self, target_id: str, occurred: int, received_at: int) -> bool:
        """Whether a correction replaces its target; notes what judging must know about it."""
        in_time = received_at <= occurred + self.window
        if in_time:
            self.admitted.add(received_at)
        else:
            self.late.add(target_id)
        return in_time or self.honour_late


def _superseded(case: CaseFile, known: list[Evidence], trial: _Trial) -> tuple[set[str], set[str]]:
    """Ids of the evidence that a correction replaced, and of corrections that replace nothing.

    Of a superseded event never kept here or elsewhere the correction's own time is taken.
    """
    by_id = {item.id: item for item in known}
    hidden: set[str] = set()
    for item_id, received_at in case.replaced.items():
        original = by_id.get(item_id)
        if (
            original is not None
            and received_at <= trial.now
            and trial.admits(item_id, original.t, received_at)
        ):
            hidden.add(item_id)
    stored_only: set[str] = set()
    successor: dict[str, str] = {}
    revised = [item for item in known if item.supersedes is not None]
    for item in sorted(revised, key=lambda e: (e.revision, e.r, e.id)):
        target_id = str(item.supersedes)
        original = by_id.get(target_id)
        occurred, told = case.targets.get(target_id, (item.t, 0))
        if original is not None or told > trial.now:
            occurred = item.t if original is None else original.t
        in_time = trial.admits(target_id, occurred, item.r)
        if target_id in stored_only or not in_time:
            stored_only.add(item.id)
            continue
        hidden.add(target_id)
        if target_id in successor:
            hidden.add(successor[target_id])
        successor[target_id] = item.id
    return hidden, stored_only


def encode(case: CaseFile) -> bytes:
    """The stored form of a case file (MessagePack, positional)."""
    return msgspec.msgpack.encode(case)


def decode(kind: type[CaseFile], data: bytes) -> Any:
    """Read a stored case file of a kind; raises ``msgspec.DecodeError`` for anything else."""
    return msgspec.msgpack.decode(data, type=kind)


_GLANCE = msgspec.msgpack.Decoder(Glance)


def glance(data: bytes) -> Glance:
    """Read of a stored case file of any kind where judging stands; raises as ``decode`` does."""
    return _GLANCE.decode(data)
