"""What case files tell others: facts that rules about persons and several institutions rest on.

A closing names no doctor and a supply no prescriber, so whoever watches a person is told about the
person's sessions and prescriptions by the case files in which both ends have met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.cases.session import LIVE_MODES, Dossier, Session
from streams.checks.base import Context, Fact, Teller
from streams.events import Evidence
from streams.places import SLICE
from streams.timeline import day_of


def doctors_sessions(session: Session, ctx: Context) -> Iterator[Fact]:
    """A session, to whoever watches its doctor here (SES-07) and everywhere (IDV-04)."""
    opened, closed = session.opened, session.closed
    if opened is None:
        return
    body = {
        "doctor_id": opened["doctor_id"],
        "mode": opened["mode"],
        "opened": opened.t,
        "received": opened.r,
        "closed": None if closed is None else closed.t,
        "outcome": None if closed is None else closed["outcome"],
        "first_act": min((act.t for act in session.acts), default=None),
        "rulebook": ctx.book.name,
        "evidence": [opened.id] + ([] if closed is None else [closed.id]),
        "corrected_at": _corrected_at(opened, closed),
    }
    doctor_id, day, source = opened["doctor_id"], day_of(opened.t), f"session/{session.id}"
    yield Fact(f"sessions/{doctor_id}/{day}", source, opened.t, body, ("conduct", doctor_id))
    if opened["mode"] in LIVE_MODES:
        institution_id = ctx.records.institution_id
        told = {**body, "institution_id": institution_id, "session_id": session.id}
        yield Fact(
            f"practice/{doctor_id}/{day}",
            f"{institution_id}/{source}",
            opened.t,
            told,
            ("practice", f"{doctor_id}/{day}"),
            shared=True,
        )


def _corrected_at(*items: Evidence | None) -> int | None:
    """When the last correction in force of some evidence was received, for who is told of it."""
    corrections = (i.r for i in items if i is not None and i.supersedes is not None)
    return max(corrections, default=None)


def supplied_elsewhere(view: Dossier, ctx: Context) -> Iterator[Fact]:
    """A prescription that others than the hospital have supplied, to whoever watches its doctor."""
    steering = ctx.book.rule("RX-09")
    issued = view.first("PrescriptionIssued")
    if issued is None or steering is None or not steering.judges("b"):
        return
    own = ctx.records.institution_id
    others = [
        s
        for s in view.events("DrugSupplied")
        if s["stage"] != "RETURNED" and s["supplier_id"] != own
    ]
    if others:
        doctor_id = issued["prescriber_id"]
        body = {
            "suppliers": sorted({s["supplier_id"] for s in others}),
            "evidence": [issued.id, others[0].id],
        }
        place = f"supplied/{doctor_id}/{day_of(issued.t)}"
        source = f"prescription/{view.id}"
        yield Fact(place, source, issued.t, body, ("steering", doctor_id))


def pharmacists_shifts(shift: Dossier, ctx: Context) -> Iterator[Fact]:
    """A shift on review duty, to whoever watches the person everywhere (IDV-04).

    It begins at SIGN_ON, else at the first HEARTBEAT. Without SIGN_OFF it ends
    ``heartbeat_timeout`` after its last sign of life (D31, D39), which is told when no other has
    come for so long.
    """
    points = [p for p in shift.events("DutyStatusReported") if p["duty_kind"] == "RX_REVIEW"]
    starts = [p.t for p in points if p["phase"] == "SIGN_ON"]
    starts = starts or [p.t for p in points if p["phase"] == "HEARTBEAT"]
    if not starts:
        return
    start = min(starts)
    closed = min((p.t for p in points if p["phase"] == "SIGN_OFF"), default=None)
    if closed is None:
        seen_until = points[-1].t + ctx.book.rules["PHA-01"].millis("heartbeat_timeout")
        if ctx.now >= seen_until + ctx.book.deadlines.wait:
            closed = seen_until
        ctx.wake(seen_until + ctx.book.deadlines.wait)
    staff_id, institution_id = points[0]["staff_id"], ctx.records.institution_id
    filed = ctx.records.ledger.staff(staff_id, start)
    body = {
        "opened": start,
        "closed": closed,
        "full_time": filed is not None and filed["role"] == "PHARMACIST" and filed["full_time"],
        "rulebook": ctx.book.name,
        "institution_id": institution_id,
        "evidence": [p.id for p in points if p["phase"] != "HEARTBEAT"],
    }
    place, source = f"shifts/{staff_id}/{day_of(start)}", f"{institution_id}/shift/{shift.id}"
    yield Fact(place, source, start, body, ("practice", f"{staff_id}/shifts"), shared=True)


_RATINGS = ("ratings", "")


def _rated(what: str, source: str, item: Evidence, doctor_id: str | None, **more: Any) -> Fact:
    body = {"what": what, "doctor_id": doctor_id, "event_id": item.id, **more}
    place = f"rated/{day_of(item.t)}/{item.t // SLICE}"
    return Fact(place, source, item.t, body, _RATINGS)


def rated_session(session: Session, ctx: Context) -> Iterator[Fact]:
    """A session that was brought to an end, its marks, and whom complaints and adverse events about
    it concern, to whoever watches the rates of an institution (QLT-02).
    """
    opened, closed = session.opened, session.closed
    if opened is None:
        return
    doctor_id = opened["doctor_id"]
    if closed is not None and closed["outcome"] in ("COMPLETED", "TERMINATED"):
        yield _rated("SESSION", f"session/{session.id}", closed, doctor_id)
    for mark in session.events("ServiceRated"):
        yield _rated("MARK", f"mark/{mark.id}", mark, doctor_id, score=mark["score"])
    for what, item in (
        *(("COMPLAINT", item) for item in session.events("ComplaintReceived")),
        *(("INCIDENT", item) for item in _initial(session)),
    ):
        yield _rated(what, f"session-of/{item.id}", item, doctor_id, staff_ids=[])


def rated_complaint(complaint: Dossier, ctx: Context) -> Iterator[Fact]:
    """A complaint, with whom it names, whatever session it is about (QLT-02)."""
    received = complaint.first("ComplaintReceived")
    if received is not None:
        named = [] if received["staff_id"] is None else [received["staff_id"]]
        yield _rated("COMPLAINT", f"complaint/{complaint.id}", received, None, staff_ids=named)


def rated_incident(incident: Dossier, ctx: Context) -> Iterator[Fact]:
    """An adverse event, with those responsible or affected (QLT-02)."""
    for item in _initial(incident)[:1]:
        named = set(item["responsible_staff_ids"])
        if item["affected_scope"] == "STAFF" and item["affected_scope_id"] is not None:
            named.add(item["affected_scope_id"])
        source = f"incident/{incident.id}"
        yield _rated("INCIDENT", source, item, None, staff_ids=sorted(named))


def _initial(dossier: Dossier) -> list[Evidence]:
    return [r for r in dossier.events("AdverseEventReported") if r["stage"] == "INITIAL"]


TELLERS = (
    Teller(
        "sessions",
        "session",
        {
            "SessionOpened": ("doctor_id", "mode", "service_kind"),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": (),
        },
        doctors_sessions,
        frozenset({"SES-07", "IDV-04"}),
    ),
    Teller(
        "supplies",
        "prescription",
        {
            "SessionOpened": ("service_kind",),
            "PrescriptionIssued": ("session_id", "prescriber_id"),
            "DrugSupplied": ("prescription_id", "session_id", "stage", "supplier_id"),
        },
        supplied_elsewhere,
        frozenset({"RX-09"}),
    ),
    Teller(
        "shifts",
        "shift",
        {
            "DutyStatusReported": ("staff_id", "duty_kind", "phase", "shift_id"),
            "StaffFiled": ("role", "full_time"),
        },
        pharmacists_shifts,
        frozenset({"IDV-04"}),
    ),
    Teller(
        "rated-sessions",
        "session",
        {
            "SessionOpened": ("doctor_id", "service_kind"),
            "SessionClosed": ("outcome",),
            "ServiceRated": ("score",),
            "ComplaintReceived": (),
            "AdverseEventReported": ("stage",),
        },
        rated_session,
        frozenset({"QLT-02"}),
    ),
    Teller(
        "rated-complaints",
        "complaint",
        {"ComplaintReceived": ("staff_id",)},
        rated_complaint,
        frozenset({"QLT-02"}),
    ),
    Teller(
        "rated-incidents",
        "incident",
        {
            "AdverseEventReported": (
                "stage",
                "affected_scope",
                "affected_scope_id",
                "responsible_staff_ids",
            ),
        },
        rated_incident,
        frozenset({"QLT-02"}),
    ),
)
