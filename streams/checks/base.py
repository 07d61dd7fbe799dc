"""What a rule is, and what it may ask while judging.

A rule is a pure function of a case view and a ``Context``: no I/O, no wall clock. It yields a
``Verdict`` for each violation it holds at the instant, and says through the context when its
answer may change without new evidence (``wake``) and whose evidence it waits for (``watch``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.cases.ledger import Ledger
from streams.events import Evidence
from streams.findings import Finding, State, Verdict
from streams.rulebook import Rulebook, RuleSettings


class Records(Protocol):
    """What a rule may look up beyond its own case file, as received by the instant judged."""

    @property
    def ledger(self) -> Ledger: ...

    def logins(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        """Passed real-name checks of a person in ``[start, end]``, any phase."""
        ...

    def enrolments(self, staff_id: str) -> list[Evidence]:
        """The earliest passed real-name checks of a person, any phase."""
        ...


@dataclass(slots=True)
class Context:
    """One rule judging one case file at one instant under one rulebook.

    ``since`` bounds what was judged: findings that began earlier are left as they are.
    """

    now: int
    book: Rulebook
    settings: RuleSettings
    records: Records
    findings: list[Finding] = field(default_factory=list)
    next_wake: int = 0
    watches: set[str] = field(default_factory=set)
    since: int = 0

    def wake(self, instant: int) -> None:
        """Judge again at ``instant`` even if nothing more is received."""
        if instant > self.now and (not self.next_wake or instant < self.next_wake):
            self.next_wake = instant

    def watch(self, name: str) -> None:
        """Judge again when evidence of that name (``enrolment/<staff>``) is received."""
        self.watches.add(name)

    def ripen(self, suspected_at: int, confirmed_at: int) -> State | None:
        """The state that an absence has reached now; asks to be woken for the next one."""
        if self.now >= confirmed_at:
            return State.CONFIRMED
        if self.now >= suspected_at:
            self.wake(confirmed_at)
            return State.SUSPECTED
        self.wake(min(suspected_at, confirmed_at))
        return None

    def clinical_absence(self, due: int, trigger: int) -> State | None:
        """The state of a missing clinical act due by ``due``, known missing since ``trigger``.

        Source: RULES 1.6.2. Both are instants, of occurrence and of receipt.
        """
        times = self.book.deadlines
        confirmed = max(times.clinical_confirmed(due), trigger + times.wait)
        return self.ripen(max(due, trigger) + times.wait, confirmed)


Judge = Callable[[Any, Context], Iterable[Verdict]]


@dataclass(frozen=True)
class Rule:
    """A rule of the catalogue.

    ``subject`` names the case file it judges and ``reads`` the evidence it needs from it: event
    type to payload fields. ``misses`` says (zh, en) what the rule cannot see.
    """

    id: str
    subject: str
    reads: Mapping[str, tuple[str, ...]]
    judge: Judge
    misses: tuple[str, str]
