"""Fields that several events share."""

from __future__ import annotations

from schemas.contract.model import Enum, enum, f

COMPLETED_ON = f(
    "change_completed_on",
    "date",
    "登记、变更或其他备案事项办结之日（上传期限自此日起算）",
    "Day on which the filed fact was completed; the upload window counts from it",
)
STAFF_ID = f(
    "staff_id",
    "id",
    "医务人员编号，跨机构一致，不含身份证号",
    "Id of the staff member, stable across institutions; never an identity number",
)


SESSION_ID = f("session_id", "id", "诊疗会话编号", "Id of the session")
SESSION_ID_OR_NULL = f(
    "session_id", "id?", "诊疗会话编号；无关联会话为空", "Id of the session, if any"
)
PRESCRIPTION_ID = f("prescription_id", "id", "处方编号", "Id of the prescription")
PRESCRIPTION_ID_OR_NULL = f(
    "prescription_id", "id?", "处方编号；无处方为空", "Id of the prescription, if any"
)
TOKEN = f(
    "patient_token",
    "id",
    "患者假名，仅在本机构内稳定，不得含姓名或证件号",
    "Pseudonym of the patient, stable within one institution; never a name or number",
)
AGE = f(
    "patient_age_years", "int", "患者年龄（周岁）", "Age of the patient, completed years", 0, 150
)
MATCHED = f(
    "matched_staff_id",
    "id?",
    "识别出的人员编号；未识别出任何人为空",
    "Person recognised; null if nobody was",
)
DIAGNOSIS_CODES = f("diagnosis_codes", "string[]", "诊断代码（ICD-10）", "Diagnosis codes, ICD-10")
TRUSTED_TIMESTAMP = f(
    "trusted_timestamp", "boolean", "是否加盖可信时间戳", "Whether a trusted timestamp is attached"
)
RETENTION_UNTIL = f(
    "retention_until", "date", "保存期限止（含当日）", "Last day of retention, inclusive"
)
REPORTED_AT = f(
    "reported_to_authority_at",
    "ts?",
    "向主管部门报告的时刻；未报告为空",
    "When the authority was told; null if it was not",
)


def pass_fail(name: str = "Result") -> Enum:
    """Passed or failed."""
    return enum(
        name,
        """
        PASS | 通过   | passed
        FAIL | 未通过 | failed
        """,
    )


def signature(name: str) -> Enum:
    """State of an electronic signature."""
    return enum(
        name,
        """
        VALID   | 有效   | valid
        INVALID | 无效   | not valid
        ABSENT  | 无签名 | absent
        """,
    )


def scope(name: str) -> Enum:
    """What a measure or an event covers."""
    return enum(
        name,
        """
        INSTITUTION | 全机构   | the whole institution
        DEPARTMENT  | 诊疗科目 | one department
        STAFF       | 医务人员 | one staff member
        """,
    )
