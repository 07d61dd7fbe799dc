"""IDV: who is treating the patient (身份核验)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.cases.session import LIVE_MODES, Session
from streams.checks.base import Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import format_duration


def counts(check: Evidence, doctor_id: str, methods: frozenset[str]) -> bool:
    """Whether a check proves that the doctor in person was there, by an admitted method."""
    return (
        check["result"] == "PASS"
        and check["staff_id"] == doctor_id
        and check["matched_staff_id"] == doctor_id
        and check["method"] in methods
    )


def verified_before_reception(session: Session, ctx: Context) -> Iterator[Verdict]:
    """IDV-01: the doctor's identity is verified before the patient is received.

    What counts depends on the rulebook's ``scope``: a check bound to the session and shortly before
    it (GX 19), a recent log-in (CQ 23, SC 13), or enrolment once (CN 14). In Yinchuan the full
    video recording or a signed log-in is required as well (YC 8); D40 letters the two clauses.
    """
    opened = session.opened
    if opened is None:
        return
    both = ctx.settings.flag("video_or_signature")
    if not _verified(session, opened, ctx):
        state = ctx.clinical_absence(opened.t, opened.r)
        if state is not None:
            shown = (opened, *session.checks)
            yield _verdict(session, state, "a" if both else None, opened.t, opened.t, shown)
    if both and session.closed is not None:
        yield from _recorded_or_signed(session, opened, session.closed, ctx)


def _verified(session: Session, opened: Evidence, ctx: Context) -> bool:
    doctor_id, x = opened["doctor_id"], opened.t
    methods = ctx.settings.names("methods")
    match ctx.settings.text("scope"):
        case "SESSION":
            earliest = x - ctx.settings.millis("pre_max_age")
            candidates = [
                check
                for check in session.checks
                if check["phase"] == "PRE_SESSION" and earliest <= check.t <= x
            ]
        case "LOGIN":
            ctx.watch(f"logins/{doctor_id}")
            candidates = ctx.records.logins(doctor_id, x - ctx.settings.millis("login_max_age"), x)
        case _:
            ctx.watch(f"enrolments/{doctor_id}")
            candidates = [c for c in ctx.records.enrolments(doctor_id) if c.t <= x]
    return any(counts(check, doctor_id, methods) for check in candidates)


def _recorded_or_signed(
    session: Session, opened: Evidence, closed: Evidence, ctx: Context
) -> Iterator[Verdict]:
    edge = ctx.settings.millis("video_edge")
    recorded = any(
        record["media"] == "VIDEO"
        and record["coverage_start"] <= opened.t + edge
        and record["coverage_end"] >= closed.t - edge
        for record in session.events("ProcessRecordArchived")
    )
    if recorded or _signed(session, opened, ctx):
        return
    due = closed.t + ctx.settings.millis("video_due")
    state = ctx.clinical_absence(due, max(opened.r, closed.r))
    if state is not None:
        shown = (opened, closed, *session.prescriptions, *session.events("ProcessRecordArchived"))
        yield _verdict(session, state, "b", due, opened.t, shown)


def _signed(session: Session, opened: Evidence, ctx: Context) -> bool:
    """A log-in by digital certificate, and every prescription validly signed."""
    doctor_id = opened["doctor_id"]
    ctx.watch(f"logins/{doctor_id}")
    earliest = opened.t - ctx.settings.millis("login_max_age")
    logins = ctx.records.logins(doctor_id, earliest, opened.t)
    certificate = frozenset({"DIGITAL_CERT"})
    return any(counts(check, doctor_id, certificate) for check in logins) and all(
        prescription["doctor_signature"] == "VALID" for prescription in session.prescriptions
    )


def supervised_in_session(session: Session, ctx: Context) -> Iterator[Verdict]:
    """IDV-02: the doctor's identity is checked again and again while the session lasts (GX 19).

    Clause (a): acts without enough checks. Clause (b): in voice and video sessions no stretch
    longer than ``max_gap`` without a check, in text sessions a check shortly before every act. The
    platform clock stands for the closing of an open session (D32).
    """
    opened = session.opened
    if opened is None or session.exempt:
        return
    methods = ctx.settings.names("methods")
    passed = [c for c in session.checks if counts(c, opened["doctor_id"], methods)]
    closed = session.closed
    inside = [
        check
        for check in passed
        if check["phase"] == "IN_SESSION"
        and opened.t <= check.t
        and (closed is None or check.t <= closed.t)
    ]
    if closed is not None and session.acts and len(inside) < ctx.settings.count("min_checks"):
        trigger = max(opened.r, closed.r, min(act.r for act in session.acts))
        state = ctx.clinical_absence(closed.t, trigger)
        if state is not None:
            shown = (opened, closed, *session.acts, *inside)
            yield _verdict(session, state, "a", closed.t, opened.t, shown, closed.t)
    if opened["mode"] in LIVE_MODES:
        yield from _live_gaps(session, opened, closed, inside, ctx)
    else:
        before = [c for c in passed if c["phase"] in ("PRE_SESSION", "IN_SESSION")]
        yield from _unchecked_acts(session, opened, before, ctx)


def _live_gaps(
    session: Session,
    opened: Evidence,
    closed: Evidence | None,
    inside: list[Evidence],
    ctx: Context,
) -> Iterator[Verdict]:
    longest = ctx.settings.millis("max_gap")
    points = [opened.t, *(check.t for check in inside)]
    ends: list[int | None] = [*points[1:], None if closed is None else closed.t]
    found: list[tuple[State, int, int | None]] = []
    for start, end in zip(points, ends, strict=True):
        if end is not None and end - start <= longest:
            continue
        state = ctx.clinical_absence(start + longest, opened.r)
        if state is not None:
            found.append((state, start, end))
    if found:
        state = State.CONFIRMED if any(s is State.CONFIRMED for s, _, _ in found) else found[0][0]
        start, end = next((s, e) for held, s, e in found if held is state)
        shown = (opened, *inside, *(() if closed is None else (closed,)))
        facts = {} if end is None else {"gap": format_duration(end - start)}
        yield _verdict(session, state, "b", start + longest, start, shown, end, facts)


def _unchecked_acts(
    session: Session, opened: Evidence, checks: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    longest = ctx.settings.millis("max_gap")
    found: list[tuple[State, Evidence]] = []
    for act in session.acts:
        if any(act.t - longest <= check.t <= act.t for check in checks):
            continue
        state = ctx.clinical_absence(act.t, max(opened.r, act.r))
        if state is not None:
            found.append((state, act))
    if found:
        state = State.CONFIRMED if any(s is State.CONFIRMED for s, _ in found) else found[0][0]
        act = next(a for held, a in found if held is state)
        yield _verdict(session, state, "b", act.t, act.t, (opened, *checks, act), act.t)


def _verdict(
    session: Session,
    state: State,
    clause: str | None,
    due: int,
    start: int,
    shown: Iterable[Evidence],
    end: int | None = None,
    facts: dict[str, str] | None = None,
) -> Verdict:
    return Verdict(
        "session",
        session.id,
        state,
        clause,
        start=start,
        end=end,
        evidence=tuple(dict.fromkeys(item.id for item in shown)),
        facts=facts or {},
        due=due,
    )


_CHECK = ("staff_id", "matched_staff_id", "phase", "method", "result")

RULES = (
    Rule(
        id="IDV-01",
        subject="session",
        reads={
            "SessionOpened": ("doctor_id", "service_kind"),
            "SessionClosed": ("outcome",),
            "DoctorIdentityVerified": _CHECK,
            "PrescriptionIssued": ("doctor_signature",),
            "ProcessRecordArchived": ("media", "coverage_start", "coverage_end"),
        },
        judge=verified_before_reception,
        misses=(
            "医师本人通过核验后将设备交予他人的情形不可见。",
            "A doctor who passes the check and hands the device over is not seen.",
        ),
    ),
    Rule(
        id="IDV-02",
        subject="session",
        reads={
            "SessionOpened": ("doctor_id", "mode", "service_kind"),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "DoctorIdentityVerified": _CHECK,
            "PrescriptionIssued": (),
        },
        judge=supervised_in_session,
        misses=(
            "两次核验之间更换人员的情形不可见。",
            "A change of person between two checks is not seen.",
        ),
    ),
)
