"""QLT-02: complaints, marks and adverse events, of institution and doctors (投诉率与满意度)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import floor

from streams.cases.base import FOREVER
from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.rulebook import RuleSettings
from streams.timeline import day_of, end_of_day, start_of_day

_EVERYBODY = ""
_HUNDREDTHS = 100


@dataclass(slots=True)
class _Tally:
    """What was counted of each doctor, and of everybody, over some days."""

    sessions: Counter[str] = field(default_factory=Counter)
    complaints: dict[str, list[str]] = field(default_factory=dict)
    incidents: dict[str, list[str]] = field(default_factory=dict)
    marks: dict[str, list[str]] = field(default_factory=dict)
    scores: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Tally) -> None:
        self.sessions.update(other.sessions)
        self.scores.update(other.scores)
        for mine, more in (
            (self.complaints, other.complaints),
            (self.incidents, other.incidents),
            (self.marks, other.marks),
        ):
            for doctor_id, ids in more.items():
                mine.setdefault(doctor_id, []).extend(ids)


def abnormal_rates(_: Dossier, ctx: Context) -> Iterator[Verdict]:
    """QLT-02: complaints or adverse events are too many, or marks too low (GX 20, GX 31, SC 20,
    YC 21), for the institution or one doctor.

    Windows are calendar days that end with a day d, by when a session was closed, a mark given, a
    complaint or an adverse event reported. They are judged once a day, ``U_clin + G`` after d, by
    what was received by then; what comes later counts in the windows judged from then on. Held as
    long as one of the last ``clear_windows`` is over the limit. A complaint counts for the person
    it names and for the doctor of its session, an adverse event for the doctor of its session and
    those responsible or affected; sessions count if completed or terminated, and those out of scope
    do not.
    """
    settings = ctx.settings
    after = ctx.book.deadlines.clinical + ctx.book.deadlines.grace
    slide, length = settings.count("slide_days"), settings.count("window_days")
    last = day_of(ctx.now - after) - 1
    last -= (last + 1) % slide
    judged_at = end_of_day(last) + after
    ends = [last - slide * n for n in range(settings.count("clear_windows"))]
    first = ends[-1] - length + 1
    following = end_of_day(last + slide) + after
    if ctx.now != judged_at:
        ctx.since = FOREVER  # what was told now changes nothing before the next day's judging
        ctx.wake(following)
        return
    places: dict[int, list[str]] = {day: [] for day in range(first, last + 1)}
    for place in ctx.records.ids("told", "rated/"):
        day = int(place.partition("/")[0])
        if day in places:
            places[day].append(f"rated/{place}")
        if day >= first:
            ctx.wake(following)
    days = {day: _day(day, found, judged_at, ctx) for day, found in places.items()}
    if not any(tally.sessions for tally in days.values()):
        return
    held: set[tuple[str, str]] = set()
    for end in ends:
        window = _Tally()
        for day in range(end - length + 1, end + 1):
            window.add(days[day])
        for clause, doctor_id, facts, shown in _over(window, settings):
            if (clause, doctor_id) in held:
                continue
            held.add((clause, doctor_id))
            institution_id = ctx.records.institution_id
            yield Verdict(
                "staff" if doctor_id else "institution",
                doctor_id or institution_id,
                State.SUSPECTED,
                clause,
                start=start_of_day(end - length + 1),
                end=end_of_day(end),
                evidence=tuple(shown),
                facts=facts,
            )


def _day(day: int, places: Iterable[str], known_by: int, ctx: Context) -> _Tally:
    """What was told of a day, in its slices, by an instant.

    Later versions must not matter before the next day's judging, so nothing wakes this rule for
    them; what is received out of order has the case file judged anew by whoever tells it.
    """
    counted: list[Evidence] = []
    for place in places:
        last: dict[str, Evidence] = {}
        for item in ctx.records.evidence("told", place, 0):
            source = item.id.rpartition("\x1f")[0]
            if item.r <= known_by and (source not in last or last[source].r <= item.r):
                last[source] = item
        counted += [item for item in last.values() if item.body]
    return _count(counted)


def _count(told: Iterable[Evidence]) -> _Tally:
    found = _Tally()
    named: dict[tuple[str, str], set[str]] = {}
    for item in told:
        doctor_id = item["doctor_id"]
        match item["what"]:
            case "SESSION":
                found.sessions.update((_EVERYBODY, doctor_id))
            case "MARK":
                for counted in (_EVERYBODY, doctor_id):
                    found.scores[counted] += item["score"]
                    found.marks.setdefault(counted, []).append(item["event_id"])
            case what:
                # Told by its own case file and by that of its session: counted once for each.
                persons = named.setdefault((what, item["event_id"]), {_EVERYBODY})
                persons.update(item["staff_ids"])
                if doctor_id is not None:
                    persons.add(doctor_id)
    for (what, event_id), persons in sorted(named.items()):
        counts = found.complaints if what == "COMPLAINT" else found.incidents
        for staff_id in persons:
            counts.setdefault(staff_id, []).append(event_id)
    return found


def _over(
    window: _Tally, settings: RuleSettings
) -> Iterator[tuple[str, str, dict[str, str], list[str]]]:
    """Clause, doctor (none: the institution), facts and evidence of what is over a limit."""
    rates = (
        ("a", window.complaints, "complaints", "min_sessions", "max_complaint_rate"),
        ("c", window.incidents, "adverse_events", "min_sessions_adverse", "max_adverse_rate"),
    )
    for clause, counts, name, fewest, most in rates:
        for doctor_id, ids in sorted(counts.items()):
            sessions = window.sessions[doctor_id]
            limit = settings.number(most)
            if sessions >= settings.count(fewest) and len(ids) > limit * sessions:
                facts = {"sessions": str(sessions), name: str(len(ids))}
                yield clause, doctor_id, facts, ids
    lowest = settings.number("min_mean_score")
    for doctor_id, ids in sorted(window.marks.items()):
        total = window.scores[doctor_id]
        if len(ids) >= settings.count("min_ratings") and total < lowest * len(ids):
            mean = floor(_HUNDREDTHS * total / len(ids)) / _HUNDREDTHS
            yield "b", doctor_id, {"ratings": str(len(ids)), "mean": f"{mean:.2f}"}, ids


RULES = (
    Rule(
        id="QLT-02",
        reads={
            "Told": (),
            "SessionClosed": ("outcome",),
            "ServiceRated": ("score",),
            "ComplaintReceived": ("staff_id",),
            "AdverseEventReported": ("stage", "affected_scope", "affected_scope_id"),
        },
        judges={"ratings": abnormal_rates},
        auto=ALL,
    ),
)
