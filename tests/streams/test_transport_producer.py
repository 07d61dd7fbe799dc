"""The producer's barrier, with futures in the place of a broker's acknowledgements."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import faust
import pytest
from faust.exceptions import ImproperlyConfigured

from streams.transport import app_options, install, producer_barrier
from streams.transport_producer import BatchProducer, SendFailedError


def run(tmp_path: Path, check: Callable[[faust.App, BatchProducer], Awaitable[None]]) -> None:
    """Run a check on the producer of an app that is made but not started."""

    async def main() -> None:
        app = faust.App(**app_options("app", "127.0.0.1:9", tmp_path))
        install(app, ["events"])
        producer = app.producer
        assert isinstance(producer, BatchProducer)
        await check(app, producer)

    asyncio.run(main())


def acknowledgement() -> asyncio.Future[object]:
    return asyncio.get_running_loop().create_future()


def test_nothing_sent_is_nothing_to_wait_for(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer) -> None:
        await producer_barrier(app)

    run(tmp_path, check)


def test_the_barrier_waits_for_everything_sent_before_and_nothing_after(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer) -> None:
        first, second, later = (acknowledgement() for _ in range(3))
        producer.track(first)
        producer.track(second)
        waiting = asyncio.ensure_future(producer_barrier(app))
        await asyncio.sleep(0)
        producer.track(later)
        first.set_result(None)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        second.set_result(None)
        await asyncio.wait_for(waiting, 1)
        assert producer.outstanding == 1

    run(tmp_path, check)


def test_a_failed_send_breaks_this_barrier_and_all_later_ones(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer) -> None:
        crashes: list[BaseException] = []

        async def crash(reason: BaseException) -> None:
            crashes.append(reason)

        app.crash = crash  # type: ignore[method-assign]  # the app is not running
        send = acknowledgement()
        producer.track(send)
        waiting = asyncio.ensure_future(producer_barrier(app))
        await asyncio.sleep(0)
        refused = ConnectionError("too large")
        send.set_exception(refused)
        with pytest.raises(SendFailedError, match="a send failed"):
            await waiting
        with pytest.raises(SendFailedError):
            await producer_barrier(app)
        await asyncio.sleep(0.01)
        assert crashes == [refused]

    run(tmp_path, check)


def test_a_producer_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer) -> None:
        never = acknowledgement()
        producer.track(never)
        producer.buffer._crash(RuntimeError("gone"))
        with pytest.raises(SendFailedError, match="the producer is gone"):
            await producer_barrier(app)

    run(tmp_path, check)


def test_the_barrier_gives_up_in_the_end(tmp_path: Path) -> None:
    async def check(app: faust.App, producer: BatchProducer) -> None:
        never = acknowledgement()
        producer.track(never)
        with pytest.raises(SendFailedError, match="1 sends not acknowledged"):
            await producer_barrier(app, timeout=0.0)

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
