"""IDV: who is treating the patient (身份核验)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cases.session import LIVE_MODES, Session
from streams.checks.base import Context, Rule, about_session
from streams.checks.sessions import strongest
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
            yield about_session(
                session, state, "a" if both else None, opened.t, shown, due=opened.t
            )
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
            candidates = ctx.records.logins(doctor_id, x - ctx.settings.millis("login_max_age"), x)
        case _:
            candidates = [c for c in ctx.records.enrolments(doctor_id, x) if c.t <= x]
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
        yield about_session(session, state, "b", opened.t, shown, due=due)


def _signed(session: Session, opened: Evidence, ctx: Context) -> bool:
    """A log-in by digital certificate, and every prescription validly signed."""
    doctor_id = opened["doctor_id"]
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
            yield about_session(session, state, "a", opened.t, shown, end=closed.t, due=closed.t)
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
        yield about_session(session, state, "b", start, shown, facts, end=end, due=start + longest)


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
        yield about_session(
            session, state, "b", act.t, (opened, *checks, act), end=act.t, due=act.t
        )


def continued_after_failure(session: Session, ctx: Context) -> Iterator[Verdict]:
    """IDV-03: a session does not go on when the doctor was not recognised (GX 19, SC 13, CQ 23).

    (a) somebody else was recognised in the session. (b) after a check that the doctor did not pass
    nobody passed within the time for another try, and the session went on: by acts, or by not
    being closed in time. Not passed means FAIL, a match to another person before the session, or
    nobody matched (D41); a match to another person in the session is (a) alone. An act or a late
    closing that is known makes (b) due when the time for another try ends; as long as the closing
    is merely missing it is due when the session should have ended. By whichever method a check was
    made does not matter here.
    """
    opened = session.opened
    if opened is None or not session.checks:
        return
    doctor_id = opened["doctor_id"]
    strangers = [
        check
        for check in session.checks
        if check["phase"] == "IN_SESSION" and check["matched_staff_id"] not in (None, doctor_id)
    ]
    if strangers:
        first = strangers[0]
        facts = {"doctor_id": doctor_id, "matched_staff_id": first["matched_staff_id"]}
        shown = (opened, *strangers)
        yield about_session(session, State.CONFIRMED, "a", first.t, shown, facts)
    failed = [check for check in session.checks if _not_passed(check, doctor_id)]
    if not failed:
        return
    found = strongest(
        (state, (check, due))
        for check in failed
        for state, due in _going_on(session, opened, check, ctx)
    )
    if found is not None:
        state, (check, due) = found
        closed = () if session.closed is None else (session.closed,)
        shown = (opened, *failed, *session.acts, *closed)
        yield about_session(session, state, "b", check.t, shown, {"doctor_id": doctor_id}, due=due)


def _not_passed(check: Evidence, doctor_id: str) -> bool:
    matched = check["matched_staff_id"]
    if check["result"] == "FAIL" or matched is None:
        return True
    return bool(check["phase"] == "PRE_SESSION" and matched != doctor_id)


def _going_on(
    session: Session, opened: Evidence, failed: Evidence, ctx: Context
) -> Iterator[tuple[State | None, int]]:
    """How far it is established that a session went on after a check, and the time it was due."""
    end = max(failed.t + ctx.settings.millis("retry_window"), opened.t)
    if any(
        failed.t < check.t <= end
        and check["result"] == "PASS"
        and check["matched_staff_id"] == opened["doctor_id"]
        for check in session.checks
    ):
        return
    late = end + ctx.settings.millis("stop_within")
    known = max(opened.r, failed.r)
    closed = session.closed
    signs = [act.r for act in session.acts if act.t > end]
    if closed is None or closed.t > late:
        if closed is not None:
            signs.append(closed.r)
        yield ctx.clinical_absence(late, known), late
    if signs:
        yield ctx.clinical_absence(end, max(known, min(signs))), end


def patient_unverified(session: Session, ctx: Context) -> Iterator[Verdict]:
    """IDV-05: the patient is registered by real name before the session (GX 23, CQ 32, SC 14).

    Registered once is enough unless ``max_age`` says otherwise, and the last check by then must not
    have failed; a pass at the same instant as a failure counts. Where kinds of identifiers are
    asked for (CQ 32), a pass that lists fewer is none. A failure that undoes a registration known
    before is a trigger of its own.
    """
    opened = session.opened
    if opened is None:
        return
    x = opened.t
    oldest = ctx.settings.millis_or_none("max_age")
    kinds = ctx.settings.count("min_identifier_kinds")
    checks = [
        item
        for item in ctx.records.evidence("patient", opened["patient_token"], x)
        if item.type == "PatientIdentityVerified" and item.t <= x
    ]
    passes = [item for item in checks if item["result"] == "PASS"]
    failed = [item for item in checks if item["result"] == "FAIL"]
    last_pass = max((item.t for item in passes), default=x)
    undone = [item for item in failed if item.t > last_pass]
    good = [
        item
        for item in passes
        if (oldest is None or item.t >= x - oldest)
        and len(item["identifier_kinds_registered"]) >= kinds
    ]
    trigger = opened.r
    if good:
        if not undone:
            return
        known = min(item.r for item in undone)
        if min(item.r for item in good) <= known:
            trigger = max(trigger, known)
    state = ctx.clinical_absence(x, trigger)
    if state is not None:
        yield about_session(session, state, None, x, (opened, *checks), due=x)


_CHECK = ("staff_id", "matched_staff_id", "phase", "method", "result")

RULES = (
    Rule(
        id="IDV-01",
        reads={
            "SessionOpened": ("doctor_id", "service_kind"),
            "SessionClosed": ("outcome",),
            "DoctorIdentityVerified": _CHECK,
            "PrescriptionIssued": ("doctor_signature",),
            "ProcessRecordArchived": ("media", "coverage_start", "coverage_end"),
        },
        judges={"session": verified_before_reception},
    ),
    Rule(
        id="IDV-02",
        reads={
            "SessionOpened": ("doctor_id", "mode", "service_kind"),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "DoctorIdentityVerified": _CHECK,
            "PrescriptionIssued": (),
        },
        judges={"session": supervised_in_session},
    ),
    Rule(
        id="IDV-03",
        reads={
            "SessionOpened": ("doctor_id",),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "DoctorIdentityVerified": _CHECK,
            "PrescriptionIssued": (),
        },
        judges={"session": continued_after_failure},
    ),
    Rule(
        id="IDV-05",
        reads={
            "SessionOpened": ("patient_token",),
            "PatientIdentityVerified": ("result", "identifier_kinds_registered"),
        },
        judges={"session": patient_unverified},
    ),
)
