"""Publishes a simulation to Kafka as hospitals do: Avro, signed, keyed by institution, in order.

One producer sends everything in order of `received_at`, which becomes the record's timestamp (what
the platform sees where the topic keeps CreateTime). Between the events ticks move the clock of
every partition. Delivery: at least once and in order within a partition, as the given producer is
configured; failed deliveries are counted and end in PublishError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from typing import Any, Protocol

from schemas.catalogue import UploadClass, upload_class
from schemas.directory import Directory, Key
from schemas.errors import IhwatchError
from schemas.signing import headers
from schemas.topics import TICK_HEADER, TICK_VALUE
from schemas.wire import Framing, encode
from streams.simulator.pace import Pacer
from streams.simulator.simulation import Simulation, Upload

PRODUCER_SETTINGS: Mapping[str, str | int | bool] = {
    "partitioner": "murmur2_random",
    "enable.idempotence": True,
    "linger.ms": 5,
    "compression.type": "lz4",
}
"""What a producer needs beside its brokers: Java's partitioner, and order kept over retries."""

_POLL_EVERY = 500


class PublishError(IhwatchError):
    """The broker did not take everything; sending again is safe, since event ids stay the same."""

    retriable = True


class Producer(Protocol):
    """The part of confluent_kafka.Producer that is used."""

    def produce(self, topic: str, *args: Any, **kwargs: Any) -> None: ...

    def poll(self, timeout: float = ...) -> int: ...

    def flush(self, timeout: float = ...) -> int: ...


@dataclass(slots=True)
class Published:
    """What has been sent so far; ``clock`` is the simulated instant reached (epoch ms)."""

    events: int = 0
    duplicates: int = 0
    ticks: int = 0
    bytes: int = 0
    clock: int = 0
    delivered: int = 0
    failures: dict[str, int] = field(default_factory=dict)


class Publisher:
    """Sends one simulation to the events topic of a broker.

    ``partitions`` is the number of partitions of the topic; every ``tick_every`` simulated ms each
    gets a tick (None: only at the end). ``published`` counts while ``run`` is at work.
    """

    def __init__(
        self,
        producer: Producer,
        topic: str,
        directory: Directory,
        partitions: int,
        tick_every: int | None = None,
        framing: Framing = Framing.SINGLE_OBJECT,
    ) -> None:
        self.published = Published()
        self._producer = producer
        self._topic = topic
        self._directory = directory
        self._partitions = partitions
        self._tick_every = tick_every
        self._framing = framing

    def run(
        self,
        simulation: Simulation,
        pacer: Pacer,
        on_upload: Callable[[Upload], object] | None = None,
        flush_seconds: float = 30.0,
    ) -> Published:
        """Send everything at the given pace and wait for the broker; stops early with the pacer.

        PublishError when the broker refused or did not acknowledge something.
        """
        poll = self._producer.poll
        for sent, (instant, upload) in enumerate(_timeline(simulation, self._tick_every), 1):
            if not pacer.until(instant, lambda: poll(0)):
                break
            if upload is None:
                self._tick(instant)
            else:
                self._send(upload)
                if on_upload is not None:
                    on_upload(upload)
            self.published.clock = instant
            if sent % _POLL_EVERY == 0:
                poll(0)
        left = self._producer.flush(flush_seconds)
        if left or self.published.failures:
            refused = ", ".join(f"{n} x {why}" for why, n in self.published.failures.items())
            raise PublishError(f"{left} records not acknowledged; refused: {refused or 'none'}")
        return self.published

    def _send(self, upload: Upload) -> None:
        key = upload.institution_id.encode()
        value = encode(upload.datum, self._framing)
        signing = self._key(upload)
        self._produce(
            key=key,
            value=value,
            headers=headers(signing.id, signing.secret, key, value),
            timestamp=upload.received_at,
        )
        self.published.events += not upload.duplicate
        self.published.duplicates += upload.duplicate
        self.published.bytes += len(value)

    def _tick(self, instant: int) -> None:
        for partition in range(self._partitions):
            self._produce(
                partition=partition,
                value=None,
                headers=[(TICK_HEADER, TICK_VALUE)],
                timestamp=instant,
            )
            self.published.ticks += 1

    def _produce(self, **record: Any) -> None:
        while True:
            try:
                self._producer.produce(self._topic, on_delivery=self._delivered, **record)
                return
            except BufferError:
                # The local queue is full: let the broker take some of it, then go on in order.
                self._producer.poll(0.1)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is None:
            self.published.delivered += 1
        else:
            why = str(error.name())
            self.published.failures[why] = self.published.failures.get(why, 0) + 1

    def _key(self, upload: Upload) -> Key:
        if upload_class(upload.datum["event_type"]) is UploadClass.SUPERVISOR:
            return self._directory.supervisor[0]
        return self._directory.institutions[upload.institution_id].keys[0]


def _timeline(
    simulation: Simulation, tick_every: int | None
) -> Iterator[tuple[int, Upload | None]]:
    """Uploads and ticks in order of time; at one instant receipts come before the tick (D37)."""
    ticks = iter([simulation.end]) if tick_every is None else simulation.ticks(tick_every)
    uploads = ((upload.received_at, 0, upload) for upload in simulation.uploads)
    marks = ((instant, 1, None) for instant in ticks)
    for instant, _, upload in merge(uploads, marks, key=itemgetter(0, 1)):
        yield instant, upload
