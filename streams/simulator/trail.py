"""Writes a planned session out as events, from the patient's verification to the delivery."""

from __future__ import annotations

from streams.simulator.duty import DutyDay
from streams.simulator.filings import CARRIER, PHARMACY_CHAIN, identity_check
from streams.simulator.institution import Institution, Note, Patient
from streams.simulator.outbox import Datum, Draft
from streams.simulator.profiles import (
    AGREEMENT_ITEMS,
    DIAGNOSES,
    DRUG_CLASS,
    DRUG_PRICES,
    DRUGS,
    RISKY_DRUGS,
    SERVICE_PRICES,
    SPECIAL_DRUGS,
    service_item,
)
from streams.simulator.visits import Check, Visit
from streams.timeline import HOUR, MINUTE, SECOND, add_months, day_of

MEDIA = {"TEXT_IMAGE": "TEXT_IMAGE", "VOICE": "AUDIO", "VIDEO": "VIDEO"}
SECTIONS = [
    "PATIENT_BASICS",
    "DRUG_ALLERGY",
    "CHIEF_COMPLAINT",
    "PRESENT_ILLNESS",
    "PRIOR_OFFLINE_DIAGNOSIS",
    "CURRENT_MEDICATION",
    "DISPOSITION",
]
_UNSUITABLE = ("CONDITION_CHANGED", "IN_PERSON_EXAM_NEEDED", "CRITICAL_ILLNESS", "OTHER_UNSUITABLE")
_CLASSES = {**SPECIAL_DRUGS, **RISKY_DRUGS}


def write(inst: Institution, visit: Visit, roster: DutyDay) -> None:
    """Emit everything a session leaves behind, from the patient's verification to the delivery.

    Call it in the order of ``earliest``: a patient who comes back was verified on the first visit.
    """
    patient, new = (visit.patient, True) if visit.patient is not None else inst.patient()
    inst.sessions += 1
    trail = _Trail(inst, visit, patient)
    trail.arrival(new)
    for check in visit.checks:
        check_doctor(inst, visit, check)
    trail.course()
    drugs: list[str] = []
    if visit.prescribed_at is not None:
        drugs = trail.prescription(visit.prescribed_at, roster)
    if visit.outcome != "CANCELLED":
        trail.records()
        trail.payment(drugs)
        trail.rating()
    for note in visit.extras:
        trail.hand_over(note)


def check_doctor(inst: Institution, visit: Visit, check: Check) -> None:
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


class _Trail:
    """One session on its way into the outbox, past the edits of its plan."""

    def __init__(self, inst: Institution, visit: Visit, patient: Patient) -> None:
        self.inst = inst
        self.visit = visit
        self.patient = patient
        self.codes = visit.codes or [inst.rng.choice(DIAGNOSES[visit.doctor.dept])]

    def emit(
        self, event_type: str, at: int, payload: Datum, *, prompt: bool = False
    ) -> Draft | None:
        """Emit one event as the edits leave it; None when they drop it."""
        note = Note(event_type, at, payload, prompt=prompt)
        for edit in self.visit.edits:
            edit(note)
        return None if note.dropped else self.hand_over(note)

    def hand_over(self, note: Note) -> Draft:
        return self.inst.outbox.emit(
            note.event_type,
            note.at,
            note.payload,
            delay=note.delay,
            sent_at=note.sent_at,
            prompt=note.prompt,
            kind=note.kind,
        )

    def arrival(self, new: bool) -> None:
        """The patient's verification, the consent and the opening."""
        rng, visit, patient = self.inst.rng, self.visit, self.patient
        if new:
            self.emit(
                "PatientIdentityVerified",
                visit.opened - rng.randint(600, 900) * SECOND,
                {
                    "patient_token": patient.token,
                    "method": rng.choice(("ID_NUMBER_CHECK", "FACE_MATCH", "INSURANCE_CARD")),
                    "result": "PASS",
                    "identifier_kinds_registered": ["ID_NUMBER", "INSURANCE_CARD"],
                },
            )
        family = visit.service_kind == "FAMILY_DOCTOR"
        items = AGREEMENT_ITEMS if family else self.inst.profile.consent_items
        self.emit(
            "ConsentSigned",
            visit.opened - rng.randint(20, 540) * SECOND,
            {
                "session_id": None if family else visit.session_id,
                "patient_token": patient.token,
                "consent_kind": "FAMILY_DOCTOR_AGREEMENT" if family else "INTERNET_DIAGNOSIS",
                "agreed": True,
                "signature": "VALID",
                "notice_items": list(items),
            },
        )
        self.emit(
            "SessionOpened",
            visit.opened,
            {
                "session_id": visit.session_id,
                "patient_token": patient.token,
                "patient_age_years": patient.age,
                "patient_full_capacity": patient.full_capacity,
                "doctor_id": visit.doctor.staff_id,
                "assisting_staff_ids": [],
                "dept_code": visit.dept or visit.doctor.dept,
                "mode": visit.mode,
                "service_kind": visit.service_kind,
                "visit_kind": visit.visit_kind,
            },
            prompt=visit.prompt,
        )

    def course(self) -> None:
        """The prior diagnosis, a reason to stop, the closing."""
        rng, visit = self.inst.rng, self.visit
        if visit.evidenced and visit.outcome != "CANCELLED":
            self.emit(
                "PriorDiagnosisEvidenced",
                visit.opened + rng.randint(10, 60) * SECOND,
                {
                    "session_id": visit.session_id,
                    "evidence_kind": rng.choice(("OUTPATIENT_RECORD", "DISCHARGE_SUMMARY")),
                    "source_is_physical_institution": True,
                    "diagnosed_on": day_of(visit.opened) - rng.randint(10, 700),
                    "diagnosis_codes": list(self.codes),
                    "doctor_confirmed": True,
                    "retained": True,
                },
            )
        if visit.unsuitable_at is not None:
            reason = visit.reason or rng.choice(_UNSUITABLE)
            self.emit(
                "UnsuitabilityIdentified",
                visit.unsuitable_at,
                {"session_id": visit.session_id, "reason": reason},
            )
        terminated = visit.outcome == "TERMINATED"
        self.emit(
            "SessionClosed",
            visit.closed,
            {
                "session_id": visit.session_id,
                "outcome": visit.outcome,
                "referral": "OFFLINE" if terminated else "NONE",
                "warning_given": terminated,
                "diagnosis_codes": list(self.codes) if visit.diagnosed else [],
                "ai_involvement": "ASSISTED" if rng.random() < 0.2 else "NONE",
            },
            prompt=visit.prompt,
        )

    def prescription(self, issued: int, roster: DutyDay) -> list[str]:
        """The prescription, its review and supply; the supplied drugs, one code a pack."""
        inst, visit, patient, doctor = self.inst, self.visit, self.patient, self.visit.doctor
        rng = inst.rng
        stock = DRUGS[doctor.dept]
        drugs = visit.drugs or rng.sample(stock, rng.randint(1, min(2, len(stock))))
        prescription_id = visit.name(inst, "rx")
        child = patient.age < 6
        lines: list[Datum] = [
            {"drug_code": drug, "quantity": rng.randint(1, 4) * 1000, "unit": "盒"}
            for drug in drugs
        ]
        specialist = next(d for d in inst.doctors if d.staff_id != doctor.staff_id)
        self.emit(
            "PrescriptionIssued",
            issued,
            {
                "prescription_id": prescription_id,
                "session_id": visit.session_id,
                "prescriber_id": doctor.staff_id,
                "patient_age_years": patient.age,
                "diagnosis_codes": list(self.codes),
                "items": [
                    {
                        "line_no": number,
                        "hospital_class": _CLASSES.get(line["drug_code"], DRUG_CLASS),
                        **line,
                    }
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
        review = visit.review or roster.reviewer(issued + rng.randint(40, 420) * SECOND)
        if review is None:
            return []
        reviewed, pharmacist = review
        approved = rng.random() < 0.97 or visit.review is not None
        self.emit(
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
        if not (approved and visit.supply):
            return []
        self._supply(prescription_id, lines, reviewed)
        return [line["drug_code"] for line in lines for _ in range(line["quantity"] // 1000)]

    def _supply(self, prescription_id: str, lines: list[Datum], approved: int) -> None:
        rng, visit = self.inst.rng, self.visit
        supply_id = visit.name(self.inst, "sup")
        supplier = self.inst.id
        if rng.random() >= 0.6:
            supplier = f"{PHARMACY_CHAIN}-{rng.randint(1, 4)}"
        by_carrier = rng.random() < 0.75 or bool(visit.review)
        at = approved + rng.randint(300, 2_400) * SECOND
        stages = [("DISPENSED", at)]
        if by_carrier:
            at += rng.randint(1_200, 7_200) * SECOND
            stages += [("HANDED_TO_CARRIER", at), ("DELIVERED", at + rng.randint(4, 28) * HOUR)]
        else:
            stages.append(("DELIVERED", at + rng.randint(1_200, 14_400) * SECOND))
        for stage, when in stages:
            self.emit(
                "DrugSupplied",
                when,
                {
                    "supply_id": supply_id,
                    "prescription_id": prescription_id,
                    "session_id": visit.session_id,
                    "stage": stage,
                    "lines": [dict(line) for line in lines],
                    "supplier_id": supplier,
                    "carrier_id": CARRIER if by_carrier else None,
                },
            )

    def records(self) -> None:
        """The process record and the medical record."""
        rng, visit, patient = self.inst.rng, self.visit, self.patient
        closed = visit.closed
        today = day_of(closed)
        self.emit(
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
        sections = list(SECTIONS)
        if patient.age < 6 or not patient.full_capacity:
            sections += ["COMPANION", "ACCOMPANYING_SPECIALIST"]
        self.emit(
            "MedicalRecordArchived",
            closed + rng.randint(60, 3_600) * SECOND,
            {
                "record_id": visit.name(self.inst, "emr"),
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

    def rating(self) -> None:
        """Four patients in ten rate the session; some think better of it."""
        inst, rng, visit = self.inst, self.inst.rng, self.visit
        if rng.random() >= 0.4:
            return
        at = visit.closed + rng.randint(60, 10_800) * SECOND
        payload: Datum = {"session_id": visit.session_id, "score": rng.choice(inst.scores)}
        rated = self.emit("ServiceRated", at, payload)
        if rated is not None and rated.kind is None and rng.random() < inst.corrections:
            inst.outbox.correct(rated, at + rng.randint(1, 6) * HOUR, {"score": 5})

    def payment(self, drugs: list[str]) -> None:
        """The bill and, one time in a hundred, a refund."""
        inst, rng, visit = self.inst, self.inst.rng, self.visit
        prices = {service_item(visit.mode): SERVICE_PRICES[visit.mode]}
        prices |= {drug: DRUG_PRICES[drug] for drug in drugs}
        lines: list[Datum] = [
            {
                "item_code": code,
                "quantity": 1000 * max(1, drugs.count(code)),
                "unit_price_fen": price,
            }
            for code, price in prices.items()
        ]
        total = sum(line["quantity"] // 1000 * line["unit_price_fen"] for line in lines)
        fee_id = visit.name(inst, "fee")
        at = visit.closed + rng.randint(5, 60) * SECOND
        self.emit(
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
        refunded = rng.random() < 0.01 if visit.refunded is None else visit.refunded
        if not refunded:
            return
        at += rng.randint(30, 600) * MINUTE
        refund_id = visit.name(inst, "refund")
        self.emit(
            "RefundRequested", at, {"refund_id": refund_id, "fee_id": fee_id, "amount_fen": total}
        )
        self.emit(
            "RefundSettled",
            at + rng.randint(1, 40) * HOUR,
            {"refund_id": refund_id, "result": "PAID", "paid_fen": total},
        )
