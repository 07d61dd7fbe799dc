"""What one would write first: a stock Faust agent, event by event, around the same core.

    python -m bench.plain_faust        (settings from IHWATCH_*, as `ihwatch worker`)

Same intake, same supervisor, same effects and case files as the worker, but Faust's own transport,
a batch of one, and Faust's own durability: effects are sent and not waited for, the changelog and
the offsets follow in their own time. docs/trust.md tells what that loses.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

import faust
from faust.types import StreamT
from faust.worker import Worker

from schemas.logs import config
from schemas.settings import Settings
from schemas.topics import Topics
from streams.agents import DECODED_LIMIT
from streams.app import make_intake, read_directory
from streams.processing import Processor
from streams.rulebook import Library
from streams.supervisor import Supervisor
from streams.transport import app_options

SESSION_TIMEOUT = 6.0  # seconds


class Record(NamedTuple):
    """One record as intake wants it."""

    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


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
    directory, topics = read_directory(settings), Topics.named(settings.topic_prefix)
    candidates = {name: one.rulebook for name, one in directory.institutions.items()}
    intake, library = make_intake(settings, directory), Library.load(settings.overrides)
    source = app.topic(topics.events.name, key_type=bytes, value_type=bytes, value_serializer="raw")
    outputs = {
        topic.name: app.topic(topic.name, key_type=bytes, value_type=bytes, value_serializer="raw")
        for topic in (topics.alerts, topics.aggregates, topics.rejects, topics.receipts)
    }
    table = app.Table("cases", key_type=bytes, value_type=bytes)
    processors: dict[int, Processor] = {}

    def processor(partition: int) -> Processor:
        if partition not in processors:
            supervisor = Supervisor(
                library, candidates, load=lambda key: table.get(key.encode()), limit=DECODED_LIMIT
            )
            processors[partition] = Processor(partition, topics, intake, supervisor)
        return processors[partition]

    @app.agent(source, concurrency=1)
    async def supervise(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            message = event.message
            headers: Any = message.headers or {}
            record = Record(
                message.partition,
                message.offset,
                round(message.timestamp * 1_000),
                message.timestamp_type,
                message.key,
                message.value,
                [*(headers.items() if isinstance(headers, dict) else headers)],
            )
            processed = processor(message.partition).process([record])
            for effect in processed.effects:
                await outputs[effect.topic].send(key=effect.key, value=effect.value)
            for key, value in processed.saves.items():
                table[key.encode()] = value

    return app


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
