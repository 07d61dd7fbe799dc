"""No offset is committed and no state written over a send that the broker has not acknowledged.

Faust's own `producer.flush()` is no such barrier (0.15.3): it gives up after 0.1 s without a
send, does not count the message in hand, and never raises delivery errors. Here every future is
kept: what tables and `send_soon` put into the producer's buffer, and what `send` hands to
aiokafka.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from faust.types import FutureMessage, HeadersArg, RecordMetadata
from faust.types.transports import TransportT

logger = logging.getLogger(__name__)

# Messages of a buffer (mostly changelog) before the conductor waits: Faust's 100 throttles tables.
BUFFER_MESSAGES = 20_000
# How often a waiting barrier looks whether the producer is still there, seconds.
LOOK_EVERY = 0.5


class SendFailedError(Exception):
    """A record could not be delivered: the worker must start again from its committed offsets."""


class TrackedBuffer(ProducerBuffer):
    """Faust's buffer of `send_soon`, which tells the producer of every message put into it."""

    max_messages = BUFFER_MESSAGES
    producer: "BatchProducer"

    def put(self, fut: FutureMessage) -> None:
        self.producer.track(fut)
        super().put(fut)


class BatchProducer(driver.Producer):
    """Faust's aiokafka producer with a barrier; any failed send crashes the app."""

    def __init__(
        self,
        transport: TransportT,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(transport, loop=loop, **kwargs)
        self._outstanding: set[asyncio.Future[Any]] = set()
        self._error: BaseException | None = None
        self.buffer = TrackedBuffer(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app
        self.buffer.producer = self

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Hand one record to aiokafka; the result is the future of its acknowledgement."""
        future = await super().send(
            topic, key, value, partition, timestamp, headers, transactional_id=transactional_id
        )
        if isinstance(future, asyncio.Future):
            self.track(future)
        return future

    def track(self, future: asyncio.Future[Any]) -> None:
        self._outstanding.add(future)
        future.add_done_callback(self._settled_one)

    @property
    def outstanding(self) -> int:
        """How many sends are not yet acknowledged."""
        return len(self._outstanding)

    async def barrier(self, timeout: float) -> None:
        """Return when everything sent before this call is acknowledged by the broker.

        Raises `SendFailedError` when a send has failed since the producer started, when the
        producer is gone, or after `timeout` seconds. Sends of other tasks that start later are
        not waited for.
        """
        waiting = set(self._outstanding)
        deadline = time.monotonic() + timeout
        while True:
            if self._error is not None:
                raise SendFailedError("a send failed") from self._error
            if not waiting:
                return
            if self.crashed or self.buffer.crashed or self.should_stop:
                raise SendFailedError("the producer is gone")
            if time.monotonic() > deadline:
                raise SendFailedError(f"{len(waiting)} sends not acknowledged in {timeout} s")
            _, waiting = await asyncio.wait(waiting, timeout=LOOK_EVERY)

    def _settled_one(self, future: asyncio.Future[Any]) -> None:
        self._outstanding.discard(future)
        if future.cancelled():
            error: BaseException | None = SendFailedError("a send was cancelled")
        else:
            error = future.exception()
        if error is None or self._error is not None:
            return
        self._error = error
        if not self.app.should_stop:
            logger.error("send failed", extra={"error": repr(error)})
            self.add_future(self.app.crash(error))
