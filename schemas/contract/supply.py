"""Business data (业务类) about prescriptions, supply, records, fees and manifests: B9 to B18 (RULES
2.3).
"""

from __future__ import annotations

from schemas.contract.common import (
    AGE,
    DIAGNOSIS_CODES,
    PRESCRIPTION_ID,
    PRESCRIPTION_ID_OR_NULL,
    RETENTION_UNTIL,
    SESSION_ID,
    SESSION_ID_OR_NULL,
    TRUSTED_TIMESTAMP,
    signature,
)
from schemas.contract.model import array, enum, event, f, record

DRUG_CODE = f("drug_code", "string", "药品代码", "Code of the drug")
QUANTITY = f(
    "quantity", "decimal", "数量，单位见 unit", "Quantity, in the unit of the field unit", 0
)
UNIT = f(
    "unit", "string", "数量单位（如 盒、片、ml）", "Unit of the quantity, such as box, tablet, ml"
)
FEE_ID = f("fee_id", "id", "收费编号", "Id of the charge")
REFUND_ID = f("refund_id", "id", "退费编号", "Id of the refund")
CONTENT_HASH = f("content_hash", "string", "归档内容的哈希值", "Hash of the archived content")

PRESCRIPTION_ISSUED = event(
    "PrescriptionIssued",
    ("开具处方", "Prescription issued"),
    ("开具处方及医师电子签名", "A prescription and the doctor's e-signature"),
    "prescription_id",
    [
        PRESCRIPTION_ID,
        SESSION_ID_OR_NULL,
        f("prescriber_id", "id", "开方医师编号", "Prescribing doctor"),
        AGE,
        DIAGNOSIS_CODES,
        f(
            "items",
            array(
                record(
                    "Item",
                    "处方中的一种药品",
                    "One drug of the prescription",
                    f("line_no", "int", "行号", "Line number", 0),
                    DRUG_CODE,
                    f(
                        "hospital_class",
                        "string",
                        "医院系统中的药品分类，仅供核对，以平台药品目录为准",
                        "Drug class in the hospital's system; only compared with the catalogue",
                    ),
                    QUANTITY,
                    UNIT,
                )
            ),
            "处方明细",
            "Lines of the prescription",
        ),
        f(
            "origin",
            enum(
                "Origin",
                """
                DOCTOR_WRITTEN            | 医师自行开具           | written by the doctor
                AI_DRAFT_DOCTOR_CONFIRMED | 人工智能起草、医师确认 | AI draft the doctor confirmed
                AUTO_GENERATED            | 自动生成               | generated automatically
                """,
            ),
            "处方来源",
            "How it came about",
        ),
        f(
            "doctor_signature",
            signature("DoctorSignature"),
            "医师电子签名状态",
            "State of the doctor's e-signature",
        ),
        f(
            "doctor_signature_cert",
            "string?",
            "医师签名证书序列号",
            "Serial number of the doctor's certificate",
        ),
        f("doctor_signed_at", "ts?", "医师签名的时刻", "When the doctor signed"),
        TRUSTED_TIMESTAMP,
        f(
            "guardian_present",
            "boolean?",
            "监护人是否在场（低龄儿童）",
            "Whether the guardian was present (young children)",
        ),
        f(
            "accompanying_specialist_id",
            "id?",
            "陪伴就诊的相关专业医师编号",
            "Accompanying specialist doctor",
        ),
    ],
)

PRESCRIPTION_REVIEWED = event(
    "PrescriptionReviewed",
    ("处方审核", "Prescription reviewed"),
    ("药师审核处方", "Review of a prescription by a pharmacist"),
    "prescription_id",
    [
        PRESCRIPTION_ID,
        f("reviewer_id", "id", "审核药师编号", "Reviewing pharmacist"),
        f(
            "result",
            enum(
                "Result",
                """
                APPROVED | 通过 | approved
                REJECTED | 驳回 | rejected
                """,
            ),
            "审核结果",
            "Result",
        ),
        f(
            "pharmacist_signature",
            signature("PharmacistSignature"),
            "药师电子签名状态",
            "State of the pharmacist's e-signature",
        ),
        TRUSTED_TIMESTAMP,
    ],
)

DRUG_SUPPLIED = event(
    "DrugSupplied",
    ("供药", "Drug supplied"),
    ("调剂、交付配送、送达或退回", "Dispensing, handing to the carrier, delivery or return"),
    "supply_id",
    [
        f("supply_id", "id", "供药编号", "Id of the supply"),
        PRESCRIPTION_ID_OR_NULL,
        SESSION_ID_OR_NULL,
        f(
            "stage",
            enum(
                "Stage",
                """
                DISPENSED         | 已调剂   | dispensed
                HANDED_TO_CARRIER | 交付配送 | handed to the carrier
                DELIVERED         | 已送达   | delivered
                RETURNED          | 已退回   | returned
                """,
            ),
            "供药阶段",
            "Stage",
        ),
        f(
            "lines",
            array(
                record(
                    "Line",
                    "所供的一种药品",
                    "One drug supplied",
                    DRUG_CODE,
                    QUANTITY,
                    UNIT,
                )
            ),
            "供药明细",
            "What was supplied",
        ),
        f("supplier_id", "id", "供药单位编号", "Supplying pharmacy"),
        f("carrier_id", "id?", "配送单位编号", "Carrier, if any"),
    ],
    publisher=("医疗机构（含经其上报的零售药店）", "hospital, also for a retail pharmacy"),
)

SECTIONS = enum(
    "Section",
    """
    PATIENT_BASICS          | 患者基本信息       | patient's basic data
    DRUG_ALLERGY            | 药物过敏史         | drug allergies
    CHIEF_COMPLAINT         | 主诉               | chief complaint
    PRESENT_ILLNESS         | 现病史             | present illness
    PRIOR_OFFLINE_DIAGNOSIS | 既往线下诊断       | prior offline diagnosis
    CURRENT_MEDICATION      | 目前用药           | current medication
    DISPOSITION             | 处置               | disposition
    AUXILIARY_EXAMS         | 辅助检查           | auxiliary examinations
    MENSTRUAL_HISTORY       | 月经史             | menstrual history
    COMPANION               | 陪伴人信息         | companion
    ACCOMPANYING_SPECIALIST | 陪伴就诊的专业医师 | accompanying specialist
    """,
)

MEDICAL_RECORD_ARCHIVED = event(
    "MedicalRecordArchived",
    ("电子病历归档", "Medical record archived"),
    ("电子病历归档；内容以哈希值和栏目标记表示", "Archiving of the medical record"),
    "record_id",
    [
        f("record_id", "id", "病历编号", "Id of the record"),
        SESSION_ID,
        CONTENT_HASH,
        f("sections_present", array(SECTIONS), "已填写的栏目", "Sections that are filled in"),
        f(
            "sections_not_applicable",
            array(SECTIONS),
            "不适用的栏目",
            "Sections that do not apply",
        ),
        RETENTION_UNTIL,
        f(
            "host_format_consistent",
            "boolean?",
            "格式是否与依托机构一致",
            "Whether the format agrees with the host's",
        ),
        f("host_shared", "boolean?", "是否与依托机构共享", "Whether it is shared with the host"),
        f("patient_can_query", "boolean", "患者可否查询", "Whether the patient can look it up"),
        f("patient_can_download", "boolean", "患者可否下载", "Whether the patient can download it"),
    ],
)

PROCESS_RECORD_ARCHIVED = event(
    "ProcessRecordArchived",
    ("过程记录归档", "Process record archived"),
    (
        "图文对话、音视频资料等过程记录归档",
        "Archiving of the conversation, audio or video of a session",
    ),
    "session_id",
    [
        SESSION_ID,
        f(
            "media",
            enum(
                "Media",
                """
                TEXT_IMAGE | 图文对话 | text and images
                AUDIO      | 音频     | audio
                VIDEO      | 视频     | video
                """,
            ),
            "媒体种类",
            "Kind of media",
        ),
        f("coverage_start", "ts", "记录覆盖的起始时刻", "First instant covered"),
        f("coverage_end", "ts", "记录覆盖的结束时刻", "Last instant covered"),
        RETENTION_UNTIL,
        CONTENT_HASH,
    ],
)

RECORD_OPERATION_LOGGED = event(
    "RecordOperationLogged",
    ("记录操作日志", "Record operation logged"),
    (
        "归档后对记录的敏感操作及处方统计查询（统方）；日常调阅不上报",
        "Sensitive operations on archived records, statistics on prescriptions; not mere reading",
    ),
    "target_id",
    [
        f(
            "target_kind",
            enum(
                "TargetKind",
                """
                MEDICAL_RECORD    | 电子病历 | medical record
                PROCESS_RECORD    | 过程记录 | process record
                PRESCRIPTION_DATA | 处方数据 | prescription data
                """,
            ),
            "对象种类",
            "Kind of target",
        ),
        f(
            "target_id",
            "id?",
            "对象编号：病历为 record_id，过程记录为 session_id，处方数据为空",
            "record_id or, for a process record, session_id; null for prescription data",
        ),
        f(
            "operation",
            enum(
                "Operation",
                """
                AMENDED             | 修改     | amended
                DELETED             | 删除     | deleted
                CUSTODY_TRANSFERRED | 移交保管 | custody transferred
                STATISTICS_RUN      | 统计查询 | statistics run
                """,
            ),
            "操作",
            "What was done",
        ),
        f("operator_id", "id", "操作人员编号", "Who did it"),
        f(
            "purpose",
            enum(
                "Purpose",
                """
                CLINICAL        | 诊疗     | clinical
                QUALITY_CONTROL | 质量控制 | quality control
                SUPERVISION     | 监督管理 | supervision
                COMMERCIAL      | 商业目的 | commercial
                UNSPECIFIED     | 未说明   | not stated
                """,
            ),
            "目的",
            "Purpose",
        ),
        f(
            "authorisation_doc_id",
            "id?",
            "授权文件编号",
            "Document that authorises it",
        ),
        f(
            "to_institution_id",
            "id?",
            "接收保管的机构登记号",
            "Institution that takes custody",
        ),
    ],
)

FEE_CHARGED = event(
    "FeeCharged",
    ("收费", "Fee charged"),
    ("划价缴费", "Charging and payment"),
    "fee_id",
    [
        FEE_ID,
        SESSION_ID_OR_NULL,
        f(
            "lines",
            array(
                record(
                    "Line",
                    "一项收费",
                    "One item charged",
                    f("item_code", "string", "收费项目代码", "Code of the item"),
                    f("quantity", "decimal", "数量", "Quantity", 0),
                    f("unit_price_fen", "long", "单价（分）", "Unit price, in fen", 0),
                )
            ),
            "收费明细",
            "Items charged",
        ),
        f("total_fen", "long", "合计金额（分）", "Total, in fen", 0),
        f(
            "itemised_bill_provided",
            "boolean",
            "是否提供费用清单",
            "Whether an itemised bill was given",
        ),
    ],
)

REFUND_REQUESTED = event(
    "RefundRequested",
    ("退费申请", "Refund requested"),
    ("患者申请退费", "A refund was asked for"),
    "refund_id",
    [REFUND_ID, FEE_ID, f("amount_fen", "long", "申请金额（分）", "Amount asked for, in fen", 0)],
)

REFUND_SETTLED = event(
    "RefundSettled",
    ("退费办结", "Refund settled"),
    ("退费办结：已退或驳回", "A refund was paid or refused"),
    "refund_id",
    [
        REFUND_ID,
        f(
            "result",
            enum(
                "Result",
                """
                PAID     | 已退费 | paid
                REJECTED | 驳回   | rejected
                """,
            ),
            "办理结果",
            "Result",
        ),
        f("paid_fen", "long", "实退金额（分）", "Amount paid, in fen", 0),
    ],
)

DAILY_MANIFEST_PUBLISHED = event(
    "DailyManifestPublished",
    ("日对账清单", "Daily manifest published"),
    (
        "每日对账清单；occurred_at 为业务日结束时刻；所述数据流为信封中的 stream_id",
        "Daily reconciliation of the envelope's stream; occurred_at is the end of the day",
    ),
    "institution_id+stream_id",
    [
        f("business_date", "date", "业务日", "Business date"),
        f(
            "first_seq",
            "long?",
            "该日首条事件序号，不含清单；无事件为空",
            "First number of the day without the manifest itself; null if there was none",
            1,
        ),
        f(
            "last_seq",
            "long?",
            "该日末条事件序号，不含清单；无事件为空",
            "Last number of the day without the manifest itself; null if there was none",
            1,
        ),
        f(
            "counts",
            "map<long>",
            "各事件类型条数：该流该业务日产生的业务类事件，仅 revision 0，不含清单",
            "Number of events by event type: CLINICAL events of this stream that occurred on the "
            "business date, revision 0 only, without manifests",
            0,
        ),
    ],
)
