"""How far one partition has been delivered, finished and may be committed: plain bookkeeping.

No Faust here, so that the rules can be tested record by record. A batch is known by its own object,
never by its offsets: after a rewind the same offsets come again in other batches, and a late word
about an old batch must not speak for a new one.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A Kafka record as aiokafka gives it; key and value are the bytes on the log or None."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # epoch ms; the broker's clock on topics configured LogAppendTime
    timestamp_type: int  # 0 the producer's clock, 1 the broker's
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class LogRewoundError(Exception):
    """The log restarted below an offset that was already processed: it was truncated or made anew.

    Going on would judge new records by the state of old ones, and stock Faust drops them silently.
    What is right (a new group, other offsets) only the operator knows.
    """


class UnfinishedBatchError(Exception):
    """A batch left the agent without `Batch.done()`: it raised, was cancelled or forgot to say so.

    The offset stays where it was; the worker has to start again from there.
    """


class Delivery:
    """One batch on its way through the agent: where it ends and whether it is finished."""

    __slots__ = ("done", "end")

    def __init__(self, end: int) -> None:
        self.end = end  # the offset after the last record
        self.done = False


class Batch(list[Record]):
    """All records that one poll found in one partition, in the order of the log; never empty.

    The offset moves over a batch only after `done()`. Faust's own ack is no proof: it acks whatever
    leaves the agent, also by an exception or a cancelled task.
    """

    __slots__ = ("_delivery",)

    def __init__(self, records: Sequence[Record], delivery: Delivery) -> None:
        super().__init__(records)
        self._delivery = delivery

    @property
    def delivery(self) -> Delivery:
        return self._delivery

    @property
    def topic(self) -> str:
        return self[0].topic

    @property
    def partition(self) -> int:
        return self[0].partition

    def done(self) -> None:
        """Say that every effect of this batch is sent and every state of it is written."""
        self._delivery.done = True


def records(value: object) -> Batch:
    """Return the stream value of a batched topic as what it is."""
    if not isinstance(value, Batch):
        raise TypeError(f"not a batch but {type(value).__name__}: is the topic installed?")
    return value


class Progress:
    """The commit floor of one partition since its last rewind.

    `expected` is the offset the next batch must start at. A batch that starts later is fetched once
    more; the same answer twice is a real hole (compaction, transaction markers, retention).
    """

    __slots__ = ("_floor", "_hole", "_in_flight", "expected", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.expected = start
        self._floor: int | None = None
        self._hole: tuple[int, int] | None = None
        self._in_flight: deque[Delivery] = deque()

    def refetch_from(self, first: int) -> int | None:
        """Return the offset to fetch again, None when a batch starting at `first` is in order."""
        if first < self.expected:
            raise LogRewoundError(f"expected offset {self.expected}, the log gave {first}")
        if first > self.expected and self._hole != (self.expected, first):
            self._hole = (self.expected, first)
            return self.expected
        return None

    def deliver(self, found: Sequence[Record]) -> Batch:
        """Put the records in flight; batches of a partition are committed in this order only."""
        delivery = Delivery(found[-1].offset + 1)
        self.expected = delivery.end
        self._hole = None
        self._in_flight.append(delivery)
        return Batch(found, delivery)

    def floor(self) -> int | None:
        """Return the offset after the last batch of the finished prefix, None when there is none.

        A batch finished before an earlier one waits for it.
        """
        while self._in_flight and self._in_flight[0].done:
            self._floor = self._in_flight.popleft().end
        return self._floor

    def in_flight(self, batch: Batch) -> bool:
        """Tell whether the batch belongs to this epoch and is not finished."""
        return any(delivery is batch.delivery for delivery in self._in_flight)
