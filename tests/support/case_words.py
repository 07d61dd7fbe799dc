"""The words of the case language (`tests/cases/README.md`): events, instants, durations."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

_SHANGHAI = dt.timezone(dt.timedelta(hours=8))
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_INSTANT = re.compile(r"(?:(?:(\d{4})-)?(\d\d)-(\d\d)[ T])?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?")
_SPAN = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class CaseError(ValueError):
    """A case is not written as `tests/cases/README.md` says."""


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
    "doctor": ("StaffFiled", {"staff_id": "d1", "role": "DOCTOR", "employer_id": "$self"}),
    "register": (
        "StaffRegistryChecked",
        {
            "staff_id": "d1",
            "register": "DOCTOR",
            "found": True,
            "matches_filing": True,
            "mismatch_fields": [],
            "registration_status": "VALID",
            "registered_institution_ids": ["45010011A5101"],
            "registry_change_on": None,
        },
    ),
    "insure": ("LiabilityInsuranceFiled", {"staff_id": "d1", "cancelled_on": None}),
    "department": ("DepartmentApproved", {"status": "APPROVED", "effective_to": None}),
    "document": ("DocumentFiled", {"effective_to": None}),
    "infrastructure": ("InfrastructureFiled", {}),
    "display": ("NoticePublished", {"state": "PUBLISHED", "position": "HOME_PAGE"}),
    "assess": ("AssessmentCompleted", {"assessment_type": "MLPS", "result": "PASS"}),
    "verification": ("LicenceVerificationRecorded", {}),
    "breach": ("SecurityIncidentReported", {"kind": "DATA_BREACH"}),
    "notice": (
        "SupervisionNoticeIssued",
        {"notice_id": "notice1", "due_on": None},
    ),
    "rectify": ("RectificationReported", {"notice_id": "notice1", "status": "COMPLETED"}),
}
"""The words of the case language: event type and what differs from its published example."""


def instant(text: str) -> int:
    """Epoch ms of `[[YYYY-]MM-DD ]HH:MM[:SS[.mmm]]`, Shanghai time; 2026-03-02 unless said."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise CaseError(f"not an instant: {text!r}")
    year, month, day, hour, minute, second, millis = (int(part or 0) for part in match.groups())
    # 24:00 is the end of a day, as in business hours.
    midnight = dt.datetime(year or 2026, month or 3, day or 2, tzinfo=_SHANGHAI)
    moment = midnight + dt.timedelta(
        hours=hour, minutes=minute, seconds=second, milliseconds=millis
    )
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def span(text: str) -> int:
    """Milliseconds of a sum of durations such as `24h1ms`."""
    parts = _SPAN.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise CaseError(f"not a duration: {text!r}")
    return sum(int(number) * _UNIT[unit] for number, unit in parts)


def day_of(at: int) -> str:
    """The Shanghai day of an instant, as `YYYY-MM-DD`."""
    return (_EPOCH + dt.timedelta(milliseconds=at)).astimezone(_SHANGHAI).date().isoformat()


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
