"""The core of one worker on a store of case files, in a process of its own; prints one JSON object.

    python -m bench.scale_core DATABASE INPUT

It does with case files what the worker does (streams/agents.py): RocksDB with the worker's options,
one supervisor that is restored from it and loads from it, and every save is written to it.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faust.stores.rocksdb import RocksDBOptions
from rocksdict import WriteBatch

from schemas.memory import collect_seldom
from streams.events import Event
from streams.rulebook import Library
from streams.supervisor import DECODED_LIMIT, Supervisor
from streams.transport_tables import ROCKSDB_OPTIONS

BATCH = 2_000
"""Events of a batch: about what a worker takes at once while it catches up."""
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
    """Make a database of case files; their number, and the bytes of keys and contents."""
    files = size = 0
    with database(folder) as table:
        batch = WriteBatch(raw_mode=True)
        for key, value in stored:
            batch.put(key, value)
            files += 1
            size += len(key) + len(value)
            if files % _WRITTEN_AT_ONCE == 0:
                table.write(batch)
                batch = WriteBatch(raw_mode=True)
        table.write(batch)
        table.compact_range(None, None)  # what is measured later is not the making of it
    return files, size


def on_disk(folder: Path) -> int:
    """Bytes of a folder of files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(folder: Path, given: Input) -> dict[str, Any]:
    """Restore a supervisor from a database, feed it, and say what that took."""
    found: dict[str, Any] = {}
    memory: dict[str, int] = {}
    with database(folder) as table:
        memory["before"] = resident()
        files = size = 0
        for key, value in table.items():
            files += 1
            size += len(key) + len(value)
        found |= {"files": files, "bytes": size}
        memory["store"] = resident()

        def load(key: str) -> bytes | None:
            value: bytes | None = table.get(key.encode())
            return value

        supervisor = Supervisor(
            Library.load(given.overrides), dict(given.rulebooks), load=load, limit=DECODED_LIMIT,
            alone=False,
        )  # fmt: skip
        memory["empty"] = resident()
        stored = ((key.decode(), value) for key, value in table.items())
        found["restore"] = timed(lambda: supervisor.restore(stored))
        gc.collect()
        memory["restored"] = resident()
        found["restored_peak"] = _status("VmHWM")
        saved = changes = 0

        def feed(events: list[Event]) -> None:
            nonlocal saved, changes
            for start in range(0, len(events), BATCH):
                outcome = supervisor.apply(events[start : start + BATCH])
                for key, value in outcome.saves.items():
                    table.put(key.encode(), value)
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
