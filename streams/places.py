"""Where an event is kept: every case file that it is evidence for, by its type and content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.timeline import MINUTE, day_of

Place = tuple[str, str]
"""Kind and id of a case file."""

SLICE = 10 * MINUTE
"""What concerns a whole institution is kept by slices of time so long, in ms: a case file is stored
whole whenever it changes, so that of a house with many patients a day must not grow with the day.
"""

_BY_FIELD: dict[str, tuple[tuple[str, str], ...]] = {
    "PrescriptionIssued": (("prescription", "prescription_id"),),
    "PrescriptionReviewed": (("prescription", "prescription_id"),),
    "DrugSupplied": (("prescription", "prescription_id"), ("supply", "supply_id")),
    "MedicalRecordArchived": (("record", "record_id"),),
    "FeeCharged": (("fee", "fee_id"),),
    "RefundRequested": (("refund", "refund_id"), ("fee", "fee_id")),
    "RefundSettled": (("refund", "refund_id"),),
    "ComplaintReceived": (("complaint", "complaint_id"),),
    "ComplaintResolved": (("complaint", "complaint_id"),),
    "SupervisionNoticeIssued": (("notice", "notice_id"),),
    "RectificationReported": (("notice", "notice_id"),),
    "AdverseEventReported": (("incident", "incident_id"), ("prescription", "prescription_id")),
    "SecurityIncidentReported": (("breach", "incident_id"),),
    "PatientIdentityVerified": (("patient", "patient_token"),),
    "ConsentSigned": (("patient", "patient_token"),),
    "ServiceStatusChanged": (("event", "event_id"),),
}
"""Event type to kinds of case file, with the field that holds the id; none where it is null."""

_LEDGER: dict[str, tuple[str, ...]] = {
    "InstitutionFiled": ("institution",),
    "DepartmentApproved": ("departments/{dept_code}",),
    "StaffFiled": ("staff/{staff_id}",),
    "StaffRegistryChecked": ("registers/{staff_id}",),
    "LiabilityInsuranceFiled": ("policies/{staff_id}",),
    "DocumentFiled": ("documents",),
    "InfrastructureFiled": ("infrastructure",),
    "AssessmentCompleted": ("assessments",),
    "BusinessHoursDeclared": ("hours",),
    "LicenceVerificationRecorded": ("verifications",),
    "ServiceStatusChanged": ("stops",),
    "AdverseEventReported": ("stops",),
    "PeriodicDutyCompleted": ("duties/{duty_type}",),
}
_TARGETS = {"MEDICAL_RECORD": "record", "PROCESS_RECORD": "session", "PRESCRIPTION_DATA": "event"}
ACT_KINDS = frozenset({"acts", "acts-of"})
"""Kinds of case file in which the acts of many sessions lie side by side."""
ACT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "SessionOpened": ("session_id", "doctor_id", "assisting_staff_ids", "service_kind"),
    "PrescriptionIssued": ("session_id", "prescriber_id"),
    "PrescriptionReviewed": (),
}
"""What these keep of an act: who did it, and whether it is in scope. The rest lies in the case file
of its session or prescription.
"""

JUDGED: Mapping[str, tuple[str, str | None]] = {
    "InstitutionFiled": ("institution", None),
    "LicenceVerificationRecorded": ("institution", None),
    "AssessmentCompleted": ("institution", None),
    "InfrastructureFiled": ("institution", None),
    "BusinessHoursDeclared": ("institution", None),
    "PeriodicDutyCompleted": ("institution", None),
    "DepartmentApproved": ("department", "dept_code"),
    "StaffFiled": ("person", "staff_id"),
    "StaffRegistryChecked": ("person", "staff_id"),
    "SessionOpened": ("person", "doctor_id"),
    "PrescriptionIssued": ("person", "prescriber_id"),
    "PrescriptionReviewed": ("person", "reviewer_id"),
}
"""Case files without evidence of their own that an event gives reason to begin."""


def places(event_type: str, body: Mapping[str, Any]) -> Iterator[Place]:
    """Every case file that keeps the event, but those of duty, log-ins and uploads."""
    session_id = body.get("session_id")
    if session_id is not None:
        yield "session", session_id
    for kind, field in _BY_FIELD.get(event_type, ()):
        if body[field] is not None:
            yield kind, body[field]
    for entity in _LEDGER.get(event_type, ()):
        yield "ledger", entity.format_map(body) if "{" in entity else entity
    if event_type == "NoticePublished":
        staff_id = body["staff_id"]
        yield "ledger", "notices" if staff_id is None else f"notices-of/{staff_id}"
    elif event_type == "RecordOperationLogged":
        kind = _TARGETS[body["target_kind"]]
        target = body["event_id"] if kind == "event" else body["target_id"]
        if target is not None:
            yield kind, target
        if body["operation"] == "CUSTODY_TRANSFERRED":
            yield "ledger", "custody"
    elif event_type == "SupervisionNoticeIssued":
        for finding_id in dict.fromkeys(body["finding_keys"]):
            yield "named", finding_id
    elif event_type == "DutyStatusReported":
        yield "shift", f"{body['staff_id']}/{body['shift_id']}"
        if body["duty_kind"] == "RX_REVIEW":
            yield "shifts", f"{body['staff_id']}/{day_of(body['occurred_at'])}"
    if event_type in ACT_FIELDS:
        yield "acts", str(body["occurred_at"] // SLICE)
        for staff_id in _acting(event_type, body):
            yield "acts-of", f"{staff_id}/{day_of(body['occurred_at'])}"


def _acting(event_type: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Every person who takes part in an act, each once."""
    field = str(JUDGED[event_type][1])
    assisting = body["assisting_staff_ids"] if event_type == "SessionOpened" else ()
    return iter(dict.fromkeys((body[field], *assisting)))


def begins(event_type: str, body: Mapping[str, Any]) -> Iterator[Place]:
    """Case files without evidence of their own that must be there from this event on."""
    found = JUDGED.get(event_type)
    if found is not None:
        kind, field = found
        yield kind, "" if field is None else body[field]
        if kind != "institution":
            yield "institution", ""
    if event_type == "SessionOpened":
        for staff_id in body["assisting_staff_ids"]:
            yield "person", staff_id
