"""The core of one worker on a store of case files, in a process of its own; prints one JSON object.

    python -m bench.scale_core DATABASES INPUT

It does with case files what the worker does (streams/agents.py): the hospitals share the default
number of partitions, each with a RocksDB of the worker's options and a supervisor that is restored
from it and loads from it; batches of partitions come in turn, and the saves of each are one write.
Resident memory is read after each step, so that what the store takes and what the core takes can be
told apart. What is fed is what the core gets after intake: no Kafka, no decoding.
"""

from __future__ import annotations

import gc
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any
from zlib import crc32

from faust.stores.rocksdb import RocksDBOptions
from rocksdict import WriteBatch

from schemas.memory import collect_seldom
from schemas.settings import Settings
from streams.cases.shelf import name_of
from streams.events import Event
from streams.rulebook import Library
from streams.supervisor import DECODED_LIMIT, Supervisor
from streams.transport_tables import ROCKSDB_OPTIONS

BATCH = 2_000
"""Events of a batch: about what a worker takes of a partition while it catches up."""
PARTITIONS = Settings().partitions
_WRITTEN_AT_ONCE = 5_000


@dataclass(frozen=True)
class Input:
    """What a process is given: rulebooks by institution, overrides of parameters, events."""

    rulebooks: Mapping[str, str]
    overrides: tuple[str, ...]
    events: list[Event]


@contextmanager
def database(folder: Path) -> Iterator[Any]:
    """RocksDB as the worker opens it for a partition; bytes to bytes."""
    options: dict[str, Any] = {
        name: value for name, value in ROCKSDB_OPTIONS.items() if name != "driver"
    }
    opened = RocksDBOptions(use_rocksdict=True, **options).open(folder)
    try:
        yield opened
    finally:
        opened.close()


def write(folder: Path, stored: Iterable[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Make the databases of case files; the number of files, and the bytes of keys and contents."""
    files = size = 0
    with databases(folder) as tables:
        batches = [WriteBatch(raw_mode=True) for _ in tables]
        for key, value in stored:
            partition = partition_of(name_of(key.decode())[0])
            batches[partition].put(key, value)
            files += 1
            size += len(key) + len(value)
            if len(batches[partition]) == _WRITTEN_AT_ONCE:
                tables[partition].write(batches[partition])
                batches[partition] = WriteBatch(raw_mode=True)
        for table, batch in zip(tables, batches, strict=True):
            table.write(batch)
            table.compact_range(None, None)  # what is measured later is not the making of it
    return files, size


@contextmanager
def databases(folder: Path) -> Iterator[list[Any]]:
    """One database for each partition, in folders by number."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield [stack.enter_context(database(folder / str(number))) for number in range(PARTITIONS)]


def partition_of(institution_id: str) -> int:
    """Where an institution's case files are, spread as Kafka spreads keys."""
    return crc32(institution_id.encode()) % PARTITIONS


def on_disk(folder: Path) -> int:
    """Bytes of a folder of files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(folder: Path, given: Input) -> dict[str, Any]:
    """Restore supervisors from their databases, feed them, and say what that took."""
    found: dict[str, Any] = {}
    memory: dict[str, int] = {}
    with databases(folder) as tables:
        memory["before"] = resident()
        files = size = 0
        for key, value in chain.from_iterable(table.items() for table in tables):
            files += 1
            size += len(key) + len(value)
        found |= {"files": files, "bytes": size}
        memory["store"] = resident()
        library = Library.load(given.overrides)
        supervisors = [
            Supervisor(
                library, dict(given.rulebooks), load=_loading(table), limit=DECODED_LIMIT,
                alone=False,
            )
            for table in tables
        ]  # fmt: skip
        memory["empty"] = resident()

        def restore() -> None:
            for supervisor, table in zip(supervisors, tables, strict=True):
                supervisor.restore((key.decode(), value) for key, value in table.items())

        found["restore"] = timed(restore)
        gc.collect()
        memory["restored"] = resident()
        found["restored_peak"] = _status("VmHWM")
        saved = changes = 0

        def feed(events: list[Event]) -> None:
            nonlocal saved, changes
            for partition, batch in _batches(events):
                outcome = supervisors[partition].apply(batch)
                written = WriteBatch(raw_mode=True)
                for key, value in outcome.saves.items():
                    written.put(key.encode(), value)
                tables[partition].write(written)
                saved += len(outcome.saves)
                changes += len(outcome.changes)

        # The first half also has read what is read once after a start; the second half counts.
        half = len(given.events) // 2
        first, rest = given.events[:half], given.events[half:]
        found["first"] = {"events": len(first), **timed(lambda: feed(first))}
        memory["first"] = resident()
        saved = changes = 0
        fed = timed(lambda: feed(rest))
        found["fed"] = {"events": len(rest), "saved": saved, "changes": changes, **fed}
        memory["fed"] = resident()
    return found | {"memory": memory, "peak": _status("VmHWM")}


def _loading(table: Any) -> Callable[[str], bytes | None]:
    def load(key: str) -> bytes | None:
        value: bytes | None = table.get(key.encode())
        return value

    return load


def _batches(events: Iterable[Event]) -> Iterator[tuple[int, list[Event]]]:
    """Batches of each partition's events, the partitions in turn."""
    mine: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for event in events:
        mine[partition_of(event.institution_id)].append(event)
    cut = ([one[n : n + BATCH] for n in range(0, len(one), BATCH)] for one in mine)
    for batches in zip_longest(*cut):
        for partition, batch in enumerate(batches):
            if batch is not None:
                yield partition, batch


def timed(work: Callable[[], None]) -> dict[str, float]:
    """Seconds on the clock, of CPU of the process, and of CPU of this thread alone."""
    begun = time.perf_counter(), time.process_time(), time.thread_time()
    work()
    ended = time.perf_counter(), time.process_time(), time.thread_time()
    spent = [after - before for before, after in zip(begun, ended, strict=True)]
    return dict(zip(("seconds", "cpu", "thread"), spent, strict=True))


def resident() -> int:
    """Bytes of this process in memory now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> None:
    collect_seldom()
    folder, given = map(Path, sys.argv[1:])
    print(json.dumps(measure(folder, pickle.loads(given.read_bytes()))))


if __name__ == "__main__":
    main()
