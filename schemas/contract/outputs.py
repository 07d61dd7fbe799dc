"""What the platform writes: alerts, aggregates, rejects, receipts."""

from __future__ import annotations

from schemas.contract.model import Enum, Field, Output, array, enum, f, nullable, record


def state(name: str) -> Enum:
    """States of a finding (RULES 1.6)."""
    return enum(
        name,
        """
        SUSPECTED | 疑似   | provisional
        CONFIRMED | 已确认 | established
        CLEARED   | 已排除 | was suspected, there was no violation
        WITHDRAWN | 已撤销 | was confirmed, there was no violation
        RESOLVED  | 已解决 | was confirmed, has ended or been remedied
        """,
    )


STATE = state("State")
INSTITUTION_ID = f(
    "institution_id", "string", "医疗机构登记号", "Registration number of the institution"
)
RULEBOOK = f("rulebook", "string", "适用的规则集", "Rulebook applied")
RECEIVED_AT = f(
    "received_at", "ts", "平台接收时刻（消息追加时间）", "When the broker appended the record"
)
TOPIC = f("topic", "string", "消息主题", "Topic of the source record")
PARTITION = f("partition", "int", "分区", "Partition of the source record")
REASON = f("reason", "string", "拒收原因代码，见 docs/errors.md", "Reject code, see docs/errors.md")


def reason_or_null() -> Field:
    """The reject code of one item of a receipt."""
    return f(
        "reason", "string?", "拒收原因代码，见 docs/errors.md", "Reject code, see docs/errors.md"
    )


ALERT = Output(
    "Alert",
    "发现（违规线索）的一个版本",
    "One version of a finding",
    "finding_id",
    (
        f("finding_id", "string", "发现编号", "Id of the finding, a hash of its identity"),
        f("version", "int", "版本，从 1 起；大者为新", "Version from 1; the larger wins", 1),
        f("state", STATE, "状态", "State after this version"),
        f(
            "previous_state",
            nullable(STATE),
            "此前状态；空为新建，与 state 相同为内容更新",
            "State before; null when new, equal to state when only content changed",
        ),
        f("rule_id", "string", "规则编号", "Id of the rule"),
        f("clause", "string?", "规则条款字母", "Letter of the clause, if the rule has any"),
        RULEBOOK,
        INSTITUTION_ID,
        f("subject_type", "string", "对象种类", "Kind of subject"),
        f("subject_id", "string", "对象编号", "Id of the subject"),
        f(
            "severity",
            enum(
                "Severity",
                """
                critical | 严重 | breach of an outright prohibition
                major    | 重要 | breach of a mandatory duty
                minor    | 轻微 | formal, disclosure or service duty
                info     | 提示 | indirect signal
                """,
            ),
            "严重程度",
            "Severity",
        ),
        f("notify", "boolean", "是否需要通知", "Whether on-call is to be told"),
        f(
            "changed_at",
            "ts",
            "本版本产生的时刻（平台时钟）",
            "When this version arose, platform clock",
        ),
        f("violation_start", "ts?", "违规开始时刻", "Start of the violation, event time"),
        f("violation_end", "ts?", "违规结束时刻", "End of the violation, event time"),
        f("evidence", "string[]", "作为证据的事件标识", "Event ids of the evidence"),
        f("params", "map<string>", "所用参数值", "Parameter values used"),
        f("flags", "string[]", "标记", "Flags such as late_evidence, corrected, feed_gap"),
        f("citations", "string[]", "法规依据", "Articles it rests on"),
        f("title_zh", "string", "标题（中文）", "Title in Chinese"),
        f("title_en", "string", "标题（英文）", "Title in English"),
        f("message_zh", "string", "说明（中文）", "Message in Chinese"),
        f("message_en", "string", "说明（英文）", "Message in English"),
        f(
            "history",
            array(
                record(
                    "Transition",
                    "一次状态变化",
                    "One change of state",
                    f("state", STATE, "变化后的状态", "State entered"),
                    f("at", "ts", "变化的时刻（平台时钟）", "When, platform clock"),
                )
            ),
            "状态变化历史",
            "History of states",
        ),
        f(
            "cause_partition",
            "int?",
            "引起变化的消息分区",
            "Partition of the record that caused it",
        ),
        f("cause_offset", "long?", "引起变化的消息偏移量", "Offset of the record that caused it"),
    ),
)

AGGREGATE = Output(
    "Aggregate",
    "机构在一个小时窗口内的统计",
    "Figures of an institution for one hour window",
    "institution_id",
    (
        INSTITUTION_ID,
        RULEBOOK,
        f(
            "window_start",
            "ts",
            "窗口起（按接收时刻，不含）",
            "Start of the window of received_at, exclusive",
        ),
        f(
            "window_end",
            "ts",
            "窗口止（按接收时刻，含）",
            "End of the window of received_at, inclusive",
        ),
        f(
            "metrics",
            "map<double>",
            "指标名与数值；时延单位毫秒",
            "Metric by name; latencies in milliseconds",
        ),
        f("revision", "long", "修订号，单调递增；大者为新", "Grows; the larger wins"),
    ),
)

REJECT = Output(
    "Reject",
    "被拒收的消息，原样保存",
    "A refused record, kept as it came",
    "institution_id or null",
    (
        TOPIC,
        PARTITION,
        f("offset", "long", "偏移量", "Offset of the source record"),
        RECEIVED_AT,
        f("key", "bytes?", "消息键原始字节", "Key as it came"),
        f("value", "bytes?", "消息内容原始字节", "Value as it came"),
        f("headers", "map<bytes>", "消息头原始字节", "Headers as they came"),
        REASON,
        f("field", "string?", "出错字段路径", "Path of the field at fault"),
        f("detail", "string", "说明，不含消息内容", "Detail; never quotes the content"),
        f(
            "institution_id",
            "string?",
            "机构登记号（可识别时）",
            "Institution, when it could be read",
        ),
        f("event_id", "string?", "事件标识（可识别时）", "Event id, when it could be read"),
        f("event_type", "string?", "事件类型（可识别时）", "Event type, when it could be read"),
    ),
)

RECEIPT = Output(
    "Receipt",
    "对一家机构一批消息的回执",
    "Receipt for one institution and batch",
    "institution_id",
    (
        INSTITUTION_ID,
        TOPIC,
        PARTITION,
        f("first_offset", "long", "本批首条偏移量", "First offset of the batch"),
        f("last_offset", "long", "本批末条偏移量", "Last offset of the batch"),
        RECEIVED_AT,
        f(
            "items",
            array(
                record(
                    "Item",
                    "一条消息的处理结果",
                    "What became of one record",
                    f("offset", "long", "偏移量", "Offset of the record"),
                    f(
                        "event_id",
                        "string?",
                        "事件标识（可识别时）",
                        "Event id, when it could be read",
                    ),
                    f(
                        "status",
                        enum(
                            "Status",
                            """
                            ACCEPTED  | 已接收 | accepted
                            DUPLICATE | 重复   | the same event_id came before
                            REJECTED  | 已拒收 | refused, see reason
                            """,
                        ),
                        "处理结果",
                        "Result",
                    ),
                    reason_or_null(),
                    f("field", "string?", "出错字段路径", "Path of the field at fault"),
                )
            ),
            "逐条结果",
            "Results one by one",
        ),
    ),
)

OUTPUTS = (ALERT, AGGREGATE, REJECT, RECEIPT)
