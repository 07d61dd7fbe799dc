"""Evaluation data (评价类): E1 to E6 (RULES 2.4)."""

from __future__ import annotations

from schemas.contract.common import COMPLETED_ON, SESSION_ID, SESSION_ID_OR_NULL
from schemas.contract.model import SUPERVISOR, enum, event, f

COMPLAINT_ID = f("complaint_id", "id", "投诉编号", "Id of the complaint")
NOTICE_ID = f("notice_id", "id", "通知编号", "Id of the notice")

SERVICE_RATED = event(
    "ServiceRated",
    ("满意度评价", "Service rated"),
    ("患者满意度评价", "The patient rated the service"),
    "session_id",
    [SESSION_ID, f("score", "int", "评分（1–5 分，5 为最满意）", "Score, 1 to 5, 5 is best", 1, 5)],
)

COMPLAINT_RECEIVED = event(
    "ComplaintReceived",
    ("收到投诉", "Complaint received"),
    ("患者投诉", "A patient complained"),
    "complaint_id",
    [
        COMPLAINT_ID,
        SESSION_ID_OR_NULL,
        f(
            "channel",
            enum(
                "Channel",
                """
                PLATFORM  | 平台     | platform
                TELEPHONE | 电话     | telephone
                MAILBOX   | 信箱     | mailbox
                AUTHORITY | 主管部门 | authority
                """,
            ),
            "投诉渠道",
            "Channel",
        ),
        f(
            "category",
            enum(
                "Category",
                """
                QUALITY  | 质量     | quality
                SAFETY   | 安全     | safety
                FEE      | 收费     | fees
                PRIVACY  | 隐私     | privacy
                ATTITUDE | 服务态度 | attitude
                OTHER    | 其他     | other
                """,
            ),
            "投诉类别",
            "Category",
        ),
        f("staff_id", "id?", "被投诉人员编号", "Staff member complained of, if any"),
    ],
    publisher=("医疗机构或监管部门", "hospital or supervisor"),
)

COMPLAINT_RESOLVED = event(
    "ComplaintResolved",
    ("投诉办结", "Complaint resolved"),
    ("投诉处理完毕", "A complaint was dealt with"),
    "complaint_id",
    [
        COMPLAINT_ID,
        f(
            "result",
            enum(
                "Result",
                """
                UPHELD     | 属实   | upheld
                NOT_UPHELD | 不属实 | not upheld
                SETTLED    | 和解   | settled
                """,
            ),
            "处理结果",
            "Result",
        ),
    ],
)

SUPERVISION_NOTICE_ISSUED = event(
    "SupervisionNoticeIssued",
    ("监管通知", "Supervision notice issued"),
    ("监管部门发出的问题反馈或异常信息", "Problem feedback or anomaly sent by the supervisor"),
    "notice_id",
    [
        NOTICE_ID,
        f(
            "notice_kind",
            enum(
                "NoticeKind",
                """
                PROBLEM_FEEDBACK | 问题反馈 | problem feedback
                ANOMALY          | 异常信息 | anomaly
                """,
            ),
            "通知种类",
            "Kind of notice",
        ),
        f("finding_keys", "string[]", "所涉发现的编号（finding_id）", "Finding ids it speaks of"),
        f("due_on", "date?", "整改期限（含当日）", "Last day for rectification, inclusive"),
    ],
    publisher=SUPERVISOR,
)

RECTIFICATION_REPORTED = event(
    "RectificationReported",
    ("整改情况", "Rectification reported"),
    ("对监管通知的整改情况", "What was done about a supervision notice"),
    "notice_id",
    [
        NOTICE_ID,
        f(
            "status",
            enum(
                "Status",
                """
                IN_PROGRESS | 整改中 | in progress
                COMPLETED   | 已完成 | completed
                CONTESTED   | 有异议 | contested
                """,
            ),
            "整改状态",
            "Status",
        ),
        f(
            "reported_to_registration_authority",
            "boolean",
            "是否已报登记机关",
            "Whether the registration authority was told",
        ),
    ],
)

PERIODIC_DUTY_COMPLETED = event(
    "PeriodicDutyCompleted",
    ("定期职责完成", "Periodic duty completed"),
    ("完成一项定期管理职责", "A recurring management act was done"),
    "institution_id+duty_type",
    [
        f(
            "duty_type",
            enum(
                "DutyType",
                """
                STAFF_TRAINING        | 培训                  | staff training
                STAFF_APPRAISAL       | 考核                  | staff appraisal
                EMERGENCY_DRILL       | 应急演练              | emergency drill
                DR_DRILL              | 灾难恢复演练          | disaster recovery drill
                DAILY_SECURITY_REPORT | 日安全运行报告        | daily security report
                QUALITY_ANALYSIS | 质量/不良事件分析总结 | analysis of quality and adverse events
                QUALITY_PUBLICATION   | 质量指标公示          | publication of quality indicators
                """,
            ),
            "职责种类",
            "Kind of duty",
        ),
        f("covered_from", "date", "所涵盖期间起", "First day covered"),
        f("covered_to", "date", "所涵盖期间止（含当日）", "Last day covered, inclusive"),
        f(
            "staff_ids",
            "id[]",
            "所涉人员编号；空列表为全机构",
            "Staff concerned; empty for the whole institution",
        ),
        COMPLETED_ON,
    ],
)
