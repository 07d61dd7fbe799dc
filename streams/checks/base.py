"""What a rule is, and what it may ask while judging.

A rule is a pure function of a case view and a ``Context``: no I/O, no wall clock. It yields a
``Verdict`` for each violation it holds at the instant. Everything it looks up beyond its own case
file goes through ``Context.records``, which notes what the answer rests on: whatever can change it
later has the rule judge again, so no rule has to say whom it waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from streams.cases.session import Session
from streams.events import Evidence
from streams.findings import Finding, State, Verdict
from streams.rulebook import Rulebook, RuleSettings
from streams.timeline import end_of_day

if TYPE_CHECKING:
    from streams.records import InstitutionRecords
    from streams.reference import ReferenceData


class Context(msgspec.Struct):
    """One rule judging one case file at one instant under one rulebook.

    ``since`` bounds what was judged: findings that began earlier are left as they are. ``findings``
    are those that this rule has drawn from this case file so far.
    """

    now: int
    book: Rulebook
    settings: RuleSettings
    records: InstitutionRecords
    findings: list[Finding] = []
    next_wake: int = 0
    since: int = 0

    @property
    def reference(self) -> ReferenceData:
        """Lists decided by the authority: drugs, departments, diagnoses, working days."""
        return self.records.reference

    def on(self, clause: str) -> bool:
        """Whether the rulebook judges this clause of the rule."""
        return self.settings.judges(clause)

    def wake(self, instant: int) -> None:
        """Judge again at ``instant`` even if nothing more is received."""
        if instant > self.now and (not self.next_wake or instant < self.next_wake):
            self.next_wake = instant

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

    def filing_absence(self, due: int, trigger: int) -> State | None:
        """The state of a filed state needed at the instant ``due`` and not known (RULES 1.6.2)."""
        times = self.book.deadlines
        confirmed = max(times.filing_confirmed(due), trigger + times.wait)
        return self.ripen(max(due, trigger) + times.wait, confirmed)

    def filing_absence_on(self, day: int, trigger: int) -> State | None:
        """The same for a deadline that is a whole Shanghai day."""
        times = self.book.deadlines
        confirmed = max(times.filing_deadline(day) + times.grace, trigger + times.wait)
        return self.ripen(max(end_of_day(day), trigger) + times.wait, confirmed)


def about_session(
    session: Session,
    state: State,
    clause: str | None,
    start: int,
    shown: Iterable[Evidence],
    facts: Mapping[str, str] | None = None,
    *,
    end: int | None = None,
    due: int | None = None,
) -> Verdict:
    """A verdict whose subject is a session, shown by some evidence (each piece once)."""
    return Verdict(
        "session",
        session.id,
        state,
        clause,
        start=start,
        end=end,
        evidence=tuple(dict.fromkeys(item.id for item in shown)),
        facts=dict(facts or {}),
        due=due,
    )


Judge = Callable[[Any, Context], Iterable[Verdict]]


class Resolution(StrEnum):
    """How an established violation ends (RULES 1.6.6)."""

    AUTO = "AUTO"
    ADMIN = "ADMIN"


@dataclass(frozen=True)
class Rule:
    """A rule of the catalogue.

    ``judges`` gives, for each kind of case file that it judges, how. ``reads`` names every type of
    event the verdicts may rest on, wherever it is kept, with the payload fields needed; evidence of
    other types never has the rule judge again. ``reads_of`` names fewer for kinds of case file that
    only those can matter to, and ``reads_at_rest`` fewer still for those that are at rest: what
    they are about was created by an event that nothing corrects, and nothing was ever found.
    ``auto`` lists the clauses that end by themselves when the condition has ended (with None for a
    rule without clauses; ``ALL`` for all); the others stay until a rectification answers a notice.
    What the rule cannot see is in the texts (``rule.<id>.misses``).

    What decides whether a case file is in scope, and by which rulebook it is judged, no rule has to
    name: a filing of the institution or an opening of a session that may change it calls them all.
    """

    id: str
    reads: Mapping[str, tuple[str, ...]]
    judges: Mapping[str, Judge]
    auto: Container[str | None] = frozenset()
    reads_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads_at_rest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def resolution(self, clause: str | None) -> Resolution:
        """How a finding of the clause is resolved."""
        return Resolution.AUTO if clause in self.auto else Resolution.ADMIN


class _All:
    def __contains__(self, clause: object) -> bool:
        return True


ALL: Container[str | None] = _All()
"""As ``Rule.auto``: every clause ends by itself."""


class Fact(msgspec.Struct, frozen=True):
    """What a case file tells others: kept as evidence under ``place`` (``records.facts``).

    ``source`` names who tells it, ``t`` when it occurred. A fact told anew replaces the one that
    the same source told before; one told no more is taken back. ``begins`` is the case file (kind
    and id) to be judged by it. A ``shared`` fact leaves the institution: it meets those of other
    institutions.
    """

    place: str
    source: str
    t: int
    body: Mapping[str, Any]
    begins: tuple[str, str]
    shared: bool = False


Tell = Callable[[Any, Context], Iterable[Fact]]


@dataclass(frozen=True)
class Teller:
    """Draws facts from the case files of a kind; ``reads`` as for a rule, ``rules`` want them."""

    id: str
    kind: str
    reads: Mapping[str, tuple[str, ...]]
    tell: Tell
    rules: frozenset[str]
