"""Adverse-event data (不良事件类): A1 and A2 (RULES 2.5). CLINICAL."""

from __future__ import annotations

from schemas.contract.common import PRESCRIPTION_ID_OR_NULL, REPORTED_AT, SESSION_ID_OR_NULL, scope
from schemas.contract.model import enum, event, f, nullable

INCIDENT_ID = f("incident_id", "id", "事件（事故）编号", "Id of the incident")
DISCOVERED_AT = f("discovered_at", "ts", "发现的时刻", "When it was discovered")

ADVERSE_EVENT_REPORTED = event(
    "AdverseEventReported",
    ("不良事件报告", "Adverse event reported"),
    (
        "医疗质量（安全）不良事件、药品不良反应/不良事件，每一阶段一条",
        "Adverse event of medical quality or safety, or of a drug; one event for each stage",
    ),
    "incident_id",
    [
        INCIDENT_ID,
        f(
            "kind",
            enum(
                "Kind",
                """
                MEDICAL_SAFETY | 医疗质量（安全）不良事件 | medical quality or safety
                DRUG_REACTION  | 药品不良反应             | adverse drug reaction
                DRUG_EVENT     | 药品不良事件             | adverse drug event
                """,
            ),
            "种类",
            "Kind",
        ),
        f(
            "stage",
            enum(
                "Stage",
                """
                INITIAL      | 首次报告 | first report
                INVESTIGATED | 已调查   | investigated
                CLOSED       | 已结案   | closed
                """,
            ),
            "阶段",
            "Stage",
        ),
        f(
            "major_accident",
            "boolean",
            "是否重大医疗事故",
            "Whether it is a major medical accident",
        ),
        DISCOVERED_AT,
        REPORTED_AT,
        SESSION_ID_OR_NULL,
        PRESCRIPTION_ID_OR_NULL,
        f("affected_scope", scope("AffectedScope"), "影响范围", "What is affected"),
        f(
            "affected_scope_id",
            "id?",
            "受影响的诊疗科目代码或人员编号；全机构为空",
            "Department code or staff id affected; null for the whole institution",
        ),
        f("responsible_staff_ids", "id[]", "责任人员编号", "Staff responsible"),
    ],
)

SECURITY_INCIDENT_REPORTED = event(
    "SecurityIncidentReported",
    ("信息安全事件报告", "Security incident reported"),
    (
        "患者信息和医疗数据泄露、网络攻击、网络中断；可随事实更正",
        "Breach of patient data, cyber attack or outage; may be corrected as facts emerge",
    ),
    "incident_id",
    [
        INCIDENT_ID,
        f(
            "kind",
            enum(
                "Kind",
                """
                DATA_BREACH  | 数据泄露 | data breach
                CYBER_ATTACK | 网络攻击 | cyber attack
                OUTAGE       | 网络中断 | outage
                OTHER        | 其他     | other
                """,
            ),
            "种类",
            "Kind",
        ),
        DISCOVERED_AT,
        REPORTED_AT,
        f(
            "report_recipient",
            nullable(
                enum(
                    "Recipient",
                    """
                    HEALTH_AUTHORITY       | 卫生健康主管部门 | health authority
                    REGISTRATION_AUTHORITY | 登记机关         | registration authority
                    OTHER                  | 其他             | other
                    """,
                )
            ),
            "报告对象；未报告为空",
            "Who was told; null if nobody",
        ),
        f(
            "measures_started_at",
            "ts?",
            "开始采取措施的时刻",
            "When counter-measures began",
        ),
        f("affected_patients", "long?", "受影响患者数（人）", "Patients affected, count", 0),
    ],
)
