"""Names, keys and settings of the topics, and how a tick is told from an event.

Key of every topic is the institution_id in UTF-8, but for alerts and dead webhooks, keyed by
finding_id, and for the workers' own `practice`, keyed by the person or host several institutions
share. Events are stamped by the broker (LogAppendTime): `received_at` is the record's
timestamp, never the hospital's word (RULES 1.5).

A tick is a record in the events topic itself with a null value and the header `ih-tick`. It moves
the partition's clock, in exact order with the events; it carries nothing, so there is nothing to
authenticate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TICK_HEADER = "ih-tick"
TICK_VALUE = b"1"

_WEEK_MS = 7 * 24 * 3600 * 1000
_COMMON = {"min.insync.replicas": "1", "max.message.bytes": "2000000"}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, what its key is, and the settings it is created with."""

    name: str
    key: str
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one deployment, named after its prefix."""

    events: Topic
    alerts: Topic
    aggregates: Topic
    rejects: Topic
    receipts: Topic
    practice: Topic
    dead_webhooks: Topic

    @classmethod
    def named(cls, prefix: str = "ih") -> Topics:
        """The topics under `prefix`: `ih` gives `ih.events`, `ih.alerts` and so on."""

        def topic(name: str, key: str, **config: str) -> Topic:
            settings = {name.replace("_", "."): value for name, value in config.items()}
            return Topic(f"{prefix}.{name}", key, {**_COMMON, **settings})

        month = str(4 * _WEEK_MS)
        return cls(
            events=topic(
                "events",
                "institution_id",
                message_timestamp_type="LogAppendTime",
                cleanup_policy="delete",
                retention_ms=month,
            ),
            alerts=topic("alerts", "finding_id", cleanup_policy="delete", retention_ms=month),
            aggregates=topic("aggregates", "institution_id", retention_ms=month),
            rejects=topic(
                "rejects",
                "institution_id",
                retention_ms=month,
                # a refused record is kept whole, however large the broker let it be
                max_message_bytes="3000000",
            ),
            receipts=topic("receipts", "institution_id", retention_ms=str(_WEEK_MS)),
            practice=topic("practice", "staff_id or host_institution_id", retention_ms=month),
            dead_webhooks=topic("webhooks.dead", "finding_id", retention_ms=month),
        )

    def all(self) -> tuple[Topic, ...]:
        """Every topic, in the order in which they are created."""
        return (
            self.events,
            self.alerts,
            self.aggregates,
            self.rejects,
            self.receipts,
            self.practice,
            self.dead_webhooks,
        )


def is_tick(headers: Iterable[tuple[str, bytes | None]] | None, value: bytes | None = None) -> bool:
    """True for a record that only moves the clock: header `ih-tick` and no value.

    A record with a value is never a tick, whatever its headers say, so nobody can hide an event
    behind the header.
    """
    if value is not None or not headers:
        return False
    return any(name == TICK_HEADER for name, _ in headers)
