"""The topics of one test on a broker that others use too, and what a group has committed there."""

import itertools
from collections.abc import Iterable

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.topics import Topics
from sinks.log import LogOptions, Place, Record
from streams.embedded import EmbeddedBroker

# A member that is dropped holds the embedded broker up for the session timeout.
FAST = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}
_numbers = itertools.count()


class Log:
    """Topics under a prefix of their own, with two partitions each."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self.prefix = f"t{next(_numbers)}"
        self.topics = Topics.named(self.prefix)
        for topic in self.topics.all():
            broker.create_topic(topic.name, 2)

    @property
    def brokers(self) -> str:
        return self.broker.address

    @property
    def group(self) -> str:
        return f"{self.prefix}-sink"

    def options(self, *topics: str) -> LogOptions:
        """How the sink under test reads these topics."""
        return LogOptions(self.brokers, self.group, topics, FAST)

    def named(self, record: Record) -> Record:
        """The record in this test's topic of the same kind."""
        _, _, kind = record.topic.partition(".")
        return record._replace(topic=f"{self.prefix}.{kind}")

    def publish(self, records: Iterable[Record]) -> None:
        """Write records, in order, with their timestamps; offsets are the broker's."""
        producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "acks": "all"})
        for one in map(self.named, records):
            producer.produce(
                one.topic,
                one.value,
                one.key,
                one.partition,
                timestamp=one.timestamp,
                headers=list(one.headers),
            )
        assert producer.flush(20) == 0

    def committed(self) -> dict[Place, int]:
        """What the sink's group has committed so far: only partitions where it has."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": self.group})
        places = [
            TopicPartition(topic.name, part) for topic in self.topics.all() for part in (0, 1)
        ]
        answer = consumer.committed(places, 10)
        consumer.close()
        return {(one.topic, one.partition): one.offset for one in answer if one.offset > 0}
