"""The same core in Quix Streams, as its users would write it.

    python -m bench.quix_streams RECORDS TICKS    (settings from IHWATCH_*; the peers' environment)

Quix Streams hands over one record after the other and keeps state by the record's key, so each
institution has a supervisor of its own, and its state has an entry for each case file: one entry
with all of them would be written whole with every event. State cannot be listed, so the names of
the case files stand in entries of their own, a few in each. What institutions share is re-keyed
through `ih.practice` into a second dataframe.

Durable in its own way, all by default: RocksDB with a changelog topic, at least once, a checkpoint
every 5 seconds that writes the changelog, waits for all that was produced and then commits the
offsets. A supervisor stays in memory with its decoded case files, which holds for one process that
keeps its partitions. After RECORDS records, and the clocks of TICKS ticks in `ih.practice`, the
application stops, which commits a last time without waiting for the next checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from quixstreams import Application, State, message_context  # type: ignore[import-not-found]
from quixstreams.models import Serializer  # type: ignore[import-not-found]

from bench.core import Core, Record, Stored
from schemas.settings import Settings
from streams.cases.shelf import Load
from streams.effects import Effect
from streams.processing import Processor
from streams.sharing import SharedProcessor

NAMES_AN_ENTRY = 32


class ValueOf(Serializer):  # type: ignore[misc]
    """An effect is sent as its bytes."""

    def __call__(self, value: Effect, ctx: object) -> bytes:
        return value.value


class Cases:
    """The case files of one key in the state at hand, and the processor that works on them."""

    def __init__(
        self, state: Any, make: Callable[[Load, Stored], Processor | SharedProcessor]
    ) -> None:
        self._state = state
        self._names: list[str] = [*self._stored_names()]
        self._known = set(self._names)
        stored = [(name, state.get_bytes(name)) for name in self._names]
        self._processor = make(lambda name: self._state.get_bytes(name), stored)

    def process(self, record: Record, state: Any) -> list[Effect]:
        """Judge a record, and put what follows for the state into it."""
        self._state = state  # of this record and checkpoint
        processed = self._processor.process([record])
        entries: dict[int, None] = {}
        for name, value in processed.saves.items():
            state.set_bytes(name, value)
            if name not in self._known:
                entries[len(self._names) // NAMES_AN_ENTRY] = None
                self._known.add(name)
                self._names.append(name)
        for entry in entries:
            first = entry * NAMES_AN_ENTRY
            state.set(f"names/{entry}", self._names[first : first + NAMES_AN_ENTRY])
        return processed.effects

    def _stored_names(self) -> Iterator[str]:
        entry = 0
        while names := self._state.get(f"names/{entry}"):
            yield from names
            entry += 1


def make_app(settings: Settings, records: int, ticks: int) -> Any:
    app = Application(
        broker_address=settings.brokers,
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        state_dir=settings.data_dir / "state",
        loglevel="WARNING",
    )
    core = Core(settings)
    topics = core.topics

    def topic(name: str) -> Any:
        return app.topic(name, value_deserializer="bytes", value_serializer=ValueOf())

    events, practice = topic(topics.events.name), topic(topics.practice.name)
    named = (topics.alerts, topics.aggregates, topics.rejects, topics.receipts)
    outputs = {one.name: topic(one.name) for one in named} | {topics.practice.name: practice}
    cases: dict[tuple[str, bytes], Cases] = {}
    left = {"records": records, "clocks": ticks * core.shards}

    def record_of(value: bytes | None, key: bytes, timestamp: int, headers: Any) -> Record:
        at = message_context()
        return Record(at.partition, at.offset, timestamp, 0, key, value, headers or [])

    def supervise(
        value: bytes | None, key: bytes, timestamp: int, headers: Any, state: State
    ) -> list[Effect]:
        record = record_of(value, key, timestamp, headers)
        mine = cases.get(("events", key))
        if mine is None:
            place = record.partition
            mine = Cases(state, lambda load, stored: core.processor(place, load, stored))
            cases["events", key] = mine
        effects = mine.process(record, state) + core.clocks(record)
        left["records"] -= 1
        return [by_shard(effect) for effect in effects]

    def by_shard(effect: Effect) -> Effect:
        if effect.topic != topics.practice.name:
            return effect
        return effect._replace(key=str(core.shard(effect)).encode())

    def share(value: bytes, key: bytes, timestamp: int, headers: Any, state: State) -> list[Effect]:
        record = record_of(value, key, timestamp, headers)
        mine = cases.get(("shared", key))
        if mine is None:
            mine = Cases(state, lambda load, stored: core.shared_processor(int(key), load, stored))
            cases["shared", key] = mine
        effects = mine.process(record, state)
        left["clocks"] -= core.is_clock(value)
        if not any(left.values()):
            app.stop()
        return effects

    for source, work in ((events, supervise), (practice, share)):
        frame = app.dataframe(source).apply(work, stateful=True, expand=True, metadata=True)
        frame = frame.set_headers(lambda *_: [])
        frame.to_topic(lambda effect, *_: outputs[effect.topic], key=lambda effect: effect.key)
    return app


def main(records: str, ticks: str) -> None:
    settings = Settings.from_env(os.environ)
    make_app(settings, int(records), int(ticks)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
