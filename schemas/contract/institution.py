"""Filing data (备案类) of the institution: F1, F2, F8, F11, F12 (RULES 2.2)."""

from __future__ import annotations

from schemas.contract.common import COMPLETED_ON, REPORTED_AT, pass_fail, scope
from schemas.contract.model import array, enum, event, f

INSTITUTION_FILED = event(
    "InstitutionFiled",
    ("机构备案", "Institution filed"),
    (
        "执业登记、变更登记、延续（换证）或注销，每次上报完整快照",
        "Registration, change, renewal or cancellation of the institution, as a full snapshot",
    ),
    "institution_id",
    [
        f(
            "filing_kind",
            enum(
                "FilingKind",
                """
                REGISTERED | 执业登记     | first registration
                CHANGED    | 变更登记     | change of registration
                RENEWED    | 延续（换证） | renewal of the licence
                CANCELLED  | 注销         | cancellation
                """,
            ),
            "备案种类",
            "What kind of filing this is",
        ),
        f(
            "changed_fields",
            array(
                enum(
                    "ChangedField",
                    """
                    NAME         | 名称             | name
                    LOCATION     | 地址             | place
                    HOST         | 依托实体医疗机构 | host institution
                    APPLICANT    | 申请设置方       | applicant
                    PARTNER      | 合作方           | partner
                    DEPARTMENTS  | 诊疗科目         | approved departments
                    LICENCE_TERM | 许可证有效期     | term of the licence
                    MANAGEMENT   | 管理组织         | management
                    OTHER        | 其他             | other
                    """,
                )
            ),
            "本次变更的事项；非变更时为空列表",
            "Which facts changed; empty when nothing did",
        ),
        COMPLETED_ON,
        f(
            "institution_form",
            enum(
                "Form",
                """
                SECOND_NAME_INTERNET_HOSPITAL | 作为第二名称的互联网医院 | second name of a host
                INDEPENDENT_INTERNET_HOSPITAL | 独立设置的互联网医院 | independent internet hospital
                OWN_DOCTOR_SERVICE | 仅增加互联网诊疗服务方式 | own registered doctors serve online
                """,
            ),
            "机构形式；决定适用的规则集",
            "Form of the institution; refines which rulebook applies",
        ),
        f("registered_name", "string", "登记名称", "Registered name"),
        f(
            "applicant_short_name",
            "string?",
            "申请设置方识别名称",
            "Identifying short name of the applicant",
        ),
        f(
            "partner_short_names",
            "string[]",
            "合作方识别名称",
            "Identifying short names of the partners",
        ),
        f("partner_ids", "id[]", "合作方编号", "Ids of the partners"),
        f(
            "host_institution_id",
            "id?",
            "依托实体医疗机构登记号",
            "Registration number of the host institution",
        ),
        f("host_name", "string?", "依托实体医疗机构名称", "Name of the host institution"),
        f(
            "host_licence_valid_to",
            "date?",
            "依托实体医疗机构执业许可证有效期止（含当日）",
            "Last day on which the host's licence is valid, inclusive",
        ),
        f("licence_no", "string", "医疗机构执业许可证号", "Number of the practice licence"),
        f("licence_valid_from", "date", "许可证有效期起", "First day of the licence"),
        f(
            "licence_valid_to",
            "date",
            "许可证有效期止（含当日）",
            "Last day of the licence, inclusive",
        ),
        f(
            "service_modes",
            array(
                enum(
                    "ServiceMode",
                    """
                    INTERNET_DIAGNOSIS | 互联网诊疗       | internet diagnosis and treatment
                    INTERNET_HOSPITAL  | 互联网医院       | internet hospital
                    MUNICIPAL_FILING   | 市级备案（银川） | municipal filing (Yinchuan)
                    OTHER              | 其他             | other
                    """,
                )
            ),
            "登记的服务方式",
            "Registered modes of service",
        ),
        f("registration_authority", "string", "登记机关", "Authority of registration"),
        f(
            "onboarding_id",
            "string",
            "接入编号；重新设置登记后每次新接入均为新编号",
            "Id of the connection; a new one for every fresh connection after re-registration",
        ),
        f(
            "onboarding_statement_no",
            "string?",
            "对接情况说明编号",
            "Number of the statement of connection",
        ),
        f(
            "management_units",
            array(
                enum(
                    "Unit",
                    """
                    QUALITY            | 医疗质量           | medical quality
                    SAFETY             | 医疗安全           | medical safety
                    EMR                | 电子病历           | electronic medical records
                    IT                 | 信息技术           | information technology
                    PHARMACY           | 药学               | pharmacy
                    ADVERSE_EVENT      | 不良事件/不良反应  | adverse events and reactions
                    INTERNET_DIAGNOSIS | 互联网诊疗管理部门 | department for internet diagnosis
                    """,
                )
            ),
            "已设立的管理部门或专职人员",
            "Management departments or dedicated staff in place",
        ),
        f(
            "internet_unit_head_is_vice_president",
            "boolean?",
            "互联网诊疗管理部门负责人是否由分管院领导兼任",
            "Whether the unit for internet diagnosis is headed by the vice president in charge",
        ),
        f(
            "it_unit_independent_of_host",
            "boolean?",
            "信息技术部门是否独立于依托机构",
            "Whether the IT unit is independent of the host",
        ),
        f("e_seal_filed", "boolean?", "电子印章是否已备案", "Whether the electronic seal is filed"),
    ],
)

DEPARTMENT_APPROVED = event(
    "DepartmentApproved",
    ("诊疗科目核准", "Department approved"),
    ("诊疗科目的核准或撤销", "Approval or revocation of a department"),
    "institution_id+dept_code",
    [
        f("dept_code", "string", "诊疗科目代码", "Code of the department"),
        f(
            "status",
            enum(
                "Status",
                """
                APPROVED | 核准 | approved
                REVOKED  | 撤销 | revoked
                """,
            ),
            "核准状态",
            "Whether it is approved or revoked",
        ),
        f("effective_from", "date", "生效日", "First day of effect"),
        f(
            "effective_to",
            "date?",
            "失效日（含当日）；空为长期",
            "Last day of effect, inclusive; null for no end",
        ),
        f("approval_no", "string", "批准文号", "Number of the approval"),
        f(
            "host_has_subject",
            "boolean?",
            "依托实体医疗机构是否有相同诊疗科目",
            "Whether the host holds the same department",
        ),
        f(
            "host_clinical_dept_id",
            "id?",
            "依托实体医疗机构对应临床科室编号",
            "Id of the corresponding clinical department of the host",
        ),
        f("is_clinical", "boolean", "是否临床科室", "Whether it is a clinical department"),
        COMPLETED_ON,
    ],
)

ASSESSMENT_COMPLETED = event(
    "AssessmentCompleted",
    ("测评完成", "Assessment completed"),
    (
        "等保测评或规范性测试；occurred_at 为结果出具的时刻",
        "MLPS assessment or conformity test; occurred_at is when the result was issued",
    ),
    "institution_id+assessment_type",
    [
        f(
            "assessment_type",
            enum(
                "AssessmentType",
                """
                MLPS | 网络安全等级保护测评 | classified protection (MLPS) assessment
                CONFORMITY_TEST | 互联网医疗信息系统规范性测试 | conformity test
                """,
            ),
            "测评种类",
            "Kind of assessment",
        ),
        f("mlps_level", "int?", "等保级别（1–5 级）", "MLPS level, 1 to 5", 1, 5),
        f(
            "result",
            pass_fail(),
            "结果",
            "Result",
        ),
        f("assessed_on", "date", "测评完成之日", "Day of the assessment"),
        f("report_no", "string", "报告编号", "Number of the report"),
        COMPLETED_ON,
    ],
)

LICENCE_VERIFICATION_RECORDED = event(
    "LicenceVerificationRecorded",
    ("校验记录", "Licence verification recorded"),
    ("医疗机构校验的申请与结论", "Application for and result of the licence verification"),
    "institution_id",
    [
        f(
            "stage",
            enum(
                "Stage",
                """
                APPLIED    | 已申请 | applied for
                PASSED     | 合格   | passed
                NOT_PASSED | 不合格 | not passed
                """,
            ),
            "校验阶段",
            "Stage",
        ),
        f("verification_due_on", "date", "校验期满日", "Day on which the verification falls due"),
        COMPLETED_ON,
    ],
    publisher=(
        "医疗机构（申请）；登记机关（结论）",
        "hospital (APPLIED); registration authority (others)",
    ),
)

SERVICE_STATUS_CHANGED = event(
    "ServiceStatusChanged",
    ("服务状态变更", "Service status changed"),
    ("停业、歇业、暂停或恢复服务", "Suspension, resumption or end of services"),
    "institution_id+scope+scope_id",
    [
        f(
            "scope",
            scope("Scope"),
            "范围",
            "What it covers",
        ),
        f(
            "scope_id",
            "id?",
            "诊疗科目代码或人员编号；全机构为空",
            "Department code or staff id; null for the whole institution",
        ),
        f(
            "status",
            enum(
                "Status",
                """
                SUSPENDED | 暂停 | suspended
                RESUMED   | 恢复 | resumed
                CEASED    | 终止 | ended
                """,
            ),
            "服务状态",
            "New status",
        ),
        f(
            "reason",
            enum(
                "Reason",
                """
                MLPS_FAILED     | 等保测评未通过   | MLPS assessment failed
                ADVERSE_EVENT   | 不良事件         | adverse event
                CONDITIONS_LOST | 不再具备执业条件 | conditions no longer met
                AUTHORITY_ORDER | 主管部门决定     | order of the authority
                STAFF_EXIT      | 人员退出         | exit of staff
                VOLUNTARY       | 自行停业         | voluntary
                CANCELLED       | 注销             | cancellation
                OTHER           | 其他             | other
                """,
            ),
            "原因",
            "Why",
        ),
        REPORTED_AT,
    ],
    publisher=("医疗机构或主管部门", "hospital or authority"),
)
