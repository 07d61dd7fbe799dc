"""Filing data (备案类) of the people: F3, F4, F5 (RULES 2.2)."""

from __future__ import annotations

from schemas.contract.common import COMPLETED_ON, STAFF_ID
from schemas.contract.model import Enum, array, enum, event, f, nullable


def registers() -> Enum:
    """The three professions, which are also the three national registers."""
    return enum(
        "Register",
        """
        DOCTOR     | 医师 | doctor
        NURSE      | 护士 | nurse
        PHARMACIST | 药师 | pharmacist
        """,
    )


STAFF_FILED = event(
    "StaffFiled",
    ("人员备案", "Staff filed"),
    (
        "医师、护士、药师的备案、更新或退出，每次上报完整快照",
        "Filing, update or exit of a doctor, nurse or pharmacist, as a full snapshot",
    ),
    "institution_id+staff_id",
    [
        STAFF_ID,
        f("role", registers(), "人员类别", "Profession"),
        f(
            "filing_kind",
            enum(
                "FilingKind",
                """
                ADDED   | 新增 | added
                UPDATED | 更新 | updated
                REMOVED | 退出 | removed
                """,
            ),
            "备案种类",
            "What kind of filing this is",
        ),
        f(
            "status",
            enum(
                "Status",
                """
                ACTIVE    | 在岗执业 | active
                SUSPENDED | 暂停执业 | suspended
                EXITED    | 已退出   | exited
                """,
            ),
            "执业状态",
            "Status at this institution",
        ),
        COMPLETED_ON,
        f("practice_cert_no", "string", "执业证书编号", "Number of the practice certificate"),
        f("practice_category", "string?", "执业类别", "Category of practice"),
        f("practice_scope_codes", "string[]", "执业范围代码", "Codes of the scope of practice"),
        f(
            "qualification_valid_to",
            "date?",
            "资格有效期止（含当日）；空为长期",
            "Last day on which the qualification is valid, inclusive; null for no end",
        ),
        f(
            "title_level",
            enum(
                "TitleLevel",
                """
                SENIOR        | 正高级 | senior
                DEPUTY_SENIOR | 副高级 | deputy senior
                INTERMEDIATE  | 中级   | intermediate
                JUNIOR        | 初级   | junior
                NONE          | 无职称 | none
                """,
            ),
            "职称级别",
            "Level of the professional title",
        ),
        f("dept_codes", "string[]", "所在诊疗科目代码", "Codes of the departments served"),
        f(
            "registered_institution_ids",
            "id[]",
            "执业机构登记号",
            "Registration numbers of the institutions of practice",
        ),
        f(
            "practice_locations",
            "string[]",
            "执业地点（行政区划代码）",
            "Places of practice, as region codes",
        ),
        f(
            "multi_site_from",
            "date?",
            "在本机构增加执业地点/备案的起始日",
            "First day of the multi-site filing at this institution",
        ),
        f(
            "multi_site_to",
            "date?",
            "在本机构增加执业地点/备案的截止日（含当日）",
            "Last day of the multi-site filing at this institution, inclusive",
        ),
        f(
            "registering_institution_consent_from",
            "date?",
            "执业注册机构同意的起始日",
            "First day of the registering institution's consent",
        ),
        f(
            "registering_institution_consent_to",
            "date?",
            "执业注册机构同意的截止日（含当日）",
            "Last day of the registering institution's consent, inclusive",
        ),
        f(
            "independent_practice_since",
            "date?",
            "开始独立临床工作之日",
            "First day of independent clinical work",
        ),
        f("clinical_work_since", "date?", "开始临床工作之日", "First day of clinical work"),
        f(
            "id_number_filed",
            "boolean",
            "身份证号码是否已存入加密备案库（事件中不含号码）",
            "Whether the identity number is lodged in the encrypted store; never in the event",
        ),
        f(
            "photo_filed",
            "boolean",
            "照片是否已存入加密备案库（事件中不含照片）",
            "Whether the photograph is lodged in the encrypted store; never in the event",
        ),
        f(
            "scans_filed",
            array(
                enum(
                    "Scan",
                    """
                    QUALIFICATION_CERT | 资格证书 | qualification certificate
                    PRACTICE_CERT      | 执业证书 | practice certificate
                    TITLE_CERT         | 职称证书 | title certificate
                    ID_CARD            | 身份证   | identity card
                    """,
                )
            ),
            "已存档的证件扫描件",
            "Scanned documents kept on file",
        ),
        f(
            "esign_cert",
            "string?",
            "电子签名证书序列号",
            "Serial number of the e-signature certificate",
        ),
        f("esign_filed", "boolean", "电子签名是否已备案", "Whether the e-signature is filed"),
        f(
            "employer_id",
            "id",
            "用人单位编号；非第三方时等于 institution_id",
            "Id of the employer; equals institution_id unless a third party",
        ),
        f("full_time", "boolean", "是否专职", "Whether full time, dedicated to this institution"),
    ],
)

STAFF_REGISTRY_CHECKED = event(
    "StaffRegistryChecked",
    ("执业注册核查", "Staff registry checked"),
    (
        "与国家医师、护士等电子注册系统比对的结果",
        "Result of comparing a filing with the national electronic register",
    ),
    "staff_id",
    [
        STAFF_ID,
        f("register", registers(), "所查注册系统", "Which register was asked"),
        f("found", "boolean", "注册系统中是否有此人", "Whether the person is in the register"),
        f(
            "matches_filing",
            "boolean",
            "与机构备案是否一致",
            "Whether the register agrees with the institution's filing",
        ),
        f("mismatch_fields", "string[]", "不一致的字段名", "Names of the fields that differ"),
        f(
            "registration_status",
            nullable(
                enum(
                    "RegistrationStatus",
                    """
                    VALID     | 有效 | valid
                    CANCELLED | 注销 | cancelled
                    REVOKED   | 吊销 | revoked
                    SUSPENDED | 暂停 | suspended
                    """,
                )
            ),
            "注册状态；未查到时为空",
            "Status in the register; null when not found",
        ),
        f(
            "registered_institution_ids",
            "id[]",
            "注册系统中的执业机构登记号",
            "Institutions of practice according to the register",
        ),
        f("registry_change_on", "date?", "注册信息变更之日", "Day on which the register changed"),
        f("valid_as_of", "ts", "核查结果所反映的时刻", "The instant whose state the answer shows"),
    ],
    publisher=("平台与国家注册系统的连接器", "platform connector to the national registers"),
)

LIABILITY_INSURANCE_FILED = event(
    "LiabilityInsuranceFiled",
    ("医疗责任保险备案", "Liability insurance filed"),
    ("医务人员的医疗责任保险", "Malpractice insurance of a staff member"),
    "staff_id",
    [
        STAFF_ID,
        f("policy_no_hash", "string", "保单号的哈希值", "Hash of the policy number"),
        f("valid_from", "date", "保险责任起始日", "First day of cover"),
        f("valid_to", "date", "保险责任截止日（含当日）", "Last day of cover, inclusive"),
        f("cancelled_on", "date?", "退保之日", "Day of cancellation"),
        COMPLETED_ON,
    ],
    publisher=("医疗机构或第三方申请设置方", "hospital or third-party applicant"),
)
