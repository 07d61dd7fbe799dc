"""What rules about filings share: which acts are judged, and how long a filing stays wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import REMOTE_MEDICINE
from streams.checks.base import Context
from streams.events import Evidence
from streams.findings import State, Verdict

SECOND_NAME = "SECOND_NAME_INTERNET_HOSPITAL"
INDEPENDENT = "INDEPENDENT_INTERNET_HOSPITAL"
INTERNET_HOSPITALS = frozenset({SECOND_NAME, INDEPENDENT})
CANCELLED = "CANCELLED"
STRUCK_OFF = frozenset({"CANCELLED", "REVOKED", "SUSPENDED"})
"""What the register says of persons who must not practise."""


def in_scope(act: Evidence, ctx: Context) -> bool:
    """Whether an act is judged at all: telemedicine is not, but in Yinchuan's own text (1.2)."""
    if ctx.book.name == "yinchuan" and not ctx.book.overlay:
        return True
    if act.type == "SessionOpened":
        return bool(act["service_kind"] != REMOTE_MEDICINE)
    opened = ctx.records.opening(act["session_id"])
    return opened is None or opened["service_kind"] != REMOTE_MEDICINE


class Wrong(NamedTuple):
    """Filings in succession that are all wrong in one respect, until ``end`` (``FOREVER``: still).

    ``hard`` is whether one of them says so itself, rather than leaving something out.
    """

    filings: list[Evidence]
    end: int
    hard: bool

    @property
    def first(self) -> Evidence:
        return self.filings[0]


def wrong_filings(
    filings: Iterable[Evidence], wrong: Callable[[Evidence], bool | None]
) -> list[Wrong]:
    """Stretches of wrong filings; ``wrong`` gives None for a conforming one, else whether hard."""
    found: list[Wrong] = []
    current: list[Evidence] = []
    hard = False
    ordered = list(filings)
    for filing, following in zip(ordered, [*ordered[1:], None], strict=False):
        if following is not None and following.t == filing.t:
            continue
        verdict = wrong(filing)
        if verdict is not None:
            current.append(filing)
            hard = hard or verdict
        elif current:
            found.append(Wrong(current, filing.t, hard))
            current, hard = [], False
    return [*found, Wrong(current, FOREVER, hard)] if current else found


def ended(state: State, end: int, ctx: Context) -> State:
    """A state as it is once the violation has ended; asks to be woken for that."""
    if end > ctx.now:
        if end < FOREVER:
            ctx.wake(end)
        return state
    return State.RESOLVED if state is State.CONFIRMED else state


_RANK = {State.CONFIRMED: 3, State.RESOLVED: 2, State.SUSPECTED: 1}


def weightiest(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Of the verdicts about one subject the one that lasts, else one that ended; the latest."""
    best: Verdict | None = None
    for verdict in verdicts:
        if best is None or _RANK[verdict.state] >= _RANK[best.state]:
            best = verdict
    if best is not None:
        yield best


def ending(end: int) -> int | None:
    return None if end >= FOREVER else end
