"""Four days of seven invented institutions, written into ClickHouse as the sinks would write them.

Deterministic. It holds what the boards must tell apart: all five states and rulebooks, findings of
every star rule with evidence, an institution with too few uploads for a rate, one that never filed,
rulebooks that do not judge lateness, rejects with and without a known sender.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

# 2026-03-02 is a Monday; the range is four whole days in Shanghai.
START = datetime(2026, 3, 1, 16, tzinfo=UTC)
END = START + timedelta(days=4)
HOUR = timedelta(hours=1)
FEW_UPLOADS = "GX-0009"
NEVER_FILED = "SC-0004"


@dataclass(frozen=True)
class Hospital:
    """One institution; `hourly` is its clinical uploads in a busy hour."""

    id: str
    rulebook: str
    name: str
    form: str
    hourly: int
    late_share: float


HOSPITALS = (
    Hospital(
        "GX-0001", "guangxi", "邕江示例互联网医院", "INDEPENDENT_INTERNET_HOSPITAL", 180, 0.03
    ),
    Hospital(
        "GX-0002", "guangxi", "漓水示例互联网医院", "SECOND_NAME_INTERNET_HOSPITAL", 90, 0.004
    ),
    Hospital(FEW_UPLOADS, "guangxi", "百越示例门诊部", "OWN_DOCTOR_SERVICE", 0, 0.0),
    Hospital(
        "CQ-0003", "chongqing", "嘉陵示例互联网医院", "SECOND_NAME_INTERNET_HOSPITAL", 140, 0.0
    ),
    Hospital(NEVER_FILED, "sichuan", "", "", 70, 0.01),
    Hospital(
        "YC-0005", "yinchuan", "贺兰示例互联网医院", "INDEPENDENT_INTERNET_HOSPITAL", 60, 0.002
    ),
    Hospital("CN-0006", "national", "燕山示例医院", "OWN_DOCTOR_SERVICE", 50, 0.0),
)

_RULES: dict[str, dict[str, Any]] = {
    "UPL-01": {
        "zh": "诊疗数据上传超时",
        "en": "Clinical data uploaded late",
        "severity": "major",
        "subject": "event",
        "citations": ["GX 6 「运营过程中产生的诊疗数据信息应当在产生的24小时内完成上传」"],
        "params": {"upl01.max_latency": "24h"},
        "message": (
            "该诊疗数据在产生 {hours} 小时后才上传，超过 24 小时的时限。",
            "This clinical record was uploaded {hours} hours after the act; the limit is 24 hours.",
        ),
    },
    "UPL-06": {
        "zh": "上传超时率过高",
        "en": "Sustained late-upload rate",
        "severity": "major",
        "subject": "window",
        "citations": ["GX 6 「运营过程中产生的诊疗数据信息应当在产生的24小时内完成上传」"],
        "params": {"upl06.max_rate": "0.01", "upl06.min_events": "50", "upl06.window": "24h"},
        "message": (
            "24 小时内上传超时率持续高于 1%。",
            "More than 1 % of the uploads of 24 hours were late.",
        ),
    },
    "PHA-01": {
        "zh": "业务时间无药师在岗审方",
        "en": "No pharmacist on duty in business time",
        "severity": "major",
        "subject": "gap",
        "citations": [
            "CQ-A1 三(三) 「有专职药师负责在线处方审核工作，确保业务时间至少有1名药师在岗审核处方」"
        ],
        "params": {"pha01.gap_tolerance": "5m", "pha01.heartbeat_timeout": "10m"},
        "message": (
            "业务时间内连续 {hours} 小时无药师在岗审核处方。",
            "No pharmacist was on duty for {hours} hours of business time.",
        ),
    },
    "IDV-01": {
        "zh": "接诊前医师身份核验缺失",
        "en": "Doctor identity not verified before reception",
        "severity": "critical",
        "subject": "session",
        "citations": [
            "GX 19 「医师接诊前需通过指纹、人脸识别等人体特征识别技术进行实名认证」",
        ],
        "params": {"idv01.methods": "BIO", "idv01.pre_max_age": "10m"},
        "message": (
            "医师接诊前 10 分钟内没有有效的人体特征实名认证。",
            "No valid biometric check of the doctor in the 10 minutes before reception.",
        ),
    },
    "IDV-02": {
        "zh": "诊疗过程动态监管缺失",
        "en": "No dynamic identity supervision in session",
        "severity": "critical",
        "subject": "session",
        "citations": ["GX 19 「并在诊疗过程中接受动态监管，确保由本人提供诊疗服务」"],
        "params": {"idv02.max_gap": "10m", "idv02.min_checks": "1"},
        "message": (
            "诊疗过程中超过 10 分钟没有身份核验。",
            "More than 10 minutes of the session passed without an identity check.",
        ),
    },
}

# institution, rule, how many, states in order; "*" repeats over the four days.
_FINDINGS: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("GX-0001", "UPL-01", 24, ("CONFIRMED", "RESOLVED")),
    ("GX-0001", "UPL-06", 1, ("CONFIRMED",)),
    ("GX-0001", "IDV-01", 6, ("SUSPECTED", "CONFIRMED")),
    ("GX-0001", "IDV-01", 2, ("SUSPECTED", "CONFIRMED", "WITHDRAWN")),
    ("GX-0001", "IDV-01", 5, ("SUSPECTED", "CLEARED")),
    ("GX-0001", "IDV-02", 4, ("SUSPECTED", "CONFIRMED")),
    ("GX-0001", "IDV-02", 2, ("SUSPECTED",)),
    ("GX-0002", "UPL-01", 3, ("CONFIRMED", "RESOLVED")),
    ("GX-0002", "IDV-01", 1, ("SUSPECTED", "CONFIRMED")),
    ("GX-0002", "IDV-02", 3, ("SUSPECTED",)),
    (FEW_UPLOADS, "IDV-01", 1, ("SUSPECTED", "CONFIRMED")),
    ("CQ-0003", "PHA-01", 5, ("SUSPECTED", "CONFIRMED", "RESOLVED")),
    ("CQ-0003", "PHA-01", 2, ("SUSPECTED", "CONFIRMED")),
    ("CQ-0003", "PHA-01", 3, ("SUSPECTED", "CLEARED")),
    ("CQ-0003", "IDV-01", 2, ("SUSPECTED", "CONFIRMED")),
    (NEVER_FILED, "UPL-01", 8, ("CONFIRMED", "RESOLVED")),
    (NEVER_FILED, "UPL-06", 1, ("CONFIRMED", "RESOLVED")),
    (NEVER_FILED, "IDV-01", 2, ("SUSPECTED", "CONFIRMED")),
    ("YC-0005", "IDV-01", 2, ("SUSPECTED", "CONFIRMED")),
    ("YC-0005", "IDV-01", 1, ("SUSPECTED",)),
    ("CN-0006", "IDV-01", 1, ("SUSPECTED",)),
)

_REJECTS = (
    ("GX-0001", "SIGNATURE_INVALID", "", 9),
    ("GX-0001", "OUT_OF_RANGE", "score", 6),
    ("GX-0001", "BAD_TIMESTAMP", "occurred_at", 3),
    ("CQ-0003", "UNKNOWN_ENUM", "phase", 5),
    ("YC-0005", "MISSING_FIELD", "session_id", 2),
    ("", "TRUNCATED", "", 4),
    ("", "KEY_UNKNOWN", "", 2),
)


def load(client: Client) -> None:
    """Insert everything into the migrated database of `client`."""
    dice = random.Random(20260302)
    _insert(client, "institutions", _institutions())
    _insert(client, "aggregates", _aggregates(dice))
    findings = list(_findings(dice))
    _insert(client, "alerts", (alert for alert, _ in findings))
    _insert(client, "events", (event for _, events in findings for event in events))
    _insert(client, "rejects", _rejects())


def _insert(client: Client, table: str, rows: Iterator[dict[str, Any]]) -> None:
    listed = list(rows)
    names = list(listed[0])
    client.insert(table, [[row[name] for name in names] for row in listed], column_names=names)


def _institutions() -> Iterator[dict[str, Any]]:
    for hospital in HOSPITALS:
        if hospital.id == NEVER_FILED:
            continue
        yield {
            "institution_id": hospital.id,
            "rulebook": hospital.rulebook,
            "registered_name": hospital.name,
            "institution_form": hospital.form,
            "filing_kind": "REGISTERED",
            "host_institution_id": f"{hospital.id}-H",
            "host_name": hospital.name.replace("互联网", "").replace("门诊部", "医院"),
            "licence_no": f"PDY{hospital.id}",
            "licence_valid_from": date(2024, 1, 1),
            "licence_valid_to": date(2028, 12, 31),
            "registration_authority": "示例卫生健康委员会",
            "occurred_at": START - timedelta(days=300),
            "received_at": START - timedelta(days=299),
            "revision": 0,
            "event_id": f"{hospital.id}-filed",
        }


def _aggregates(dice: random.Random) -> Iterator[dict[str, Any]]:
    for hospital in HOSPITALS:
        for slot in range(96):
            metrics = _hour(hospital, slot, dice)
            for metric, value in metrics.items():
                # Two revisions: only the larger may count.
                for revision, share in ((1, 0.5), (2, 1.0)):
                    yield {
                        "institution_id": hospital.id,
                        "rulebook": hospital.rulebook,
                        "window_start": START + slot * HOUR,
                        "window_end": START + (slot + 1) * HOUR,
                        "metric": metric,
                        "value": value * share,
                        "revision": revision,
                    }


def _hour(hospital: Hospital, slot: int, dice: random.Random) -> dict[str, float]:
    """Return the metrics of one hour; hospitals work from 8 to 18, the few uploads come once."""
    hour = slot % 24
    if hospital.id == FEW_UPLOADS:
        clinical = 12 if slot == 34 else 0
    else:
        clinical = int(hospital.hourly * (0.6 + 0.8 * dice.random())) if 8 <= hour < 18 else 0
    if clinical == 0:
        return {}
    late = sum(dice.random() < hospital.late_share for _ in range(clinical))
    median = dice.uniform(2_000, 9_000)
    metrics = {
        "events": clinical + (2 if hour == 8 else 0),
        "clinical": clinical,
        "sessions_opened": clinical // 10,
        "latency_p50_ms": median,
        "latency_p95_ms": median * dice.uniform(8, 60) * (40 if late else 1),
        "latency_max_ms": 30 * 3_600_000 if late else median * 500,
    }
    if hospital.rulebook not in ("national", "chongqing"):
        metrics |= {"judged": clinical, "late": late}
    return metrics


def _findings(dice: random.Random) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    rulebooks = {hospital.id: hospital.rulebook for hospital in HOSPITALS}
    number = 0
    for institution, rule_id, count, states in _FINDINGS:
        for turn in range(count):
            number += 1
            start = START + timedelta(days=turn % 3, hours=8 + turn % 9, minutes=dice.randrange(60))
            yield _finding(number, institution, rulebooks[institution], rule_id, start, states)


def _finding(
    number: int, institution: str, rulebook: str, rule_id: str, start: datetime, states: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rule = _RULES[rule_id]
    late = rule_id == "UPL-01"
    opened = start + (timedelta(hours=26) if late else timedelta(minutes=15))
    waits = [timedelta(0) if late else timedelta(hours=13 * i) for i in range(len(states))]
    history = [(state, opened + wait) for state, wait in zip(states, waits, strict=True)]
    session = f"S-{number:04d}"
    events = list(_evidence(number, institution, rulebook, rule_id, session, start))
    minutes = start.astimezone(UTC) + timedelta(hours=8)
    subject = {
        "event": events[0]["event_id"],
        "session": session,
    }.get(rule["subject"], minutes.strftime("%Y-%m-%dT%H:%M:%S.000+08:00"))
    zh, en = (text.format(hours=26 if late else 2) for text in rule["message"])
    alert = {
        "institution_id": institution,
        "finding_id": f"{number:016x}",
        "version": len(history),
        "state": states[-1],
        "previous_state": states[-2] if len(states) > 1 else "",
        "rule_id": rule_id,
        "clause": "b" if rule_id == "IDV-02" else "",
        "rulebook": rulebook,
        "subject_type": rule["subject"],
        "subject_id": subject,
        "severity": rule["severity"],
        "notify": True,
        "opened_at": opened,
        "changed_at": history[-1][1],
        "violation_start": start,
        "violation_end": start + timedelta(hours=2) if "RESOLVED" in states else None,
        "evidence": [event["event_id"] for event in events],
        "params": rule["params"],
        "flags": ["late_evidence"] if states[-1] == "WITHDRAWN" else [],
        "citations": rule["citations"],
        "title_zh": rule["zh"],
        "title_en": rule["en"],
        "message_zh": f"{rule_id} {zh}",
        "message_en": f"{rule_id} {en}",
        "history": history,
        "topic": "ih.alerts",
        "partition": 0,
        "offset": number,
    }
    return alert, events


def _evidence(
    number: int, institution: str, rulebook: str, rule_id: str, session: str, start: datetime
) -> Iterator[dict[str, Any]]:
    types = {
        "PHA-01": ("BusinessHoursDeclared", "DutyStatusReported", "DutyStatusReported"),
        "UPL-01": ("PrescriptionIssued",),
        "UPL-06": ("PrescriptionIssued", "SessionClosed"),
    }.get(rule_id, ("SessionOpened", "DoctorIdentityVerified", "SessionClosed"))
    for step, event_type in enumerate(types):
        occurred = start + timedelta(minutes=7 * step)
        delay = timedelta(hours=26) if rule_id == "UPL-01" else timedelta(seconds=4 + step)
        payload = {"session_id": session, "doctor_id": "D-07", "mode": "VIDEO"}
        yield {
            "institution_id": institution,
            "event_id": f"{institution}-E{number:04d}-{step}",
            "event_type": event_type,
            "rulebook": rulebook,
            "occurred_at": occurred,
            "recorded_at": occurred,
            "received_at": occurred + delay,
            "schema_version": 1,
            "stream_id": "main",
            "stream_seq": 10 * number + step,
            "revision": 0,
            "supersedes_event_id": "",
            "session_id": "" if rule_id == "PHA-01" else session,
            "staff_id": "P-03" if rule_id == "PHA-01" else "D-07",
            "signer_cert": "",
            "signature_valid": True,
            "payload": json.dumps(payload, ensure_ascii=False),
            "topic": "ih.events",
            "partition": 0,
            "offset": 10 * number + step,
        }


def _rejects() -> Iterator[dict[str, Any]]:
    offset = 0
    for institution, reason, field, count in _REJECTS:
        for turn in range(count):
            offset += 1
            yield {
                "topic": "ih.events",
                "partition": turn % 2,
                "offset": 90_000 + offset,
                "received_at": START + timedelta(days=turn % 4, hours=9, minutes=offset),
                "reason": reason,
                "field": field,
                "detail": "not in the contract" if field else "",
                "institution_id": institution,
                "event_id": f"E-{offset}" if institution else "",
                "event_type": "DutyStatusReported" if institution else "",
                "headers": {},
            }
