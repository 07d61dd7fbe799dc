"""SES: how a session is conducted, from its opening to its closing (诊疗行为)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from streams.cases.base import FOREVER
from streams.cases.session import REMOTE_MEDICINE, Session
from streams.checks.base import Context, Rule, about_session
from streams.checks.conduct import READS as CONDUCT_READS
from streams.checks.conduct import replaced_by_pattern
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.reference import plain_diagnosis
from streams.rulebook import RuleSettings
from streams.timeline import add_months, day_of, format_instant

FIRST_VISIT = "FIRST_VISIT"
FAMILY_DOCTOR = "FAMILY_DOCTOR"
_ADVICE = frozenset({"HEALTH_CONSULTATION", "REFERRAL_CONSULTATION"})
"""Kinds of service that are lawful anywhere as long as nothing is diagnosed or prescribed."""
_RESTING_ON_DIAGNOSIS = frozenset({"FOLLOW_UP", "COMMON_DISEASE", "REHAB_FOLLOW_UP", "MDT"})
_ENDED_EARLY = frozenset({"TERMINATED", "TIMED_OUT", "CANCELLED"})
_UNESTABLISHED = frozenset({State.SUSPECTED, State.CLEARED})

T = TypeVar("T")


def strongest(found: Iterable[tuple[State | None, T]]) -> tuple[State, T] | None:
    """Of several ways in which one violation is held, the first established, else suspected."""
    suspected: tuple[State, T] | None = None
    for state, shown in found:
        if state is State.SUSPECTED:
            suspected = suspected or (state, shown)
        elif state is not None:
            return state, shown
    return suspected


def first_visit_treated(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-01: a patient seen for the first time is not treated online (CN 16, SC 16, CQ 26(一)).

    A first visit that ends without prescription or diagnosis is lawful: the doctor recognised it.
    It is suspected from its opening only where treatment would be a violation (D15), and until
    acts could no longer be uploaded in time. Departments are compared by their codes as they are.
    Once established and then corrected, it is not merely suspected again.
    """
    opened = session.opened
    if (
        opened is None
        or opened["visit_kind"] != FIRST_VISIT
        or opened["service_kind"] in _ADVICE
        or opened["service_kind"] == REMOTE_MEDICINE
        or opened["dept_code"] in ctx.settings.names("first_visit_departments")
    ):
        return
    yield from _treated(session, opened, ctx, None, {"doctor_id": opened["doctor_id"]})


def _treated(
    session: Session, opened: Evidence, ctx: Context, clause: str | None, facts: dict[str, str]
) -> Iterator[Verdict]:
    """Treatment in a session that allows none: established by an act, suspected before any."""
    acts = session.acts
    if acts:
        shown = (opened, *acts)
        facts = {**facts, "act": acts[0].type}
        yield about_session(session, State.CONFIRMED, clause, opened.t, shown, facts)
    elif _acts_may_come(session, ctx, clause):
        facts = {**facts, "act": "none"}
        yield about_session(session, State.SUSPECTED, clause, opened.t, (opened,), facts)


def _acts_may_come(session: Session, ctx: Context, clause: str | None) -> bool:
    if any(f.clause == clause and f.state not in _UNESTABLISHED for f in ctx.findings):
        return False
    closed = session.closed
    if closed is None:
        return True
    last = ctx.book.deadlines.clinical_confirmed(closed.t)
    ctx.wake(last)
    return ctx.now < last


def prior_diagnosis_missing(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-02: whoever treats online holds evidence of a diagnosis made in person (CN 16, GX 24).

    An absence due by the first act. Each act without earlier evidence upholds it by itself, so an
    earlier act that is uploaded later does not interrupt a suspicion. First visits are exempt where
    the rulebook admits them (RULES 1.4).
    """
    opened, acts = session.opened, session.acts
    if opened is None or not acts or _exempt(opened, ctx.settings):
        return
    known = opened.r
    if opened["service_kind"] not in _RESTING_ON_DIAGNOSIS:
        if not session.prescriptions:
            return
        known = max(known, min(item.r for item in session.prescriptions))
    held_since = min((p.t for p in _documented(session, opened, ctx)), default=FOREVER)
    found = strongest(
        (ctx.clinical_absence(act.t, max(known, act.r)), act) for act in acts if act.t < held_since
    )
    if found is not None:
        start = acts[0].t
        shown = (opened, *acts, *session.events("PriorDiagnosisEvidenced"))
        facts = {"doctor_id": opened["doctor_id"]}
        yield about_session(session, found[0], None, start, shown, facts, due=start)


def _exempt(opened: Evidence, settings: RuleSettings) -> bool:
    return opened["visit_kind"] == FIRST_VISIT and settings.flag("first_visits_exempt")


def _documented(session: Session, opened: Evidence, ctx: Context) -> list[Evidence]:
    """Evidence of a diagnosis made in person that SES-02 accepts, but for when it was judged."""
    settings = ctx.book.rules["SES-02"]
    retained = settings.flag("require_retained")
    oldest = settings.period("max_age_of_diagnosis")
    day = day_of(opened.t)
    earliest = -FOREVER if oldest is None else add_months(day, -oldest.months)
    return [
        item
        for item in session.events("PriorDiagnosisEvidenced")
        if item["doctor_confirmed"]
        and item["source_is_physical_institution"]
        and item["diagnosis_codes"]
        and earliest <= item["diagnosed_on"] <= day
        and (item["retained"] or not retained)
    ]


def diagnosis_differs(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-03: what is treated online is what was diagnosed in person (CN 16 「相同诊断」).

    Codes agree when the first ``match_length`` characters do, without the dot. An absence of
    matching evidence, due by the act that carries the code. Without any evidence that SES-02
    accepts nothing is said here; whether SES-02 applies to the kind of service does not matter.
    """
    opened, acts = session.opened, session.acts
    if opened is None or not acts or _exempt(opened, ctx.settings):
        return
    prior = [p for p in _documented(session, opened, ctx) if p.t <= acts[0].t]
    if not prior:
        return
    length = ctx.settings.count("match_length")
    documented = {code for item in prior for code in item["diagnosis_codes"]}
    categories = {plain_diagnosis(code)[:length] for code in documented}
    known = max(opened.r, min(item.r for item in prior))
    unmatched = [
        (act, codes)
        for act in acts
        if (
            codes := [
                c for c in act["diagnosis_codes"] if plain_diagnosis(c)[:length] not in categories
            ]
        )
    ]
    found = strongest((ctx.clinical_absence(act.t, max(known, act.r)), act) for act, _ in unmatched)
    if found is not None:
        start = unmatched[0][0].t
        facts = {
            "codes": ",".join(sorted({code for _, codes in unmatched for code in codes})),
            "prior": ",".join(sorted(documented)),
        }
        shown = (opened, *prior, *(act for act, _ in unmatched))
        yield about_session(session, found[0], None, start, shown, facts, due=start)


def not_ended_when_unsuitable(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-04: when a reason against going on arises, the session ends and the patient is guided.

    (a) treatment went on; (b) the session was not closed at once; (c) it was, without guidance to
    a physical institution (CN 16, GX 24); (d) without a warning (SC 17). Where several reasons
    arose, (a) and (d) count from the first, (b) and (c) are held for the first that shows them. A
    first visit that is found is a reason everywhere but in departments that may see first visits
    (D17). A closing known after the time of (b) establishes and ends it in one step (D2).
    """
    opened = session.opened
    if opened is None:
        return
    reasons = [
        item
        for item in session.events("UnsuitabilityIdentified")
        if item["reason"] != "FIRST_VISIT_FOUND"
        or opened["dept_code"] not in ctx.book.rules["SES-01"].names("first_visit_departments")
    ]
    if not reasons:
        return
    first = reasons[0]
    closings = session.events("SessionClosed")
    completed = [item for item in closings if item["outcome"] == "COMPLETED"]
    acts = [act for act in (*session.prescriptions, *completed) if act.t > first.t]
    if acts:
        act = min(acts, key=lambda item: item.t)
        facts = {"reason": first["reason"], "act": act.type, "act_at": format_instant(act.t)}
        yield about_session(session, State.CONFIRMED, "a", first.t, (opened, first, *acts), facts)
    yield from _not_closed_at_once(session, opened, reasons, ctx)
    ended = [item for item in closings if item["outcome"] in _ENDED_EARLY]
    for reason, closed in ((r, c) for r in reasons for c in ended if c.t >= r.t):
        if closed["referral"] not in ctx.settings.names(_accepted(reason)):
            facts = {"reason": reason["reason"], "referral": closed["referral"]}
            shown = (opened, reason, closed)
            yield about_session(session, State.CONFIRMED, "c", reason.t, shown, facts)
            break
    if ctx.settings.flag("warning_required"):
        unwarned = [c for c in ended if c.t >= first.t and not c["warning_given"]]
        if unwarned:
            facts = {"reason": first["reason"]}
            shown = (opened, first, unwarned[0])
            yield about_session(session, State.CONFIRMED, "d", first.t, shown, facts)


def _accepted(reason: Evidence) -> str:
    unclear = reason["reason"] == "UNCLEAR_DIAGNOSIS"
    return "accepted_referrals_unclear_diagnosis" if unclear else "accepted_referrals"


def _not_closed_at_once(
    session: Session, opened: Evidence, reasons: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    within = ctx.settings.millis("terminate_within")
    closed = session.closed
    overdue = [r for r in reasons if closed is None or closed.t > r.t + within]
    found = strongest(
        (_ended_late(session, reason.t + within, max(opened.r, reason.r), ctx), reason)
        for reason in overdue
    )
    if found is not None:
        state, reason = found
        end, shown = _until(session, (opened, reason))
        facts, due = {"reason": reason["reason"]}, reason.t + within
        yield about_session(session, state, "b", reason.t, shown, facts, end=end, due=due)


def _ended_late(session: Session, due: int, trigger: int, ctx: Context) -> State | None:
    """The state of a session not closed by ``due``; closing it later ends the violation (D2)."""
    if session.closed is not None:
        return State.RESOLVED
    return ctx.clinical_absence(due, trigger)


def _until(session: Session, shown: Iterable[Evidence]) -> tuple[int | None, list[Evidence]]:
    closed = session.closed
    return (None, [*shown]) if closed is None else (closed.t, [*shown, closed])


def consent_missing(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-05: the patient was informed and agreed before the session (GX 14, CQ 24, SC 15, CN 15).

    Sessions of family doctors need the signed agreement of CN 15, given once by the patient, in
    every rulebook; others a consent for the session where the rulebook asks for one. A consent that
    lacks items or a signature counts as none.
    """
    opened = session.opened
    if opened is None:
        return
    settings = ctx.settings
    every_kind = settings.text("applies_to") == "ALL"
    family = opened["service_kind"] == FAMILY_DOCTOR
    if not (family or every_kind):
        return
    if family and every_kind:
        by_patient, signed, items = True, True, settings.names("family_doctor_items")
    else:
        by_patient = settings.text("scope") == "PATIENT"
        signed = settings.flag("signature_required")
        items = settings.names("required_items")
    kind = "FAMILY_DOCTOR_AGREEMENT" if family else "INTERNET_DIAGNOSIS"
    if by_patient:
        known = ctx.records.evidence("patient", opened["patient_token"], opened.t)
        consents = [item for item in known if item.type == "ConsentSigned"]
    else:
        consents = session.events("ConsentSigned")
    if any(
        item.t <= opened.t
        and item["agreed"]
        and item["consent_kind"] == kind
        and (item["signature"] == "VALID" or not signed)
        and items.issubset(item["notice_items"])
        for item in consents
    ):
        return
    state = ctx.clinical_absence(opened.t, opened.r)
    if state is not None:
        facts = {"kind": kind, "items": ",".join(sorted(items))}
        yield about_session(
            session, state, None, opened.t, (opened, *consents), facts, due=opened.t
        )


def outside_permitted_range(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-06: only services and diseases that are admitted online (CN 2, SC 30, YC 17).

    (a) treatment in a service of a kind not admitted: as SES-01, suspected from the opening, but
    health advice and referral only by an act (D16). (b) a diagnosis on no list of the authority
    (``allowed_diagnoses``): never more than suspected; not judged where there is no such list.
    """
    opened = session.opened
    if opened is None:
        return
    kind = opened["service_kind"]
    permitted = kind in ctx.settings.names("permitted_kinds") or kind == REMOTE_MEDICINE
    if not permitted and (kind not in _ADVICE or session.acts):
        yield from _treated(session, opened, ctx, "a", {"service_kind": kind})
    if ctx.reference.allowed is None:
        return
    unlisted = [
        (act, codes)
        for act in session.acts
        if (codes := [c for c in act["diagnosis_codes"] if _unlisted(c, act.t, ctx)])
    ]
    if unlisted:
        facts = {"codes": ",".join(sorted({code for _, codes in unlisted for code in codes}))}
        shown = (opened, *(act for act, _ in unlisted))
        yield about_session(session, State.SUSPECTED, "b", unlisted[0][0].t, shown, facts)


def _unlisted(code: str, instant: int, ctx: Context) -> bool:
    return ctx.reference.diagnosis_allowed(code, day_of(instant)) is False


def doctor_replaced(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-07(a): no artificial intelligence takes the doctor's place (GX 19, SC 16)."""
    opened = session.opened
    if opened is None or not ctx.on("a"):
        return
    for closed in session.events("SessionClosed"):
        if closed["ai_involvement"] == "SUBSTITUTED":
            facts = {"doctor_id": opened["doctor_id"]}
            shown = (opened, closed)
            yield about_session(session, State.CONFIRMED, "a", opened.t, shown, facts, end=closed.t)
            return


def trail_incomplete(session: Session, ctx: Context) -> Iterator[Verdict]:
    """SES-08: every session can be traced from its opening to its closing (CN 24, GX 31, CQ 33).

    (a) never closed; closing it later establishes and ends that in one step (D2). (b) prescriptions
    and reasons against going on before its opening or after its closing (the earliest of each).
    (c) opened or closed twice: events in force, a correction standing for what it corrects.
    """
    opened, closed = session.opened, session.closed
    if opened is None:
        return
    due = opened.t + ctx.settings.millis("max_session")
    if closed is None or closed.t > due:
        state = _ended_late(session, due, opened.r, ctx)
        if state is not None:
            end, shown = _until(session, (opened,))
            yield about_session(session, state, "a", opened.t, shown, end=end, due=due)
    end = FOREVER if closed is None else closed.t
    acts = (*session.prescriptions, *session.events("UnsuitabilityIdentified"))
    outside = [act for act in acts if not opened.t <= act.t <= end]
    if outside:
        act = min(outside, key=lambda item: item.t)
        facts = {
            "act": act.type,
            "opened_at": format_instant(opened.t),
            "closed_at": "none" if closed is None else format_instant(closed.t),
        }
        _, shown = _until(session, (opened, *outside))
        yield about_session(session, State.CONFIRMED, "b", act.t, shown, facts)
    several = [
        items
        for items in (session.events("SessionOpened"), session.events("SessionClosed"))
        if len(items) > 1
    ]
    if several:
        items = min(several, key=lambda found: found[1].t)
        facts = {"event_type": items[0].type, "count": str(len(items))}
        yield about_session(session, State.CONFIRMED, "c", items[1].t, items, facts)


_CODES = ("diagnosis_codes",)
_PRIOR = (
    "doctor_confirmed",
    "source_is_physical_institution",
    "diagnosis_codes",
    "diagnosed_on",
    "retained",
)

RULES = (
    Rule(
        id="SES-01",
        reads={
            "SessionOpened": ("doctor_id", "dept_code", "service_kind", "visit_kind"),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": (),
        },
        judges={"session": first_visit_treated},
    ),
    Rule(
        id="SES-02",
        reads={
            "SessionOpened": ("doctor_id", "service_kind", "visit_kind"),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": (),
            "PriorDiagnosisEvidenced": _PRIOR,
        },
        judges={"session": prior_diagnosis_missing},
    ),
    Rule(
        id="SES-03",
        reads={
            "SessionOpened": ("visit_kind",),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": _CODES,
            "PriorDiagnosisEvidenced": _PRIOR,
        },
        judges={"session": diagnosis_differs},
    ),
    Rule(
        id="SES-04",
        reads={
            "SessionOpened": ("dept_code",),
            "SessionClosed": ("outcome", "referral", "warning_given"),
            "PrescriptionIssued": (),
            "UnsuitabilityIdentified": ("reason",),
        },
        judges={"session": not_ended_when_unsuitable},
        auto=frozenset({"b"}),
    ),
    Rule(
        id="SES-05",
        reads={
            "SessionOpened": ("patient_token", "service_kind"),
            "ConsentSigned": ("agreed", "consent_kind", "notice_items", "signature"),
        },
        judges={"session": consent_missing},
    ),
    Rule(
        id="SES-06",
        reads={
            "SessionOpened": ("service_kind",),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": _CODES,
        },
        judges={"session": outside_permitted_range},
    ),
    Rule(
        id="SES-07",
        reads={
            "SessionOpened": ("doctor_id",),
            "SessionClosed": ("ai_involvement",),
            **CONDUCT_READS,
        },
        judges={"session": doctor_replaced, "conduct": replaced_by_pattern},
    ),
    Rule(
        id="SES-08",
        reads={
            "SessionOpened": (),
            "SessionClosed": (),
            "PrescriptionIssued": (),
            "UnsuitabilityIdentified": (),
        },
        judges={"session": trail_incomplete},
        auto=frozenset({"a"}),
    ),
)
