"""The body of a webhook: thin, small, the same on every try; and who is told what."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.message import LIMIT, message, wanted
from sinks.webhooks.progress import Progress
from tests.sinks import material


def test_a_message_says_what_is_wrong_and_never_shows_evidence() -> None:
    alert = material.alert("abc", 2, params={"patient": "pt-7f3a91"}, evidence=["pt-1", "pt-2"])
    sent = message(alert)
    content = json.loads(sent.body)
    assert sent.id == "abc.2"
    assert content["type"] == "finding.confirmed"
    assert content["timestamp"] == "2026-03-02T04:02:00.000+00:00"
    data = content["data"]
    assert data["violation_start"] == "2026-03-02T04:00:00.000+00:00"
    assert data["violation_end"] is None
    assert data["evidence_count"] == 2
    assert data["title_zh"] == alert["title_zh"]
    assert data["title_en"] == alert["title_en"]
    assert data["citations"] == alert["citations"]
    assert "pt-" not in sent.body.decode()
    assert not {"evidence", "params", "history"} & set(data)


def test_the_line_for_people_is_in_the_chosen_language() -> None:
    alert = material.alert()
    lines = {lang: json.loads(message(alert, lang).body)["data"]["text"] for lang in ("zh", "en")}
    assert lines["zh"] == f"[IDV-01] {alert['title_zh']} {material.HOSPITAL}: {alert['message_zh']}"
    assert alert["message_en"] in lines["en"]


def test_the_same_version_gives_the_same_bytes() -> None:
    assert message(material.alert()) == message(material.alert())


@pytest.mark.parametrize(
    ("state", "previous", "kind"),
    [
        ("CONFIRMED", None, "finding.confirmed"),
        ("CONFIRMED", "SUSPECTED", "finding.confirmed"),
        ("CONFIRMED", "CONFIRMED", "finding.updated"),
        ("RESOLVED", "CONFIRMED", "finding.resolved"),
        ("WITHDRAWN", "RESOLVED", "finding.withdrawn"),
        ("SUSPECTED", None, "finding.suspected"),
        ("CLEARED", "SUSPECTED", "finding.cleared"),
    ],
)
def test_the_type_follows_the_state(state: str, previous: str | None, kind: str) -> None:
    alert = material.alert(state=state, previous_state=previous)
    assert json.loads(message(alert).body)["type"] == kind


@pytest.mark.parametrize(
    ("state", "by_default", "provisional"),
    [
        ("SUSPECTED", False, True),
        ("CLEARED", False, True),
        ("CONFIRMED", True, True),
        ("RESOLVED", True, True),
        ("WITHDRAWN", True, True),
    ],
)
def test_who_is_told_what(state: str, by_default: bool, provisional: bool) -> None:
    alert = material.alert(state=state)
    assert wanted(alert) is by_default
    assert wanted(alert, provisional=True) is provisional
    assert not wanted({**alert, "notify": False}, provisional=True)


@pytest.mark.parametrize(
    "long",
    [
        {"message_zh": "长" * 30_000},
        {"citations": ["GX 6 「…」"] * 3000},
        {"flags": ["x" * 40_000]},
        {"subject_id": "😀" * 9000, "message_en": '"\\' * 9000},
    ],
)
def test_a_long_alert_is_shortened_and_says_so(long: dict[str, Any]) -> None:
    sent = message(material.alert(**long))
    assert len(sent.body) < LIMIT
    data = json.loads(sent.body)["data"]
    assert data["shortened"] is True
    assert data["finding_id"] == "f" * 16
    assert data["rule_id"] == "IDV-01"


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30, unique=True), st.randoms())
def test_the_floor_is_the_oldest_open_offset(offsets: list[int], dice: object) -> None:
    """Whatever the order of finishing; offsets may have gaps, as compacted logs do."""
    offsets.sort()
    progress = Progress()
    for offset in offsets:
        progress.start(offset)
    still = set(offsets)
    order = list(offsets)
    dice.shuffle(order)  # type: ignore[attr-defined]
    for offset in order:
        assert progress.floor == min(still)
        assert progress.open == len(still)
        progress.finish(offset)
        still.remove(offset)
    assert progress.floor == offsets[-1] + 1
