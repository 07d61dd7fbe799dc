"""Pharmacists on duty by day, kept until evidence about a day changes (PHA-01)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.cases.base import FOREVER, Corrections
from streams.cases.roster import KEPT_AS, Roster, Shortfall, is_live, shortfall
from streams.cases.shelf import Shelf
from streams.events import Evidence, newest_last
from streams.intervals import IntervalSet, clip, intersect, subtract, union
from streams.records import InstitutionRecords
from streams.reference import ReferenceData
from streams.rulebook import OWN_DOCTORS, Rulebook
from streams.timeline import DAY, HOUR, day_of, end_of_day, start_of_day

Applied = Callable[[str | None, int], Rulebook]
"""Which rulebook judges an act of an institution of a form on a day (RULES 1.2)."""

_FARTHEST_DAYS = 400
_KEPT_DAYS = 1_000
"""How many days of a hospital are kept before all are computed anew."""


@dataclass(frozen=True, slots=True)
class _Day:
    gaps: IntervalSet
    certain: IntervalSet
    sources: list[tuple[int, int, int]]
    until: int


class RosterDays:
    """Shortfalls of pharmacists on duty by day, computed once per change of their evidence.

    ``window`` is how long after its occurrence an event may be corrected, in ms.
    """

    def __init__(
        self, institution_id: str, window: int, shelf: Shelf, reference: ReferenceData
    ) -> None:
        self._institution_id = institution_id
        self._window = window
        self._shelf = shelf
        self._reference = reference
        self._days: dict[tuple[str, int], tuple[int, _Day]] = {}
        self._books: set[str] = set()
        self._declared: dict[int, list[tuple[int, int]]] = {}
        self._outlying: set[str] | None = None
        self._filed: tuple[int, int] = (0, 0)

    def clear(self) -> None:
        """Forget every day: a filing may change any of them."""
        self._filed = (0, 0)
        self._days.clear()
        self._declared.clear()
        self._outlying = None

    def changed(self, start: int, end: int) -> None:
        """Forget the days of ``[start, end]``: evidence came that may change them."""
        for day in range(day_of(start), day_of(end) + 1):
            for book in self._books:
                self._days.pop((book, day), None)

    def reaches_beyond(self, session_id: str, now: int) -> tuple[int, int] | None:
        """The bounds of a voice or video session that makes more than declared hours business time.

        Such a session is remembered. None for one inside declared hours, or not known from its
        opening to its closing. A corrected one always counts, whichever version will be in force.
        """
        case = self._shelf.find((self._institution_id, "session", session_id))
        items = case.evidence.values() if case is not None else ()
        times = [item.t for item in items if item.type in ("SessionOpened", "SessionClosed")]
        openings = [item for item in items if item.type == "SessionOpened"]
        if not openings or len(times) == len(openings) or not any(map(is_live, openings)):
            return None
        start, end = min(times), max(times)
        revised = len(times) > 2
        declared = () if revised else self._declared_on(day_of(start), now)
        if any(opens <= start and end <= closes for opens, closes in declared):
            return None
        if self._outlying is not None:
            self._outlying.add(session_id)
        return start, end

    def _declared_on(self, day: int, now: int) -> list[tuple[int, int]]:
        if day not in self._declared:
            corrections = Corrections(now, self._window)
            records = InstitutionRecords(
                self._institution_id, self._shelf, corrections, self._reference
            )
            hours = records.ledger.business_hours(start_of_day(day), end_of_day(day))
            self._declared[day] = [(opens, closes) for opens, closes, _ in hours]
        return self._declared[day]

    def _sessions(self, now: int) -> set[str]:
        """Ids of the voice and video sessions that reach beyond declared hours."""
        if self._outlying is None:
            self._outlying = set()
            for session_id in self._shelf.ids(self._institution_id, "session"):
                self.reaches_beyond(session_id, now)
        return self._outlying

    def judged(
        self, records: InstitutionRecords, book: Rulebook, applied: Applied, first: int
    ) -> Shortfall:
        """The shortfall from day ``first``, or earlier where a gap reaches back, until two days
        after now. Where hours are declared it is asked for again then, so that a hospital that
        falls silent over a holiday is found all the same.
        """
        self._follow(records.now)
        last = day_of(records.now) + 2
        days = [self._day(day, records, book, applied) for day in range(first, last + 1)]
        while days[0].gaps and days[0].gaps[0][0] == start_of_day(first):
            if day_of(records.now) - first > _FARTHEST_DAYS:
                break
            first -= 1
            days.insert(0, self._day(first, records, book, applied))
        gaps = union(pair for day in days for pair in day.gaps)
        certain = union(pair for day in days for pair in day.certain)
        sources = [source for day in days for source in day.sources]
        declared = records.evidence("ledger", "hours")
        for entity in ("institution", "stops", "documents"):
            records.evidence("ledger", entity)  # which notes corrections that came too late
        horizon = start_of_day(last) if declared else None
        return Shortfall(gaps, certain, sources, _Duty(records).near, start_of_day(first), horizon)

    def _follow(self, now: int) -> None:
        """Forget every day also when a filing is received that was folded before."""
        since, until = self._filed
        if since <= now < until:
            return
        self.clear()
        since, until = 0, FOREVER
        for entity in self._shelf.ids(self._institution_id, "ledger"):
            case = self._shelf.find((self._institution_id, "ledger", entity))
            for received_at in case.receipts() if case is not None else ():
                if received_at <= now:
                    since = max(since, received_at)
                else:
                    until = min(until, received_at)
        self._filed = (since, until)

    def _day(self, day: int, records: InstitutionRecords, book: Rulebook, applied: Applied) -> _Day:
        if records.on_trial:
            return self._compute(day, records, book, applied)
        known = self._days.get((book.name, day))
        if known is not None and known[0] <= records.now < known[1].until:
            return known[1]
        before, records.until = records.until, FOREVER
        computed = self._compute(day, records, book, applied)
        self._books.add(book.name)
        if len(self._days) >= _KEPT_DAYS:
            self._days.clear()
        self._days[(book.name, day)] = records.now, computed
        records.until = min(before, records.until)
        return computed

    def _compute(
        self, day: int, records: InstitutionRecords, book: Rulebook, applied: Applied
    ) -> _Day:
        start, end = start_of_day(day), end_of_day(day)
        ruled = [(start, end)] if applied(None, day) is book else []
        own_doctors = records.ledger.spans(OWN_DOCTORS)
        if applied(OWN_DOCTORS, day) is book:
            ruled = union([*ruled, *clip(own_doctors, start, end)])
        else:
            ruled = subtract(ruled, own_doctors)
        if not ruled:
            return _Day([], [], [], records.until)
        file = Roster(
            self._institution_id,
            book,
            records.ledger,
            records.duty,
            [records.session(session_id) for session_id in sorted(self._sessions(records.now))],
        )
        business, sources = file.business(start, end)
        business = subtract(intersect(business, ruled), file.stops())
        if not business:
            return _Day([], [], sources, records.until)
        present, possible = [], []
        for staff_id, seen in sorted(file.presence(start, end).items()):
            sure, maybe = file.eligible(staff_id, start, end)
            present.append(intersect(seen, sure))
            possible.append(intersect(seen, maybe))
        needed = book.rules["PHA-01"].count("min_on_duty")
        gaps, certain = shortfall(business, present, possible, needed)
        return _Day(gaps, certain, sources, records.until)


class _Duty:
    """Duty evidence around an interval, for showing it with a finding."""

    def __init__(self, records: InstitutionRecords) -> None:
        self._records = records

    def near(self, start: int, end: int) -> list[Evidence]:
        margin = 2 * HOUR
        until = min(end + margin, start + DAY)
        hours = range((start - margin) // HOUR, until // HOUR + 1)
        found = (
            item
            for hour in hours
            for kind in KEPT_AS.values()
            for item in self._records.evidence(kind, str(hour))
        )
        return sorted(found, key=newest_last)
