"""The Faust agents: effects before state, state before offsets (invariant 4).

A batch is processed without interruption, its effects are published and acknowledged, then its case
files are written to the table, and only then it is done. Whatever goes wrong in between, the
partition's supervisor is dropped and built again from the table before its next batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import faust
from faust.types import StreamT

from schemas.errors import IhwatchError
from schemas.settings import Settings
from schemas.topics import TICK_HEADER, TICK_VALUE, Topics
from streams.cases.shelf import SHARED_KEYS, Load, is_shared
from streams.effects import Effect, Processed
from streams.intake import DeployFault, Intake
from streams.metrics import Metrics
from streams.processing import Processor
from streams.reference import ReferenceData
from streams.rulebook import Library
from streams.sharing import SharedProcessor, clock_effects
from streams.supervisor import DECODED_LIMIT, Supervisor
from streams.transport import Batch, batch_topic, producer_barrier, publish, records
from streams.transport_consumer import BatchConsumer
from streams.transport_tables import CaseTable, case_table

CASES = "cases"

_MEASURE_EVERY = 5.0
_TICK_ANYWAY = 5
"""After how many intervals an idle partition is ticked for the others, though nothing is due."""

log = logging.getLogger(__name__)


P = TypeVar("P", bound=Processor | SharedProcessor)


class Partitions(Generic[P]):
    """The processors of the partitions assigned to this worker.

    A processor is taken out while it works, so one that failed is never used again, and a change of
    assignment makes all of them strangers.
    """

    def __init__(self, build: Callable[[int], P]) -> None:
        self._build = build
        self._ready: dict[int, P] = {}
        self._generation = 0

    def forget(self) -> None:
        """Drop all processors: the assignment changed, their tables may have moved on."""
        self._generation += 1
        self._ready.clear()

    def take(self, partition: int) -> tuple[int, P]:
        """The partition's processor, built from its table if there is none at hand."""
        processor = self._ready.pop(partition, None) or self._build(partition)
        return self._generation, processor

    def give_back(self, generation: int, processor: P) -> None:
        """Keep a processor whose batch was stored whole, unless the assignment has changed."""
        if generation == self._generation:
            self._ready[processor.partition] = processor

    def get(self, partition: int) -> P | None:
        return self._ready.get(partition)


class Shell:
    """Ties core, table and topics together on one Faust app.

    ``fault`` says why the worker stopped by itself, where it is not a defect of the program.
    """

    def __init__(
        self,
        app: faust.App,
        settings: Settings,
        intake: Intake,
        library: Library,
        candidates: dict[str, str],
        metrics: Metrics,
        reference: ReferenceData,
    ) -> None:
        self.app = app
        self.topics = Topics.named(settings.topic_prefix)
        self.metrics = metrics
        self.fault: IhwatchError | None = None
        self._intake = intake
        self._library = library
        self._candidates = candidates
        self._broker_clock = settings.clock == "log-append"
        self._tick_after = settings.tick_interval_ms / 1_000
        self._pass_on_after = settings.tick_interval_ms if self._broker_clock else 1
        self._reference = reference
        self._partitions = settings.partitions
        self._stood: dict[int, tuple[float, int]] = {}  # since when each clock stands, and where
        self._passed_on: dict[int, int] = {}
        self.table: CaseTable = case_table(app, CASES)
        self.partitions: Partitions[Processor] = Partitions(self._processor)
        self.shared: Partitions[SharedProcessor] = Partitions(self._shared_processor)

    def declare(self, ticks: bool) -> None:
        """Declare agent and timers; ``ticks`` keeps the clock of idle partitions moving."""
        events = batch_topic(self.app, self.topics.events.name)
        self.app.agent(events, name="supervise", concurrency=1)(self.supervise)
        practice = batch_topic(self.app, self.topics.practice.name)
        self.app.agent(practice, name="share", concurrency=1)(self.share)
        self.app.on_partitions_revoked.connect(self._reassigned, weak=False)
        self.app.on_partitions_assigned.connect(self._reassigned, weak=False)
        self.app.timer(_MEASURE_EVERY)(self.measure)
        if ticks:
            self.app.timer(self._tick_after)(self.tick)

    @property
    def clocks(self) -> dict[int, int]:
        """The platform clock of each partition processed since it was assigned (epoch ms)."""
        return {partition: clock for partition, (_, clock) in self._stood.items()}

    async def supervise(self, stream: StreamT[Any]) -> None:
        """Process batches one after the other; a batch that cannot be finished ends the worker."""
        async for value in stream:
            await self.process(records(value))

    async def share(self, stream: StreamT[Any]) -> None:
        """The same for what institutions share."""
        async for value in stream:
            await self.process_shared(records(value))

    async def process(self, batch: Batch) -> None:
        """Process one batch of one partition of events to its end."""
        started = time.monotonic()
        processed, clock = await self._finish(self.partitions, batch)
        stood = self._stood.get(batch.partition)
        if stood is None or clock > stood[1]:  # refused records do not move it
            self._stood[batch.partition] = (time.monotonic(), clock)
        self.metrics.batch(batch.partition, len(batch), processed, clock, started)
        await asyncio.sleep(0)

    async def process_shared(self, batch: Batch) -> None:
        """Process one batch of one partition of shared facts to its end."""
        processed, clock = await self._finish(self.shared, batch)
        self.metrics.shared(batch.partition, processed, clock)
        await asyncio.sleep(0)

    async def _finish(self, partitions: Partitions[P], batch: Batch) -> tuple[Processed, int]:
        """Judge a batch, publish, store, and only then let its offset move.

        Returns what followed from it, and the clock that its partition has reached.
        """
        try:
            generation, processor = partitions.take(batch.partition)
            processed = processor.process(batch)
        except IhwatchError as fault:
            self.fault = fault
            log.critical("the worker stops", extra={"fault": str(fault)})
            raise
        clocks = self._passing_on(processor) if isinstance(processor, Processor) else []
        for effect in (*processed.effects, *clocks):
            publish(
                self.app,
                effect.topic,
                key=effect.key,
                value=effect.value,
                partition=effect.partition,
            )
        await producer_barrier(self.app)
        saves = {key.encode(): value for key, value in processed.saves.items()}
        self.table.store(batch.partition, saves)
        batch.done()
        partitions.give_back(generation, processor)
        return processed, processor.supervisor.clock

    def _check_partitions(self) -> None:
        """What is shared waits for every partition, so their number must be known rightly."""
        for name in (self.topics.events.name, self.topics.practice.name):
            found = self.app.consumer.topic_partitions(name)
            if found is None or found == self._partitions:
                continue
            raise DeployFault(
                f"{name} has {found} partitions, IHWATCH_PARTITIONS={self._partitions}"
            )

    def _passing_on(self, processor: Processor) -> list[Effect]:
        """The clock for those who judge what is shared: after the facts told before it."""
        clock, partition = processor.supervisor.clock, processor.partition
        if clock < self._passed_on.get(partition, 0) + self._pass_on_after:
            return []
        self._passed_on[partition] = clock
        return clock_effects(self.topics, partition, clock, self._partitions)

    async def measure(self) -> None:
        """Report how far behind each partition is, and for how long nothing has moved."""
        for tp, lag in cast(BatchConsumer, self.app.consumer).lags().items():
            if tp.topic == self.topics.events.name:
                self.metrics.lag(tp.partition, lag.records, lag.seconds)

    async def tick(self) -> None:
        """Move the clock of partitions on which nothing arrives but something falls due.

        Now and then that of every idle one: what institutions share waits for all of them.
        """
        now = time.monotonic()
        for tp in self.app.consumer.assignment():
            if tp.topic != self.topics.events.name or not self._wants_tick(tp.partition, now):
                continue
            self._stood[tp.partition] = (now, self._stood.get(tp.partition, (0, 0))[1])
            publish(
                self.app,
                tp.topic,
                key=None,
                value=None,
                headers=[(TICK_HEADER, TICK_VALUE)],
                partition=tp.partition,
            )

    def _wants_tick(self, partition: int, now: float) -> bool:
        stood = self._stood.get(partition)
        processor = self.partitions.get(partition)
        if stood is None:
            return True
        idle = now - stood[0]
        if idle >= _TICK_ANYWAY * self._tick_after:
            return True
        if processor is None or idle < self._tick_after:
            return False
        due = processor.supervisor.next_due
        clock = processor.supervisor.clock
        return due is not None and due <= clock + idle * 1_000 + 1

    def _processor(self, partition: int) -> Processor:
        return Processor(partition, self.topics, self._intake, self._supervisor(partition, False))

    def _shared_processor(self, partition: int) -> SharedProcessor:
        supervisor = self._supervisor(partition, True)
        return SharedProcessor(partition, self.topics, supervisor, self._partitions)

    def _supervisor(self, partition: int, shared: bool) -> Supervisor:
        """A supervisor that takes up its case files where the table has them."""
        self._check_partitions()
        supervisor = Supervisor(
            self._library,
            self._candidates,
            load=self._load(partition),
            limit=DECODED_LIMIT,
            reference=self._reference,
            alone=False,
        )
        started = time.monotonic()
        found = self.table.items_of(partition, SHARED_KEYS.encode() if shared else b"")
        stored = ((key.decode(), value) for key, value in found)
        supervisor.restore((key, value) for key, value in stored if is_shared(key) is shared)
        seconds = round(time.monotonic() - started, 3)
        log.info(
            "partition taken up",
            extra={"partition": partition, "shared": shared, "seconds": seconds},
        )
        return supervisor

    def _load(self, partition: int) -> Load:
        def load(key: str) -> bytes | None:
            return self.table.read(partition, key.encode())

        return load

    async def _reassigned(self, *_: Any, **__: Any) -> None:
        self.partitions.forget()
        self.shared.forget()
        self._stood.clear()
        self._passed_on.clear()
        self.metrics.reassigned()
