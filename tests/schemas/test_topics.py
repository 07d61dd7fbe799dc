"""Topics are named after the prefix and created so that received_at is the broker's."""

from __future__ import annotations

from schemas.topics import Topics


def test_names_follow_the_prefix() -> None:
    assert [topic.name for topic in Topics.named("ih").all()] == [
        "ih.events",
        "ih.alerts",
        "ih.aggregates",
        "ih.rejects",
        "ih.receipts",
        "ih.practice",
        "ih.webhooks.dead",
    ]
    assert Topics.named("test").events.name == "test.events"


def test_the_broker_stamps_events() -> None:
    assert Topics.named().events.config["message.timestamp.type"] == "LogAppendTime"


def test_a_refused_record_of_any_size_fits_into_rejects() -> None:
    topics = Topics.named()
    size = {t.name: int(t.config["max.message.bytes"]) for t in topics.all()}
    assert size["ih.rejects"] > size["ih.events"] + 100_000
