"""Filing data (备案类) of documents, equipment, hours and notices: F6, F7, F9, F10 (RULES 2.2)."""

from __future__ import annotations

from schemas.contract.common import COMPLETED_ON
from schemas.contract.model import array, enum, event, f, nullable, record

DOCUMENT_FILED = event(
    "DocumentFiled",
    ("制度与协议备案", "Document filed"),
    (
        "管理制度、预案或协议的制定与备案",
        "Adoption of a management system, a plan or an agreement",
    ),
    "institution_id+doc_id",
    [
        f("doc_id", "id", "文件编号", "Id of the document"),
        f(
            "doc_type",
            enum(
                "DocType",
                """
                SELF_INSPECTION | 依法执业自查制度 | self-inspection of lawful practice
                QUALITY_SAFETY | 医疗质量和安全管理制度 | medical quality and safety
                ADVERSE_EVENT_REPORTING | 不良事件报告制度 | adverse-event reporting
                TRAINING_APPRAISAL | 培训考核制度 | training and appraisal
                INFORMED_CONSENT | 知情同意（与登记）制度 | informed consent and its register
                PRESCRIPTION | （在线）处方管理制度 | online prescriptions
                EMR | 电子病历/在线医疗文书管理制度 | electronic medical records
                IT_USE | 信息系统使用管理制度 | use of information systems
                INFORMATION_SECURITY | 信息安全/网络与数据安全制度 | information security
                PRIVACY | 个人信息与隐私保护制度 | personal information and privacy
                SERVICE_MANAGEMENT | 医疗服务管理制度、服务流程 | service management and processes
                POSITION_DUTIES | 人员岗位职责 | duties of positions
                QUALITY_CONTROL_EVALUATION | 质量控制和评价制度 | quality control and evaluation
                FOLLOW_UP_RISK | 复诊患者风险评估与突发状况预防处置制度 | risks of follow-up
                TERMINATION | 诊疗终止制度/终止条件 | termination of treatment
                EMERGENCY_PLAN | 应急预案 | emergency plan
                COMPLAINT_HANDLING | 投诉应对处理机制 | handling of complaints
                REFUND_STANDARD | 退费标准和机制 | standard for refunds
                INFO_PRESERVATION | 信息保全保痕保密制度 | preservation and secrecy of information
                STAFF_EXIT | 准入、退出机制 | entry and exit of staff
                COOPERATION_AGREEMENT | 合作协议 | cooperation agreement
                DELIVERY_AGREEMENT | 配送协议 | delivery agreement
                PHARMACIST_SERVICE_AGREEMENT | 第三方药师审方合作/聘任指定 | third-party review
                """,
            ),
            "文件种类",
            "Kind of document",
        ),
        f("effective_from", "date", "生效日", "First day of effect"),
        f(
            "effective_to",
            "date?",
            "失效日（含当日）；空为长期",
            "Last day of effect, inclusive; null for no end",
        ),
        f(
            "counterparty_ids",
            "id[]",
            "协议对方编号；非协议为空列表",
            "Ids of the counterparties of an agreement",
        ),
        f(
            "clauses",
            array(
                enum(
                    "Clause",
                    """
                    MEDICAL_SERVICE      | 医疗服务     | medical service
                    INFORMATION_SECURITY | 信息安全     | information security
                    PRIVACY              | 隐私保护     | privacy
                    RESPONSIBILITIES     | 权利责任划分 | responsibilities
                    """,
                )
            ),
            "协议所含条款",
            "Clauses the agreement contains",
        ),
        f("content_hash", "string", "文件内容的哈希值", "Hash of the document's content"),
        COMPLETED_ON,
    ],
)

INFRASTRUCTURE_FILED = event(
    "InfrastructureFiled",
    ("设备设施备案", "Infrastructure filed"),
    ("设备设施，每次上报完整快照", "Equipment and infrastructure, as a full snapshot"),
    "institution_id",
    [
        f("server_sets", "int", "服务器套数（套）", "Sets of servers, count", 0),
        f(
            "db_app_separated",
            "boolean",
            "数据库服务器与应用系统服务器是否划分",
            "Whether database and application servers are separated",
        ),
        f(
            "dual_power_or_generator",
            "boolean",
            "是否双路供电或自备发电",
            "Whether there is dual power supply or a generator",
        ),
        f("av_systems", "int", "音视频通讯系统套数（套）", "Audio-video systems, count", 0),
        f(
            "av_on_city_platform",
            "boolean?",
            "音视频通讯系统是否接入市级平台",
            "Whether audio-video runs on the city's platform",
        ),
        f("bandwidth_mbps", "int", "网络带宽（Mbit/s）", "Network bandwidth, Mbit/s", 0),
        f("isp_count", "int", "宽带网络供应商数（家）", "Internet providers, count", 0),
        f(
            "access_control_system",
            "boolean",
            "是否有门禁等访问控制",
            "Whether there is access control",
        ),
        f("his_integrated", "boolean", "是否与 HIS 对接", "Whether the HIS is integrated"),
        f(
            "pacs_ris_integrated",
            "boolean",
            "是否与 PACS/RIS 对接",
            "Whether PACS and RIS are integrated",
        ),
        f("lis_integrated", "boolean", "是否与 LIS 对接", "Whether the LIS is integrated"),
        f(
            "remote_functions",
            array(
                enum(
                    "RemoteFunction",
                    """
                    CONSULTATION | 远程会诊 | remote consultation
                    OUTPATIENT   | 远程门诊 | remote outpatient clinic
                    PATHOLOGY    | 远程病理 | remote pathology
                    IMAGING      | 远程影像 | remote imaging
                    ECG          | 远程心电 | remote ECG
                    """,
                )
            ),
            "远程功能",
            "Remote functions",
        ),
        f(
            "dedicated_line",
            "boolean?",
            "是否采用专用线路接入监管平台",
            "Whether a dedicated line connects to the supervision platform",
        ),
        f(
            "health_cloud_joined",
            "boolean?",
            "是否接入健康云",
            "Whether the health cloud is joined",
        ),
        f(
            "data_region",
            "string",
            "存储医疗数据的服务器所在地（行政区划代码）",
            "Region code of the place where medical data is stored",
        ),
        f("backup_mechanism", "boolean?", "是否有数据备份机制", "Whether data is backed up"),
        f(
            "disaster_recovery_system",
            "boolean?",
            "是否有灾难恢复系统",
            "Whether there is a disaster recovery system",
        ),
        f(
            "record_audit_log",
            "boolean?",
            "病历系统是否有日志和审计功能",
            "Whether the record system logs and audits",
        ),
        f(
            "auto_archiving",
            "boolean?",
            "是否自动归档",
            "Whether records are archived automatically",
        ),
        f(
            "trust_services",
            array(
                enum(
                    "TrustService",
                    """
                    DIGITAL_CERT       | 数字证书服务       | digital certificates
                    SIGN_VERIFY_SERVER | 数字签名验证服务器 | signature verification server
                    E_SEAL             | 电子签章           | electronic seal
                    TIMESTAMP          | 时间戳服务         | trusted timestamps
                    """,
                )
            ),
            "可信服务",
            "Trust services in place",
        ),
        COMPLETED_ON,
    ],
)

START_MINUTE = f(
    "start_minute",
    "int",
    "起（北京时间当日第几分钟，含）",
    "First minute of the Shanghai day",
    0,
    1440,
)
END_MINUTE = f(
    "end_minute", "int", "止（北京时间当日第几分钟，不含）", "End minute, exclusive", 0, 1440
)

BUSINESS_HOURS_DECLARED = event(
    "BusinessHoursDeclared",
    ("诊疗时间申报", "Business hours declared"),
    (
        "诊疗时间/业务时间；自 occurred_at 起取代此前的申报",
        "Hours of service; replaces the previous declaration from occurred_at on",
    ),
    "institution_id",
    [
        f(
            "weekly",
            array(
                record(
                    "WeeklyInterval",
                    "每周某日的一段业务时间，左闭右开",
                    "One interval of a weekday, half-open",
                    f(
                        "weekday",
                        "int",
                        "星期几（1 为周一，7 为周日）",
                        "1 Monday to 7 Sunday",
                        1,
                        7,
                    ),
                    START_MINUTE,
                    END_MINUTE,
                )
            ),
            "每周业务时间",
            "Weekly pattern",
        ),
        f(
            "exceptions",
            array(
                record(
                    "ExceptionDay",
                    "某一日的特别安排，取代当日的每周安排",
                    "A day that differs from the weekly pattern",
                    f("date", "date", "日期", "The day"),
                    f(
                        "intervals",
                        array(
                            record(
                                "Interval",
                                "一段业务时间，左闭右开",
                                "One interval, half-open",
                                START_MINUTE,
                                END_MINUTE,
                            )
                        ),
                        "当日业务时间；空列表为全天停诊",
                        "Intervals of that day; empty means closed",
                    ),
                )
            ),
            "特别日期安排",
            "Exceptional days",
        ),
        COMPLETED_ON,
    ],
)

NOTICE_PUBLISHED = event(
    "NoticePublished",
    ("信息公示", "Notice published"),
    ("公示信息的发布或撤下", "Publication or withdrawal of public information"),
    "institution_id+item[+staff_id]",
    [
        f(
            "item",
            enum(
                "Item",
                """
                LICENCE                 | 医疗机构执业许可证 | practice licence
                DEPARTMENTS             | 诊疗科目           | departments
                HOURS                   | 诊疗时间           | hours of service
                STAFF_E_LICENCE         | 医务人员电子证照   | electronic licence of staff
                STAFF_IDENTITY_MARK     | 医务人员身份标识   | identity mark of staff
                SERVICE_ITEMS_PROCESS   | 服务项目与流程     | service items and process
                SERVICE_MODE_DOCTORS    | 服务方式与医师     | mode of service and doctors
                PRICE_LIST              | 收费标准           | price list
                DRUG_PRICES             | 药品价格           | drug prices
                COMPLAINT_CHANNEL       | 投诉渠道           | channel for complaints
                DISPUTE_PROCESS         | 医疗纠纷解决途径   | process for disputes
                CONVENIENCE_MEASURES    | 便民措施           | convenience measures
                QUALIFICATION_DOCUMENTS | 资质证明文件       | proofs of qualification
                QUALITY_INDICATORS      | 质量指标           | quality indicators
                """,
            ),
            "公示项目",
            "What is published",
        ),
        f(
            "state",
            enum(
                "State",
                """
                PUBLISHED | 已公示 | published
                WITHDRAWN | 已撤下 | withdrawn
                """,
            ),
            "公示状态",
            "Published or withdrawn",
        ),
        f(
            "position",
            enum(
                "Position",
                """
                HOME_PAGE          | 首页         | home page
                PLATFORM_PROMINENT | 平台显著位置 | prominent place of the platform
                OTHER              | 其他位置     | elsewhere
                """,
            ),
            "公示位置",
            "Where it is shown",
        ),
        f("staff_id", "id?", "所涉医务人员编号；非人员项目为空", "Staff member concerned, if any"),
        f(
            "prices",
            nullable(
                array(
                    record(
                        "Price",
                        "一项价格",
                        "One price",
                        f("item_code", "string", "收费项目或药品代码", "Code of the item or drug"),
                        f("unit_price_fen", "long", "单价（分）", "Unit price, in fen", 0),
                    )
                )
            ),
            "公示的价格；仅价格类项目填写",
            "Published prices; only for items about prices",
        ),
        COMPLETED_ON,
    ],
)
