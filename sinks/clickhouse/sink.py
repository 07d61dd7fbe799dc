"""The process that carries the log into ClickHouse, partition by partition.

Delivery: at least once, and the tables converge. A partition's records gather in a batch until it
is full or a second old; the batch becomes rows, the rows are inserted, and only when every insert
has returned is the offset committed. If ClickHouse is away, or the schema registry, the batch
stays, its partition is paused once it is full, and it is tried again for ever, with growing pauses;
nothing is skipped. Meanwhile the group is polled, so that the partitions do not wander about.
"""

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.errors import IhwatchError
from sinks.clickhouse.rows import Decoders
from sinks.clickhouse.writer import Writer, token
from sinks.log import LogOptions, LogReader, Place, Record
from sinks.status import Status

logger = logging.getLogger(__name__)


class Sink(Protocol):
    """What every destination of a partition is: two words, and a promise.

    `flush` returns only when everything added before is safe; if it raises, all of it is still to
    be flushed. It may then be called again, as may both for records that were flushed before.
    """

    def add(self, record: Record) -> None:
        """Take a record; never fails, never waits."""

    def flush(self) -> None:
        """Make what was added durable; a retriable IhwatchError means: again, later."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much gathers before an insert, for each partition; whichever comes first."""

    rows: int = 20_000
    size: int = 8 * 1024 * 1024
    age_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between tries: doubling from `first_s` to `most_s`, each up to a fifth longer."""

    first_s: float = 0.5
    most_s: float = 30.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row (at least 1)."""
        plain = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 20))
        return plain * random.uniform(1.0, 1.2)


class PartitionBatch:
    """The records of one partition that are not in ClickHouse yet: a Sink."""

    def __init__(self, decoders: Decoders, writer: Writer, status: Status) -> None:
        self._decoders = decoders
        self._writer = writer
        self._status = status
        self._records: list[Record] = []
        self.size = 0
        self.since = 0.0
        self.paused = False

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record) -> None:
        """Take the next record of the partition."""
        if not self._records:
            self.since = time.monotonic()
        self._records.append(record)
        self.size += len(record.value or b"") + 100

    def due(self, limits: BatchLimits, now: float) -> bool:
        """Whether it is time to flush."""
        return bool(self._records) and (self.full(limits) or now - self.since >= limits.age_s)

    def full(self, limits: BatchLimits) -> bool:
        """Whether nothing more should be added before a flush."""
        return len(self._records) >= limits.rows or self.size >= limits.size

    def flush(self) -> None:
        """Write everything; on a retriable error all of it is kept for the next try."""
        if not self._records:
            return
        rows = self._decoders.rows_of(self._records)
        self._writer.insert(rows, token(self._records, rows))
        for table in rows.by_table:
            self._status.add(f"rows_{table}", rows.count(table))
        for what, count in rows.seen.items():
            self._status.add(what, count)
        self._status.add("records", len(self._records))
        self._status.add("batches")
        self._records, self.size = [], 0

    @property
    def next_offset(self) -> int:
        """The offset after the last record added."""
        return self._records[-1].offset + 1


class ClickHouseSink:
    """Runs until told to stop; see the module for what it promises."""

    def __init__(
        self,
        log: LogOptions,
        decoders: Decoders,
        writer: Writer,
        status: Status,
        limits: BatchLimits | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.status = status
        self._log = log
        self._decoders = decoders
        self._writer = writer
        self._limits = limits or BatchLimits()
        self._backoff = backoff or Backoff()
        self._batches: dict[Place, PartitionBatch] = {}
        self._failures = 0
        self._retry_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Carry records until `stop` is set; then write what has gathered, commit, and leave.

        Raises LogError only when the broker refuses this consumer for good. What ClickHouse does
        not take while stopping is read again by the next run.
        """
        reader = LogReader(self._log, self._forget)
        try:
            while not stop.is_set():
                for record in reader.poll(5000, 0.1):
                    self._batch(record).add(record)
                self._flush_due(reader)
                self.status.lag = reader.lag(self.status.committed)
                self.status.log_trouble = reader.trouble
            self._flush(reader, [place for place, batch in self._batches.items() if len(batch)])
            self.status.lag = reader.lag(self.status.committed)
        finally:
            reader.close()
            self._writer.close()

    def _batch(self, record: Record) -> PartitionBatch:
        batch = self._batches.get(record.place)
        if batch is None:
            batch = PartitionBatch(self._decoders, self._writer, self.status)
            self._batches[record.place] = batch
            self.status.committed[record.place] = record.offset
        return batch

    def _forget(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Drop what has gathered of partitions that go to another member; it reads them again."""
        for place in places:
            self._batches.pop(place, None)
            self.status.committed.pop(place, None)
        return {}

    def _flush_due(self, reader: LogReader) -> None:
        now = time.monotonic()
        if now >= self._retry_at:
            due = [place for place, one in self._batches.items() if one.due(self._limits, now)]
            self._flush(reader, due)
        for place, batch in self._batches.items():
            full = batch.full(self._limits)
            if full != batch.paused:
                (reader.pause if full else reader.resume)(place)
                batch.paused = full

    def _flush(self, reader: LogReader, places: Sequence[Place]) -> None:
        """Flush partitions until one fails, and commit what went through."""
        done: dict[Place, int] = {}
        for place in places:
            batch = self._batches[place]
            offset = batch.next_offset
            try:
                batch.flush()
            except IhwatchError as error:
                if not error.retriable:
                    raise
                self._failed(error)
                break
            done[place] = offset
            self._failures = 0
            self.status.own_trouble = None
        if reader.commit(done):
            self.status.committed.update(done)

    def _failed(self, error: IhwatchError) -> None:
        self._failures += 1
        pause = self._backoff.pause(self._failures)
        self._retry_at = time.monotonic() + pause
        self.status.own_trouble = type(error).__name__
        self.status.add("retries")
        logger.warning(
            "cannot write at the moment; the batch is kept and tried again",
            extra={
                "error": type(error).__name__,
                "kind": getattr(error, "kind", None),
                "code": getattr(error, "code", None),
                "failures": self._failures,
                "pause_s": round(pause, 1),
            },
        )
