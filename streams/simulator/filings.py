"""What an institution files: its registration at the start, and people when they join.

Everything is effective before it is needed and uploaded within a week of its completion, so a
compliant institution breaks neither UPL-02 nor any rule that asks for a filing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.simulator.config import SimulationConfig
from streams.simulator.institution import Institution, Note, Staff
from streams.simulator.outbox import Datum
from streams.simulator.profiles import (
    DEPARTMENTS,
    DRUG_PRICES,
    INDEPENDENT,
    OWN_DOCTORS,
    SERVICE_PRICES,
    UNITS,
    scope,
    service_item,
)
from streams.timeline import HOUR, MINUTE, add_months, start_of_day

CARRIER = "CARRIER-01"
PHARMACY_CHAIN = "PHARMACY-CHAIN-01"
_SCANS = ["QUALIFICATION_CERT", "PRACTICE_CERT", "TITLE_CERT", "ID_CARD"]


def register(inst: Institution, config: SimulationConfig) -> None:
    """File everything a new institution must have on the platform before its first day."""
    day = config.filing_day
    clock = Desk(inst, start_of_day(day) + 9 * HOUR, edited=True)
    clock.file("InstitutionFiled", day, registration(inst, day))
    for dept in DEPARTMENTS:
        clock.file("DepartmentApproved", day, department(inst, dept, day))
    clock.file("BusinessHoursDeclared", day, _hours(inst, config))
    clock.file("InfrastructureFiled", day, _infrastructure(inst))
    clock.file("AssessmentCompleted", day, assessment(inst, "MLPS", 3, day))
    clock.file("AssessmentCompleted", day, assessment(inst, "CONFORMITY_TEST", None, day))
    clock.file("LicenceVerificationRecorded", day, {
        "stage": "APPLIED",
        "verification_due_on": add_months(licence_from(day), 12),
    })  # fmt: skip
    for doc_type in inst.profile.documents:
        clock.file("DocumentFiled", day, document(inst, doc_type, day - 30))
    clock.file("DocumentFiled", day, document(inst, "DELIVERY_AGREEMENT", day - 30, [CARRIER]))
    agreement = document(inst, "PHARMACIST_SERVICE_AGREEMENT", day - 30, [inst.firm])
    clock.file("DocumentFiled", day, agreement)
    for item in inst.profile.notices:
        clock.file("NoticePublished", day, notice(item))
    for staff in inst.everyone:
        clock.staff(staff, day, Papers())
    for duty in ("STAFF_TRAINING", "STAFF_APPRAISAL", "EMERGENCY_DRILL", "DR_DRILL"):
        clock.file("PeriodicDutyCompleted", day, periodic_duty(duty, day - 60, day))
    for duty in ("QUALITY_ANALYSIS", "QUALITY_PUBLICATION"):
        clock.file("PeriodicDutyCompleted", day, periodic_duty(duty, day - 60, day))
    for staff in inst.everyone:
        registry_check(inst, staff, clock.tick())
    for doctor in inst.everyone:
        if doctor.role == "DOCTOR":
            enrol(inst, doctor, clock.tick())


@dataclass(slots=True)
class Papers:
    """What is filed about a person: fields that differ, and what is left out.

    ``check`` holds the fields in which the national register differs from the filing; None is no
    register check at all. ``filing_delay`` is how late the filing itself is uploaded.
    """

    fields: Datum = field(default_factory=dict)
    filed: bool = True
    insured: bool = True
    insurance: Datum = field(default_factory=dict)
    insurance_delay: int | None = None
    shown: bool = True
    check: Datum | None = None
    filing_delay: int | None = None


def hire(inst: Institution, staff: Staff, day: int, papers: Papers | None = None) -> None:
    """File a person who joins on a day, effective and uploaded at its first instant."""
    papers = papers or Papers()
    desk = Desk(inst, start_of_day(day))
    desk.staff(staff, day, papers)
    if papers.check is not None:
        registry_check(inst, staff, desk.tick(), papers.check)


def enrol(inst: Institution, doctor: Staff, at: int) -> None:
    """Enrol a doctor's face: the electronic real-name authentication of CN 14."""
    identity_check(inst, doctor.staff_id, doctor.staff_id, None, "ENROLMENT", "FACE", at)


def identity_check(
    inst: Institution,
    claimed: str,
    matched: str | None,
    session_id: str | None,
    phase: str,
    method: str,
    at: int,
    passed: bool = True,
    delay: int | None = None,
    kind: str | None = None,
) -> None:
    """Emit one real-name check of a doctor."""
    payload: Datum = {
        "staff_id": claimed,
        "matched_staff_id": matched,
        "session_id": session_id,
        "phase": phase,
        "method": method,
        "result": "PASS" if passed else "FAIL",
    }
    inst.outbox.emit("DoctorIdentityVerified", at, payload, delay=delay, kind=kind)


def document(
    inst: Institution,
    doc_type: str,
    effective_from: int,
    counterparties: list[str] | None = None,
    effective_to: int | None = None,
) -> Datum:
    """Payload of a management system, plan or agreement."""
    doc_id = inst.name_id("doc")
    return {
        "doc_id": doc_id,
        "doc_type": doc_type,
        "effective_from": effective_from,
        "effective_to": effective_to,
        "counterparty_ids": counterparties or [],
        "clauses": ["MEDICAL_SERVICE", "INFORMATION_SECURITY", "PRIVACY", "RESPONSIBILITIES"]
        if counterparties
        else [],
        "content_hash": f"hash-{doc_id}",
    }


def periodic_duty(duty_type: str, covered_from: int, covered_to: int) -> Datum:
    """Payload of a recurring duty, completed for the whole institution."""
    return {
        "duty_type": duty_type,
        "covered_from": covered_from,
        "covered_to": covered_to,
        "staff_ids": [],
    }


class Desk:
    """Files one thing after the other, a few seconds apart, each uploaded at once.

    At the registration desk the institution's ``filing_edits`` change what is filed.
    """

    def __init__(self, inst: Institution, opens: int, edited: bool = False) -> None:
        self._inst = inst
        self._now = opens
        self._edits = inst.filing_edits if edited else []

    def tick(self) -> int:
        self._now += self._inst.rng.randint(1_000, 9_000)
        return self._now

    def file(
        self, event_type: str, day: int, payload: Datum, delay: int | None = None
    ) -> str | None:
        """File a fact completed on a day, effective now, as the edits leave it; its event_id."""
        payload["change_completed_on"] = day
        note = Note(event_type, self.tick(), payload, delay, prompt=True)
        for edit in self._edits:
            edit(note)
        if note.dropped:
            return None
        if event_type == "InstitutionFiled":
            self._inst.snapshot = dict(note.payload)
        draft = self._inst.outbox.emit(
            event_type, note.at, note.payload, delay=note.delay, sent_at=note.sent_at, prompt=True
        )
        return str(draft.datum["event_id"])

    def staff(self, staff: Staff, day: int, papers: Papers) -> None:
        """File a person with all that belongs to the person."""
        inst = self._inst
        if papers.filed:
            filing = staff_filing(inst, staff) | papers.fields
            self.file("StaffFiled", day, filing, papers.filing_delay)
        if staff.role == "DOCTOR" and papers.insured:
            policy = insurance(staff, day) | papers.insurance
            self.file("LiabilityInsuranceFiled", day, policy, papers.insurance_delay)
        item = inst.profile.staff_notice
        reviewers = inst.rulebook == "yinchuan"
        if item is not None and papers.shown and (staff.role == "DOCTOR" or reviewers):
            self.file("NoticePublished", day, notice(item, staff.staff_id))


def insurance(staff: Staff, day: int) -> Datum:
    """Payload of a doctor's malpractice insurance, in force around a day."""
    return {
        "staff_id": staff.staff_id,
        "policy_no_hash": f"hash-{staff.staff_id}",
        "valid_from": day - 90,
        "valid_to": add_months(day - 90, 12),
        "cancelled_on": None,
    }


def registered_at(inst: Institution, staff: Staff) -> list[str]:
    """Where the person is registered to practise."""
    return [staff.home] if staff.home else [inst.id, inst.host_id]


def staff_filing(inst: Institution, staff: Staff) -> Datum:
    """Payload of the filing of an active doctor or pharmacist."""
    doctor = staff.role == "DOCTOR"
    since = 13_000 if doctor else None
    return {
        "staff_id": staff.staff_id,
        "role": staff.role,
        "filing_kind": "ADDED",
        "status": "ACTIVE",
        "practice_cert_no": f"PC-{staff.staff_id}",
        "practice_category": "临床" if doctor else None,
        "practice_scope_codes": [scope(staff.dept)] if doctor else ["SCOPE-PHARMACY"],
        "qualification_valid_to": None,
        "title_level": staff.title,
        "dept_codes": [staff.dept] if doctor else [],
        "registered_institution_ids": registered_at(inst, staff),
        "practice_locations": [inst.place.region],
        "multi_site_from": 20_000 if staff.multi_site else None,
        "multi_site_to": None,
        "registering_institution_consent_from": 20_000 if staff.multi_site else None,
        "registering_institution_consent_to": None,
        "independent_practice_since": since,
        "clinical_work_since": since,
        "id_number_filed": True,
        "photo_filed": True,
        "scans_filed": list(_SCANS),
        "esign_cert": staff.certificate,
        "esign_filed": True,
        "employer_id": staff.employer_id,
        "full_time": staff.full_time,
    }


def licence_from(filing_day: int) -> int:
    return add_months(filing_day, -8)


def registration(inst: Institution, day: int) -> Datum:
    licence_to = add_months(licence_from(day), 60)
    host = None if inst.form == OWN_DOCTORS else inst.host_id
    return {
        "filing_kind": "REGISTERED",
        "changed_fields": [],
        "institution_form": inst.form,
        "registered_name": inst.name,
        "applicant_short_name": inst.host_name if inst.form == INDEPENDENT else None,
        "partner_short_names": [],
        "partner_ids": [],
        "host_institution_id": host,
        "host_name": None if host is None else inst.host_name,
        "host_licence_valid_to": licence_to,
        "licence_no": f"LIC-{inst.id}",
        "licence_valid_from": licence_from(day),
        "licence_valid_to": licence_to,
        "service_modes": list(inst.profile.service_modes),
        "registration_authority": inst.place.authority,
        "onboarding_id": f"ON-{inst.id}",
        "onboarding_statement_no": f"OS-{inst.id}",
        "management_units": list(UNITS),
        "internet_unit_head_is_vice_president": True,
        "it_unit_independent_of_host": True,
        "e_seal_filed": True,
    }


def department(inst: Institution, dept: str, day: int) -> Datum:
    return {
        "dept_code": dept,
        "status": "APPROVED",
        "effective_from": day,
        "effective_to": None,
        "approval_no": f"AP-{inst.id}-{dept}",
        "host_has_subject": True,
        "host_clinical_dept_id": f"{inst.host_id}-{dept}",
        "is_clinical": True,
    }


def _hours(inst: Institution, config: SimulationConfig) -> Datum:
    """Opening hours, with every day outside the simulated ones declared closed."""
    open_weekdays = range(1, 7 if inst.closed_on_sundays else 8)
    outside = [
        *range(config.filing_day, config.first_day),
        *range(config.last_day + 1, config.final_day + 2),
    ]
    return {
        "weekly": [
            {"weekday": weekday, "start_minute": start, "end_minute": end}
            for weekday in open_weekdays
            for start, end in inst.hours
        ],
        "exceptions": [{"date": day, "intervals": []} for day in outside],
    }


def _infrastructure(inst: Institution) -> Datum:
    return {
        "server_sets": 3,
        "db_app_separated": True,
        "dual_power_or_generator": True,
        "av_systems": 2,
        "av_on_city_platform": True,
        "bandwidth_mbps": 200,
        "isp_count": 2,
        "access_control_system": True,
        "his_integrated": True,
        "pacs_ris_integrated": True,
        "lis_integrated": True,
        "remote_functions": ["CONSULTATION", "OUTPATIENT", "PATHOLOGY", "IMAGING", "ECG"],
        "dedicated_line": True,
        "health_cloud_joined": True,
        "data_region": inst.place.region,
        "backup_mechanism": True,
        "disaster_recovery_system": True,
        "record_audit_log": True,
        "auto_archiving": True,
        "trust_services": ["DIGITAL_CERT", "SIGN_VERIFY_SERVER", "E_SEAL", "TIMESTAMP"],
    }


def assessment(inst: Institution, kind: str, level: int | None, day: int) -> Datum:
    return {
        "assessment_type": kind,
        "mlps_level": level,
        "result": "PASS",
        "assessed_on": day,
        "report_no": f"RP-{inst.id}-{kind}",
    }


def notice(item: str, staff_id: str | None = None) -> Datum:
    prices: dict[str, int] = {}
    if item == "PRICE_LIST":
        prices = {service_item(mode): price for mode, price in SERVICE_PRICES.items()}
    elif item == "DRUG_PRICES":
        prices = DRUG_PRICES
    return {
        "item": item,
        "state": "PUBLISHED",
        "position": "HOME_PAGE",
        "staff_id": staff_id,
        "prices": [{"item_code": code, "unit_price_fen": fen} for code, fen in prices.items()]
        if prices
        else None,
    }


def registry_check(inst: Institution, staff: Staff, at: int, changes: Datum | None = None) -> None:
    """Let the supervisor look a person up in the national register; ``changes`` is what differs."""
    payload: Datum = {
        "staff_id": staff.staff_id,
        "register": staff.role,
        "found": True,
        "matches_filing": True,
        "mismatch_fields": [],
        "registration_status": "VALID",
        "registered_institution_ids": registered_at(inst, staff),
        "registry_change_on": None,
        "valid_as_of": at - MINUTE,
    }
    inst.outbox.supervise("StaffRegistryChecked", at, payload | (changes or {}))
