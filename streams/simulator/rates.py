"""QLT-02 counted from the uploads: complaints, ratings and adverse events per session.

Written from RULES, sharing nothing with the platform's own counting: windows of thirty Shanghai
days that end with each day, one sum after the other, each of what had arrived by its judging.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from streams.simulator import scope
from streams.simulator.outbox import Draft
from streams.simulator.truth import Expected
from streams.timeline import HOUR, MINUTE, day_of, end_of_day

_WINDOW = 30
_QUIET = 3
_JUDGED_AFTER = 24 * HOUR + 10 * MINUTE
_SESSIONS, _RATINGS, _MANY_SESSIONS = 100, 30, 1_000
_CLAUSES = "abc"

Subject = tuple[str, str]


class _Count(NamedTuple):
    """One thing to count: on which day, when it arrived, until when it was not replaced."""

    day: int
    received_at: int
    session_id: str | None
    staff_id: str | None
    amounts: dict[str, int]


class Rates:
    """Counts what one institution and each of its doctors did a day, from first receipts."""

    def __init__(self, institution_id: str, rulebook: str) -> None:
        self._institution_id = institution_id
        self._rulebook = rulebook
        self._doctors: dict[str, tuple[str, int]] = {}
        self._remote: set[str] = set()
        self._counts: list[_Count] = []
        self._replaced: dict[str, int] = {}
        self._marks: dict[str, _Count] = {}

    def receive(self, draft: Draft) -> None:
        """Take the first receipt of an event into account."""
        datum = draft.datum
        day, received = day_of(datum["occurred_at"]), draft.received_at

        def count(staff_id: str | None = None, **amounts: int) -> _Count:
            return _Count(day, received, datum.get("session_id"), staff_id, amounts)

        match datum["event_type"]:
            case "SessionOpened":
                self._doctors[datum["session_id"]] = datum["doctor_id"], received
                if datum["service_kind"] == "REMOTE_MEDICINE":
                    self._remote.add(datum["session_id"])
            case "SessionClosed" if datum["outcome"] in ("COMPLETED", "TERMINATED"):
                self._counts.append(count(sessions=1))
            case "ComplaintReceived":
                self._counts.append(count(datum["staff_id"], complaints=1))
            case "ServiceRated":
                if datum["revision"]:
                    self._replaced[datum["supersedes_event_id"]] = received
                self._marks[datum["event_id"]] = count(ratings=1, score=datum["score"])
            case "AdverseEventReported" if datum["stage"] == "INITIAL":
                self._counts.append(count(incidents=1))

    def findings(self, end: int) -> Iterator[Expected]:
        """The signals as they stand at the end (epoch ms), where they are judged."""
        if scope.mode("QLT-02", "a", self._rulebook) == scope.OFF:
            return
        held: dict[tuple[Subject, str], int] = {}
        last = -1
        for last, totals in self._judgings(end):
            for subject, window in totals.items():
                for clause in _CLAUSES:
                    if _violated(clause, window):
                        held[subject, clause] = last
        for (subject, clause), day in held.items():
            state = "CLEARED" if last - day >= _QUIET else "SUSPECTED"
            yield Expected(
                "QLT-02",
                clause,
                self._rulebook,
                self._institution_id,
                *subject,
                state,
                "rates",
            )

    def _judgings(self, end: int) -> Iterator[tuple[int, dict[Subject, Counter[str]]]]:
        """The last day of each window judged by an instant, with the sums of every subject."""
        counts = [*self._counts, *self._marks.values()]
        replaced = {
            id(mark): self._replaced.get(name, end + 1) for name, mark in self._marks.items()
        }
        day = min((count.day for count in counts), default=0)
        while counts and end_of_day(day) + _JUDGED_AFTER <= end:
            judged = end_of_day(day) + _JUDGED_AFTER
            totals: dict[Subject, Counter[str]] = defaultdict(Counter)
            for count in counts:
                known = count.received_at <= judged < replaced.get(id(count), end + 1)
                if known and day - _WINDOW < count.day <= day:
                    self._add(totals, count, judged)
            yield day, totals
            day += 1

    def _add(self, totals: dict[Subject, Counter[str]], count: _Count, judged: int) -> None:
        """Count a thing for the house and for the doctor; a session once its opening is known.

        Sessions out of scope do not count, nor do their marks; complaints do, wherever they arise.
        """
        doctor: str | None = None
        if count.session_id in self._doctors and count.session_id not in self._remote:
            doctor, received = self._doctors[count.session_id]
            doctor = doctor if received <= judged else None
        if doctor is None and ("sessions" in count.amounts or "ratings" in count.amounts):
            return
        totals["institution", self._institution_id].update(count.amounts)
        for staff_id in {doctor, count.staff_id} - {None}:
            totals["staff", str(staff_id)].update(count.amounts)


def _violated(clause: str, window: Counter[str]) -> bool:
    sessions = window["sessions"]
    if clause == "a":
        return sessions >= _SESSIONS and window["complaints"] * 100 > sessions
    if clause == "b":
        return window["ratings"] >= _RATINGS and window["score"] < 3 * window["ratings"]
    return sessions >= _MANY_SESSIONS and window["incidents"] * 1_000 > sessions
