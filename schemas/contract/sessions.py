"""Business data (业务类) about sessions and identity: B1 to B8 (RULES 2.3). All CLINICAL."""

from __future__ import annotations

from schemas.contract.common import (
    AGE,
    MATCHED,
    SESSION_ID,
    SESSION_ID_OR_NULL,
    STAFF_ID,
    TOKEN,
    pass_fail,
    signature,
)
from schemas.contract.model import array, enum, event, f

DUTY_STATUS_REPORTED = event(
    "DutyStatusReported",
    ("在岗状态", "Duty status reported"),
    (
        "审方或接诊岗位的签到、心跳（建议每 5 分钟）、签退",
        "Presence on duty: sign-on, heartbeat (expected every 5 minutes), sign-off",
    ),
    "institution_id+staff_id",
    [
        STAFF_ID,
        f(
            "duty_kind",
            enum(
                "DutyKind",
                """
                RX_REVIEW    | 审方 | prescription review
                CONSULTATION | 接诊 | consultation
                """,
            ),
            "岗位种类",
            "Kind of duty",
        ),
        f(
            "phase",
            enum(
                "Phase",
                """
                SIGN_ON   | 签到 | sign-on
                HEARTBEAT | 心跳 | heartbeat
                SIGN_OFF  | 签退 | sign-off
                """,
            ),
            "阶段",
            "Phase of the shift",
        ),
        f("shift_id", "id", "班次编号", "Id of the shift"),
    ],
    publisher=(
        "医疗机构（含经其上报的第三方药师服务）",
        "hospital, also for third-party pharmacists",
    ),
)

SESSION_OPENED = event(
    "SessionOpened",
    ("接诊", "Session opened"),
    ("医师接受患者，诊疗开始", "The doctor accepts the patient"),
    "session_id",
    [
        SESSION_ID,
        TOKEN,
        AGE,
        f(
            "patient_full_capacity",
            "boolean",
            "患者是否具有完全民事行为能力",
            "Whether the patient has full legal capacity",
        ),
        f("doctor_id", "id", "接诊医师编号", "Attending doctor"),
        f("assisting_staff_ids", "id[]", "协助人员编号", "Assisting staff"),
        f("dept_code", "string", "诊疗科目代码", "Code of the department"),
        f(
            "mode",
            enum(
                "Mode",
                """
                TEXT_IMAGE | 图文 | text and images
                VOICE      | 语音 | voice
                VIDEO      | 视频 | video
                """,
            ),
            "诊疗方式",
            "Mode of the session",
        ),
        f(
            "service_kind",
            enum(
                "ServiceKind",
                """
                FOLLOW_UP             | 复诊              | follow-up
                FAMILY_DOCTOR         | 家庭医生签约      | family-doctor service
                COMMON_DISEASE        | 常见病诊治        | common disease
                REHAB_FOLLOW_UP       | 术后康复/定期复诊 | rehabilitation after surgery
                HEALTH_CONSULTATION   | 健康咨询          | health consultation
                REFERRAL_CONSULTATION | 转诊、会诊        | referral or joint consultation
                MDT                   | 多学科诊疗        | multidisciplinary team
                REMOTE_MEDICINE       | 远程医疗          | remote medicine between institutions
                """,
            ),
            "服务种类",
            "Kind of service",
        ),
        f(
            "visit_kind",
            enum(
                "VisitKind",
                """
                FOLLOW_UP   | 复诊 | follow-up visit
                FIRST_VISIT | 首诊 | first visit
                """,
            ),
            "首诊或复诊",
            "First or follow-up visit",
        ),
    ],
)

PATIENT_IDENTITY_VERIFIED = event(
    "PatientIdentityVerified",
    ("患者实名核验", "Patient identity verified"),
    ("患者实名制注册与核验", "Real-name registration and verification of the patient"),
    "patient_token",
    [
        TOKEN,
        f(
            "method",
            enum(
                "Method",
                """
                ID_NUMBER_CHECK | 身份证号核验 | check of the identity number
                FACE_MATCH      | 人脸比对     | face match
                HEALTH_CARD     | 健康卡       | health card
                INSURANCE_CARD  | 医保卡       | insurance card
                OTHER           | 其他         | other
                """,
            ),
            "核验方式",
            "How it was verified",
        ),
        f("result", pass_fail(), "核验结果", "Result"),
        f(
            "identifier_kinds_registered",
            array(
                enum(
                    "IdentifierKind",
                    """
                    ID_NUMBER        | 身份证号     | identity number
                    INSURANCE_CARD   | 医保卡       | insurance card
                    E_HEALTH_CARD    | 电子健康卡   | electronic health card
                    HEALTH_RECORD_NO | 健康档案编号 | number of the health record
                    """,
                )
            ),
            "已登记的标识种类（不含号码）",
            "Kinds of identifier registered; never the numbers",
        ),
    ],
)

CONSENT_SIGNED = event(
    "ConsentSigned",
    ("知情同意", "Consent signed"),
    ("知情同意与风险提示", "Informed consent and notice of risks"),
    "session_id or patient_token",
    [
        SESSION_ID_OR_NULL,
        TOKEN,
        f(
            "consent_kind",
            enum(
                "ConsentKind",
                """
                INTERNET_DIAGNOSIS      | 互联网诊疗知情同意 | internet diagnosis and treatment
                FAMILY_DOCTOR_AGREEMENT | 家庭医生签约协议   | family-doctor agreement
                """,
            ),
            "同意书种类",
            "Kind of consent",
        ),
        f("agreed", "boolean", "是否同意", "Whether the patient agreed"),
        f("signature", signature("Signature"), "患者签名状态", "State of the patient's signature"),
        f(
            "notice_items",
            array(
                enum(
                    "NoticeItem",
                    """
                    RULES                  | 规则               | rules
                    REQUIREMENTS           | 要求               | requirements
                    RISKS                  | 风险               | risks
                    HOSPITAL_DOCTOR_INFO   | 医院与医师信息     | hospital and doctor
                    TECHNICAL_LIMITS       | 空间与技术局限性   | limits of place and technique
                    FALSE_INFORMATION_RISK | 提供虚假信息的风险 | risk of giving false information
                    OFFLINE_ROUTE          | 线下就诊途径       | way to offline care
                    SERVICE_CONTENT        | 服务内容           | content of the service
                    SERVICE_PROCESS        | 服务流程           | process of the service
                    RIGHTS_DUTIES          | 权利义务           | rights and duties
                    """,
                )
            ),
            "已告知的事项",
            "Matters the patient was told",
        ),
    ],
)

DOCTOR_IDENTITY_VERIFIED = event(
    "DoctorIdentityVerified",
    ("医师身份核验", "Doctor identity verified"),
    (
        "对提供服务者的每一次实名认证，含接诊前与诊疗过程中",
        "Each real-name check of the person giving the service, initial and in-session",
    ),
    "session_id or staff_id",
    [
        STAFF_ID,
        MATCHED,
        SESSION_ID_OR_NULL,
        f(
            "phase",
            enum(
                "Phase",
                """
                ENROLMENT   | 注册认证   | enrolment
                LOGIN       | 登录       | log-in
                PRE_SESSION | 接诊前     | before the session
                IN_SESSION  | 诊疗过程中 | during the session
                """,
            ),
            "核验阶段",
            "When it was done",
        ),
        f(
            "method",
            enum(
                "Method",
                """
                FINGERPRINT   | 指纹         | fingerprint
                FACE          | 人脸识别     | face
                IRIS          | 虹膜         | iris
                VOICEPRINT    | 声纹         | voiceprint
                DIGITAL_CERT  | 数字证书     | digital certificate
                REAL_NAME_OTP | 实名动态口令 | one-time code to a real-name number
                PASSWORD      | 静态密码     | password
                """,
            ),
            "核验方式",
            "How it was done",
        ),
        f("result", pass_fail(), "核验结果", "Result"),
    ],
)

PRIOR_DIAGNOSIS_EVIDENCED = event(
    "PriorDiagnosisEvidenced",
    ("复诊依据", "Prior diagnosis evidenced"),
    (
        "医师掌握明确诊断的病历资料；occurred_at 为判断符合复诊条件的时刻",
        "The doctor holds a definite diagnosis; occurred_at is when follow-up was judged fit",
    ),
    "session_id",
    [
        SESSION_ID,
        f(
            "evidence_kind",
            enum(
                "EvidenceKind",
                """
                OUTPATIENT_RECORD     | 门诊病历 | outpatient record
                INPATIENT_RECORD      | 住院病历 | inpatient record
                DISCHARGE_SUMMARY     | 出院小结 | discharge summary
                DIAGNOSIS_CERTIFICATE | 诊断证明 | certificate of diagnosis
                OTHER                 | 其他     | other
                """,
            ),
            "资料种类",
            "Kind of evidence",
        ),
        f(
            "source_is_physical_institution",
            "boolean",
            "资料是否来自实体医疗机构",
            "Whether it comes from a physical institution",
        ),
        f("diagnosed_on", "date", "诊断之日", "Day of the diagnosis"),
        f("diagnosis_codes", "string[]", "诊断代码（ICD-10）", "Diagnosis codes, ICD-10"),
        f("doctor_confirmed", "boolean", "医师是否确认", "Whether the doctor confirmed it"),
        f("retained", "boolean", "资料是否留存", "Whether the evidence is kept"),
    ],
)

UNSUITABILITY_IDENTIFIED = event(
    "UnsuitabilityIdentified",
    ("不宜线上诊疗", "Unsuitability identified"),
    ("出现应当终止线上诊疗的情形", "A reason to end the online session arose"),
    "session_id",
    [
        SESSION_ID,
        f(
            "reason",
            enum(
                "Reason",
                """
                CONDITION_CHANGED     | 病情变化       | the condition changed
                IN_PERSON_EXAM_NEEDED | 需要面诊检查   | an examination in person is needed
                FIRST_VISIT_FOUND     | 判断为首诊     | found to be a first visit
                CRITICAL_ILLNESS      | 危急重症       | critical illness
                SUSPECTED_INFECTIOUS  | 疑似传染病     | suspected infectious disease
                UNCLEAR_DIAGNOSIS     | 诊断未明确     | the diagnosis is unclear
                OTHER_UNSUITABLE      | 其他不适宜情形 | otherwise unsuitable
                """,
            ),
            "情形",
            "Why",
        ),
    ],
)

SESSION_CLOSED = event(
    "SessionClosed",
    ("诊疗结束", "Session closed"),
    ("诊疗结束：完成、终止或转诊", "End of the session: completed, terminated, referred"),
    "session_id",
    [
        SESSION_ID,
        f(
            "outcome",
            enum(
                "Outcome",
                """
                COMPLETED  | 完成     | completed
                TERMINATED | 终止     | terminated
                CANCELLED  | 取消     | cancelled
                TIMED_OUT  | 超时关闭 | timed out
                """,
            ),
            "结果",
            "Outcome",
        ),
        f(
            "referral",
            enum(
                "Referral",
                """
                NONE            | 无           | none
                OFFLINE         | 引导线下就诊 | sent to offline care
                ONLINE_REFERRAL | 线上转诊     | online referral
                CONSULTATION    | 会诊         | joint consultation
                """,
            ),
            "转诊去向",
            "Referral",
        ),
        f("warning_given", "boolean", "是否已提示风险", "Whether the patient was warned"),
        f(
            "diagnosis_codes",
            "string[]",
            "诊断代码（ICD-10）；未作诊断为空列表",
            "Diagnosis codes, ICD-10; empty if none was made",
        ),
        f(
            "ai_involvement",
            enum(
                "AiInvolvement",
                """
                NONE        | 未使用   | none
                ASSISTED    | 辅助     | assisted
                SUBSTITUTED | 替代医师 | in place of the doctor
                """,
            ),
            "人工智能参与程度",
            "Part taken by artificial intelligence",
        ),
    ],
)
