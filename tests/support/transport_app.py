"""A worker to be killed: folds a topic into a table and keeps a journal of what it finished.

Started as a child process by `tests.support.trust` with one JSON argument, a `Plan`. The same
fold runs on our transport (whole batches) and on stock Faust (record by record), so that both can
be measured.

The table holds, per key, how many records were folded and the offset of the last one. A repeated
record is known by that offset and changes nothing: the table must end exact whatever was killed.
A record without a value deletes its key.
"""

import asyncio
import dataclasses
import json
import os
import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import faust
from faust.types import StreamT
from faust.worker import Worker

from streams.transport import (
    app_options,
    batch_topic,
    install,
    producer_barrier,
    publish,
    records,
)
from streams.transport_producer import BatchProducer
from streams.transport_tables import case_table

TABLE = "state"
_STATE = struct.Struct(">qq")  # records folded, offset of the last one


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one worker does; `hold` and `fail` are about the record at offset 0 of partition 0."""

    brokers: str
    app_id: str
    topic: str
    partitions: int
    data_dir: str
    journal: str
    stock: bool = False
    store: str = "memory"
    session_timeout: float = 6.0
    commit_interval: float = 0.3
    max_poll_records: int = 4_000
    concurrency: int = 1
    hold: float = 0.0  # seconds before it is finished
    fail: bool = False  # raise instead of finishing it
    rest_first: int = 0  # of so many records of the first life,
    rest: float = 0.0  # each takes so many seconds
    tell_items: bool = False  # say what the table holds when a partition is taken up
    effects: str = ""  # a topic that gets one record for each batch, behind the barrier


def pack(count: int, last: int) -> bytes:
    return _STATE.pack(count, last)


def unpack(value: bytes) -> tuple[int, int]:
    count, last = _STATE.unpack(value)
    return count, last


class Journal:
    """Lines `partition first last` of finished records, in the file before the write returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, partition: int, first: int, last: int) -> None:
        os.write(self._file, f"{partition} {first} {last}\n".encode())

    def say(self, word: str) -> None:
        os.write(self._file, f"# {word}\n".encode())


class Pace:
    """The holds and rests of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = plan.rest_first

    async def keep(self, partition: int, offsets: Iterable[int]) -> None:
        for offset in offsets:
            if partition == 0 and offset == 0:
                await asyncio.sleep(self._plan.hold)
                if self._plan.fail:
                    raise ValueError("the plan says so")
            if self._left > 0:
                self._left -= 1
                await asyncio.sleep(self._plan.rest)


def make_app(plan: Plan) -> faust.App:
    options = app_options(
        plan.app_id,
        plan.brokers,
        Path(plan.data_dir),
        store="rocksdb" if plan.store == "rocksdb" else "memory",
        partitions=plan.partitions,
        session_timeout=plan.session_timeout,
        commit_interval=plan.commit_interval,
        recovery_delay=0.0,
    )
    options["web_enabled"] = False
    options["broker_max_poll_records"] = plan.max_poll_records
    app = faust.App(**options)
    journal, pace = Journal(plan.journal), Pace(plan)
    if plan.stock:
        stock_agent(app, plan, journal, pace)
    else:
        batch_agent(app, plan, journal, pace)
    watch_commits(app, journal)

    @app.on_rebalance_complete.connect
    async def ready(*_: Any, **__: Any) -> None:
        journal.say("ready")

    return app


def batch_agent(app: faust.App, plan: Plan, journal: Journal, pace: Pace) -> None:
    install(app, [plan.topic])
    table = case_table(app, TABLE)
    told: set[tuple[int, int]] = set()

    @app.agent(batch_topic(app, plan.topic), concurrency=plan.concurrency)
    async def fold(stream: StreamT[Any]) -> None:
        async for value in stream:
            batch = records(value)
            await pace.keep(batch.partition, (record.offset for record in batch))
            taken_up = app.consumer_generation_id, batch.partition
            if plan.tell_items and taken_up not in told:
                told.add(taken_up)
                counts = [unpack(value)[0] for _, value in table.items_of(batch.partition)]
                journal.say(f"items {batch.partition} {len(counts)} {sum(counts)}")
            fresh: dict[bytes, tuple[int, int]] = {}
            for record in batch:
                key = record.key or b""
                if key not in fresh:
                    stored = table.read(batch.partition, key)
                    fresh[key] = (0, -1) if stored is None else unpack(stored)
                count, last = fresh[key]
                if record.value is None:
                    fresh[key] = 0, record.offset
                elif record.offset > last:
                    fresh[key] = count + 1, record.offset
            if plan.effects:
                publish(app, plan.effects, key=None, value=b"%d" % len(batch))
                await producer_barrier(app)
            table.store(
                batch.partition,
                {key: pack(count, last) if count else None for key, (count, last) in fresh.items()},
            )
            journal.note(batch.partition, batch[0].offset, batch[-1].offset)
            batch.done()


def stock_agent(app: faust.App, plan: Plan, journal: Journal, pace: Pace) -> None:
    topic = app.topic(plan.topic, key_type=bytes, value_type=bytes, value_serializer="raw")
    table = app.Table(TABLE, key_type=bytes, value_type=bytes)

    @app.agent(topic, concurrency=plan.concurrency)
    async def fold(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            message = event.message
            await pace.keep(message.partition, (message.offset,))
            key = message.key or b""
            count, last = unpack(table[key]) if key in table else (0, -1)
            if message.offset > last:
                table[key] = pack(count + 1, message.offset)
            journal.note(message.partition, message.offset, message.offset)


class _Counted:
    """librdkafka's producer, with a note of each record sent by an agent and not acknowledged."""

    def __init__(self, client: Any, unacknowledged: dict[object, tuple[int, int]]) -> None:
        self._client, self._unacknowledged = client, unacknowledged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def produce(self, *args: Any, on_delivery: Callable[..., None], **kwargs: Any) -> None:
        event, mark = faust.current_event(), object()
        if event is not None:
            self._unacknowledged[mark] = event.message.partition, event.message.offset

        def delivered(*report: Any) -> None:
            self._unacknowledged.pop(mark, None)
            on_delivery(*report)

        self._client.produce(*args, on_delivery=delivered, **kwargs)


def watch_commits(app: faust.App, journal: Journal) -> None:
    """Note at each OffsetCommit how many changelog entries below it are not acknowledged."""
    unacknowledged: dict[object, tuple[int, int]] = {}

    async def watch() -> None:
        producer: Any = app.producer
        consumer: Any = app.consumer
        put, commit = producer.buffer.put, consumer._commit

        def counted_put(future: asyncio.Future[Any]) -> None:
            event = faust.current_event()
            if event is not None:
                unacknowledged[future] = event.message.partition, event.message.offset
                future.add_done_callback(unacknowledged.pop)
            put(future)

        if isinstance(producer, BatchProducer):
            producer._client = cast(Any, _Counted(producer._client, unacknowledged))

        async def counted_commit(offsets: Any) -> Any:
            ends = {tp.partition: offset for tp, offset in offsets.items()}
            missing = sum(at < ends.get(partition, 0) for partition, at in unacknowledged.values())
            journal.say(f"commit {missing}")
            return await commit(offsets)

        producer.buffer.put, consumer._commit = counted_put, counted_commit

    app.task(watch)


def main(argument: str) -> None:
    plan = Plan(**json.loads(argument))
    app = make_app(plan)
    app.finalize()
    Worker(app, loglevel=os.environ.get("IHWATCH_TEST_LOG", "WARNING")).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1])
