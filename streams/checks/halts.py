"""LIC-05: no service while it must be stopped (停止服务)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cases.session import Dossier, Session
from streams.cases.stops import Cause, Stop
from streams.checks.base import Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import format_instant


def session_during_a_stop(session: Session, ctx: Context) -> Iterator[Verdict]:
    """LIC-05: no session is opened, and soon nothing prescribed, while service must be stopped.

    CQ 25, CQ 29, GX 39, CN 5, CN 9. One finding a session, which names every cause (D6). A stop of
    a person covers the attending doctor and the prescriber. Closing what was open is allowed.
    """
    opened = session.opened
    if opened is None:
        return
    acts = [opened, *session.prescriptions]
    yield from _stopped(("session", session.id), opened, acts, ctx)


def prescription_during_a_stop(prescription: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-05 for a prescription without a session; it has no department, so none covers it."""
    issued = prescription.first("PrescriptionIssued")
    if issued is not None and issued["session_id"] is None:
        yield from _stopped(("prescription", prescription.id), None, [issued], ctx)


def _stopped(
    subject: tuple[str, str], opened: Evidence | None, acts: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    stops = ctx.records.ledger.scoped_stops(ctx.book, max(act.t for act in acts))
    if not stops:
        return
    departments = () if opened is None else (opened["dept_code"],)
    doctors = () if opened is None else (opened["doctor_id"],)
    wind_down = ctx.settings.millis("wind_down")
    held: list[tuple[Evidence, Stop, State]] = []
    for act in acts:
        prescribed = act.type == "PrescriptionIssued"
        staff = (*doctors, act["prescriber_id"]) if prescribed else doctors
        for stop in stops:
            inside = stop.start <= act.t < stop.end and stop.covers(departments, staff)
            if inside and (not prescribed or act.t > stop.start + wind_down):
                state = _stop_state(act, stop, ctx)
                if state is not None:
                    held.append((act, stop, state))
    if not held:
        return
    act = min((act for act, _, _ in held), key=lambda item: (item.t, item.id))
    established = {stop.cause for _, stop, s in held if s is State.CONFIRMED}
    hard = established == {Cause.CANCELLED}
    yield Verdict(
        *subject,
        State.CONFIRMED if established else State.SUSPECTED,
        start=act.t,
        evidence=tuple(dict.fromkeys(i for a, stop, _ in held for i in (a.id, stop.source))),
        facts={
            "causes": ",".join(sorted({stop.cause for _, stop, _ in held})),
            "act": act.type,
            "stopped_at": format_instant(min(stop.start for _, stop, _ in held)),
        },
        due=None if hard else act.t,
        lawful_until=ctx.book.deadlines.filing_confirmed(act.t) if hard else 0,
    )


def _stop_state(act: Evidence, stop: Stop, ctx: Context) -> State | None:
    """What might still end a stop in time: a resumption, a passed assessment, or nothing."""
    match stop.cause:
        case Cause.CANCELLED:
            return State.CONFIRMED
        case Cause.MLPS_FAILED:
            return ctx.filing_absence(act.t, max(act.r, stop.known))
        case _:
            return ctx.clinical_absence(act.t, max(act.r, stop.known))


_STOPS = {
    "SessionOpened": ("service_kind", "dept_code", "doctor_id"),
    "PrescriptionIssued": ("session_id", "prescriber_id"),
    "InstitutionFiled": ("filing_kind",),
    "ServiceStatusChanged": ("scope", "scope_id", "status"),
    "AssessmentCompleted": ("assessment_type", "result"),
    "AdverseEventReported": ("stage", "discovered_at", "affected_scope", "affected_scope_id"),
}

RULES = (
    Rule(
        id="LIC-05",
        reads=_STOPS,
        judges={"session": session_during_a_stop, "prescription": prescription_during_a_stop},
    ),
)
