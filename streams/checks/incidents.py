"""INC: adverse events, and the stops and exits that must follow (不良事件与强制暂停)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.cases.base import FOREVER
from streams.cases.session import Dossier
from streams.cases.stops import INSTITUTION, Stop, declared
from streams.checks import security, seniors
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.intervals import IntervalSet, union

ADVERSE = "AdverseEventReported"
CHANGED = "ServiceStatusChanged"
_NONE = "none"
_OUT = frozenset({"SUSPENDED", "EXITED"})
_INVESTIGATED = frozenset({"INVESTIGATED", "CLOSED"})


def _ids(items: Iterable[Evidence]) -> tuple[str, ...]:
    return tuple(item.id for item in items)


def _first_report(reports: list[Evidence]) -> tuple[Evidence, int]:
    """The report that says when an incident was discovered, and when that was known first.

    It is the first INITIAL one or, until that has come, the earliest of any stage.
    """
    leading = next((r for r in reports if r["stage"] == "INITIAL"), reports[0])
    discovered = leading["discovered_at"]
    return leading, min(r.r for r in reports if r["discovered_at"] == discovered)


def not_reported(incident: Dossier, ctx: Context) -> Iterator[Verdict]:
    """INC-01: an adverse event is reported to the authority, and investigated (CQ 29, SC 27).

    (a) is about the time that any stage states for the report: one that is too late is known at
    once, since it contradicts an earlier one; in Guangxi, where reporting is only encouraged
    (GX 36), it clears the signal (D26). (b) is about the stages themselves; an incident is
    investigated or closed once (D2), so a late one is known at once, too.
    """
    reports = incident.events(ADVERSE)
    if not reports:
        return
    leading, known = _first_report(reports)
    found = leading["discovered_at"]
    facts = {"kind": leading["kind"]}
    told = (r["reported_to_authority_at"] for r in reports)
    times = [at for at in told if at is not None]
    if ctx.on("a") and not (times and ctx.settings.signals("a")):
        due = found + ctx.settings.millis("report_within")
        yield from _missed("a", incident, reports, (found, due, known), times, facts, ctx)
    if ctx.on("b"):
        due = found + ctx.settings.millis("investigate_within")
        times = [r.t for r in reports if r["stage"] in _INVESTIGATED]
        yield from _missed("b", incident, reports, (found, due, known), times, facts, ctx)


def _missed(
    clause: str,
    incident: Dossier,
    reports: list[Evidence],
    limits: tuple[int, int, int],
    times: list[int],
    facts: dict[str, str],
    ctx: Context,
) -> Iterator[Verdict]:
    """What was due once and did not happen in time; ``limits`` are start, due and trigger."""
    start, due, known = limits
    if any(at <= due for at in times):
        return
    state = State.RESOLVED if times else ctx.clinical_absence(due, known)
    if state is not None:
        yield Verdict(
            "incident",
            incident.id,
            state,
            clause,
            start=start,
            end=min(times, default=None),
            evidence=_ids(reports),
            facts=facts,
            due=due,
            lawful_until=ctx.book.deadlines.clinical_confirmed(due) if times else 0,
        )


# -- INC-02: suspension and exit -------------------------------------------------------------------


def _declared_stops(ctx: Context) -> list[Stop]:
    return declared(ctx.records.ledger.status_changes())


def _covering(stops: Iterable[Stop], scope: str, scope_id: str | None) -> list[Stop]:
    """Stops that cover a scope: of the same one or of the whole institution."""
    return [
        stop
        for stop in stops
        if stop.scope == INSTITUTION or (stop.scope, stop.scope_id) == (scope, scope_id)
    ]


def _in_force(stops: Iterable[Stop], first: int, last: int) -> bool:
    """Whether some stop is in force at some instant of ``[first, last]``."""
    return any(stop.start <= last and stop.end > max(first, stop.start) for stop in stops)


def _remedied(state: State, since: int | None) -> State:
    """An established violation has ended once what was missing is there."""
    return State.RESOLVED if since is not None and state is State.CONFIRMED else state


def service_not_suspended(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """INC-02(a),(e), of the institution: it stops after a failed assessment (GX 39), and should
    where its equipment is below the basic standard (CQ 25).

    (a) One finding for each failure, but none for those while an earlier one still stands. A
    passed assessment, which would clear it, may be filed for a week (D7).
    """
    if ctx.on("a"):
        yield from _failed_assessments(ctx)
    if ctx.on("e"):
        yield from _below_standard(ctx)


def _failed_assessments(ctx: Context) -> Iterator[Verdict]:
    mlps = ctx.records.ledger.assessments("MLPS")
    failures = [a for a in mlps if a["result"] == "FAIL"]
    if not failures:
        return
    passes = [a for a in mlps if a["result"] == "PASS"]
    stops = [stop for stop in _declared_stops(ctx) if stop.scope == INSTITUTION]
    until = 0
    for failure in failures:
        x, due = failure.t, failure.t + ctx.book.immediate
        if x < until or _in_force(stops, x, due) or any(x < p.t <= due for p in passes):
            continue
        ends = [p.t for p in passes if p.t > due] + [s.start for s in stops if s.start > due]
        end = min(ends, default=None)
        until = FOREVER if end is None else end
        state = ctx.filing_absence(due, failure.r)
        if state is not None:
            yield Verdict(
                "institution",
                ctx.records.institution_id,
                _remedied(state, end),
                "a",
                start=x,
                end=end,
                evidence=(failure.id, *(s.source for s in stops if s.start > due)),
                due=due,
                episodic=True,
            )


def _below_standard(ctx: Context) -> Iterator[Verdict]:
    if ctx.book.rule("SEC-03") is None:
        return
    signals = ctx.book.rules["SEC-03"].signals
    standing = [
        (max(since.r, since.t), since)
        for item, _, since, until in security.failing_items(ctx)
        if until is None and not signals(item)
    ]
    if standing:
        confirmed, snapshot = min(standing, key=lambda pair: (pair[0], pair[1].id))
        subject = ("institution", ctx.records.institution_id)
        yield from _going_on(subject, "SEC-03", confirmed, (snapshot.id,), (INSTITUTION, None), ctx)


def understaffed_and_open(department: Dossier, ctx: Context) -> Iterator[Verdict]:
    """INC-02(e), of a department: it should stop where it lacks senior doctors (CQ 25, STF-06).

    As of the institution, only a suspension in force now covers it; one that was lifted while the
    other finding still stands covers it no more. From the hour after that finding was established,
    without any further wait: the signal is not about a companion event that may be on its way.
    """
    settings = ctx.book.rule("STF-06")
    if settings is None or not ctx.on("e"):
        return
    other = _Overheard(ctx.now, ctx.book, settings, ctx.records)
    for verdict in seniors.seniors_of_the_department(department, other):
        if verdict.state is State.CONFIRMED:
            subject = ("department", department.id)
            scope = ("DEPARTMENT", department.id)
            at = other.confirmed_at
            yield from _going_on(subject, "STF-06", at, verdict.evidence, scope, ctx)
    ctx.wake(other.next_wake)


class _Overheard(Context):
    """Another rule's context that tells when its absences are established."""

    confirmed_at: int = 0

    def ripen(self, suspected_at: int, confirmed_at: int) -> State | None:
        self.confirmed_at = confirmed_at
        return Context.ripen(self, suspected_at, confirmed_at)


def _going_on(
    subject: tuple[str, str],
    rule: str,
    confirmed: int,
    evidence: tuple[str, ...],
    scope: tuple[str, str | None],
    ctx: Context,
) -> Iterator[Verdict]:
    """What was established by another rule, and no suspension in force covers it."""
    if ctx.now < confirmed + ctx.book.immediate:
        ctx.wake(confirmed + ctx.book.immediate)
        return
    stops = _covering(_declared_stops(ctx), *scope)
    in_force = [stop for stop in stops if stop.start <= ctx.now < stop.end]
    for instant in (at for stop in stops for at in (stop.start, stop.end)):
        ctx.wake(instant if instant < FOREVER else 0)
    if not in_force:
        yield Verdict(
            *subject,
            State.SUSPECTED,
            "e",
            start=confirmed,
            evidence=evidence,
            facts={"rule": rule},
        )


def incident_not_acted_on(incident: Dossier, ctx: Context) -> Iterator[Verdict]:
    """INC-02(b),(d): what an adverse event affects is suspended at once (CQ 29), and after a major
    accident those responsible are suspended or leave (YC 27).

    (b) looks at the first report only; suspending the whole institution covers any scope, and
    suspending a department does not cover a person. (d) A suspension or exit that ended before the
    accident was discovered does not count: as in (a) and (b) it must be in force at some instant
    from the discovery on.
    """
    reports = incident.events(ADVERSE)
    if not reports:
        return
    if ctx.on("b"):
        yield from _not_suspended(incident, reports, ctx)
    if ctx.on("d"):
        yield from _not_exited(incident, reports, ctx)


def _not_suspended(incident: Dossier, reports: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    initial = next((r for r in reports if r["stage"] == "INITIAL"), None)
    if initial is None:
        return
    scope, scope_id = initial["affected_scope"], initial["affected_scope_id"]
    stops = _covering(_declared_stops(ctx), scope, scope_id)
    x, due = initial["discovered_at"], initial["discovered_at"] + ctx.book.immediate
    if _in_force(stops, x, due):
        return
    end = min((stop.start for stop in stops if stop.start > due), default=None)
    state = ctx.clinical_absence(due, initial.r)
    if state is not None:
        yield Verdict(
            "incident",
            incident.id,
            _remedied(state, end),
            "b",
            start=x,
            end=end,
            evidence=(initial.id, *(stop.source for stop in stops if stop.start > due)),
            facts={"scope": scope, "scope_id": scope_id or _NONE},
            due=due,
        )


def _not_exited(incident: Dossier, reports: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    major = [r for r in reports if r["major_accident"]]
    responsible = sorted({s for r in major for s in r["responsible_staff_ids"]})
    if not responsible:
        return
    leading, known = _first_report(major)
    x = leading["discovered_at"]
    due = x + ctx.settings.millis("exit_within")
    stops = _declared_stops(ctx)
    out = {staff_id: _absent(staff_id, stops, ctx) for staff_id in responsible}
    late = [s for s, spans in out.items() if not any(a <= due and b > x for a, b in spans)]
    if not late:
        return
    left = {s: min((a for a, _ in out[s] if a > due), default=None) for s in late}
    active = [staff_id for staff_id, since in left.items() if since is None]
    end = None if active else max(since for since in left.values() if since is not None)
    state = ctx.filing_absence(due, known)
    if state is not None:
        yield Verdict(
            "incident",
            incident.id,
            _remedied(state, end),
            "d",
            start=x,
            end=end,
            evidence=_ids(major),
            facts={"staff_ids": ",".join(active or late)},
            due=due,
        )


def _absent(staff_id: str, stops: list[Stop], ctx: Context) -> IntervalSet:
    """When a person was filed as suspended or gone, or personally suspended."""
    filings = ctx.records.ledger.staff_filings(staff_id)
    ends = [*(filing.t for filing in filings[1:]), FOREVER]
    return union(
        [(f.t, end) for f, end in zip(filings, ends, strict=False) if f["status"] in _OUT]
        + [(s.start, s.end) for s in stops if (s.scope, s.scope_id) == ("STAFF", staff_id)]
    )


def lost_conditions_not_reported(event: Dossier, ctx: Context) -> Iterator[Verdict]:
    """INC-02(c): whoever stops because conditions are lost reports that to the authority (CQ 25).

    A time that is too late is known at once, and the duty then fulfilled (D26).
    """
    for change in event.events(CHANGED):
        lost = change["status"] == "SUSPENDED" and change["reason"] == "CONDITIONS_LOST"
        if not lost or change.get("doubt") is not None:
            continue
        due = change.t + ctx.settings.millis("report_within")
        reported = change["reported_to_authority_at"]
        if reported is not None and reported <= due:
            continue
        state = State.RESOLVED
        if reported is None:
            absence = ctx.clinical_absence(due, change.r)
            if absence is None:
                continue
            state = absence
        yield Verdict(
            "event",
            change.id,
            state,
            "c",
            start=change.t,
            end=reported,
            evidence=(change.id,),
            due=due,
            lawful_until=ctx.book.deadlines.clinical_confirmed(due) if reported else 0,
        )


_REPORT = ("kind", "stage", "discovered_at")

RULES = (
    Rule(
        id="INC-01",
        reads={ADVERSE: (*_REPORT, "reported_to_authority_at")},
        judges={"incident": not_reported},
        auto=ALL,
    ),
    Rule(
        id="INC-02",
        reads={
            "AssessmentCompleted": ("assessment_type", "result"),
            ADVERSE: (
                *_REPORT,
                "affected_scope",
                "affected_scope_id",
                "major_accident",
                "responsible_staff_ids",
            ),
            CHANGED: ("scope", "scope_id", "status", "reason", "reported_to_authority_at"),
            "StaffFiled": ("status",),
            # With the fields that SEC-03 and STF-06 read.
            "InfrastructureFiled": (),
            "DepartmentApproved": (),
            "InstitutionFiled": (),
        },
        judges={
            "institution": service_not_suspended,
            "department": understaffed_and_open,
            "incident": incident_not_acted_on,
            "event": lost_conditions_not_reported,
        },
        auto=ALL,
    ),
)
