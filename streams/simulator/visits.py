"""Online sessions: planned as a compliant hospital conducts them, then written out as events.

A plan (``Visit``) is what incidents change; ``write`` turns it into events. Between the two nothing
is random that a rule depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.simulator.duty import DutyDay
from streams.simulator.filings import CARRIER, PHARMACY_CHAIN, identity_check
from streams.simulator.institution import Institution, Patient, Staff
from streams.simulator.outbox import Datum
from streams.simulator.profiles import (
    AGREEMENT_ITEMS,
    DIAGNOSES,
    DRUG_CLASS,
    DRUG_PRICES,
    DRUGS,
    SERVICE_PRICES,
    Regime,
    service_item,
)
from streams.timeline import HOUR, MINUTE, SECOND, add_months, day_of

MODES = ("TEXT_IMAGE", "VOICE", "VIDEO")
AUDIO_VIDEO = frozenset({"VOICE", "VIDEO"})
MEDIA = {"TEXT_IMAGE": "TEXT_IMAGE", "VOICE": "AUDIO", "VIDEO": "VIDEO"}
LEAD = 16 * MINUTE
"""No event of a session happens earlier than this before its opening."""

_LENGTH = {"TEXT_IMAGE": (6, 40), "VOICE": (4, 20), "VIDEO": (4, 25)}
_SECTIONS = [
    "PATIENT_BASICS",
    "DRUG_ALLERGY",
    "CHIEF_COMPLAINT",
    "PRESENT_ILLNESS",
    "PRIOR_OFFLINE_DIAGNOSIS",
    "CURRENT_MEDICATION",
    "DISPOSITION",
]
_UNSUITABLE = ("CONDITION_CHANGED", "IN_PERSON_EXAM_NEEDED", "CRITICAL_ILLNESS", "OTHER_UNSUITABLE")


class Check(NamedTuple):
    """One real-name check of the doctor; ``delay`` (ms) fixes its upload, ``kind`` says why."""

    at: int
    phase: str
    method: str = "FACE"
    matched: str | None = None
    passed: bool = True
    delay: int | None = None
    kind: str | None = None


@dataclass(slots=True)
class Visit:
    """The plan of one session; instants in epoch ms.

    ``checks`` belong to the session; ``logins`` (log-ins, enrolments) to the doctor. Video is
    recorded from ``recorded_from`` to ``recorded_to``.
    """

    session_id: str
    doctor: Staff
    mode: str
    opened: int
    closed: int
    service_kind: str = "FOLLOW_UP"
    visit_kind: str = "FOLLOW_UP"
    outcome: str = "COMPLETED"
    diagnosed: bool = True
    prescribed_at: int | None = None
    unsuitable_at: int | None = None
    checks: list[Check] = field(default_factory=list)
    logins: list[Check] = field(default_factory=list)
    recorded_from: int = 0
    recorded_to: int = 0
    prompt: bool = False

    @property
    def acts(self) -> list[int]:
        """Instants of the clinical acts (RULES 2.6)."""
        acts = [] if self.prescribed_at is None else [self.prescribed_at]
        if self.outcome == "COMPLETED" and self.diagnosed:
            acts.append(self.closed)
        return acts

    @property
    def earliest(self) -> int:
        """An instant before which the session leaves no trace but log-ins."""
        return self.opened - LEAD


def length(inst: Institution, mode: str) -> int:
    """How long a session of a mode takes, in milliseconds."""
    low, high = _LENGTH[mode]
    return int(inst.rng.uniform(low, high) * MINUTE)


def plan(inst: Institution, doctor: Staff, mode: str, opened: int, lasting: int) -> Visit:
    """A compliant, completed session with a diagnosis and, seven times in ten, a prescription."""
    rng = inst.rng
    visit = Visit(inst.name_id("s"), doctor, mode, opened, opened + lasting)
    visit.recorded_from, visit.recorded_to = opened - 2 * SECOND, visit.closed + 2 * SECOND
    if rng.random() < 0.7:
        visit.prescribed_at = opened + max(90 * SECOND, int(lasting * rng.uniform(0.4, 0.9)))
    return visit


def vary(inst: Institution, visit: Visit) -> None:
    """Give an ordinary session its service kind and, now and then, another ending."""
    rng = inst.rng
    kinds = inst.profile.service_kinds
    visit.service_kind = rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
    if visit.service_kind == "COMMON_DISEASE" and visit.doctor.dept == "13":
        visit.visit_kind = "FIRST_VISIT"
    if visit.service_kind == "HEALTH_CONSULTATION":
        visit.prescribed_at, visit.diagnosed = None, False
        return
    dice = rng.random()
    lasting = visit.closed - visit.opened
    if dice < 0.03:
        visit.prescribed_at, visit.diagnosed, visit.outcome = None, False, "TERMINATED"
        visit.unsuitable_at = visit.opened + int(lasting * rng.uniform(0.3, 0.6))
        visit.closed = min(visit.closed, visit.unsuitable_at + rng.randint(60, 480) * SECOND)
    elif dice < 0.05:
        visit.prescribed_at, visit.diagnosed, visit.outcome = None, False, "CANCELLED"
    visit.recorded_to = visit.closed + 2 * SECOND


def supervise(inst: Institution, visit: Visit) -> None:
    """Plan the identity checks of a session as the institution's rulebook wants them."""
    rng = inst.rng
    doctor = visit.doctor.staff_id
    opened = visit.opened
    if inst.profile.regime is not Regime.SESSION:
        if visit.mode == "VIDEO" and rng.random() < 0.3:
            at = opened - rng.randint(10, 300) * SECOND
            visit.checks.append(Check(at, "PRE_SESSION", "FACE", doctor))
        return
    before = opened - rng.randint(20, 480) * SECOND
    if rng.random() < 0.03:
        visit.checks.append(Check(before - 15 * SECOND, "PRE_SESSION", "FACE", None, passed=False))
    visit.checks.append(Check(before, "PRE_SESSION", "FACE", doctor))
    visit.checks += in_session(inst, visit)


def in_session(inst: Institution, visit: Visit) -> list[Check]:
    """Checks in the session: all along a call, shortly before the acts in a text session."""
    rng = inst.rng
    doctor = visit.doctor.staff_id
    times: list[int] = []
    if visit.mode in AUDIO_VIDEO:
        at = visit.opened
        while visit.closed - at > 9 * MINUTE + 30 * SECOND or not times:
            step = min(rng.randint(240, 560) * SECOND, (visit.closed - visit.opened) // 2)
            at += step
            times.append(at)
    else:
        times = [max(visit.opened, act - rng.randint(10, 240) * SECOND) for act in visit.acts]
    method = "FACE" if visit.mode != "VOICE" else "VOICEPRINT"
    return [Check(at, "IN_SESSION", method, doctor) for at in times]


def write(inst: Institution, visit: Visit, roster: DutyDay) -> None:
    """Emit everything a session leaves behind, from the patient's verification to the delivery.

    Call it in the order of ``earliest``: a patient who comes back was verified on the first visit.
    """
    patient, new = inst.patient()
    inst.sessions += 1
    _write_arrival(inst, visit, patient, new)
    for check in visit.checks:
        write_check(inst, visit, check)
    codes = [inst.rng.choice(DIAGNOSES[visit.doctor.dept])]
    _write_course(inst, visit, codes)
    drugs: list[str] = []
    if visit.prescribed_at is not None:
        drugs = _write_prescription(inst, visit, patient, roster, codes)
    if visit.outcome != "CANCELLED":
        _write_records(inst, visit, patient)
        _write_payment(inst, visit, drugs)
        _write_rating(inst, visit)


def write_check(inst: Institution, visit: Visit, check: Check) -> None:
    """Emit one identity check of the session's doctor; log-ins and enrolments name no session."""
    bound = check.phase in ("PRE_SESSION", "IN_SESSION")
    identity_check(
        inst,
        visit.doctor.staff_id,
        check.matched,
        visit.session_id if bound else None,
        check.phase,
        check.method,
        check.at,
        check.passed,
        check.delay,
        check.kind,
    )


def _write_arrival(inst: Institution, visit: Visit, patient: Patient, new: bool) -> None:
    rng, emit, opened = inst.rng, inst.outbox.emit, visit.opened
    if new:
        emit(
            "PatientIdentityVerified",
            opened - rng.randint(600, 900) * SECOND,
            {
                "patient_token": patient.token,
                "method": rng.choice(("ID_NUMBER_CHECK", "FACE_MATCH", "INSURANCE_CARD")),
                "result": "PASS",
                "identifier_kinds_registered": ["ID_NUMBER", "INSURANCE_CARD"],
            },
        )
    family = visit.service_kind == "FAMILY_DOCTOR"
    emit(
        "ConsentSigned",
        opened - rng.randint(20, 540) * SECOND,
        {
            "session_id": None if family else visit.session_id,
            "patient_token": patient.token,
            "consent_kind": "FAMILY_DOCTOR_AGREEMENT" if family else "INTERNET_DIAGNOSIS",
            "agreed": True,
            "signature": "VALID",
            "notice_items": list(AGREEMENT_ITEMS if family else inst.profile.consent_items),
        },
    )
    emit(
        "SessionOpened",
        opened,
        {
            "session_id": visit.session_id,
            "patient_token": patient.token,
            "patient_age_years": patient.age,
            "patient_full_capacity": patient.full_capacity,
            "doctor_id": visit.doctor.staff_id,
            "assisting_staff_ids": [],
            "dept_code": visit.doctor.dept,
            "mode": visit.mode,
            "service_kind": visit.service_kind,
            "visit_kind": visit.visit_kind,
        },
        prompt=visit.prompt,
    )


def _write_course(inst: Institution, visit: Visit, codes: list[str]) -> None:
    rng, emit = inst.rng, inst.outbox.emit
    if visit.visit_kind == "FOLLOW_UP" and visit.outcome != "CANCELLED":
        emit(
            "PriorDiagnosisEvidenced",
            visit.opened + rng.randint(10, 60) * SECOND,
            {
                "session_id": visit.session_id,
                "evidence_kind": rng.choice(("OUTPATIENT_RECORD", "DISCHARGE_SUMMARY")),
                "source_is_physical_institution": True,
                "diagnosed_on": day_of(visit.opened) - rng.randint(10, 700),
                "diagnosis_codes": codes,
                "doctor_confirmed": True,
                "retained": True,
            },
        )
    if visit.unsuitable_at is not None:
        emit(
            "UnsuitabilityIdentified",
            visit.unsuitable_at,
            {"session_id": visit.session_id, "reason": rng.choice(_UNSUITABLE)},
        )
    terminated = visit.outcome == "TERMINATED"
    emit(
        "SessionClosed",
        visit.closed,
        {
            "session_id": visit.session_id,
            "outcome": visit.outcome,
            "referral": "OFFLINE" if terminated else "NONE",
            "warning_given": terminated,
            "diagnosis_codes": codes if visit.diagnosed else [],
            "ai_involvement": "ASSISTED" if rng.random() < 0.2 else "NONE",
        },
        prompt=visit.prompt,
    )


def _write_prescription(
    inst: Institution, visit: Visit, patient: Patient, roster: DutyDay, codes: list[str]
) -> list[str]:
    """Emit the prescription, its review and supply; return the supplied drugs, one code a pack."""
    rng, emit, doctor = inst.rng, inst.outbox.emit, visit.doctor
    issued = visit.opened if visit.prescribed_at is None else visit.prescribed_at
    stock = DRUGS[doctor.dept]
    drugs = rng.sample(stock, rng.randint(1, min(2, len(stock))))
    prescription_id = inst.name_id("rx")
    child = patient.age < 6
    lines: list[Datum] = [
        {"drug_code": drug, "quantity": rng.randint(1, 4) * 1000, "unit": "盒"} for drug in drugs
    ]
    specialist = next(d for d in inst.doctors if d.staff_id != doctor.staff_id)
    emit(
        "PrescriptionIssued",
        issued,
        {
            "prescription_id": prescription_id,
            "session_id": visit.session_id,
            "prescriber_id": doctor.staff_id,
            "patient_age_years": patient.age,
            "diagnosis_codes": codes,
            "items": [
                {"line_no": number, "hospital_class": DRUG_CLASS, **line}
                for number, line in enumerate(lines, 1)
            ],
            "origin": "DOCTOR_WRITTEN",
            "doctor_signature": "VALID",
            "doctor_signature_cert": doctor.certificate,
            "doctor_signed_at": issued,
            "trusted_timestamp": True,
            "guardian_present": True if child else None,
            "accompanying_specialist_id": specialist.staff_id if child else None,
        },
    )
    review = roster.reviewer(issued + rng.randint(40, 420) * SECOND)
    if review is None:
        return []
    reviewed, pharmacist = review
    approved = rng.random() < 0.97
    emit(
        "PrescriptionReviewed",
        reviewed,
        {
            "prescription_id": prescription_id,
            "reviewer_id": pharmacist.staff_id,
            "result": "APPROVED" if approved else "REJECTED",
            "pharmacist_signature": "VALID",
            "trusted_timestamp": True,
        },
        prompt=roster.prompt,
    )
    if not approved:
        return []
    _write_supply(inst, visit.session_id, prescription_id, lines, reviewed)
    return [line["drug_code"] for line in lines for _ in range(line["quantity"] // 1000)]


def _write_supply(
    inst: Institution, session_id: str, prescription_id: str, lines: list[Datum], approved: int
) -> None:
    rng = inst.rng
    supply_id = inst.name_id("sup")
    supplier = inst.id if rng.random() < 0.6 else f"{PHARMACY_CHAIN}-{rng.randint(1, 4)}"
    by_carrier = rng.random() < 0.75
    at = approved + rng.randint(300, 2_400) * SECOND
    stages = [("DISPENSED", at)]
    if by_carrier:
        at += rng.randint(1_200, 7_200) * SECOND
        stages += [("HANDED_TO_CARRIER", at), ("DELIVERED", at + rng.randint(4, 28) * HOUR)]
    else:
        stages.append(("DELIVERED", at + rng.randint(1_200, 14_400) * SECOND))
    for stage, when in stages:
        inst.outbox.emit(
            "DrugSupplied",
            when,
            {
                "supply_id": supply_id,
                "prescription_id": prescription_id,
                "session_id": session_id,
                "stage": stage,
                "lines": lines,
                "supplier_id": supplier,
                "carrier_id": CARRIER if by_carrier else None,
            },
        )


def _write_records(inst: Institution, visit: Visit, patient: Patient) -> None:
    rng, emit, closed = inst.rng, inst.outbox.emit, visit.closed
    today = day_of(closed)
    emit(
        "ProcessRecordArchived",
        closed + rng.randint(30, 1_800) * SECOND,
        {
            "session_id": visit.session_id,
            "media": MEDIA[visit.mode],
            "coverage_start": visit.recorded_from,
            "coverage_end": visit.recorded_to,
            "retention_until": add_months(today, 37),
            "content_hash": f"hash-{visit.session_id}",
        },
    )
    sections = list(_SECTIONS)
    if patient.age < 6 or not patient.full_capacity:
        sections += ["COMPANION", "ACCOMPANYING_SPECIALIST"]
    emit(
        "MedicalRecordArchived",
        closed + rng.randint(60, 3_600) * SECOND,
        {
            "record_id": inst.name_id("emr"),
            "session_id": visit.session_id,
            "content_hash": f"hash-emr-{visit.session_id}",
            "sections_present": sections,
            "sections_not_applicable": ["AUXILIARY_EXAMS", "MENSTRUAL_HISTORY"],
            "retention_until": add_months(today, 361),
            "host_format_consistent": True,
            "host_shared": True,
            "patient_can_query": True,
            "patient_can_download": True,
        },
    )


def _write_rating(inst: Institution, visit: Visit) -> None:
    rng = inst.rng
    if rng.random() >= 0.4:
        return
    at = visit.closed + rng.randint(60, 10_800) * SECOND
    payload: Datum = {"session_id": visit.session_id, "score": rng.choice((3, 4, 4, 5, 5, 5))}
    rated = inst.outbox.emit("ServiceRated", at, payload)
    if rated.kind is None and rng.random() < inst.corrections:
        inst.outbox.correct(rated, at + rng.randint(1, 6) * HOUR, {"score": 5})


def _write_payment(inst: Institution, visit: Visit, drugs: list[str]) -> None:
    rng, emit = inst.rng, inst.outbox.emit
    prices = {service_item(visit.mode): SERVICE_PRICES[visit.mode]}
    prices |= {drug: DRUG_PRICES[drug] for drug in drugs}
    lines: list[Datum] = [
        {"item_code": code, "quantity": 1000 * max(1, drugs.count(code)), "unit_price_fen": price}
        for code, price in prices.items()
    ]
    total = sum(line["quantity"] // 1000 * line["unit_price_fen"] for line in lines)
    fee_id = inst.name_id("fee")
    at = visit.closed + rng.randint(5, 60) * SECOND
    emit(
        "FeeCharged",
        at,
        {
            "fee_id": fee_id,
            "session_id": visit.session_id,
            "lines": lines,
            "total_fen": total,
            "itemised_bill_provided": True,
        },
    )
    if rng.random() >= 0.01:
        return
    at += rng.randint(30, 600) * MINUTE
    refund_id = inst.name_id("refund")
    emit("RefundRequested", at, {"refund_id": refund_id, "fee_id": fee_id, "amount_fen": total})
    settled = at + rng.randint(1, 40) * HOUR
    emit("RefundSettled", settled, {"refund_id": refund_id, "result": "PAID", "paid_fen": total})
