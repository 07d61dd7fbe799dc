"""QLT-02 counted from the uploads: complaints, ratings and adverse events per session.

Written from RULES, sharing nothing with the platform's own counting: windows of thirty Shanghai
days that end with each day, one sum after the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

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


class Rates:
    """Counts what one institution and each of its doctors did a day, from first receipts."""

    def __init__(self, institution_id: str, rulebook: str) -> None:
        self._institution_id = institution_id
        self._rulebook = rulebook
        self._doctors: dict[str, str] = {}
        self._closed: list[tuple[str, int]] = []
        self._complaints: list[tuple[str | None, str | None, int]] = []
        self._incidents: list[int] = []
        self._ratings: dict[str, tuple[str, int, int]] = {}

    def receive(self, draft: Draft) -> None:
        """Take the first receipt of an event into account."""
        datum = draft.datum
        day = day_of(datum["occurred_at"])
        match datum["event_type"]:
            case "SessionOpened":
                self._doctors[datum["session_id"]] = datum["doctor_id"]
            case "SessionClosed" if datum["outcome"] in ("COMPLETED", "TERMINATED"):
                self._closed.append((datum["session_id"], day))
            case "ComplaintReceived":
                self._complaints.append((datum["session_id"], datum["staff_id"], day))
            case "ServiceRated":
                self._ratings.pop(datum["supersedes_event_id"] or "", None)
                rating = datum["session_id"], day, datum["score"]
                self._ratings[datum["event_id"]] = rating
            case "AdverseEventReported" if datum["stage"] == "INITIAL":
                self._incidents.append(day)

    def findings(self, end: int) -> Iterator[Expected]:
        """The signals as they stand at the end (epoch ms), where they are judged."""
        if scope.mode("QLT-02", "a", self._rulebook) == scope.OFF:
            return
        for subject, days in self._days().items():
            for clause in _CLAUSES:
                state = self._state(clause, days, end)
                if state is not None:
                    yield Expected(
                        "QLT-02",
                        clause,
                        self._rulebook,
                        self._institution_id,
                        *subject,
                        state,
                        "rates",
                        optional=state == "CLEARED",
                    )

    def _days(self) -> dict[Subject, dict[int, Counter[str]]]:
        """Per subject and day: sessions, complaints, incidents, ratings and their sum."""
        found: dict[Subject, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        house = ("institution", self._institution_id)

        def add(doctor: str | None, day: int, **amounts: int) -> None:
            for subject in (house, None if doctor is None else ("staff", doctor)):
                if subject is not None:
                    found[subject][day].update(amounts)

        for session_id, day in self._closed:
            add(self._doctors.get(session_id), day, sessions=1)
        for of_session, staff_id, day in self._complaints:
            add(staff_id or self._doctors.get(of_session or ""), day, complaints=1)
        for session_id, day, score in self._ratings.values():
            add(self._doctors.get(session_id), day, ratings=1, score=score)
        for day in self._incidents:
            add(None, day, incidents=1)
        return found

    def _state(self, clause: str, days: dict[int, Counter[str]], end: int) -> str | None:
        state: str | None = None
        quiet = 0
        day = min(days)
        while end_of_day(day) + _JUDGED_AFTER <= end:
            window: Counter[str] = Counter()
            for one in range(day - _WINDOW + 1, day + 1):
                window.update(days.get(one, Counter()))
            if _violated(clause, window):
                state, quiet = "SUSPECTED", 0
            elif state == "SUSPECTED":
                quiet += 1
                state = "CLEARED" if quiet == _QUIET else state
            day += 1
        return state


def _violated(clause: str, window: Counter[str]) -> bool:
    sessions = window["sessions"]
    if clause == "a":
        return sessions >= _SESSIONS and window["complaints"] * 100 > sessions
    if clause == "b":
        return window["ratings"] >= _RATINGS and window["score"] < 3 * window["ratings"]
    return sessions >= _MANY_SESSIONS and window["incidents"] * 1_000 > sessions
