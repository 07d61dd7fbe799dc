"""Which events exist: the 38 types of RULES section 2 with their upload class and group.

This table is the only place that lists them; fields and meanings are in `schemas/contract/`, the
Avro schemas generated from there in `schemas/events/`. Schemas are read when first asked for, so
importing this costs nothing.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EVENT_NAMESPACE = "cn.ihwatch.events.v1"
OUTPUT_NAMESPACE = "cn.ihwatch.outputs.v1"


class UploadClass(StrEnum):
    """The upload window: FILING a week, CLINICAL 24 h, SUPERVISOR none (RULES 2.1; GX 6)."""

    FILING = "FILING"
    CLINICAL = "CLINICAL"
    SUPERVISOR = "SUPERVISOR"


class Group(StrEnum):
    """The four groups of DB64/T 2123-2025: 备案类, 业务类, 评价类, 不良事件类."""

    FILING = "filing"
    BUSINESS = "business"
    EVALUATION = "evaluation"
    ADVERSE_EVENT = "adverse_event"


_F, _C, _S = UploadClass.FILING, UploadClass.CLINICAL, UploadClass.SUPERVISOR
_TABLE: tuple[tuple[str, str, UploadClass], ...] = (
    ("F1", "InstitutionFiled", _F),
    ("F2", "DepartmentApproved", _F),
    ("F3", "StaffFiled", _F),
    ("F4", "StaffRegistryChecked", _S),
    ("F5", "LiabilityInsuranceFiled", _F),
    ("F6", "DocumentFiled", _F),
    ("F7", "InfrastructureFiled", _F),
    ("F8", "AssessmentCompleted", _F),
    ("F9", "BusinessHoursDeclared", _F),
    ("F10", "NoticePublished", _F),
    ("F11", "LicenceVerificationRecorded", _F),
    ("F12", "ServiceStatusChanged", _C),
    ("B1", "DutyStatusReported", _C),
    ("B2", "SessionOpened", _C),
    ("B3", "PatientIdentityVerified", _C),
    ("B4", "ConsentSigned", _C),
    ("B5", "DoctorIdentityVerified", _C),
    ("B6", "PriorDiagnosisEvidenced", _C),
    ("B7", "UnsuitabilityIdentified", _C),
    ("B8", "SessionClosed", _C),
    ("B9", "PrescriptionIssued", _C),
    ("B10", "PrescriptionReviewed", _C),
    ("B11", "DrugSupplied", _C),
    ("B12", "MedicalRecordArchived", _C),
    ("B13", "ProcessRecordArchived", _C),
    ("B14", "RecordOperationLogged", _C),
    ("B15", "FeeCharged", _C),
    ("B16", "RefundRequested", _C),
    ("B17", "RefundSettled", _C),
    ("B18", "DailyManifestPublished", _C),
    ("E1", "ServiceRated", _C),
    ("E2", "ComplaintReceived", _C),
    ("E3", "ComplaintResolved", _C),
    ("E4", "SupervisionNoticeIssued", _S),
    ("E5", "RectificationReported", _C),
    ("E6", "PeriodicDutyCompleted", _F),
    ("A1", "AdverseEventReported", _C),
    ("A2", "SecurityIncidentReported", _C),
)
_GROUPS = {"F": Group.FILING, "B": Group.BUSINESS, "E": Group.EVALUATION, "A": Group.ADVERSE_EVENT}

EVENT_TYPES: tuple[str, ...] = tuple(name for _, name, _ in _TABLE)
OUTPUT_TYPES: tuple[str, ...] = ("Alert", "Aggregate", "Reject", "Receipt")
ENVELOPE: tuple[str, ...] = (
    "event_id",
    "event_type",
    "schema_version",
    "institution_id",
    "occurred_at",
    "recorded_at",
    "stream_id",
    "stream_seq",
    "revision",
    "supersedes_event_id",
    "signer_cert",
)
_CLASS = {name: upload for _, name, upload in _TABLE}
_CODE = {name: code for code, name, _ in _TABLE}


def upload_class(event_type: str) -> UploadClass:
    """The upload class of an event type; KeyError for a type that does not exist."""
    return _CLASS[event_type]


def code(event_type: str) -> str:
    """The code of RULES section 2, such as `F1`; KeyError for a type that does not exist."""
    return _CODE[event_type]


def group(event_type: str) -> Group:
    """The group of an event type; KeyError for a type that does not exist."""
    return _GROUPS[_CODE[event_type][0]]


@cache
def schema(name: str) -> dict[str, Any]:
    """The committed Avro schema of an event or output; do not change what is returned."""
    folder = "outputs" if name in OUTPUT_TYPES else "events"
    if name not in _CLASS and name not in OUTPUT_TYPES:
        raise KeyError(name)
    parsed: dict[str, Any] = json.loads(
        (HERE / folder / f"{name}.avsc").read_text(encoding="utf-8")
    )
    return parsed


def payload_fields(event_type: str) -> tuple[str, ...]:
    """Names of the payload fields of an event type, in the order of its schema."""
    return tuple(f["name"] for f in schema(event_type)["fields"])[len(ENVELOPE) :]
