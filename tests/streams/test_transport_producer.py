"""The producer's barrier, with a test in the place of the broker that acknowledges."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import faust
import pytest
from confluent_kafka import KafkaError
from faust.exceptions import ImproperlyConfigured

from streams.transport import app_options, install, producer_barrier, publish
from streams.transport_producer import BatchProducer, SendFailedError


class Broker:
    """A librdkafka client whose acknowledgements come when the test says so."""

    def __init__(self) -> None:
        self.reports: list[Callable[[Any, Any], None]] = []
        self.full = 0

    def produce(self, *record: Any, on_delivery: Callable[[Any, Any], None], **_: Any) -> None:
        if self.full:
            raise BufferError
        self.reports.append(on_delivery)

    def poll(self, timeout: float) -> None:
        self.full = max(0, self.full - 1)

    def acknowledge(self, number: int, offset: int = 0) -> None:
        self.reports[number](None, Sent(offset))

    def refuse(self, number: int) -> None:
        self.reports[number](KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), Sent(-1))


class Sent(NamedTuple):
    """What a delivery report says of a record."""

    at: int

    def topic(self) -> str:
        return "effects"

    def offset(self) -> int:
        return self.at


def run(
    tmp_path: Path, check: Callable[[faust.App, BatchProducer, Broker], Awaitable[None]]
) -> None:
    """Run a check on the producer of an app that is made but not started."""

    async def main() -> None:
        app = faust.App(**app_options("app", "127.0.0.1:9", tmp_path))
        install(app, ["events"])
        producer, broker = app.producer, Broker()
        assert isinstance(producer, BatchProducer)
        producer._client = cast(Any, broker)
        await check(app, producer, broker)

    asyncio.run(main())


def send(app: faust.App, number: int = 1) -> None:
    for _ in range(number):
        publish(app, "effects", key=None, value=b"x")


def test_nothing_sent_is_nothing_to_wait_for(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        await producer_barrier(app)

    run(tmp_path, check)


def test_the_barrier_waits_for_everything_sent_before_and_nothing_after(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        send(app, 2)
        waiting = asyncio.ensure_future(producer_barrier(app))
        await asyncio.sleep(0)
        send(app)
        broker.acknowledge(0)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        broker.acknowledge(1)
        await asyncio.wait_for(waiting, 1)
        assert producer.outstanding == 1

    run(tmp_path, check)


def test_a_later_barrier_waits_for_what_an_earlier_one_gave_up(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        send(app)
        with pytest.raises(SendFailedError, match="1 sends not acknowledged"):
            await producer_barrier(app, timeout=0.0)
        waiting = asyncio.ensure_future(producer_barrier(app))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        broker.acknowledge(0)
        await asyncio.wait_for(waiting, 1)

    run(tmp_path, check)


def test_a_failed_send_breaks_this_barrier_and_all_later_ones(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        crashes: list[BaseException] = []

        async def crash(reason: BaseException) -> None:
            crashes.append(reason)

        app.crash = crash  # type: ignore[method-assign]  # the app is not running
        send(app, 2)
        waiting = asyncio.ensure_future(producer_barrier(app))
        await asyncio.sleep(0)
        broker.refuse(0)
        broker.acknowledge(1)
        with pytest.raises(SendFailedError, match="a send failed"):
            await waiting
        with pytest.raises(SendFailedError):
            await producer_barrier(app)
        await asyncio.sleep(0.01)
        assert [str(reason) for reason in crashes] == ["effects: Broker: Message size too large"]

    run(tmp_path, check)


def test_a_producer_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        send(app)
        producer._client = None
        with pytest.raises(SendFailedError, match="the producer is gone"):
            await producer_barrier(app)
        with pytest.raises(SendFailedError, match="the producer is gone"):
            send(app)

    run(tmp_path, check)


def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        broker.full = 3
        send(app)
        assert (broker.full, producer.outstanding) == (0, 1)

    run(tmp_path, check)


def test_what_is_to_follow_learns_the_offset(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        offsets: list[int] = []
        producer.produce("changelog", b"k", b"v", 0, then=offsets.append)
        assert offsets == []
        broker.acknowledge(0, offset=41)
        assert offsets == [41]

    run(tmp_path, check)


def test_tables_are_not_written_past_the_barrier(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer, broker: Broker) -> None:
        with pytest.raises(TypeError, match=r"CaseTable\.store"):
            producer.send_soon(cast(Any, None))

    run(tmp_path, check)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("processing_guarantee", "exactly_once"),
        ("producer_threaded", True),
        ("consumer_auto_offset_reset", "latest"),
        ("stream_wait_empty", False),
        ("table_standby_replicas", 1),
    ],
)
def test_settings_that_take_the_guarantees_back_are_refused(
    tmp_path: Path, setting: str, value: object
) -> None:
    app = faust.App(**app_options("app", "127.0.0.1:9", tmp_path) | {setting: value})
    with pytest.raises(ImproperlyConfigured, match=setting):
        install(app, ["events"])


def test_the_web_server_is_closed_to_tables(tmp_path: Path) -> None:
    conf = faust.App(**app_options("app", "a:1,b:2", tmp_path)).conf
    assert [str(url) for url in conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert not any([conf.web_tables_enabled, conf.web_router_enabled, conf.web_graph_enabled])
    assert (conf.web_bind, conf.topic_allow_declare) == ("127.0.0.1", False)
