"""What one institution's case files show at one instant: the views that rules are given.

Everything here answers for ``now``, an instant of receipt: evidence received later is not seen,
corrections are applied as they stood. ``RosterDays`` keeps computed days until evidence about
them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from streams.cases.base import Corrections, effective
from streams.cases.ledger import Ledger
from streams.cases.roster import Roster, is_live
from streams.cases.session import Session
from streams.cases.shelf import Shelf
from streams.cases.uploads import Run, Stream
from streams.checks.pharmacists import Shortfall, shortfall
from streams.events import Evidence
from streams.intervals import IntervalSet, clip, intersect, subtract, union
from streams.rulebook import Rulebook
from streams.timeline import DAY, HOUR, day_of, end_of_day, start_of_day

Applied = Callable[[str | None, int], Rulebook]
"""Which rulebook judges an act of an institution of a form on a day (RULES 1.2)."""

OWN_DOCTORS = "OWN_DOCTOR_SERVICE"
FEED_GAP_AFTER = "reorder_wait"
_FARTHEST_DAYS = 400


class InstitutionRecords:
    """Lookups of one institution for one judging; also notes which corrections mattered."""

    def __init__(self, institution_id: str, shelf: Shelf, corrections: Corrections) -> None:
        self.institution_id = institution_id
        self.now = corrections.now
        self.on_trial = corrections.honour_late
        self.latest_receipt = 0
        self._shelf = shelf
        self._corrections = corrections
        self._entities: dict[str, list[Evidence]] = {}

    def evidence(self, kind: str, case_id: str) -> list[Evidence]:
        """Evidence of a case file in force, oldest first; none if there is no such file."""
        case = self._shelf.find((self.institution_id, kind, case_id))
        if case is None:
            return []
        self.latest_receipt = max(self.latest_receipt, *case.receipts())
        return effective(case, self._corrections)

    @cached_property
    def latest_filing(self) -> int:
        """The last receipt of any filing, whether seen at ``now`` or not."""
        latest = 0
        for entity in self._shelf.ids(self.institution_id, "ledger"):
            case = self._shelf.find((self.institution_id, "ledger", entity))
            if case is not None:
                latest = max(latest, *case.receipts())
        return latest

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self._entity)

    def _entity(self, name: str) -> list[Evidence]:
        if name not in self._entities:
            self._entities[name] = self.evidence("ledger", name)
        return self._entities[name]

    def logins(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        days = range(day_of(start), day_of(end) + 1)
        found = [item for day in days for item in self.evidence("logins", f"{staff_id}/{day}")]
        return [item for item in found if start <= item.t <= end]

    def enrolments(self, staff_id: str) -> list[Evidence]:
        return self.evidence("enrolments", staff_id)

    def session(self, session_id: str) -> Session:
        case = self._shelf.find((self.institution_id, "session", session_id))
        found = [] if case is None else effective(case, self._corrections)
        return Session(session_id, found)

    def runs(self) -> list[Run]:
        """Runs of missing numbers of all streams."""
        found: list[Run] = []
        for stream_id in sorted(self._shelf.ids(self.institution_id, "stream")):
            stream = self._shelf.find((self.institution_id, "stream", stream_id))
            if isinstance(stream, Stream):
                found += [run for run in stream.runs if run.noticed <= self.now]
        return found

    def feed_gap(self, instant: int, book: Rulebook) -> bool:
        """Whether numbers are missing around an instant of occurrence (RULES 1.6.3)."""
        settings = book.rule("UPL-03")
        if settings is None:
            return False
        wait = settings.millis(FEED_GAP_AFTER)
        return any(
            run.low <= instant <= run.high
            and run.noticed + wait <= self.now
            and run.missing(self.now) > 0
            for run in self.runs()
        )


@dataclass(frozen=True, slots=True)
class _Day:
    gaps: IntervalSet
    certain: IntervalSet
    sources: list[tuple[int, int, int]]
    latest_receipt: int


class RosterDays:
    """Shortfalls of pharmacists on duty by day, computed once per change of their evidence."""

    def __init__(self, institution_id: str, shelf: Shelf) -> None:
        self._institution_id = institution_id
        self._shelf = shelf
        self._days: dict[tuple[str, int], _Day] = {}
        self._books: set[str] = set()
        self._declared: dict[int, list[tuple[int, int]]] = {}
        self._outlying: set[str] | None = None

    def clear(self) -> None:
        """Forget every day: a filing may change any of them."""
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
            records = InstitutionRecords(self._institution_id, self._shelf, Corrections(now, 0))
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

    def _day(self, day: int, records: InstitutionRecords, book: Rulebook, applied: Applied) -> _Day:
        if records.on_trial:
            return self._compute(day, records, book, applied)
        known = self._days.get((book.name, day))
        if known is not None and known.latest_receipt <= records.now:
            return known
        before, records.latest_receipt = records.latest_receipt, 0
        computed = self._compute(day, records, book, applied)
        if computed.latest_receipt <= records.now and not self._awaits_session(day, records.now):
            self._books.add(book.name)
            self._days[(book.name, day)] = computed
        records.latest_receipt = max(before, records.latest_receipt)
        return computed

    def _awaits_session(self, day: int, now: int) -> bool:
        """Whether a session of the day has been folded that was received only after ``now``."""
        start, end = start_of_day(day), end_of_day(day)
        for session_id in self._sessions(now):
            case = self._shelf.find((self._institution_id, "session", session_id))
            if case is not None and max(case.receipts()) > now:
                times = [item.t for item in case.evidence.values()]
                if min(times) < end and max(times) > start:
                    return True
        return False

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
            return _Day([], [], [], records.latest_filing)
        file = Roster(
            self._institution_id,
            book,
            records.ledger,
            lambda hour: records.evidence("duty", str(hour)),
            [records.session(session_id) for session_id in sorted(self._sessions(records.now))],
        )
        business, sources = file.business(start, end)
        business = subtract(intersect(business, ruled), file.stops())
        if not business:
            latest = max(records.latest_receipt, records.latest_filing)
            return _Day([], [], sources, latest)
        present, possible = [], []
        for staff_id, seen in sorted(file.presence(start, end).items()):
            sure, maybe = file.eligible(staff_id, start, end)
            present.append(intersect(seen, sure))
            possible.append(intersect(seen, maybe))
        needed = book.rules["PHA-01"].count("min_on_duty")
        gaps, certain = shortfall(business, present, possible, needed)
        return _Day(gaps, certain, sources, max(records.latest_receipt, records.latest_filing))


class _Duty:
    """Duty evidence around an interval, for showing it with a finding."""

    def __init__(self, records: InstitutionRecords) -> None:
        self._records = records

    def near(self, start: int, end: int) -> list[Evidence]:
        margin = 2 * HOUR
        until = min(end + margin, start + DAY)
        hours = range((start - margin) // HOUR, until // HOUR + 1)
        return [item for hour in hours for item in self._records.evidence("duty", str(hour))]
