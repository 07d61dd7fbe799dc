"""A Faust consumer that loses no record: whole polls as batches, commits only over finished ones.

For the batched topics one poll of one partition becomes one message whose value is a `Batch`;
changelogs and all other topics stay per record. What it mends of faust-streaming 0.15.3:

- Positions are moved by the fetch loop alone, before its next fetch, each time Faust resumes the
  flow. Faust clears the stream queues at that moment, after the fetch loop may have filled them;
  the cleared records were never seen again, and commits went over them.
- While a rebalance or a recovery runs, nothing but changelogs is fetched.
- The commit floor is the finished prefix of delivered batches, by object (`transport_progress`),
  instead of guesses about gaps between offsets.
- Offsets are committed behind a real producer barrier (`transport_producer`), after the batches
  in hand when partitions are revoked, and a failed commit is tried again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.transport.drivers.aiokafka import ensure_aiokafka_TP
from faust.types import TP, ConsumerMessage, Message

from streams.transport_producer import BatchProducer, SendFailedError
from streams.transport_progress import Batch, Progress, Record, UnfinishedBatchError

logger = logging.getLogger(__name__)

# How long the fetch loop waits while there is nothing it may fetch, seconds.
REST = 0.1
# How long the broker may hold a fetch open when it has nothing new, milliseconds.
FETCH_MAX_WAIT_MS = 200


class Lag(NamedTuple):
    """How far a partition is behind: `records` not committed, nothing moved for `seconds`."""

    records: int
    seconds: float


class BatchMessage(ConsumerMessage):
    """The Faust message of one batch; notices when the agent lets go of it unfinished.

    `acked` is a property because Faust's Cython stream sets the attribute and calls nothing.
    """

    __slots__ = ("_acked", "batch", "consumer")

    batch: Batch
    consumer: "BatchConsumer"

    @property
    def acked(self) -> bool:
        return self._acked

    @acked.setter
    def acked(self, value: bool) -> None:
        self._acked = value
        if value and not self.batch.delivery.done:
            self.consumer.abandoned(self)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with a shorter wait of the broker for new records.

    Faust has it at 1.5 s and no setting. A real broker answers as soon as there is something; the
    embedded one answers when the wait is over, which would be the latency of every alert.
    """

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Log a partition that does not move; Faust's look at one without a position crashes."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        if assignment and tp in assignment.tps and assignment.state_value(tp).has_valid_position:
            super().verify_event_path(now, tp)

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer


class BatchConsumer(driver.Consumer):
    """The consumer of one app; see the module. Made by `BatchTransport`."""

    def __init__(self, *args: Any, topics: frozenset[str], **kwargs: Any) -> None:
        self._batched = topics
        self._progress: dict[TP, Progress] = {}
        self._epoch = 0  # of the flow: what was fetched in an older one is fetched again
        self._must_rewind = True
        self._room = asyncio.Event()
        self._moved_at: dict[TP, float] = {}
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Fetching

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield what one poll of at most `timeout` seconds found.

        Leaving early, by whatever way, rewinds: aiokafka's positions have passed what was fetched.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # takes asyncio's too
        if self.should_stop:
            return
        if not await self._rewound():
            await self.sleep(REST)
            return
        epoch, generation = self._epoch, self.app.consumer_generation_id
        handed_over = False
        try:
            found = await self._poll(timeout)
            changelogs = {tp: found.pop(tp) for tp in list(found) if self._is_changelog_tp(tp)}
            for tp, record in self.scheduler.iterate(changelogs):
                # Recovery seeks changelogs itself: an epoch means nothing to them.
                if not self.flow_active or generation != self.app.consumer_generation_id:
                    break
                self._track_end(tp)
                yield tp, self._to_message(tp, record)
            async for tp, message in self._sources(found):
                if self._stale(epoch, generation):
                    return
                self._track_end(tp)
                yield tp, message
            handed_over = not self._stale(epoch, generation)
        finally:
            if not handed_over:
                self._must_rewind = True

    def resume_flow(self) -> None:
        """Begin a new epoch: Faust has cleared the queues, what was in flight comes again."""
        self._epoch += 1
        self._must_rewind = True
        super().resume_flow()

    async def perform_seek(self) -> None:
        """Have the fetch loop rewind before its next fetch; Faust's recovery calls this."""
        self._must_rewind = True

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._room.set()

    async def _poll(self, timeout: float) -> dict[TP, list[Record]]:
        # A copy: aiokafka takes an empty set for "everything", and Faust empties its own at any
        # time.
        wanted = set(self._get_active_partitions())
        if self.app.rebalancing:
            wanted = {tp for tp in wanted if self._is_changelog_tp(tp)}
        if not wanted:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), REST)
            return {}
        if self._buffered_partitions:  # which may have room again long before the others have news
            timeout = min(timeout, REST)
        found = await self._getmany(active_partitions=wanted, timeout=timeout)
        return {TP(tp.topic, tp.partition): batch for tp, batch in found.items() if batch}

    async def _sources(
        self, found: dict[TP, list[Record]]
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        singles = {tp: found.pop(tp) for tp in list(found) if tp.topic not in self._batched}
        for tp, batch in found.items():
            message = await self._batch_message(tp, batch)
            if message is not None:
                yield tp, message
        for tp, record in self.scheduler.iterate(singles):
            if self._wanted(tp):
                yield tp, self._to_message(tp, record)
            else:
                self._must_rewind = True

    async def _batch_message(self, tp: TP, found: list[Record]) -> BatchMessage | None:
        progress = self._progress.get(tp)
        if progress is None:  # assigned after the last rewind
            self._must_rewind = True
            return None
        again = progress.refetch_from(found[0].offset)
        if again is not None:
            logger.warning(
                "hole in the log, fetching again",
                extra={"tp": str(tp), "expected": again, "found": found[0].offset},
            )
        elif not self._wanted(tp):  # paused while the poll was under way
            again = progress.expected
        if again is not None:
            await self._seek_back(tp, again)
            return None
        if found[0].offset != progress.expected:
            logger.error(
                "records are missing from the log",
                extra={"tp": str(tp), "expected": progress.expected, "found": found[0].offset},
            )
        return self._to_batch_message(tp, progress.deliver(found))

    def _to_batch_message(self, tp: TP, batch: Batch) -> BatchMessage:
        last = batch[-1]
        message = BatchMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            headers=None,
            key=None,
            value=batch,  # type: ignore[arg-type]  # the stream hands it on as it is
            checksum=None,
            serialized_value_size=sum(len(record.value or b"") for record in batch),
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.batch = batch
        message.consumer = self
        return message

    def _stale(self, epoch: int, generation: int) -> bool:
        return (
            epoch != self._epoch
            or generation != self.app.consumer_generation_id
            or not self.flow_active
            or self.should_stop
        )

    def _wanted(self, tp: TP) -> bool:
        return tp in self._get_active_partitions() or tp in self._buffered_partitions

    def _track_end(self, tp: TP) -> None:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))

    # Positions

    async def _rewound(self) -> bool:
        """Seek every source partition to its committed offset if that is due; False: not now."""
        if not self._must_rewind or self.app.rebalancing:
            return True
        sources = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        epoch = self._epoch
        try:
            positions = await self._thread.call_thread(self._seek_to_committed, sources)
        except IllegalStateError:  # the next rebalance took partitions away meanwhile
            return False
        if self._interrupted(epoch):
            return False
        self._must_rewind = False
        self._progress = {}
        for tp, (position, committed) in positions.items():
            self._read_offset[tp] = position or None
            self._committed_offset[tp] = committed
            self._acked.pop(tp, None)
            self._acked_index.pop(tp, None)
            self._gap.pop(tp, None)
            if tp.topic in self._batched:
                self._progress[tp] = Progress(position)
                self._moved_at[tp] = time.monotonic()
        return True

    def _interrupted(self, epoch: int) -> bool:
        return epoch != self._epoch or self.app.rebalancing or not self.flow_active

    async def _seek_to_committed(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int | None]]:
        """Seek in aiokafka's own thread: one round trip for all, where Faust takes one for each.

        A partition without a commit goes to its beginning; Faust left it where it was.
        """
        consumer = self._thread._ensure_consumer()
        partitions = {tp: ensure_aiokafka_TP(tp) for tp in tps}
        offsets = await asyncio.gather(*map(consumer.committed, partitions.values()))
        committed: dict[TP, int | None] = dict(zip(partitions, offsets, strict=True))
        for tp, offset in committed.items():
            if offset is not None:
                consumer.seek(partitions[tp], offset)
        fresh = [partitions[tp] for tp, offset in committed.items() if offset is None]
        if fresh:
            await consumer.seek_to_beginning(*fresh)
        starts = await asyncio.gather(*map(consumer.position, partitions.values()))
        return {
            tp: (start, offset)
            for (tp, offset), start in zip(committed.items(), starts, strict=True)
        }

    async def _seek_back(self, tp: TP, offset: int) -> None:
        try:
            await self.seek_wait({tp: offset})
        except IllegalStateError:
            self._must_rewind = True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self._batched:
            await super()._add_gap(tp, offset_from, offset_to)

    # Committing

    def lags(self) -> dict[TP, Lag]:
        """Return how far each assigned batched partition is behind, and for how long."""
        now = time.monotonic()
        found = {}
        for tp in self._progress:
            records = self._behind(tp)
            found[tp] = Lag(records, now - self._moved_at[tp] if records else 0.0)
        return found

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        for tp in self._progress:
            if not self._behind(tp):
                self._moved_at[tp] = time.monotonic()  # age counts from the last time all was well
        return bool(await super().force_commit(topics, start_new_transaction))

    def _behind(self, tp: TP) -> int:
        end: int | None = self.highwater(tp)  # None until the first fetch has answered
        committed = self._committed_offset.get(tp) or self._progress[tp].start
        return 0 if end is None else max(0, end - committed)

    def abandoned(self, message: BatchMessage) -> None:
        """Crash the app because the agent let go of a batch of this epoch without finishing it."""
        progress = self._progress.get(message.tp)
        if progress is None or not progress.in_flight(message.batch) or self.app.should_stop:
            return
        error = UnfinishedBatchError(f"{message.tp} up to offset {message.offset}")
        self.add_future(self.app.crash(error))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait for the batches in hand and commit all that is finished before others take over."""
        await super().on_partitions_revoked(revoked)
        if revoked and not self.app.should_stop:
            await self.maybe_wait_for_commit_to_finish()  # it may know less than there is now
            await self.commit()
        for tp in revoked:
            self._progress.pop(tp, None)
            self._committed_offset.pop(tp, None)

    def _filter_tps_with_pending_acks(
        self,
        topics: Any = None,  # Faust's TPorTopicSet
    ) -> Iterator[TP]:
        for tp in super()._filter_tps_with_pending_acks(topics):
            if tp.topic not in self._batched:
                yield tp
        for tp in self._progress:
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self._batched:
            return super()._new_offset(tp)
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        progress = self._progress.get(tp)
        return None if progress is None else progress.floor()

    async def _commit_offsets(
        self, offsets: Mapping[TP, int], start_new_transaction: bool = True
    ) -> bool:
        producer = self.app.producer
        assert isinstance(producer, BatchProducer)
        epoch = self._epoch
        try:
            # Well within the time a rebalance may take; the next tick tries again.
            await producer.barrier(self.app.conf.broker_rebalance_timeout / 4)
        except SendFailedError as error:
            logger.error("not committing", extra={"reason": str(error)})
            return False
        assigned = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not mine or epoch != self._epoch or not await self._commit(mine):
            return False
        self.app.tables.on_commit(mine)
        self._committed_offset.update(mine)
        self._moved_at.update(dict.fromkeys(mine, time.monotonic()))
        self.app.monitor.on_tp_commit(mine)
        return True
