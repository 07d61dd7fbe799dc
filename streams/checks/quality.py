"""QLT: complaints, rectification and recurring duties (质量与整改)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import Dossier
from streams.cases.stops import cancelled
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.intervals import IntervalSet, clip, subtract, union
from streams.timeline import DAY, Period, add_months, day_of, end_of_day, format_day

COMPLETED = "PeriodicDutyCompleted"
TEST = "CONFORMITY_TEST"
DAILY = "DAILY_SECURITY_REPORT"
_PER_PERSON = ("STAFF_TRAINING", "STAFF_APPRAISAL")
_OF_INSTITUTION = ("EMERGENCY_DRILL", "DR_DRILL", "QUALITY_ANALYSIS", "QUALITY_PUBLICATION")


def complaint_not_handled(complaint: Dossier, ctx: Context) -> Iterator[Verdict]:
    """QLT-01: a complaint is handled within some working days (GX 35, CQ 31, SC 5).

    Any result counts. A complaint is resolved once (D2): a late answer is known at once.
    """
    received = complaint.first("ComplaintReceived")
    if received is None:
        return
    days = ctx.settings.count("handle_working_days")
    due = end_of_day(ctx.reference.nth_working_day_after(day_of(received.t), days))
    handled = complaint.first("ComplaintResolved")
    if handled is not None and handled.t < due:
        return
    state = State.RESOLVED if handled is not None else ctx.clinical_absence(due, received.r)
    if state is not None:
        yield Verdict(
            "complaint",
            complaint.id,
            state,
            start=received.t,
            end=None if handled is None else handled.t,
            evidence=tuple(item.id for item in (received, handled) if item is not None),
            due=due,
            lawful_until=0 if handled is None else ctx.book.deadlines.clinical_confirmed(due),
        )


def not_rectified(notice: Dossier, ctx: Context) -> Iterator[Verdict]:
    """QLT-03: a notice of the supervisor is answered in time (GX 31, CQ 21).

    (a) A notice is completed once (D2), so a late completion is known at once. An anomaly that is
    contested was looked into: that counts as an answer, and ends (a) as well when it is late. (b)
    is about what a report of completion states itself, whether the notice is known yet or not.
    """
    issued = notice.first("SupervisionNoticeIssued")
    answers = notice.events("RectificationReported")
    if issued is not None and ctx.on("a"):
        yield from _overdue(notice, issued, answers, ctx)
    untold = [
        answer
        for answer in answers
        if answer["status"] == "COMPLETED" and not answer["reported_to_registration_authority"]
    ]
    if untold and ctx.on("b"):
        first = untold[0]
        lawful_until = ctx.book.deadlines.clinical_confirmed(first.t)
        yield Verdict(
            "notice",
            notice.id,
            State.CONFIRMED,
            "b",
            start=first.t,
            evidence=tuple(answer.id for answer in untold),
            lawful_until=lawful_until,
        )


def _overdue(
    notice: Dossier, issued: Evidence, answers: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    last = issued["due_on"]
    if last is None:
        last = day_of(issued.t) + ctx.settings.count("default_due_days")
    due = end_of_day(last)
    accepted = {"COMPLETED", "CONTESTED"} if issued["notice_kind"] == "ANOMALY" else {"COMPLETED"}
    answered = next((a for a in answers if a["status"] in accepted), None)
    if answered is not None and answered.t < due:
        return
    state = State.RESOLVED if answered is not None else ctx.clinical_absence(due, issued.r)
    if state is not None:
        yield Verdict(
            "notice",
            notice.id,
            state,
            "a",
            start=issued.t,
            end=None if answered is None else answered.t,
            evidence=(issued.id, *(answer.id for answer in answers)),
            due=due,
            lawful_until=0 if answered is None else ctx.book.deadlines.clinical_confirmed(due),
        )


# -- QLT-04: recurring duties ----------------------------------------------------------------------


class _Done(NamedTuple):
    """The day a duty was fulfilled, or on which its first period began, with what says so."""

    day: int
    item: Evidence


def duties_of_institution(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """QLT-04, the institution's duties: drills, analyses, publications, tests, daily reports
    (GX 34, GX 36, CQ-A1 四(四), SC 20, SC 23(一), YC 21, YC 22, YC 24).

    A period runs from the last completion known, also one before the registration, else from the
    day of registration (D25): the day on which the first filing known was completed. A late
    completion begins the next period. A failed conformity test is none. What falls due while the
    registration is cancelled is not asked for.
    """
    ledger = ctx.records.ledger
    filings = ledger.institution_filings()
    began = [_Done(f["change_completed_on"], f) for f in filings[:1]]
    gone = union((stop.start, stop.end) for stop in cancelled(filings))
    asked = subtract([(0, FOREVER)], gone)
    for duty in (*_OF_INSTITUTION, TEST):
        interval = ctx.settings.period(duty.lower())
        if interval is not None:
            done = _tests(ctx) if duty == TEST else _completions(duty, ctx)
            first = began if not done or (began and began[0].day < done[0].day) else []
            yield from _periods((duty, None), interval, first, done, asked, ctx)
    grace = ctx.settings.millis_or_none(DAILY.lower())
    if grace is not None:
        yield from _daily(grace // DAY, began, gone, ctx)


def duties_of_person(person: Dossier, ctx: Context) -> Iterator[Verdict]:
    """QLT-04, the duties about each ACTIVE staff member: training and appraisal (GX 20, GX 21,
    CQ 22, CQ-A1 三(四), SC 20).

    A completion that names nobody is one of the whole institution. Only who is ACTIVE when a
    period ends is asked for. Whoever becomes ACTIVE when the period since the last completion has
    run out already has a period from then. Leaving ends a violation.
    """
    ledger = ctx.records.ledger
    filings = ledger.staff_filings(person.id)
    ends = [*(filing.t for filing in filings[1:]), FOREVER]
    active = union(
        (f.t, end) for f, end in zip(filings, ends, strict=False) if f["status"] == "ACTIVE"
    )
    if not active:
        return
    starts = {start for start, _ in active}
    began = [_Done(f["change_completed_on"], f) for f in filings if f.t in starts]
    for duty in _PER_PERSON:
        interval = ctx.settings.period(duty.lower())
        if interval is None:
            continue
        done = [
            d
            for d in _completions(duty, ctx)
            if not d.item["staff_ids"] or person.id in d.item["staff_ids"]
        ]
        begin = [b for b in began if _run_out(done, b.day, interval)]
        yield from _periods((duty, person.id), interval, begin, done, active, ctx)


def _completions(duty: str, ctx: Context) -> list[_Done]:
    return _in_order(_Done(i["change_completed_on"], i) for i in ctx.records.ledger.duties(duty))


def _tests(ctx: Context) -> list[_Done]:
    passed = (t for t in ctx.records.ledger.assessments(TEST) if t["result"] == "PASS")
    return _in_order(_Done(test["assessed_on"], test) for test in passed)


def _in_order(done: Iterable[_Done]) -> list[_Done]:
    return sorted(done, key=lambda d: (d.day, d.item.t, d.item.id))


def _run_out(done: list[_Done], day: int, interval: Period) -> bool:
    """Whether no period since a completion reaches into a day."""
    last = max((d.day for d in done if d.day <= day), default=None)
    return last is None or add_months(last, interval.months) < day


def _periods(
    duty: tuple[str, str | None],
    interval: Period,
    began: list[_Done],
    done: list[_Done],
    asked: IntervalSet,
    ctx: Context,
) -> Iterator[Verdict]:
    """Each period at whose end a duty had not been fulfilled again though it was asked for."""
    kind, staff_id = duty
    for base in {base.day: base for base in _in_order((*began, *done))}.values():
        last = add_months(base.day, interval.months)
        due = end_of_day(last)
        following = next((d for d in done if d.day > base.day), None)
        if following is not None and following.day <= last:
            continue
        until = next((b for a, b in asked if a <= due < b), None)
        if until is None:
            continue
        state = ctx.filing_absence_on(last, base.item.r)
        if state is None:
            continue
        end = until if following is None else min(until, max(following.item.t, due))
        yield Verdict(
            "duty",
            kind if staff_id is None else f"{kind}:{staff_id}",
            _ended(state, end, ctx),
            start=due,
            end=end if end < FOREVER else None,
            evidence=tuple(d.item.id for d in (base, following) if d is not None),
            facts=_facts(kind, staff_id, base.day, last),
            due=due,
            graded=kind.lower(),
            episodic=True,
        )


def _facts(duty: str, staff_id: str | None, since: int, last: int) -> dict[str, str]:
    return {
        "duty": duty,
        "staff_id": staff_id or "none",
        "since": format_day(since),
        "due_on": format_day(last),
    }


def _ended(state: State, end: int, ctx: Context) -> State:
    """The state once the violation has ended; asks to be woken for that."""
    if end <= ctx.now:
        return State.RESOLVED if state is State.CONFIRMED else state
    if end < FOREVER:
        ctx.wake(end)
    return state


def _daily(within: int, began: list[_Done], gone: IntervalSet, ctx: Context) -> Iterator[Verdict]:
    """A report for each day from the registration on, completed at most ``within`` days later.

    Days in succession that lack one, or had it late, are one violation as long as one of them is
    missing. Where no registration is known, the first day reported counts instead.
    """
    reports = ctx.records.ledger.duties(DAILY)
    if not began:
        began = [_Done(i["covered_from"], i) for i in reports]
        began = [min(began, key=lambda d: (d.day, d.item.r))] if began else []
    if not began:
        return
    first = began[0].day
    asked = subtract([(first, FOREVER)], union((day_of(a), day_of(b)) for a, b in gone))
    timely = union(
        (max(i["covered_from"], i["change_completed_on"] - within), i["covered_to"] + 1)
        for i in reports
    )
    missing = subtract(asked, timely)
    due_before = day_of(ctx.now) - within
    overdue = _unreported(clip(missing, first, due_before), reports, within)
    if not overdue or overdue[-1][1] < FOREVER:
        coming = next(iter(clip(missing, due_before, FOREVER)), None)
        if coming is not None:
            ctx.wake(end_of_day(coming[0] + within))
    for start, end in overdue:
        day = day_of(start) - within - 1
        state = ctx.filing_absence_on(day + within, began[0].item.r)
        if state is None:
            continue
        yield Verdict(
            "duty",
            DAILY,
            _ended(state, end, ctx),
            start=start,
            end=end if end < FOREVER else None,
            evidence=tuple(i.id for i in reports if i["covered_from"] <= day <= i["covered_to"]),
            facts=_facts(DAILY, None, day, day + within),
            due=start,
            graded=DAILY.lower(),
            episodic=True,
        )


def _unreported(missing: IntervalSet, reports: list[Evidence], within: int) -> IntervalSet:
    """The times at which the report of some missing day was overdue."""
    spans: IntervalSet = []
    for report in reports:
        late = clip(missing, report["covered_from"], report["covered_to"] + 1)
        for first, _ in late:
            start = end_of_day(first + within)
            spans.append((start, max(report.t, start + 1)))
        missing = subtract(missing, late)
    return union([*spans, *((end_of_day(first + within), FOREVER) for first, _ in missing)])


RULES = (
    Rule(
        id="QLT-01",
        reads={"ComplaintReceived": (), "ComplaintResolved": ()},
        judges={"complaint": complaint_not_handled},
        auto=ALL,
    ),
    Rule(
        id="QLT-03",
        reads={
            "SupervisionNoticeIssued": ("notice_id", "notice_kind", "due_on"),
            "RectificationReported": ("status", "reported_to_registration_authority"),
        },
        judges={"notice": not_rectified},
        auto=frozenset({"a"}),
    ),
    Rule(
        id="QLT-04",
        reads={
            COMPLETED: (
                "duty_type",
                "covered_from",
                "covered_to",
                "staff_ids",
                "change_completed_on",
            ),
            "AssessmentCompleted": ("assessment_type", "result", "assessed_on"),
            "InstitutionFiled": ("filing_kind", "change_completed_on"),
            "StaffFiled": ("status", "change_completed_on"),
        },
        judges={"institution": duties_of_institution, "person": duties_of_person},
        auto=ALL,
    ),
)
