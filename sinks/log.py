"""One consumer group's reading of the log; an offset is committed only when `commit` is called.

librdkafka reconnects by itself, so an unreachable broker shows as `trouble` and not as an error. A
fatal error (this member may not go on) is raised as LogError and ends the process.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.errors import IhwatchError

logger = logging.getLogger(__name__)

Headers = list[tuple[str, bytes | None]]
# librdkafka repeats an error with every try to connect, at most 10 s apart, and tells no end.
_TROUBLE_LASTS_S = 15.0
# The partition of a topic, as (topic, partition).
Place = tuple[str, int]


class LogError(IhwatchError):
    """The broker refuses this consumer for good, or its configuration is wrong."""

    retriable = True


class Record(NamedTuple):
    """One record as it stands in the log; `timestamp` is epoch ms (LogAppendTime: the broker's)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def place(self) -> Place:
        """The partition this record stands in."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where to read and as which group; `extra` overrides single librdkafka properties."""

    brokers: str
    group: str
    topics: Sequence[str]
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class LogReader:
    """Reads topics as a group member; positions move only with `commit`, so a crash reads again.

    Not thread-safe: call it from one thread at a time. `on_revoked` is called from within `poll`,
    before the partitions go to another member; it returns the offsets that may still be committed.
    """

    def __init__(
        self,
        options: LogOptions,
        on_revoked: Callable[[Sequence[Place]], Mapping[Place, int]],
    ) -> None:
        self._on_revoked = on_revoked
        self._topics = list(options.topics)
        self._trouble: str | None = None
        self._troubled_at = 0.0
        self._consumer = Consumer(
            {
                "bootstrap.servers": options.brokers,
                "group.id": options.group,
                "client.id": options.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                # A topic that is made later is seen within seconds, not after five minutes.
                "topic.metadata.refresh.interval.ms": 10_000,
                "queued.max.messages.kbytes": 32 * 1024,
                "fetch.wait.max.ms": 100,
                # librdkafka's own log says in words what `error_cb` says as a code.
                "log_level": 2,
                "error_cb": self._error,
                **options.extra,
            }
        )
        self._consumer.subscribe(
            self._topics,
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong with the broker, as a stable code, while it is."""
        return self._trouble if time.monotonic() - self._troubled_at < _TROUBLE_LASTS_S else None

    def poll(self, at_most: int, timeout_s: float) -> list[Record]:
        """Return what there is, waiting up to `timeout_s` for a first record; may be empty."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first]
        if at_most > 1:
            messages += self._consumer.consume(at_most - 1, 0)
        return [_record(message) for message in messages if self._good(message)]

    def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Commit the next offset to read of each partition; false if the group is rebalancing.

        A commit that fails is no loss: the range is read again, and every sink converges.
        """
        if not offsets:
            return True
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.fatal():
                raise LogError(reason.name()) from error
            logger.warning("commit failed; the range is read again", extra={"error": reason.name()})
            return False
        return True

    def pause(self, place: Place) -> None:
        """Fetch nothing more of this partition until `resume`; membership goes on."""
        self._consumer.pause([TopicPartition(*place)])

    def resume(self, place: Place) -> None:
        """Fetch this partition again."""
        self._consumer.resume([TopicPartition(*place)])

    def lag(self, committed: Mapping[Place, int]) -> int:
        """Count the records from `committed` to the end of the log, as last seen by the fetcher."""
        total = 0
        for place, offset in committed.items():
            try:
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(*place), cached=True
                )
            except KafkaException:
                continue
            total += max(0, high - max(offset, low))
        return total

    def close(self) -> None:
        """Leave the group at once, so that others take over without waiting for a timeout."""
        self._consumer.close()

    def _good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise LogError(error.name())
        if error.code() != KafkaError._PARTITION_EOF:
            self._error(error)
        return False

    def _error(self, error: KafkaError) -> None:
        name = error.name()
        if name != self.trouble:
            logger.warning("the log cannot be read at the moment", extra={"error": name})
        self._trouble, self._troubled_at = name, time.monotonic()

    def _assigned(self, _: Consumer, places: list[TopicPartition]) -> None:
        logger.info("partitions assigned", extra={"count": len(places)})

    def _revoked(self, _: Consumer, places: list[TopicPartition]) -> None:
        logger.info("partitions revoked", extra={"count": len(places)})
        self.commit(self._on_revoked([(one.topic, one.partition) for one in places]))

    def _lost(self, _: Consumer, places: list[TopicPartition]) -> None:
        """Forget partitions that already belong to somebody else: nothing may be committed."""
        logger.warning("partitions lost", extra={"count": len(places)})
        self._on_revoked([(one.topic, one.partition) for one in places])


def _record(message: Message) -> Record:
    """The record in a message that is no error; librdkafka's types leave open what it then has."""
    return Record._make(
        (
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            message.headers() or [],
        )
    )
