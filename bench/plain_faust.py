"""What one would write first: stock Faust agents, event by event, around the same core.

    python -m bench.plain_faust        (settings from IHWATCH_*, as `ihwatch worker`)

Same intake, same supervisors, same effects and case files as the worker, but Faust's own transport,
a batch of one, and Faust's own durability: effects are sent and not waited for, the changelog and
the offsets follow in their own time. docs/trust.md tells what that loses. State is a table of case
files, as Faust has it: one key and one changelog record each, in RocksDB.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faust
from faust.types import StreamT
from faust.worker import Worker

from bench.core import Core, Record
from schemas.logs import config
from schemas.settings import Settings
from streams.cases.shelf import is_shared
from streams.effects import Effect
from streams.processing import Processor
from streams.sharing import SharedProcessor
from streams.transport import app_options

SESSION_TIMEOUT = 30.0  # seconds


def make_app(settings: Settings) -> faust.App:
    options = app_options(
        settings.group,
        settings.brokers,
        Path(settings.data_dir),
        store=settings.table_store,
        partitions=settings.partitions,
        session_timeout=SESSION_TIMEOUT,
        recovery_delay=0.0,
    )
    app = faust.App(**{**options, "web_enabled": False})
    core = Core(settings)
    topics = core.topics

    def raw(name: str) -> Any:
        return app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")

    named = (topics.alerts, topics.aggregates, topics.rejects, topics.receipts, topics.practice)
    outputs = {topic.name: raw(topic.name) for topic in named}
    table = app.Table("cases", key_type=bytes, value_type=bytes)
    processors: dict[int, Processor] = {}
    shared: dict[int, SharedProcessor] = {}

    def stored(partition: int, of_shared: bool) -> Iterable[tuple[str, bytes]]:
        mark = f"{partition} "
        for key, value in table.items():
            name = key.decode()
            if name.startswith(mark) and is_shared(name.removeprefix(mark)) is of_shared:
                yield name.removeprefix(mark), value

    def load(partition: int) -> Callable[[str], bytes | None]:
        return lambda key: table.get(f"{partition} {key}".encode())

    async def finish(partition: int, effects: Iterable[Effect], saves: dict[str, bytes]) -> None:
        for effect in effects:
            await outputs[effect.topic].send(
                key=effect.key, value=effect.value, partition=effect.partition
            )
        for key, value in saves.items():
            table[f"{partition} {key}".encode()] = value

    @app.agent(raw(topics.events.name), concurrency=1)
    async def supervise(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            record = taken(event.message)
            place = record.partition
            if place not in processors:
                processors[place] = core.processor(place, load(place), stored(place, False))
            processed = processors[place].process([record])
            await finish(place, [*processed.effects, *core.clocks(record)], processed.saves)

    @app.agent(outputs[topics.practice.name], concurrency=1)
    async def share(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            record = taken(event.message)
            place = record.partition
            if place not in shared:
                shared[place] = core.shared_processor(place, load(place), stored(place, True))
            processed = shared[place].process([record])
            await finish(place, processed.effects, processed.saves)

    return app


def taken(message: Any) -> Record:
    """Faust's message as a record of the log."""
    headers: Any = message.headers or {}
    return Record(
        message.partition,
        message.offset,
        round(message.timestamp * 1_000),
        message.timestamp_type,
        message.key,
        message.value,
        [*(headers.items() if isinstance(headers, dict) else headers)],
    )


def main() -> None:
    settings = Settings.from_env(os.environ)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = make_app(settings)
    app.finalize()
    Worker(
        app,
        loglevel=logging.INFO,
        logging_config=config("text"),
        redirect_stdouts=False,
        quiet=True,
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
