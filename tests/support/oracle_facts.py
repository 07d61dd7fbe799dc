"""What the oracle judges from: facts, the clock of one step, and the views all rules share.

The reading of the rules is in `tests.support.oracle_rules`, the life cycle of findings in
`tests.support.oracle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.catalogue import UploadClass, upload_class
from streams.events import Event
from streams.rulebook import Library, Rulebook, RuleSettings
from streams.timeline import day_of

NEVER = 1 << 60
SUSPECTED, CONFIRMED, CLEARED = "SUSPECTED", "CONFIRMED", "CLEARED"
WITHDRAWN, RESOLVED = "WITHDRAWN", "RESOLVED"
STANDING = (SUSPECTED, CONFIRMED, RESOLVED)
WAITING = "WAITING"
"""Held, but too early to be suspected: it raises no finding, but is no proof of innocence."""
EXEMPT = ("CANCELLED", "TIMED_OUT")


@dataclass(frozen=True)
class Verdict:
    """What a rule holds of a subject at an instant; the subject of PHA-01 is a gap, `(a, b)`."""

    rule: str
    clause: str | None
    subject: str | tuple[int, int]
    state: str
    start: int | None = None
    end: int | None = None


class Fact:
    """One event as the rules speak of it: `t` occurred, `r` received."""

    def __init__(self, event: Event) -> None:
        self.body: Mapping[str, Any] = event.body
        self.r = event.received_at
        self.place = event.offset
        self.id, self.type, self.t = event.id, event.type, event.occurred_at
        self.revision = int(event.body["revision"])
        self.supersedes: str | None = event.body["supersedes_event_id"]

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of two states effective at one instant the later version holds, then the larger id."""
        return self.t, self.revision, self.id


class Now:
    """The clock of one step; remembers with which later instants it was compared."""

    def __init__(self, instant: int) -> None:
        self.instant = instant
        self.later: set[int] = set()

    def reached(self, deadline: int) -> bool:
        if deadline > self.instant:
            self.later.add(deadline)
        return deadline <= self.instant


class Evaluation:
    """A set of known events at one instant, as every rule looks at it."""

    def __init__(self, known: list[Fact], library: Library, candidate: str, now: Now) -> None:
        self.all = known
        self.library = library
        self.candidate = candidate
        self.now = now
        self.facts = sorted(in_force(known, library.books[candidate]), key=lambda f: f.rank)
        self.limits = library.books[candidate].deadlines

    def of(self, *types: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.type in types]

    def book(self, instant: int) -> Rulebook:
        """The rulebook for an act at this instant (1.2, D1)."""
        filed = self.of("InstitutionFiled")
        # Before its first filing an institution is taken to have had the form of that one.
        forms = [f["institution_form"] for f in filed[:1] + [f for f in filed if f.t <= instant]]
        book = self.library.books[self.candidate]
        own_doctors = bool(forms) and forms[-1] == "OWN_DOCTOR_SERVICE"
        if own_doctors and self.candidate in ("chongqing", "yinchuan"):
            return self.library.books["national"]
        return book if book.in_effect(day_of(instant)) else self.library.books["national"]

    def absence(self, due: int, trigger: int) -> str | None:
        """Absence of a clinical event due by an instant (1.6.2)."""
        limits = self.limits
        if self.now.reached(max(due + limits.clinical + limits.grace, trigger + limits.wait)):
            return CONFIRMED
        return SUSPECTED if self.now.reached(max(due, trigger) + limits.wait) else None


def in_force(known: list[Fact], book: Rulebook) -> list[Fact]:
    replaced, ignored = corrected(known, book)
    return [fact for fact in known if fact.id not in replaced | ignored]


def corrected(known: list[Fact], book: Rulebook) -> tuple[set[str], set[str]]:
    """Ids of replaced events, and of late corrections, which replace nothing (1.6.5, D38).

    Of an original that is not known the correction's own time is taken. Of several corrections of
    one event the highest revision holds; one of a late correction replaces nothing either.
    """
    by_id = {fact.id: fact for fact in known}
    replaced: set[str] = set()
    ignored: set[str] = set()
    latest: dict[str, str] = {}
    for fact in sorted(known, key=lambda f: (f.revision, f.r, f.id)):
        if fact.supersedes is None:
            continue
        original = by_id.get(fact.supersedes, fact)
        if original.id in ignored or fact.r > original.t + book.deadlines.correction:
            ignored.add(fact.id)
            continue
        replaced |= {fact.supersedes, latest.get(fact.supersedes, fact.supersedes)}
        latest[fact.supersedes] = fact.id
    return replaced, ignored


def out_of_scope(fact: Fact, book: Rulebook) -> bool:
    """Telemedicine between institutions is judged nowhere but under the text of Yinchuan (1.2)."""
    included = book.name == "yinchuan" and not book.overlay
    return fact.body.get("service_kind") == "REMOTE_MEDICINE" and not included


def is_late(fact: Fact, rule: RuleSettings) -> bool:
    basis = fact["recorded_at"] if fact.revision else fact.t
    return is_timed(fact) and fact.r - basis > rule.millis("max_latency")


def is_timed(fact: Fact) -> bool:
    clinical = upload_class(fact.type) is UploadClass.CLINICAL
    return clinical and fact.type != "DailyManifestPublished"


def lateness(fact: Fact, rule: RuleSettings) -> tuple[int, int]:
    basis = fact["recorded_at"] if fact.revision else fact.t
    return basis + rule.millis("max_latency"), fact.r
