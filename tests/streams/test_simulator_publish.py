"""Publishing: what reaches the broker is what the platform admits, in order, at the chosen pace."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.admission import Admission
from schemas.registry import LocalRegistry
from schemas.topics import is_tick
from schemas.wire import Framing
from streams.embedded import EmbeddedBroker
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, Upload, simulate
from streams.simulator.pace import Pace, Pacer
from streams.simulator.publish import PRODUCER_SETTINGS, Publisher, PublishError
from streams.timeline import DAY, HOUR

CONFIG = SimulationConfig(
    rate=4, institutions=dict.fromkeys(RULEBOOKS, 2), duplicates=0.05, shuffle=0.2
)
PARTITIONS = 3
FAST = Pace.even(CONFIG, None)


class Log:
    """A producer that keeps what it is given; it may be full, or refuse."""

    def __init__(self, room: int = 1_000_000, error: Any = None, silent: bool = False) -> None:
        self.records: list[dict[str, Any]] = []
        self._room, self._free = room, room
        self._error, self._silent = error, silent
        self._waiting: list[Callable[[Any, Any], None]] = []

    def produce(self, topic: str, *args: Any, **record: Any) -> None:
        assert not args
        if not self._free:
            raise BufferError("Local: Queue full")
        self._free -= 1
        self._waiting.append(record.pop("on_delivery"))
        self.records.append({"topic": topic, **record})

    def poll(self, timeout: float = 0) -> int:
        self._free = self._room
        waiting, self._waiting = self._waiting, []
        for delivered in waiting:
            delivered(self._error, None)
        return len(waiting)

    def flush(self, timeout: float = 0) -> int:
        return len(self._waiting) if self._silent else self.poll() * 0


class Refusal:
    def name(self) -> str:
        return "MSG_SIZE_TOO_LARGE"


class FakeTime:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def publisher(log: Log, tick_every: int | None = HOUR, **options: Any) -> Publisher:
    return Publisher(
        log, "ih.events", simulate(CONFIG).directory, PARTITIONS, tick_every, **options
    )


@pytest.mark.parametrize("framing", list(Framing))
def test_everything_published_is_admitted(framing: Framing) -> None:
    log, seen = Log(room=100), list[Upload]()
    sent = publisher(log, framing=framing).run(simulate(CONFIG), Pacer(FAST), seen.append)
    admission = Admission(LocalRegistry(), simulate(CONFIG).directory)
    events = [r for r in log.records if not is_tick(r["headers"], r["value"])]
    admitted = [admission.admit(r["key"], r["value"], r["headers"]).datum for r in events]
    uploads = list(simulate(CONFIG).uploads)
    assert admitted == [upload.datum for upload in uploads] == [upload.datum for upload in seen]
    assert [r["timestamp"] for r in events] == [upload.received_at for upload in uploads]
    assert all("partition" not in r for r in events)
    assert sent.events + sent.duplicates == len(uploads)
    assert sent.duplicates == sum(upload.duplicate for upload in uploads) > 0
    assert sent.bytes == sum(len(r["value"]) for r in events)
    assert sent.delivered == len(log.records)


def test_ticks_go_to_every_partition_in_order_with_the_events() -> None:
    log = Log()
    sent = publisher(log).run(simulate(CONFIG), Pacer(FAST))
    ticks = [r for r in log.records if is_tick(r["headers"], r["value"])]
    instants = list(simulate(CONFIG).ticks(HOUR))
    assert [(r["timestamp"], r["partition"]) for r in ticks] == [
        (instant, partition) for instant in instants for partition in range(PARTITIONS)
    ]
    assert sent.ticks == len(ticks)
    assert sent.clock == CONFIG.end
    # A receipt at the instant of a tick comes before it; only ascending times keep clocks right.
    assert all(a["timestamp"] <= b["timestamp"] for a, b in pairwise(log.records))


def test_without_an_interval_only_the_end_is_ticked() -> None:
    log = Log()
    publisher(log, tick_every=None).run(simulate(CONFIG), Pacer(FAST))
    last = log.records[-PARTITIONS:]
    assert {(r["timestamp"], r["partition"]) for r in last} == {
        (CONFIG.end, partition) for partition in range(PARTITIONS)
    }
    assert sum(r["value"] is None for r in log.records) == PARTITIONS


def test_refused_or_unacknowledged_records_end_in_an_error() -> None:
    with pytest.raises(PublishError, match="MSG_SIZE_TOO_LARGE") as refused:
        publisher(Log(error=Refusal())).run(simulate(CONFIG), Pacer(FAST))
    assert refused.value.retriable
    with pytest.raises(PublishError, match="not acknowledged"):
        publisher(Log(silent=True)).run(simulate(CONFIG), Pacer(FAST))


def test_pace_is_kept() -> None:
    time, arrivals = FakeTime(), list[tuple[float, int]]()
    pacer = Pacer(Pace.even(CONFIG, 3600.0), time.clock, time.wait)
    publisher(Log()).run(
        simulate(CONFIG), pacer, lambda u: arrivals.append((time.now, u.received_at))
    )
    begins = simulate(CONFIG).start
    assert all(now - 100 > (at - begins) / HOUR - 1e-6 for now, at in arrivals)
    assert time.now - 100 == pytest.approx((CONFIG.end - begins) / HOUR, abs=0.2)


def test_lived_days_can_take_most_of_the_time() -> None:
    pace = Pace.days_in(CONFIG, seconds=60, tail_seconds=6)
    lived_to = CONFIG.start + CONFIG.days * DAY
    assert pace.seconds(lived_to) - pace.seconds(CONFIG.start) == pytest.approx(60)
    assert pace.seconds(CONFIG.end) == pytest.approx(66)
    assert pace.seconds(simulate(CONFIG).start) == 0
    marks = [pace.seconds(at) for at in range(simulate(CONFIG).start, CONFIG.end, HOUR)]
    assert all(a < b for a, b in pairwise(marks))


def test_a_stop_ends_it_without_the_rest() -> None:
    log = Log()
    pacer = Pacer(Pace.even(CONFIG, 1.0))
    threading.Timer(0.2, pacer.stop).start()
    sent = publisher(log).run(simulate(CONFIG), pacer)
    assert pacer.stopped
    assert sent.clock < CONFIG.end
    assert len(log.records) < 10


def test_on_a_broker_each_institution_stays_in_order_in_one_partition() -> None:
    topic = "ih.events"
    with EmbeddedBroker({topic: PARTITIONS}) as broker:
        producer = Producer({"bootstrap.servers": broker.address, **PRODUCER_SETTINGS})
        sent = Publisher(producer, topic, simulate(CONFIG).directory, PARTITIONS, HOUR).run(
            simulate(CONFIG), Pacer(FAST)
        )
        total = sent.events + sent.duplicates + sent.ticks
        records = consume(broker.address, topic, total)
    partitions: dict[bytes, set[int]] = defaultdict(set)
    by_partition: dict[int, list[Any]] = defaultdict(list)
    for record in records:
        by_partition[record.partition()].append(record)
        if record.key() is not None:
            partitions[record.key()].add(record.partition())
    assert {len(found) for found in partitions.values()} == {1}
    for found in by_partition.values():
        times = [record.timestamp()[1] for record in found]
        assert times == sorted(times)
        assert is_tick(found[-1].headers(), found[-1].value())
    ticks = Counter(r.partition() for r in records if is_tick(r.headers(), r.value()))
    assert set(ticks.values()) == {sent.ticks // PARTITIONS}
    uploads = list(simulate(CONFIG).uploads)
    stamps = Counter((r.key(), r.timestamp()[1]) for r in records if r.key() is not None)
    assert stamps == Counter((u.institution_id.encode(), u.received_at) for u in uploads)


def consume(address: str, topic: str, total: int) -> list[Any]:
    """All records of a topic, partition by partition from its beginning."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "simulator-test"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: list[Any] = []
    try:
        while len(found) < total:
            batch = consumer.consume(min(500, total - len(found)), timeout=10)
            assert batch, f"{len(found)} of {total} records"
            assert not any(record.error() for record in batch)
            found += batch
    finally:
        consumer.close()
    return found
