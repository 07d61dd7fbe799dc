"""The roster: who was on prescription-review duty when, and when somebody had to be.

Duty evidence is kept in one case file an hour (``duty``), sessions in their own; the case file
``roster`` carries the findings. Intervals follow PHA-01 and D30, D31.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from streams.cases.base import CaseFile, Effective
from streams.cases.ledger import Ledger, document_period
from streams.cases.session import LIVE_MODES, REMOTE_MEDICINE, Session
from streams.events import Evidence
from streams.intervals import Interval, IntervalSet, at_least, intersect, subtract, union
from streams.rulebook import Rulebook
from streams.timeline import DAY, HOUR

DUTY_FIELDS: dict[str, tuple[str, ...]] = {
    "DutyStatusReported": ("staff_id", "phase", "shift_id"),
    "PrescriptionReviewed": ("reviewer_id",),
}
KEPT_AS = {"DutyStatusReported": "duty", "PrescriptionReviewed": "reviewed"}
"""The kind of case file, one for each hour of occurrence, in which evidence of duty lies: apart,
because the reviews of other days tell nothing of a day, but a sign-on does.
"""
LONGEST_SHIFT = 2 * DAY
"""How far back the sign-on of a shift is looked for; nobody is on duty for longer."""
LOOKED_BACK = {"duty": LONGEST_SHIFT, "reviewed": HOUR}
"""By kind, for how long evidence of duty is looked at after it occurred, in ms, beside the timeout
of heartbeats; reviews only because whole hours are looked at.
"""

AGREEMENT = "PHARMACIST_SERVICE_AGREEMENT"


class RosterFile(CaseFile):
    """Findings about duty; ``touched`` is the earliest occurrence of evidence not judged yet."""

    touched: int = 0


def is_live(opened: Evidence) -> bool:
    """Whether a session keeps the doctor present, so that it is business time while it lasts."""
    return opened["mode"] in LIVE_MODES and opened["service_kind"] != REMOTE_MEDICINE


class Shift(NamedTuple):
    """When a shift was signed on to, evidenced by a heartbeat, and signed off from."""

    ons: list[int]
    beats: list[int]
    offs: list[int]


class Hour(NamedTuple):
    """Duty evidence of an hour of occurrence, by person and shift; reviews by person."""

    shifts: dict[tuple[str, str], Shift]
    reviews: dict[str, list[int]]

    @classmethod
    def of(cls, duty: Iterable[Evidence]) -> Hour:
        """Sort evidence in force."""
        hour = cls({}, {})
        for item in duty:
            if item.type == "PrescriptionReviewed":
                hour.reviews.setdefault(item["reviewer_id"], []).append(item.t)
                continue
            shift = hour.shifts.setdefault((item["staff_id"], item["shift_id"]), Shift([], [], []))
            match item["phase"]:
                case "SIGN_ON":
                    shift.ons.append(item.t)
                case "HEARTBEAT":
                    shift.beats.append(item.t)
                case "SIGN_OFF":
                    shift.offs.append(item.t)
        return hour


def hour_of(view: Effective) -> Hour:
    """Duty evidence in force of an hour; sorted once for everybody who asks."""
    if view.dossier is None:
        view.dossier = Hour.of(view.items)
    found: Hour = view.dossier
    return found


class Roster:
    """One institution's duty evidence and business time as received by one instant.

    ``duty`` gives the evidence in force by its kind of case file and hour of occurrence,
    ``sessions`` those voice and video sessions that reach beyond the declared hours.
    """

    def __init__(
        self,
        institution_id: str,
        book: Rulebook,
        ledger: Ledger,
        duty: Callable[[str, int], Hour],
        sessions: list[Session],
    ) -> None:
        self.institution_id = institution_id
        self._book = book
        self._settings = book.rules["PHA-01"]
        self._ledger = ledger
        self._duty = duty
        self._sessions = sessions

    def business(self, start: int, end: int) -> tuple[IntervalSet, list[tuple[int, int, int]]]:
        """Business time in ``[start, end)``, and its sources as ``(start, end, received_at)``."""
        sources = [
            (opens, closes, declaration.r)
            for opens, closes, declaration in self._ledger.business_hours(start, end)
        ]
        if self._settings.text("business_time") == "DECLARED_PLUS_SESSIONS":
            sources += self._live_sessions(start, end)
        return union((s, e) for s, e, _ in sources), sources

    def stops(self) -> IntervalSet:
        return self._ledger.stops(self._book)

    def _live_sessions(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Voice and video sessions; they count once opening and closing are known."""
        found = []
        for session in self._sessions:
            opened, closed = session.opened, session.closed
            if opened is None or closed is None or not is_live(opened):
                continue
            if opened.t < end and closed.t > start:
                known = max(opened.r, closed.r)
                found.append((max(opened.t, start), min(closed.t, end), known))
        return found

    def presence(self, start: int, end: int) -> dict[str, IntervalSet]:
        """``presence(i, p)`` of every staff member with duty evidence near ``[start, end)``."""
        gathered = Hour({}, {})
        near = start - self._settings.millis("heartbeat_timeout")
        for kind in KEPT_AS.values():
            self._gather(kind, near // HOUR, (end - 1) // HOUR + 1, gathered)
        if gathered.reviews or any(not shift.ons for shift in gathered.shifts.values()):
            # Reviews so long ago keep nobody on duty today.
            self._gather("duty", (start - LONGEST_SHIFT) // HOUR, near // HOUR, gathered)
        found: dict[str, list[Interval]] = {}
        for (staff_id, _), shift in gathered.shifts.items():
            reviews = gathered.reviews.get(staff_id, ())
            found.setdefault(staff_id, []).extend(self._present(shift, reviews))
        return {staff_id: union(pairs) for staff_id, pairs in found.items()}

    def _gather(self, kind: str, first: int, end: int, into: Hour) -> None:
        """Add the duty evidence of a kind of case file of the hours ``[first, end)``."""
        for number in range(first, end):
            hour = self._duty(kind, number)
            for key, shift in hour.shifts.items():
                known = into.shifts.get(key)
                if known is None:
                    known = into.shifts[key] = Shift([], [], [])
                known.ons.extend(shift.ons)
                known.beats.extend(shift.beats)
                known.offs.extend(shift.offs)
            for staff_id, times in hour.reviews.items():
                into.reviews.setdefault(staff_id, []).extend(times)

    def _present(self, shift: Shift, reviews: Iterable[int]) -> list[Interval]:
        timeout = self._settings.millis("heartbeat_timeout")
        starts = shift.ons or shift.beats
        if not starts:
            return []
        first = min(starts)
        last = min(shift.offs) if shift.offs else None
        seen = [first, *(t for t in (*shift.beats, *reviews) if t >= first)]
        if last is not None:
            seen = [t for t in seen if t <= last]
        if not self._settings.flag("heartbeat_required"):
            return [(first, last if last is not None else max(seen) + timeout)]
        return [(t, t + timeout if last is None else min(t + timeout, last)) for t in seen]

    def eligible(self, staff_id: str, start: int, end: int) -> tuple[IntervalSet, IntervalSet]:
        """When a person may count as the pharmacist on duty, and when that is still unknown.

        The second set holds the instants at which no filing in force speaks against the person but
        one is missing that could still arrive lawfully (D30).
        """
        filings = self._ledger.staff_filings(staff_id)
        certain: list[Interval] = []
        unknown: list[Interval] = []
        until = filings[0].t if filings else end
        if start < until:
            unknown.append((start, min(until, end)))
        for position, filing in enumerate(filings):
            last = position + 1 == len(filings)
            span = (max(start, filing.t), end if last else min(end, filings[position + 1].t))
            if span[0] >= span[1] or filing["role"] != "PHARMACIST":
                continue
            if filing["status"] != "ACTIVE":
                continue
            self._employed(filing, span, certain, unknown)
        return union(certain), union(unknown)

    def _employed(
        self, filing: Evidence, span: Interval, certain: list[Interval], unknown: list[Interval]
    ) -> None:
        employer = filing["employer_id"]
        if employer == self.institution_id:
            if filing["full_time"]:
                certain.append(span)
            return
        periods = [document_period(d) for d in self._ledger.documents(AGREEMENT, employer)]
        certain += intersect(union(periods), [span])
        first = min((begins for begins, _ in periods), default=span[1])
        if span[0] < first:
            unknown.append((span[0], min(first, span[1])))


class Shortfall(NamedTuple):
    """Where too few pharmacists were on duty, over the days judged.

    ``gaps`` is business time without enough eligible pharmacists; ``certain`` the part of it that
    no filing still in transit could cover; ``sources`` say since when an instant is known to be
    business time, as ``(start, end, received_at)``; ``duty`` gives the evidence around an
    interval. Gaps that begin after ``horizon`` are not in it yet; None when there can be none.
    """

    gaps: IntervalSet
    certain: IntervalSet
    sources: list[tuple[int, int, int]]
    duty: Callable[[int, int], list[Evidence]]
    since: int
    horizon: int | None


def shortfall(
    business: IntervalSet, present: list[IntervalSet], possible: list[IntervalSet], needed: int
) -> tuple[IntervalSet, IntervalSet]:
    """Business time with fewer than ``needed`` of the persons ``present``, and the part of it that
    stays so even if everybody who is ``possible`` counts.
    """
    gaps = subtract(business, at_least(present, needed))
    merged = [union([*sure, *maybe]) for sure, maybe in zip(present, possible, strict=True)]
    return gaps, subtract(business, at_least(merged, needed))
