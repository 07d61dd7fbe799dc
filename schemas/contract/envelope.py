"""The envelope that every event carries (RULES 2.1)."""

from __future__ import annotations

from schemas.contract.model import f

ENVELOPE_FIELDS = (
    f(
        "event_id",
        "id",
        "事件唯一标识，全局唯一，用于去重（同一标识的重发视为重复）",
        "Globally unique id of the event; resending the same id is a duplicate",
    ),
    f(
        "event_type",
        "id",
        "事件类型名称，即本模式的名称",
        "Name of the event type, the name of this schema",
    ),
    f("schema_version", "int", "数据模式版本号", "Version of the schema", 1),
    f(
        "institution_id",
        "id",
        "医疗机构登记号；必须等于消息键，并与签名密钥所属机构一致",
        "Registration number; equals the record's key and the owner of the signing key",
    ),
    f(
        "occurred_at",
        "ts",
        "产生时间：行为实际发生的时刻；备案类事件为新状态生效的时刻",
        "When the real-world act happened; for filings, when the new state takes effect",
    ),
    f(
        "recorded_at",
        "ts",
        "本版本存入医疗机构系统的时刻；更正事件为更正录入的时刻",
        "When the hospital system stored this version; the entry time of a correction",
    ),
    f(
        "stream_id",
        "id?",
        "本机构发布数据流的名称；为空则不做序列核对",
        "Name of the institution's publishing stream; null leaves the sequence unjudged",
    ),
    f(
        "stream_seq",
        "long?",
        "数据流内序号，从 1 起逐条加 1，不得间断",
        "Number within the stream: starts at 1, plus 1 for each event, no gaps",
        1,
    ),
    f(
        "revision",
        "int",
        "修订号：原始事件为 0，第 n 次更正为 n",
        "0 for the original, n for the n-th correction",
        0,
    ),
    f(
        "supersedes_event_id",
        "id?",
        "被更正事件的标识；当且仅当 revision > 0 时填写",
        "The event this one corrects; set if and only if revision > 0",
    ),
    f(
        "signer_cert",
        "string?",
        "对内容签名的数字证书序列号",
        "Serial number of the digital certificate that signed the payload",
    ),
)
