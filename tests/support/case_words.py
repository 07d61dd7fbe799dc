"""The words of the case language (`tests/cases/README.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DUTY = {"staff_id": "p1", "duty_kind": "RX_REVIEW"}

WORDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "open": (
        "SessionOpened",
        {"session_id": "s1", "doctor_id": "d1", "mode": "TEXT_IMAGE", "assisting_staff_ids": []},
    ),
    "close": (
        "SessionClosed",
        {"session_id": "s1", "outcome": "COMPLETED", "diagnosis_codes": []},
    ),
    "check": (
        "DoctorIdentityVerified",
        {
            "session_id": "s1",
            "staff_id": "d1",
            "matched_staff_id": "d1",
            "phase": "PRE_SESSION",
            "method": "FACE",
            "result": "PASS",
        },
    ),
    "login": (
        "DoctorIdentityVerified",
        {
            "session_id": None,
            "staff_id": "d1",
            "matched_staff_id": "d1",
            "phase": "LOGIN",
            "method": "FACE",
            "result": "PASS",
        },
    ),
    "prescribe": ("PrescriptionIssued", {"session_id": "s1", "prescriber_id": "d1"}),
    "review": ("PrescriptionReviewed", {"reviewer_id": "p1"}),
    "archive": ("ProcessRecordArchived", {"session_id": "s1", "media": "VIDEO"}),
    "rate": ("ServiceRated", {"session_id": "s1"}),
    "on": ("DutyStatusReported", {**_DUTY, "phase": "SIGN_ON"}),
    "beat": ("DutyStatusReported", {**_DUTY, "phase": "HEARTBEAT"}),
    "off": ("DutyStatusReported", {**_DUTY, "phase": "SIGN_OFF"}),
    "hours": (
        "BusinessHoursDeclared",
        {
            "weekly": [{"weekday": 1, "start_minute": 480, "end_minute": 1080}],
            "exceptions": [],
        },
    ),
    "staff": ("StaffFiled", {"staff_id": "p1", "role": "PHARMACIST", "employer_id": "$self"}),
    "agreement": (
        "DocumentFiled",
        {
            "doc_type": "PHARMACIST_SERVICE_AGREEMENT",
            "counterparty_ids": ["third"],
            "effective_from": "2026-01-01",
            "effective_to": None,
        },
    ),
    "institution": ("InstitutionFiled", {"filing_kind": "REGISTERED", "changed_fields": []}),
    "stop": (
        "ServiceStatusChanged",
        {"scope": "INSTITUTION", "scope_id": None, "status": "SUSPENDED"},
    ),
    "resume": (
        "ServiceStatusChanged",
        {"scope": "INSTITUTION", "scope_id": None, "status": "RESUMED"},
    ),
    "mlps": ("AssessmentCompleted", {"assessment_type": "MLPS", "result": "FAIL"}),
    "adverse": (
        "AdverseEventReported",
        {"stage": "INITIAL", "affected_scope": "INSTITUTION", "affected_scope_id": None},
    ),
    "manifest": ("DailyManifestPublished", {"first_seq": None, "last_seq": None, "counts": {}}),
}
"""The words of the case language: event type and what differs from its published example."""


def weekly(line: str) -> list[dict[str, int]]:
    """`1-5 08:00-18:00` as the declaration of business hours has it; days are ISO weekdays."""
    days, hours = line.split()
    first, _, last = days.partition("-")
    return [
        {"weekday": day, **span_of_day(hours)} for day in range(int(first), int(last or first) + 1)
    ]


def span_of_day(hours: str) -> dict[str, int]:
    """`08:00-18:00` in minutes of the day."""
    start, end = (text.split(":") for text in hours.split("-"))
    return {
        "start_minute": int(start[0]) * 60 + int(start[1]),
        "end_minute": int(end[0]) * 60 + int(end[1]),
    }
