"""The dead letter topic: what could not be delivered, whole, with everything that was tried.

A letter is JSON under the finding's id as key. It holds the body that was to be sent, byte for byte
under the same webhook id, so that it can be sent again, and the attempt log. It holds neither the
receiver's address nor the secret. A letter may be written twice (the process died before it
committed); both have the same `webhook_id`.
"""

import base64
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sinks.log import LogError, Record
from sinks.webhooks.delivery import Story
from sinks.webhooks.message import Message as Webhook


def letter(record: Record, reason: str, webhook: Webhook | None, story: Story | None) -> bytes:
    """The dead letter of one alert; without `webhook`, the record could not be read."""
    attempts = [asdict(one) for one in story.attempts] if story else []
    content: dict[str, Any] = {
        "schema": "webhook-dead/v1",
        "reason": reason,
        "dead_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "webhook_id": webhook.id if webhook else None,
        "source": {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
        },
        "attempts_total": story.total if story else 0,
        "attempts": attempts,
        "body": msgspec.Raw(webhook.body) if webhook else None,
    }
    if webhook is None:
        content["value_base64"] = base64.b64encode(record.value or b"").decode()
    return msgspec.json.encode(content)


class DeadLetters:
    """Writes letters; `write` returns only when the broker has acknowledged (acks=all)."""

    def __init__(self, brokers: str, topic: str, **extra: str | float | bool) -> None:
        self._topic = topic
        self._settings = {
            "bootstrap.servers": brokers,
            "client.id": "ihwatch-webhooks-dead",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            "log_level": 2,
            **extra,
        }
        self._producer: Producer | None = None

    def write(self, key: bytes | None, value: bytes, timeout_s: float = 10.0) -> None:
        """Write one letter, waiting for the broker; LogError (retriable) if it did not answer."""
        producer = self._producer = self._producer or Producer(self._settings)
        failed: list[KafkaError | None] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            failed.append(error)

        try:
            producer.produce(self._topic, value, key, on_delivery=delivered)
            producer.flush(timeout_s)
        except (KafkaException, BufferError) as error:
            raise LogError("the dead letter was not taken") from error
        if not failed or failed[0] is not None:
            # Nothing of it may be sent later by itself: the caller writes it again.
            self._producer = None
            producer.purge()
            raise LogError(failed[0].name() if failed and failed[0] else "no acknowledgement")
