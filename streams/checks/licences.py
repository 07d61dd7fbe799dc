"""LIC-01 to LIC-04: whether an institution may operate at all (机构准入).

LIC-05 is in ``halts.py``; LIC-06 and LIC-07, what must be filed for it, are in ``filings.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import Dossier, Session
from streams.checks.base import ALL, Context, Rule
from streams.checks.stretches import (
    CANCELLED,
    INDEPENDENT,
    INTERNET_HOSPITALS,
    ended,
    ending,
    in_scope,
    weightiest,
    wrong_filings,
)
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import HOUR, add_months, day_of, end_of_day, format_day, start_of_day

_MODES = frozenset({"INTERNET_DIAGNOSIS", "INTERNET_HOSPITAL"})
_TRIGGERS = ("SessionOpened", "PrescriptionIssued")
_FOLLOWED = HOUR


# -- LIC-01 ----------------------------------------------------------------------------------------


class Span(NamedTuple):
    """Instants without a valid licence, and why."""

    start: int
    end: int
    cause: str


def unlicensed(filings: list[Evidence], modes: frozenset[str]) -> list[Span]:
    """When an institution was without a valid licence or registration, by its filings."""
    if not filings:
        return [Span(0, FOREVER, "UNFILED")]
    found = [Span(0, filings[0].t, "UNFILED")]
    for filing, following in zip(filings, [*filings[1:], None], strict=False):
        start, end = filing.t, FOREVER if following is None else following.t
        if filing["filing_kind"] == CANCELLED:
            found.append(Span(start, end, "CANCELLED"))
        elif not modes.intersection(filing["service_modes"]):
            found.append(Span(start, end, "NO_SERVICE_MODE"))
        else:
            begins = start_of_day(filing["licence_valid_from"])
            expires = end_of_day(filing["licence_valid_to"])
            found.append(Span(start, min(begins, end), "NOT_YET_VALID"))
            found.append(Span(max(expires, start), end, "EXPIRED"))
    return [span for span in found if span.start < span.end]


def operates_under_a_licence(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-01: sessions and prescriptions only under a valid licence with the service registered.

    CN 5, CN 9, GX 2, CQ 6, SC 7; in Yinchuan a municipal filing counts as well (YC 4). One finding
    for each uninterrupted unlicensed period, from its first act on. A cancelled registration is a
    hard contradiction, everything else the absence of a filing; a term that has not begun is as
    one that has ended (D4). Acts within an hour of the first of a cause are followed one by one,
    all others are counted at the end of each day, so that an unlicensed hospital at full work does
    not publish a version of its finding for every act.
    """
    modes = _MODES
    if ctx.settings.flag("accept_municipal_filing"):
        modes |= {"MUNICIPAL_FILING"}
    filings = ctx.records.ledger.institution_filings()
    period: list[Span] = []
    for span in unlicensed(filings, modes):
        if period and span.start > period[-1].end:
            yield from _unlicensed_period(period, filings, ctx)
            period = []
        period.append(span)
    yield from _unlicensed_period(period, filings, ctx)


def _unlicensed_period(
    period: list[Span], filings: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    acts: list[Evidence] = []
    causes: set[str] = set()
    states: list[State] = []
    for span in period:
        if span.start > ctx.now:
            ctx.wake(span.start)
            continue
        near, far = _acts_in(span, ctx)
        for act in near:
            hard = span.cause == CANCELLED
            state = State.CONFIRMED if hard else ctx.filing_absence(act.t, act.r)
            if state is not None:
                states.append(state)
        if near:
            causes.add(span.cause)
            acts += near + far
    if not states:
        return
    end = period[-1].end
    established = State.CONFIRMED in states
    first = min(act.t for act in acts)
    shown = [f.id for f in filings if period[0].start <= f.t < end]
    counts = [sum(act.type == kind for act in acts) for kind in _TRIGGERS]
    yield Verdict(
        "institution",
        ctx.records.institution_id,
        ended(State.CONFIRMED, end, ctx) if established else State.SUSPECTED,
        start=first,
        end=ending(end),
        evidence=(*shown, *(act.id for act in acts)),
        facts={
            "cause": ",".join(sorted(causes)),
            "sessions": str(counts[0]),
            "prescriptions": str(counts[1]),
        },
        due=None if causes == {CANCELLED} else first,
        lawful_until=ctx.book.deadlines.filing_confirmed(first),
        episodic=True,
    )


def _acts_in(span: Span, ctx: Context) -> tuple[list[Evidence], list[Evidence]]:
    """Acts of a span near the first of them, and those later that came before today."""
    acts = _services(ctx.records.acts(span.start, span.end, followed=False))
    first = next((act for act in acts if in_scope(act, ctx)), None)
    if first is None:
        ctx.records.acts(span.start, span.end)
        return [], []
    last = min(first.t + _FOLLOWED, span.end)
    followed = _services(ctx.records.acts(span.start, last))
    near = [act for act in followed if in_scope(act, ctx)]
    today = start_of_day(day_of(ctx.now))
    remote = {act["session_id"] for act in acts if not _opens_here(act, ctx)}
    later = [a for a in acts if a.t >= last and a["session_id"] not in remote]
    if any(act.r >= today for act in later):
        ctx.wake(end_of_day(day_of(ctx.now)))
    else:
        ctx.records.acts(last, span.end)  # the next one begins a day that has to be counted
    return near, [act for act in later if act.r < today]


def _services(acts: list[Evidence]) -> list[Evidence]:
    return [act for act in acts if act.type in _TRIGGERS]


def _opens_here(act: Evidence, ctx: Context) -> bool:
    return act.type != "SessionOpened" or in_scope(act, ctx)


# -- LIC-02, LIC-03 --------------------------------------------------------------------------------


def within_approved_departments(session: Session, ctx: Context) -> Iterator[Verdict]:
    """LIC-02: sessions only in departments (诊疗科目) approved on the day (CN 11, GX 7, SC 10).

    A department last revoked is a hard contradiction, one never approved or whose approval has
    ended the absence of a filing.
    """
    opened = session.opened
    if opened is None:
        return
    dept_code, ledger = opened["dept_code"], ctx.records.ledger
    if ledger.approved(dept_code, opened.t):
        return
    found = ledger.department(dept_code, day_of(opened.t))
    revoked = found is not None and found["status"] == "REVOKED"
    state = State.CONFIRMED if revoked else ctx.filing_absence(opened.t, opened.r)
    if state is not None:
        yield Verdict(
            "session",
            session.id,
            state,
            start=opened.t,
            evidence=(opened.id, *(() if found is None else (found.id,))),
            facts={"dept_code": dept_code},
            due=opened.t,
            lawful_until=ctx.book.deadlines.filing_confirmed(opened.t) if revoked else 0,
        )


def department_of_the_host(department: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-03 (a) (b): an approved department has its like at the host institution.

    (a) the host holds the subject (CQ 15), (b) a clinical one is tied to a clinical department of
    the host (CQ-A1 二). The filing says so itself, hence confirmed on receipt; the next filing of
    the department that conforms, or revokes it, ends it.
    """
    filings = ctx.records.ledger.department_filings(department.id)

    def lacks_subject(filing: Evidence) -> bool | None:
        approved = filing["status"] == "APPROVED"
        return True if approved and filing["host_has_subject"] is not True else None

    def lacks_department(filing: Evidence) -> bool | None:
        clinical = filing["status"] == "APPROVED" and filing["is_clinical"]
        return True if clinical and filing["host_clinical_dept_id"] is None else None

    for clause, wrong in (("a", lacks_subject), ("b", lacks_department)):
        yield from weightiest(
            Verdict(
                "department",
                department.id,
                ended(State.CONFIRMED, stretch.end, ctx),
                clause,
                start=stretch.first.t,
                end=ending(stretch.end),
                evidence=tuple(filing.id for filing in stretch.filings),
            )
            for stretch in wrong_filings(filings, wrong)
        )


def licence_of_the_host(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-03 (c) (d): the licence ends with the host's; an internet hospital has one (SC 12).

    (c) is judged of internet hospitals and of whoever names a host or its term: a service by own
    doctors has no host whose term could differ. A term of the host left out is an absence.
    """
    filings = ctx.records.ledger.institution_filings()
    yield from weightiest(_terms_apart(filings, ctx))
    yield from weightiest(
        Verdict(
            "institution",
            ctx.records.institution_id,
            ended(State.CONFIRMED, stretch.end, ctx),
            "d",
            start=stretch.first.t,
            end=ending(stretch.end),
            evidence=tuple(filing.id for filing in stretch.filings),
        )
        for stretch in wrong_filings(filings, _hostless)
    )


def _hostless(filing: Evidence) -> bool | None:
    hospital = filing["institution_form"] in INTERNET_HOSPITALS
    without = filing["filing_kind"] != CANCELLED and filing["host_institution_id"] is None
    return True if hospital and without else None


def _term_apart(filing: Evidence) -> bool | None:
    host_until = filing["host_licence_valid_to"]
    if filing["filing_kind"] == CANCELLED or host_until == filing["licence_valid_to"]:
        return None
    if host_until is not None:
        return True
    hospital = filing["institution_form"] in INTERNET_HOSPITALS
    return False if hospital or filing["host_institution_id"] is not None else None


def _terms_apart(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    for stretch in wrong_filings(filings, _term_apart):
        first, last = stretch.first, stretch.filings[-1]
        state = State.CONFIRMED if stretch.hard else ctx.filing_absence(first.t, first.r)
        if state is None:
            continue
        host_until = last["host_licence_valid_to"]
        yield Verdict(
            "institution",
            ctx.records.institution_id,
            ended(state, stretch.end, ctx),
            "c",
            start=first.t,
            end=ending(stretch.end),
            evidence=tuple(filing.id for filing in stretch.filings),
            facts={
                "licence_valid_to": format_day(last["licence_valid_to"]),
                "host_licence_valid_to": "none" if host_until is None else format_day(host_until),
            },
            due=None if stretch.hard else first.t,
        )


# -- LIC-04 ----------------------------------------------------------------------------------------


def verified_in_time(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-04: the licence is verified (校验) when due, and asked for in time (GX 10, CQ 16, SC 12).

    Every due day that was recorded is judged, not the latest alone, so that a lapse does not vanish
    when the next due day becomes known; one that follows from the licence (D5) only as long as no
    due day up to it is recorded. (b) A session after the due day is wrong until a verification is
    passed, from the refusal on where it had been applied for in time. (a) Who is cancelled when it
    would have to be asked for has no licence left to be verified.
    """
    records = ctx.records.ledger.verifications()
    filings = ctx.records.ledger.institution_filings()
    dues: dict[int, list[Evidence]] = {}
    for record in records:
        dues.setdefault(record["verification_due_on"], []).append(record)
    known = {due: min(r.r for r in mine) for due, mine in dues.items()}
    by_licence = _due_by_licence(filings, ctx)
    if by_licence is not None and not any(due < by_licence[0] for due in dues):
        due, since = by_licence
        dues.setdefault(due, [])
        known[due] = min(since, known.get(due, since))
    for due, mine in sorted(dues.items()):
        apply_by = add_months(due, -ctx.settings.count("apply_months"))
        then = ctx.records.ledger.institution(end_of_day(apply_by) - 1)
        if then is None or then["filing_kind"] != CANCELLED:
            yield from _applied_for(due, apply_by, mine, known[due], ctx)
        yield from _open_after(due, mine, records, ctx)
    yield from _long_intervals(records, ctx)


def _due_by_licence(filings: list[Evidence], ctx: Context) -> tuple[int, int] | None:
    """The due day of an independent hospital's first verification, and since when it is known."""
    if not ctx.on("c") or not filings or filings[-1]["institution_form"] != INDEPENDENT:
        return None
    first = next(f for f in filings if f["institution_form"] == INDEPENDENT)
    months = ctx.settings.count("interval_months")
    return add_months(first["licence_valid_from"], months), first.r


def _applied_for(
    due: int, apply_by: int, mine: list[Evidence], known: int, ctx: Context
) -> Iterator[Verdict]:
    applied = [record for record in mine if record["stage"] == "APPLIED"]
    if not ctx.on("a") or any(day_of(record.t) <= apply_by for record in applied):
        return
    state = ctx.filing_absence_on(apply_by, known)
    if state is not None:
        end = min((record.t for record in applied), default=FOREVER)
        yield Verdict(
            "verification",
            format_day(due),
            ended(state, end, ctx),
            "a",
            start=end_of_day(apply_by),
            end=ending(end),
            evidence=tuple(record.id for record in mine),
            facts={"due_on": format_day(due), "apply_by": format_day(apply_by)},
            due=end_of_day(apply_by),
        )


def _open_after(
    due: int, mine: list[Evidence], records: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    passed = [r for r in records if r["stage"] == "PASSED" and r["verification_due_on"] >= due]
    if any(r["verification_due_on"] == due and day_of(r.t) <= due for r in passed):
        return
    applied = [r.t for r in mine if r["stage"] == "APPLIED" and day_of(r.t) <= due]
    refusals = [r for r in mine if r["stage"] == "NOT_PASSED"]
    start = end_of_day(due)
    if applied:
        refused = next((r.t for r in refusals if r.t >= max(applied)), None)
        if refused is None:
            return
        start = max(start, refused)
    end = min((r.t for r in passed if r.t >= start), default=FOREVER)
    if start > ctx.now:
        ctx.wake(start)
        return
    opened = _first_session(start, end, ctx)
    if opened is None:
        return
    refusal = next((r for r in refusals if r.t <= opened.t), None)
    hard = refusal is not None
    state = State.CONFIRMED if hard else ctx.filing_absence_on(due, opened.r)
    if state is not None:
        yield Verdict(
            "verification",
            format_day(due),
            ended(state, end, ctx),
            "b",
            start=opened.t,
            end=ending(end),
            evidence=(opened.id, *(record.id for record in mine)),
            facts={
                "due_on": format_day(due),
                "cause": "NOT_PASSED" if hard else "NO_VERIFICATION",
            },
            due=None if hard else end_of_day(due),
            lawful_until=ctx.book.deadlines.filing_confirmed(start_of_day(due)) if hard else 0,
        )


def _first_session(start: int, end: int, ctx: Context) -> Evidence | None:
    """The first session opened in ``[start, end)``; only earlier ones have the rule judge again."""
    acts = ctx.records.acts(start, end, followed=False)
    found = next((a for a in acts if a.type == "SessionOpened" and in_scope(a, ctx)), None)
    ctx.records.acts(start, end if found is None else found.t + 1)
    return found


def _long_intervals(records: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    months = ctx.settings.count("interval_months")
    for passed in records:
        previous = passed["verification_due_on"]
        if passed["stage"] != "PASSED":
            continue
        later = [r for r in records if r["verification_due_on"] > previous]
        limit = add_months(previous, months)
        if not later or later[0]["verification_due_on"] <= limit:
            continue
        named = later[0]
        if ctx.records.ledger.form(named.t) != INDEPENDENT:
            continue
        end = min((r.t for r in later if r["verification_due_on"] <= limit), default=FOREVER)
        due_on = format_day(named["verification_due_on"])
        yield Verdict(
            "verification",
            due_on,
            ended(State.CONFIRMED, end, ctx),
            "c",
            start=named.t,
            end=ending(end),
            evidence=(passed.id, named.id),
            facts={"previous_due": format_day(previous), "due_on": due_on},
        )


_TERM = ("licence_valid_from", "licence_valid_to")
_ACTS = {
    "SessionOpened": ("session_id", "service_kind"),
    "PrescriptionIssued": ("session_id",),
}

RULES = (
    Rule(
        id="LIC-01",
        reads={"InstitutionFiled": ("filing_kind", "service_modes", *_TERM), **_ACTS},
        judges={"institution": operates_under_a_licence},
        auto=ALL,
    ),
    Rule(
        id="LIC-02",
        reads={
            "SessionOpened": ("dept_code", "service_kind"),
            "DepartmentApproved": ("status", "effective_from", "effective_to"),
        },
        judges={"session": within_approved_departments},
    ),
    Rule(
        id="LIC-03",
        reads={
            "DepartmentApproved": (
                "status",
                "effective_from",
                "host_has_subject",
                "host_clinical_dept_id",
                "is_clinical",
            ),
            "InstitutionFiled": (
                "filing_kind",
                "institution_form",
                "host_institution_id",
                "host_licence_valid_to",
                "licence_valid_to",
            ),
        },
        judges={"department": department_of_the_host, "institution": licence_of_the_host},
        auto=ALL,
    ),
    Rule(
        id="LIC-04",
        reads={
            "LicenceVerificationRecorded": ("stage", "verification_due_on"),
            "InstitutionFiled": ("institution_form", "licence_valid_from"),
            **_ACTS,
        },
        judges={"institution": verified_in_time},
        auto=ALL,
    ),
)
