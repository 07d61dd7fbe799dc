"""No offset is committed and no state written over a send that the broker has not acknowledged.

Sends go through librdkafka (confluent-kafka), which batches them outside of Python: what an
acknowledgement costs here is one count, where aiokafka has a future and a task for each. Its
idempotent producer keeps the order of a partition over retries, so the last acknowledged changelog
entry vouches for all before it. Faust's own `producer.flush()` is no barrier (0.15.3): it gives up
after 0.1 s without a send, does not count the message in hand, and never raises delivery errors.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import confluent_kafka
from aiokafka.errors import KafkaConnectionError
from faust.transport import producer as base
from faust.transport.drivers import aiokafka as driver
from faust.types import FutureMessage
from faust.types.transports import TransportT
from mode import Service

logger = logging.getLogger(__name__)

# How long the broker may take to acknowledge a send before it has failed, seconds.
SEND_TIMEOUT = 60.0
# How long the brokers may take to answer when the producer starts, seconds.
START_TIMEOUT = 30.0
# Between two looks for acknowledgements, seconds: while a barrier waits, and otherwise.
SOON, LATER = 0.001, 0.5
Headers = list[tuple[str, str | bytes | None]]
_NO_PARTITION = -1  # librdkafka's word for "by the key"


class SendFailedError(Exception):
    """A record could not be delivered: the worker must start again from its committed offsets."""


class _Sends:
    """The sends between two barriers, and how many of them are not acknowledged."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


class BatchProducer(base.Producer):
    """A producer for Faust on librdkafka, with a barrier; any failed send crashes the app.

    Everything happens in the event loop's thread: acknowledgements are taken in when it looks.
    """

    def __init__(
        self,
        transport: TransportT,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(transport, loop=loop, **kwargs)
        self._client: confluent_kafka.Producer | None = None
        self._sends = _Sends()
        self._unsettled: list[_Sends] = []
        self._error: BaseException | None = None

    async def on_start(self) -> None:
        """Connect; raises aiokafka's `KafkaConnectionError` if no broker answers."""
        await super().on_start()
        client = self._client = self._new_client()
        try:
            await asyncio.to_thread(client.list_topics, timeout=START_TIMEOUT)
        except confluent_kafka.KafkaException as error:
            raise KafkaConnectionError(error.args[0].str()) from error

    async def on_stop(self) -> None:
        """Let go of the broker; what is on its way may still arrive."""
        await super().on_stop()
        client, self._client = self._client, None
        if client is not None and self._error is None:
            await asyncio.to_thread(client.flush, SEND_TIMEOUT / 4)

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Headers | None = None,
        then: Callable[[int], None] | None = None,
    ) -> None:
        """Put one record on its way; `barrier` says when it is there, `then` at which offset.

        Waits only while librdkafka's queue is full. Raises `SendFailedError` where the record
        cannot be sent at all.
        """
        client = self._client
        if client is None:
            raise SendFailedError("the producer is gone")
        report = partial(self._settle, self._sends, then)
        place = _NO_PARTITION if partition is None else partition
        deadline = None
        while True:
            try:
                client.produce(topic, value, key, place, on_delivery=report, headers=headers)
                break
            except BufferError as full:
                deadline = deadline or time.monotonic() + SEND_TIMEOUT
                if time.monotonic() > deadline:
                    raise self._failed(SendFailedError("the queue stays full")) from full
                client.poll(SOON)
            except confluent_kafka.KafkaException as error:
                raise self._failed(SendFailedError(error.args[0].str())) from error
        self._sends.left += 1

    @property
    def outstanding(self) -> int:
        """How many sends are not yet acknowledged."""
        return self._sends.left + sum(sends.left for sends in self._unsettled)

    async def barrier(self, timeout: float) -> None:
        """Return when everything sent before this call is acknowledged by the broker.

        Raises `SendFailedError` when a send has failed since the producer started, when the
        producer is gone, or after `timeout` seconds. Sends of other tasks that start later are
        not waited for.
        """
        self._unsettled = [s for s in (*self._unsettled, self._sends) if s.left]
        self._sends = _Sends()
        waiting = self._unsettled
        deadline = time.monotonic() + timeout
        while True:
            if self._client is not None:
                self._client.poll(0)
            if self._error is not None:
                raise SendFailedError("a send failed") from self._error
            waiting = [sends for sends in waiting if sends.left]
            if not waiting:
                return
            if self._client is None or self.crashed or self.should_stop:
                raise SendFailedError("the producer is gone")
            if time.monotonic() > deadline:
                left = sum(sends.left for sends in waiting)
                raise SendFailedError(f"{left} sends not acknowledged in {timeout} s")
            await asyncio.sleep(SOON)

    async def flush(self) -> None:
        """What Faust asks for when it stops or partitions move; failures crash the app anyway."""
        try:
            await self.barrier(SEND_TIMEOUT)
        except SendFailedError as error:
            logger.warning("not everything was sent", extra={"reason": str(error)})

    def send_soon(self, fut: FutureMessage) -> None:
        """Refused: Faust would write a table's changelog message by message, past the barrier."""
        raise TypeError("tables are written with CaseTable.store(), records sent with publish()")

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Topics are made by `ihwatch topics`, never by a worker."""

    @Service.task
    async def _look(self) -> None:
        """Take in what became of sends that no barrier waits for."""
        while not self.should_stop:
            if self._client is not None:
                self._client.poll(0)
            await self.sleep(LATER)

    def _settle(
        self, sends: _Sends, then: Callable[[int], None] | None, error: Any, message: Any
    ) -> None:
        sends.left -= 1
        if error is not None:
            self._failed(SendFailedError(f"{message.topic()}: {error.str()}"))
        elif then is not None:
            then(message.offset())

    def _failed(self, error: SendFailedError) -> SendFailedError:
        """Note the first failure, which crashes the app."""
        if self._error is None:
            self._error = error
            if not self.app.should_stop:
                logger.error("send failed", extra={"error": str(error)})
                self.add_future(self.app.crash(error))
        return error

    def _new_client(self) -> confluent_kafka.Producer:
        transport = cast(driver.Transport, self.transport)
        addresses = driver.server_list(transport.url, transport.default_port)
        return confluent_kafka.Producer(
            {
                "bootstrap.servers": ",".join(addresses),
                "client.id": self.client_id,
                "acks": "all",
                "enable.idempotence": True,  # retries neither double nor reorder
                "message.timeout.ms": round(SEND_TIMEOUT * 1_000),
                "message.max.bytes": self.max_request_size,
                "linger.ms": 1,
                "partitioner": "murmur2_random",  # Java's, as everybody else's here
            },
            logger=logger,
        )
