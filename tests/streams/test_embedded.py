"""The embedded broker does what the demo and the tests ask of it."""

import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.embedded import EmbeddedBroker


def partitions(broker: EmbeddedBroker) -> dict[str, int]:
    admin = AdminClient({"bootstrap.servers": broker.address})
    return {name: len(t.partitions) for name, t in admin.list_topics(timeout=5).topics.items()}


def test_topics_have_the_partitions_that_were_asked_for() -> None:
    with EmbeddedBroker({"ih.events": 8}) as broker:
        broker.create_topic("ih.alerts", 3)
        assert partitions(broker) == {"ih.events": 8, "ih.alerts": 3}


def test_a_topic_that_exists_is_refused() -> None:
    with EmbeddedBroker({"ih.events": 8}) as broker, pytest.raises(ValueError, match="could be"):
        broker.create_topic("ih.events", 8)


def test_records_come_back_with_key_headers_and_the_producers_time() -> None:
    with EmbeddedBroker({"ih.events": 2}) as broker:
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce(
            "ih.events", b"value", b"key", partition=1, timestamp=1234, headers=[("h", b"x")]
        )
        assert producer.flush(5) == 0
        reader = Consumer({"bootstrap.servers": broker.address, "group.id": "reader"})
        reader.assign([TopicPartition("ih.events", 1, 0)])
        message = reader.poll(5)
        reader.close()
        assert message is not None
        assert (message.key(), message.value(), message.offset()) == (b"key", b"value", 0)
        assert (message.headers(), message.timestamp()[1]) == ([("h", b"x")], 1234)


def test_a_slow_broker_answers_late() -> None:
    with EmbeddedBroker({"ih.events": 1}) as broker:
        reader = Consumer({"bootstrap.servers": broker.address, "group.id": "reader"})
        tp = TopicPartition("ih.events", 0)
        reader.get_watermark_offsets(tp, timeout=5)
        broker.set_round_trip(0.3)
        started = time.monotonic()
        reader.get_watermark_offsets(tp, timeout=5)
        assert 0.25 < time.monotonic() - started < 3
        reader.close()


def test_a_broker_that_is_down_refuses_and_keeps_the_log() -> None:
    quiet = {"log_level": 0, "reconnect.backoff.max.ms": 100}
    with EmbeddedBroker({"ih.events": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.address, **quiet})
        producer.produce("ih.events", b"value")
        assert producer.flush(5) == 0
        broker.go_down()
        reader = Consumer({"bootstrap.servers": broker.address, "group.id": "reader", **quiet})
        tp = TopicPartition("ih.events", 0)
        with pytest.raises(KafkaException):
            reader.get_watermark_offsets(tp, timeout=0.5)
        broker.come_up()
        assert reader.get_watermark_offsets(tp, timeout=5) == (0, 1)
        reader.close()


def test_closing_twice_is_closing_once_and_nothing_works_after_it() -> None:
    broker = EmbeddedBroker({"ih.events": 1})
    broker.close()
    broker.close()
    with pytest.raises(RuntimeError, match="closed"):
        broker.create_topic("ih.alerts", 1)
