"""Tables of case files: bytes to bytes, kept by partition in memory or in RocksDB.

A key belongs to the partition of the event under which it was written, so an agent sees the keys
of its own partition only, and `items_of` gives one partition's. What was found about Faust
0.15.3's stores:

- RocksDB has one database for each partition; a revoked one is closed, a new one is caught up
  from the offset stored beside its data. Only a worker that stays away for longer than the
  changelog keeps its deletions (`delete.retention.ms`) would see deleted keys again: wipe its
  directory.
- Faust's memory store is one dict for all partitions. It knows the partition of recovered keys
  only, so keys written by the agent stay visible after their partition has gone, and come back
  with it although another worker deleted them. `_MemoryStore` replaces it: by partition, and
  empty when one is assigned.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import faust
from faust.stores import memory, rocksdb
from faust.streams import current_event
from faust.types import TP, EventT, StoreT
from yarl import URL

# For each partition. The defaults (2 GiB of cache, 3 x 64 MB of buffers) suit one database, not
# many.
ROCKSDB_OPTIONS = {
    "driver": "rocksdict",
    "block_cache_size": 16 << 20,
    "write_buffer_size": 8 << 20,
    "max_write_buffer_number": 2,
}


class CaseTable(faust.Table[bytes, bytes]):
    """A table that can also be read partition by partition.

    Read and write single keys inside the agent only, while it holds the batch of their partition.
    """

    def items_of(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys and values of one assigned partition, in no particular order.

        Complete once recovery is over, so at the latest with the first batch of the partition.
        Raises `LookupError` for a partition of RocksDB that is not assigned; in memory it is
        empty.
        """
        store = self.data
        if isinstance(store, _MemoryStore):
            yield from store.partitions.get(partition, {}).items()
        elif isinstance(store, rocksdb.Store):
            database = store._dbs.get(partition)
            if database is None:
                raise LookupError(f"partition {partition} is not assigned")
            yield from store._visible_items(database)
        else:
            raise TypeError(f"no partitions in {store!r}")

    def _new_store_by_url(self, url: str | URL) -> StoreT[bytes, bytes]:
        if URL(url).scheme != "memory":
            return super()._new_store_by_url(url)
        return _MemoryStore(url, self.app, self, table_name=self.name, loop=self.loop)


def case_table(app: faust.App, name: str) -> CaseTable:
    """Declare a table of the app; its changelog is `changelog_topic(app id, name)`."""
    table = CaseTable(
        app,
        name=name,
        key_type=bytes,
        value_type=bytes,
        beacon=app.tables.beacon,
        options=dict(ROCKSDB_OPTIONS),  # a copy: the store takes entries out of it
    )
    app.tables.add(table)
    return table


class _MemoryStore(memory.Store[bytes, bytes]):
    """Keys by partition; an assigned one starts empty and is refilled by recovery."""

    def __post_init__(self) -> None:
        self.partitions: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)

    def __getitem__(self, key: bytes) -> bytes:
        return self._current()[key]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._current()[key] = value

    def __delitem__(self, key: bytes) -> None:
        del self._current()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._current()

    def __iter__(self) -> Iterator[bytes]:
        for keys in self.partitions.values():
            yield from keys

    def __len__(self) -> int:
        return sum(map(len, self.partitions.values()))

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT[Any]],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        for event in batch:
            message = event.message
            assert message.key is not None
            if message.value is None:
                self.partitions[message.partition].pop(message.key, None)
            else:
                self.partitions[message.partition][message.key] = message.value

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        for tp in revoked | newly_assigned:
            if tp.topic in self.table.changelog_topic.topics:
                self.partitions.pop(tp.partition, None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Nothing is left of other partitions that would have to go."""

    def _current(self) -> dict[bytes, bytes]:
        event = current_event()
        if event is None:
            raise TypeError("a table is read and written inside its agent only")
        return self.partitions[event.message.partition]
