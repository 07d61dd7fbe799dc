"""The process that carries alerts to the webhook receiver.

Delivery: at least once; the receiver tells repetitions apart by `webhook-id`. Versions of a finding
are sent in order, one after the other; different findings are sent side by side, so a slow one does
not hold up the rest. The offset that is committed is that of the oldest alert not ended, where
ended means accepted by the receiver or acknowledged by the broker as dead letter. When a partition
has `open_messages` begun and not ended, it is read no further until some end (see delivery.py for
when they do). Within one run, a version that is not newer than what was delivered for its finding
is not sent again.
"""

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from schemas import wire
from schemas.errors import ContractError
from sinks.log import LogError, LogOptions, LogReader, Place, Record
from sinks.status import Status
from sinks.webhooks.dead import DeadLetters, letter
from sinks.webhooks.delivery import Delivery, End, RetryPolicy, Stopped, Story
from sinks.webhooks.endpoint import Endpoint
from sinks.webhooks.message import Message, message, wanted
from sinks.webhooks.progress import Progress

logger = logging.getLogger(__name__)

_REMEMBERED_FINDINGS = 100_000


@dataclass(slots=True)
class _Partition:
    """What is under way in one partition."""

    progress: Progress = field(default_factory=Progress)
    # The versions of each finding that are to be sent, oldest first; one task works on each.
    lanes: dict[str, deque[tuple[Record, Message]]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    paused: bool = False


class WebhookSink:
    """Runs until told to stop; see the module for what it promises."""

    def __init__(
        self,
        log: LogOptions,
        endpoint: Endpoint,
        dead: DeadLetters,
        status: Status,
        policy: RetryPolicy | None = None,
        *,
        lang: Literal["zh", "en"] = "zh",
        provisional: bool = False,
        grace_s: float = 5.0,
    ) -> None:
        self.status = status
        self._log = log
        self._endpoint = endpoint
        self._dead = dead
        self._policy = policy or RetryPolicy()
        self._lang: Literal["zh", "en"] = lang
        self._provisional = provisional
        self._grace_s = grace_s
        self._partitions: dict[Place, _Partition] = {}
        self._floors: dict[Place, int] = {}
        self._revoked: list[Place] = []
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._crash: BaseException | None = None

    def run(self, stop: threading.Event) -> None:
        """Carry alerts until `stop` is set; requests on the way get a few seconds to finish.

        Raises LogError only when the broker refuses this consumer for good.
        """
        asyncio.run(self.run_async(stop))

    async def run_async(self, stop: threading.Event) -> None:
        """The same inside a running event loop."""
        async with self._endpoint:
            delivery = Delivery(self._endpoint, self._policy, self.status)
            reader = LogReader(self._log, self._on_revoked)
            try:
                while not stop.is_set():
                    records = await asyncio.to_thread(reader.poll, 200, 0.1)
                    self._drop_revoked()
                    for record in records:
                        self._take(record, delivery)
                    await self._commit(reader)
                    self._throttle(reader)
                    if self._crash is not None:
                        raise self._crash
            finally:
                await self._finish(delivery)
                await self._commit(reader)
                await asyncio.to_thread(reader.close)

    def _take(self, record: Record, delivery: Delivery) -> None:
        """Begin one record: what is not to be sent ends here."""
        partition = self._partitions.setdefault(record.place, _Partition())
        partition.progress.start(record.offset)
        self.status.committed.setdefault(record.place, record.offset)
        try:
            name, alert = wire.decode_output(record.value or b"")
        except ContractError as error:
            logger.error("an alert cannot be read", extra={"reason": error.reason})
            self._begin(partition, self._unreadable(partition, record, error, delivery))
            return
        if name != "Alert" or not wanted(alert, provisional=self._provisional):
            self.status.add("not_wanted")
            partition.progress.finish(record.offset)
            return
        webhook = message(alert, self._lang)
        lane = partition.lanes.get(webhook.finding_id)
        if lane is None:
            lane = partition.lanes[webhook.finding_id] = deque()
            self._begin(partition, self._work(partition, webhook.finding_id, delivery))
        lane.append((record, webhook))

    def _begin(self, partition: _Partition, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        partition.tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            partition.tasks.discard(task)
            if not task.cancelled() and not isinstance(task.exception(), Stopped):
                self._crash = self._crash or task.exception()

        task.add_done_callback(done)

    async def _work(self, partition: _Partition, finding_id: str, delivery: Delivery) -> None:
        """Send the versions of one finding, in order, until none is left."""
        lane = partition.lanes[finding_id]
        while lane:
            record, webhook = lane[0]
            await self._end(record, webhook, delivery)
            lane.popleft()
            partition.progress.finish(record.offset)
        del partition.lanes[finding_id]

    async def _end(self, record: Record, webhook: Message, delivery: Delivery) -> None:
        if webhook.version <= self._sent.get(webhook.finding_id, 0):
            self.status.add("stale")
            return
        end, story = await delivery.deliver(webhook)
        if end is not End.DELIVERED:
            await self._bury(record, end, webhook, story, delivery)
            return
        self.status.add("delivered")
        self._sent[webhook.finding_id] = webhook.version
        self._sent.move_to_end(webhook.finding_id)
        if len(self._sent) > _REMEMBERED_FINDINGS:
            self._sent.popitem(last=False)

    async def _unreadable(
        self, partition: _Partition, record: Record, error: ContractError, delivery: Delivery
    ) -> None:
        await self._bury(record, error.reason.value, None, None, delivery)
        partition.progress.finish(record.offset)

    async def _bury(
        self,
        record: Record,
        reason: str,
        webhook: Message | None,
        story: Story | None,
        delivery: Delivery,
    ) -> None:
        """Write the dead letter, for as long as it takes the broker to acknowledge it."""
        value = letter(record, reason, webhook, story)
        failures = 0
        while True:
            try:
                await asyncio.to_thread(self._dead.write, record.key, value)
                break
            except LogError as error:
                self.status.own_trouble = "DEAD_LETTER_NOT_WRITTEN"
                logger.warning("a dead letter was not written yet", extra={"error": str(error)})
            failures += 1
            await delivery.wait(min(30.0, 0.5 * 2.0 ** min(failures, 10)))
        if failures:
            self.status.own_trouble = None
        self.status.add("dead")
        logger.warning(
            "an alert was given up",
            extra={"webhook_id": webhook.id if webhook else None, "reason": str(reason)},
        )

    def _on_revoked(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Called from the polling thread: say what may be committed, leave the rest for after."""
        self._revoked.extend(places)
        return {place: self._floors[place] for place in places if place in self._floors}

    def _drop_revoked(self) -> None:
        """End the work on partitions that went to another member, which sends from the floor on."""
        for place in self._revoked:
            self._floors.pop(place, None)
            self.status.committed.pop(place, None)
            partition = self._partitions.pop(place, None)
            for task in partition.tasks if partition else ():
                task.cancel()
        self._revoked.clear()

    async def _commit(self, reader: LogReader) -> None:
        self._floors = {place: one.progress.floor for place, one in self._partitions.items()}
        committed = self.status.committed
        moved = {place: at for place, at in self._floors.items() if at != committed.get(place)}
        if moved:
            done = await asyncio.to_thread(reader.commit, moved)
            committed.update(moved if done else {})
        self.status.lag = reader.lag(committed)
        self.status.log_trouble = reader.trouble

    def _throttle(self, reader: LogReader) -> None:
        """Read a partition no further while too much of it is open."""
        for place, partition in self._partitions.items():
            full = partition.progress.open >= self._policy.open_messages
            if full != partition.paused:
                (reader.pause if full else reader.resume)(place)
                partition.paused = full

    async def _finish(self, delivery: Delivery) -> None:
        """Let requests on the way finish within the grace, and end everything else."""
        delivery.stop()
        tasks = {task for partition in self._partitions.values() for task in partition.tasks}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
