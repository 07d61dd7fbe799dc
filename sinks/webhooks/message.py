"""An alert as the body of a webhook: thin, under 20 KB, and the same bytes on every try.

Format: Standard Webhooks 1.0.0, `{type, timestamp, data}`. `data` names the finding, what is wrong
in both languages and by which article; evidence is referred to by number only, and no parameter,
payload or patient token is in it. Field names are those of the Alert record.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

LIMIT = 20_000
# States that tell on-call something. SUSPECTED and CLEARED come in pairs and are sent on demand.
FIRM = frozenset({"CONFIRMED", "RESOLVED", "WITHDRAWN"})
PROVISIONAL = frozenset({"SUSPECTED", "CLEARED"})

_SAME = (
    *("finding_id", "version", "state", "previous_state", "rule_id", "clause", "rulebook"),
    *("institution_id", "subject_type", "subject_id", "severity", "flags", "citations"),
    *("title_zh", "title_en", "message_zh", "message_en", "cause_partition", "cause_offset"),
)
_INSTANTS = ("changed_at", "violation_start", "violation_end")

Alert = Mapping[str, Any]


class Message(NamedTuple):
    """What is sent for one version of a finding; `id` is its idempotency key."""

    id: str
    finding_id: str
    version: int
    body: bytes


def wanted(alert: Alert, *, provisional: bool = False) -> bool:
    """Whether on-call is to be told of this version.

    Only what the rulebook marks `notify`, and of that what is or was established. A RESOLVED or
    WITHDRAWN finding was CONFIRMED before (RULES 1.6), so what is told to have ended was told
    before. `provisional` adds SUSPECTED and CLEARED.
    """
    if not alert["notify"]:
        return False
    return alert["state"] in FIRM or (provisional and alert["state"] in PROVISIONAL)


def message(alert: Alert, lang: Literal["zh", "en"] = "zh") -> Message:
    """Give the webhook of one alert; `data.text` is one line for people, in `lang`.

    The id is `finding_id.version`. Neither part is under a hospital's control, so the dots cannot
    be used to move bytes between id, timestamp and body of the signed text.
    """
    same_state = alert["previous_state"] == alert["state"]
    data: dict[str, Any] = {name: alert[name] for name in _SAME}
    data |= {name: _instant(alert[name]) for name in _INSTANTS}
    data["evidence_count"] = len(alert["evidence"])
    data["text"] = f"[{alert['rule_id']}] {alert[f'title_{lang}']} {alert['institution_id']}: "
    data["text"] += alert[f"message_{lang}"]
    content = {
        "type": "finding.updated" if same_state else f"finding.{alert['state'].lower()}",
        "timestamp": _instant(alert["changed_at"]),
        "data": data,
    }
    return Message(
        f"{alert['finding_id']}.{alert['version']}",
        alert["finding_id"],
        alert["version"],
        _within_limit(content),
    )


def _instant(value: int | None) -> str | None:
    """Epoch milliseconds as RFC 3339 in UTC."""
    if value is None:
        return None
    return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")


def _within_limit(content: dict[str, Any]) -> bytes:
    """Encode; if that is too long, shorten the longest text until it fits, and say so."""
    body = msgspec.json.encode(content)
    data = content["data"]
    while len(body) >= LIMIT:
        data["shortened"] = True
        texts = [name for name, value in data.items() if isinstance(value, str)]
        lists = [name for name, value in data.items() if isinstance(value, list) and value]
        longest = max([*texts, *lists], key=lambda name: len(msgspec.json.encode(data[name])))
        value = data[longest]
        data[longest] = value[: len(value) // 2]
        body = msgspec.json.encode(content)
    return body
