"""What one institution's case files show at one instant: the views that rules are given.

Everything here answers for ``now``, an instant of receipt: evidence received later is not seen,
corrections are applied as they stood. ``RosterDays`` keeps computed days until evidence about
them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streams.cases.base import FOREVER, CaseFile, Corrections, Effective, effective
from streams.cases.feeds import Manifest
from streams.cases.ledger import Ledger
from streams.cases.roster import Hour, Roster, is_live
from streams.cases.session import REMOTE_MEDICINE, Dossier, Session, dossier_of, session_of
from streams.cases.shelf import Shelf
from streams.cases.uploads import Run, Stream
from streams.checks.base import Context
from streams.checks.pharmacists import Shortfall, shortfall
from streams.events import Evidence
from streams.intervals import IntervalSet, clip, intersect, subtract, union
from streams.reference import ReferenceData
from streams.rulebook import Rulebook
from streams.timeline import DAY, HOUR, day_of, end_of_day, start_of_day

Applied = Callable[[str | None, int], Rulebook]
"""Which rulebook judges an act of an institution of a form on a day (RULES 1.2)."""

OWN_DOCTORS = "OWN_DOCTOR_SERVICE"
FEED_GAP_AFTER = "reorder_wait"
_FARTHEST_DAYS = 400


class InstitutionRecords:
    """Lookups of one institution for one judging; also notes which corrections mattered.

    While a rule judges (``asking``) every lookup is noted: what was looked up is watched by the
    rule's case file, and what was folded but not received yet has the rule judge again then.
    """

    def __init__(
        self,
        institution_id: str,
        shelf: Shelf,
        corrections: Corrections,
        reference: ReferenceData,
    ) -> None:
        self.institution_id = institution_id
        self.reference = reference
        self.now = corrections.now
        self.on_trial = corrections.honour_late
        self.until = FOREVER
        self.watched: dict[str, tuple[int, int]] = {}
        self._shelf = shelf
        self._corrections = corrections
        self._asking: Context | None = None
        self._rule = ""
        self._shown: dict[tuple[str, str], tuple[CaseFile | None, Effective | None]] = {}
        self._watched_upto: dict[tuple[str, str], int] = {}
        self._told: dict[str, list[Evidence]] = {}
        self.told_under: set[tuple[str, str]] = set()

    def asking(self, context: Context | None, rule: str = "") -> None:
        """Note the lookups that follow for a rule; for none, they are not noted."""
        self._asking, self._rule = context, rule

    def evidence(self, kind: str, case_id: str, upto: int = FOREVER) -> list[Evidence]:
        """Evidence of a case file in force, oldest first; none if there is no such file.

        ``upto`` is the last instant of occurrence that the answer can rest on.
        """
        view = self._looked_up(kind, case_id, upto)
        return [] if view is None else view.items

    def _looked_up(self, kind: str, case_id: str, upto: int = FOREVER) -> Effective | None:
        """What a case file shows, and that the answer rests on what occurred by ``upto``."""
        if self._asking is not None and upto > self._watched_upto.get((kind, case_id), -1):
            self._watched_upto[kind, case_id] = upto
            self.watch(f"{kind}/{case_id}", 0, upto)
        return self._view(kind, case_id, upto)

    def _read(self, kind: str, case_id: str, upto: int) -> list[Evidence]:
        view = self._view(kind, case_id, upto)
        return [] if view is None else view.items

    def _view(self, kind: str, case_id: str, upto: int) -> Effective | None:
        key = kind, case_id
        if key in self._shown:
            case, view = self._shown[key]
        else:
            name = (self.institution_id, kind, case_id)
            case, view = self._shelf.find(name), None
            if case is not None:
                view = self._shelf.effective(name, case, self._corrections)
            self._shown[key] = case, view
        if case is None or view is None or view.until == FOREVER:
            return view
        if self._asking is None:
            self.until = min(self.until, view.until)
        else:
            self._asking.wake(_next_receipt(case, view.until, self.now, upto))
        return view

    def watch(self, topic: str, first: int, last: int) -> None:
        """Note that the answer rests on what occurred in ``[first, last]`` of a topic."""
        known = self.watched.get(topic)
        if known is not None:
            first, last = min(first, known[0]), max(last, known[1])
        self.watched[topic] = (first, last)

    def ids(self, kind: str, prefix: str = "") -> list[str]:
        """Ids of case files of a kind that begin with ``prefix``, without it, known by now or not.

        ``prefix`` is empty or ends with a slash.
        """
        if self._asking is not None:
            self.watch(f"{kind}/{prefix}", 0, FOREVER)
        found = self._shelf.ids(self.institution_id, kind)
        return sorted(case_id[len(prefix) :] for case_id in found if case_id.startswith(prefix))

    @property
    def ledger(self) -> Ledger:
        """What the institution has filed, as known now."""
        return Ledger(self._entity, self._below)

    def _entity(self, entity: str, upto: int = FOREVER) -> list[Evidence]:
        return self.evidence("ledger", entity, upto)

    def _below(self, prefix: str) -> list[str]:
        return self.ids("ledger", f"{prefix}/")

    def logins(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        """Passed real-name checks of a person in ``[start, end]``, any phase."""
        days = range(day_of(start), day_of(end) + 1)
        found = [i for day in days for i in self.evidence("logins", f"{staff_id}/{day}", end)]
        return [item for item in found if start <= item.t <= end]

    def enrolments(self, staff_id: str, upto: int = FOREVER) -> list[Evidence]:
        """The earliest passed real-name checks of a person, any phase."""
        return self.evidence("enrolments", staff_id, upto)

    def session(self, session_id: str) -> Session:
        """A session as known now; empty (``opened`` None) if nothing of it was received."""
        view = self._looked_up("session", session_id)
        return Session(session_id, ()) if view is None else session_of(session_id, view)

    def dossier(self, kind: str, case_id: str) -> Dossier:
        """Any other case file with evidence: ``prescription``, ``record``, ``patient`` ..."""
        view = self._looked_up(kind, case_id)
        return Dossier(case_id, ()) if view is None else dossier_of(case_id, view)

    def acts(self, start: int, end: int, followed: bool = True) -> list[Evidence]:
        """Openings, prescriptions and reviews that occurred in ``[start, end)``, oldest first.

        Those not ``followed`` are read as they stand, and do not have the rule judge again.
        """
        asking = self._asking
        if asking is not None and followed:
            self.watch(f"acts/#{self._rule}", start, end - 1)
        hours = range(start // HOUR, (end - 1) // HOUR + 1) if start < end else range(0)
        known = self._shelf.ids(self.institution_id, "acts")
        if len(hours) > len(known):
            chosen = sorted(int(hour) for hour in known if int(hour) in hours)
        else:
            chosen = [hour for hour in hours if str(hour) in known]
        self._asking = asking if followed else None
        found = [item for hour in chosen for item in self._read("acts", str(hour), FOREVER)]
        self._asking = asking
        return [item for item in found if start <= item.t < end]

    def first_session(self, before: int | None) -> Evidence | None:
        """The earliest opening in scope (RULES 1.2), or the earliest that occurred before an
        instant; acts after it do not have the rule judge again.
        """
        end = FOREVER if before is None else before
        found = next((act for act in self._openings(end) if act.t < end), None)
        if self._asking is not None:
            self.watch(f"acts/#{self._rule}", 0, end - 1 if found is None else found.t)
        return found

    def _openings(self, end: int) -> Iterator[Evidence]:
        """Openings in scope of the hours that begin before an instant, oldest first."""
        for hour in sorted(int(hour) for hour in self._shelf.ids(self.institution_id, "acts")):
            if hour * HOUR >= end:
                return
            for act in self._read("acts", str(hour), end - 1):
                if act.type == "SessionOpened" and act["service_kind"] != REMOTE_MEDICINE:
                    yield act

    def acts_of(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        """Those of one person, as doctor, assistant, prescriber or reviewer."""
        if self._asking is not None:
            self.watch(f"acts-of/{staff_id}/", start, end - 1)
        known = self._shelf.ids(self.institution_id, "acts-of")
        days = range(day_of(start), day_of(end - 1) + 1) if start < end else range(0)
        if len(days) > len(known):
            head = f"{staff_id}/"
            mine = (int(i[len(head) :]) for i in known if i.startswith(head))
            chosen = sorted(day for day in mine if day in days)
        else:
            chosen = [day for day in days if f"{staff_id}/{day}" in known]
        read = (self._read("acts-of", f"{staff_id}/{day}", FOREVER) for day in chosen)
        return [item for items in read for item in items if start <= item.t < end]

    def shifts(self, staff_id: str, instant: int, upto: int = FOREVER) -> list[Evidence]:
        """Review-duty events of a person from two days before an instant until a day after."""
        days = range(day_of(instant) - 2, day_of(instant) + 2)
        return [i for day in days for i in self.evidence("shifts", f"{staff_id}/{day}", upto)]

    def facts(self, place: str) -> list[Evidence]:
        """What other case files tell now under a place: the last version of each source."""
        items = self.evidence("told", place)
        found = self._told.get(place)
        if found is None:
            found = self._told[place] = self._last_told(items)
        return found

    def _last_told(self, items: list[Evidence]) -> list[Evidence]:
        last: dict[str, Evidence] = {}
        for item in items:
            source = item.id.rpartition("\x1f")[0]
            known = last.get(source)
            if known is None or known.r <= item.r:
                last[source] = item
        found = sorted((i for i in last.values() if i.body), key=lambda i: (i.t, i.id))
        if not self.institution_id:  # shared by several institutions
            self.told_under |= {
                (str(i.get("institution_id")), str(i.get("rulebook"))) for i in found
            }
            if any(i.get("corrected_at") == self.now for i in found):
                self._corrections.applied_now = True
        return found

    def rectified(self, finding_id: str) -> bool:
        """Whether a completed rectification answers a notice that names the finding (1.6.6)."""
        found = False
        for named in self.evidence("named", finding_id):
            answers = self.evidence("notice", named["notice_id"])
            found |= any(
                a.type == "RectificationReported" and a["status"] == "COMPLETED" for a in answers
            )
        return found

    def runs(self) -> list[Run]:
        """Runs of missing numbers of all streams."""
        found: list[Run] = []
        for _, stream in self._streams():
            found += [run for run in stream.runs if run.noticed <= self.now]
        return found

    def streams_in_use(self) -> list[str]:
        """Streams with an event received by now."""
        return [stream_id for stream_id, stream in self._streams() if stream.begun_by(self.now)]

    def _streams(self) -> Iterator[tuple[str, Stream]]:
        for stream_id in sorted(self._shelf.ids(self.institution_id, "stream")):
            stream = self._shelf.find((self.institution_id, "stream", stream_id))
            if isinstance(stream, Stream):
                yield stream_id, stream

    def feed_gap(self, instant: int, book: Rulebook) -> bool:
        """Whether the feed is open around an instant of occurrence (RULES 1.6.3): numbers are
        missing (UPL-03), or the day is not reconciled (UPL-04).
        """
        settings = book.rule("UPL-03")
        if settings is not None:
            wait = settings.millis(FEED_GAP_AFTER)
            for run in self.runs():
                known = run.low <= instant <= run.high and run.noticed + wait <= self.now
                if known and run.missing(self.now) > 0:
                    return True
        settings = book.rule("UPL-04")
        if settings is None:
            return False
        day = day_of(instant)
        expected = self.now >= end_of_day(day) + settings.millis("manifest_expected")
        tolerance = settings.count("count_tolerance")
        for stream_id, stream in self._streams():
            if stream.first_day(self.now) <= day:
                if stream.manifests.get(day, FOREVER) > self.now:
                    if expected:
                        return True
                elif self._unreconciled(f"{stream_id}/{day}", tolerance):
                    return True
        return False

    def _unreconciled(self, case_id: str, tolerance: int) -> bool:
        case = self._shelf.find((self.institution_id, "manifest", case_id))
        if not isinstance(case, Manifest):
            return False
        shown = effective(case, self.now, self._corrections.window).items
        return bool(shown) and bool(case.differences(shown[-1]["counts"], self.now, tolerance))


def _next_receipt(case: CaseFile, until: int, now: int, upto: int) -> int:
    """The first receipt after ``now`` of something that occurred by ``upto`` or of a correction."""
    if upto >= FOREVER or case.replaced or case.targets:
        return until
    later = (
        item.r
        for item in case.evidence.values()
        if item.r > now and (item.t <= upto or item.supersedes is not None)
    )
    return min(later, default=0)


@dataclass(frozen=True, slots=True)
class _Day:
    gaps: IntervalSet
    certain: IntervalSet
    sources: list[tuple[int, int, int]]
    until: int


class RosterDays:
    """Shortfalls of pharmacists on duty by day, computed once per change of their evidence."""

    def __init__(self, institution_id: str, shelf: Shelf, reference: ReferenceData) -> None:
        self._institution_id = institution_id
        self._shelf = shelf
        self._reference = reference
        self._days: dict[tuple[str, int], tuple[int, _Day]] = {}
        self._books: set[str] = set()
        self._hours: dict[int, tuple[list[Evidence], Hour]] = {}
        self._declared: dict[int, list[tuple[int, int]]] = {}
        self._outlying: set[str] | None = None
        self._filed: tuple[int, int] = (0, 0)

    def clear(self) -> None:
        """Forget every day: a filing may change any of them."""
        self._filed = (0, 0)
        self._days.clear()
        self._hours.clear()
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
            records = InstitutionRecords(
                self._institution_id, self._shelf, Corrections(now, 0), self._reference
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
        self._days[(book.name, day)] = records.now, computed
        records.until = min(before, records.until)
        return computed

    def _hour(self, records: InstitutionRecords, number: int) -> Hour:
        """Duty evidence of an hour, sorted once while it stays the same."""
        items = records.evidence("duty", str(number))
        known = self._hours.get(number)
        if known is None or known[0] is not items:
            known = self._hours[number] = (items, Hour.of(items))
        return known[1]

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
            lambda hour: self._hour(records, hour),
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
        return [item for hour in hours for item in self._records.evidence("duty", str(hour))]
