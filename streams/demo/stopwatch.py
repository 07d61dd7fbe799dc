"""Wall-clock latency from a record's append to the webhook it led to, by place in the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message, Producer

Place = tuple[int, int]


class Stopwatch:
    """Notes when records were appended and when webhooks that name them arrived. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._appended: dict[Place, float] = {}
        self._latencies: list[float] = []

    def appended(self, place: Place) -> None:
        with self._lock:
            self._appended[place] = time.monotonic()

    def arrived(self, place: Place) -> None:
        """A webhook arrived whose finding changed because of the record at ``place``."""
        now = time.monotonic()
        with self._lock:
            began = self._appended.get(place)
            if began is not None:
                self._latencies.append(now - began)

    def quantiles(self, *shares: float) -> list[float | None]:
        """Latencies in seconds that these shares of the webhooks did not exceed."""
        with self._lock:
            ordered = sorted(self._latencies)
        return [_quantile(ordered, share) for share in shares]


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class TimedProducer:
    """A producer that starts the stopwatch when the broker acknowledges a record."""

    def __init__(self, settings: dict[str, Any], stopwatch: Stopwatch) -> None:
        self._producer = Producer(settings)
        self._stopwatch = stopwatch

    def produce(self, topic: str, *args: Any, **kwargs: Any) -> None:
        told = kwargs.pop("on_delivery")

        def delivered(error: Any, message: Message) -> None:
            if error is None:
                self._stopwatch.appended((message.partition() or 0, message.offset() or 0))
            told(error, message)

        kwargs["on_delivery"] = delivered
        self._producer.produce(topic, *args, **kwargs)

    def poll(self, timeout: float = 0.0) -> int:
        return int(self._producer.poll(timeout))

    def flush(self, timeout: float = -1.0) -> int:
        return int(self._producer.flush(timeout))
