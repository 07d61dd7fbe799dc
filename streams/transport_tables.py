"""Tables of case files: bytes to bytes, kept by partition in memory or in RocksDB.

A key belongs to the partition of the event under which it was written; everything here names its
partition. What was found about Faust 0.15.3's stores:

- RocksDB has one database for each partition; a revoked one is closed, a new one is caught up
  from the offset stored beside its data. Only a worker that stays away for longer than the
  changelog keeps its deletions (`delete.retention.ms`) would see deleted keys again: wipe its
  directory.
- Faust's memory store is one dict for all partitions. It knows the partition of recovered keys
  only, so keys written by the agent stay visible after their partition has gone, and come back
  with it although another worker deleted them. `_MemoryStore` replaces it: by partition, and
  empty when one is assigned.
- Both write key by key, and a changelog message with each. `CaseTable.store` writes a batch.
- Recovery takes them record by record; both stores here read their changelogs ahead of it
  (`transport_restore`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import faust
from faust.stores import memory, rocksdb
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerT, EventT, StoreT
from rocksdict import WriteBatch
from yarl import URL

from streams.transport_producer import BatchProducer
from streams.transport_restore import Entries, ReadAhead

# For each partition. The defaults (2 GiB of cache, 3 x 64 MB of buffers) suit one database, not
# many.
ROCKSDB_OPTIONS = {
    "driver": "rocksdict",
    "block_cache_size": 16 << 20,
    "write_buffer_size": 8 << 20,
    "max_write_buffer_number": 2,
}

Changes = Mapping[bytes, bytes | None]
"""Values by key; None deletes."""


class CaseTable(faust.Table[bytes, bytes]):
    """A table that is read and written partition by partition, while the agent holds a batch of it.

    Reading and writing raise `LookupError` for a partition that is not assigned.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[int, int | None] = {}  # how far stores hold all of the changelog
        self._acknowledged: dict[int, int] = {}
        self._read_ahead = ReadAhead()
        self._moving = False

    def items_of(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys that begin so, and their values, of a partition, in no particular order.

        Complete once recovery is over, so at the latest with the first batch of the partition.
        """
        return self._cases(partition).items_of(partition, prefix)

    def read(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        return self._cases(partition).read(partition, key)

    def store(self, partition: int, changes: Changes) -> None:
        """Write what changed, and put its changelog on its way: durable after the next barrier."""
        if not changes:
            return
        store, topic = self._cases(partition), self.changelog_topic.get_topic_name()
        producer = self.app.producer
        assert isinstance(producer, BatchProducer), "install() was not called"
        if partition not in self._known:
            reached = store.persisted_offset(TP(topic, partition))
            self._known[partition] = -1 if reached is None else reached
        caught_up = partial(self._caught_up, partition, len(changes))
        for left, (key, value) in zip(range(len(changes))[::-1], changes.items(), strict=True):
            then = None if left else caught_up  # what comes last vouches for all before it
            producer.produce(topic, key, value, partition, then=then)
        store.write(partition, changes.items(), self._acknowledged.pop(partition, None))

    def _caught_up(self, partition: int, count: int, offset: int) -> None:
        """The changelog has the last ``count`` entries up to an offset, and so has the store.

        Noted there with the next batch: a worker that restarts reads the last one once more. Where
        somebody else has written between, the store has not everything: from there on a restart
        reads it all again.
        """
        if self._known.get(partition) == offset - count:
            self._known[partition] = self._acknowledged[partition] = offset
        else:
            self._known[partition] = None

    async def read_ahead(self, tps: Iterable[TP], most: float) -> dict[TP, int]:
        """Bring partitions up to date with the changelog, for at most so many seconds.

        Returns how far each then is; partitions that hold nothing are left out.
        """
        await self._read_ahead.end()
        if self._moving:
            return {}
        held = [tp for tp in tps if self._stored().holds(tp.partition)]
        reached = {tp.partition: self._stored().persisted_offset(tp) for tp in held}
        urls, port = self.app.conf.broker_consumer, driver.Transport.default_port
        brokers = ",".join(driver.server_list(urls, port))
        topic = self.changelog_topic.get_topic_name()
        await self._read_ahead.run(brokers, topic, reached, self._stored().write, most)
        now = {tp: self._stored().persisted_offset(tp) for tp in held}
        return {tp: offset for tp, offset in now.items() if offset is not None}

    async def on_rebalance(self, *moved: Any, **more: Any) -> None:
        """Open and close partitions, when nobody reads into them any more."""
        self._moving = True
        await self._read_ahead.end()
        self._known.clear()
        self._acknowledged.clear()
        await super().on_rebalance(*moved, **more)
        self._moving = False

    async def on_stop(self) -> None:
        await self._read_ahead.end()
        await super().on_stop()

    def _stored(self) -> "_RocksStore | _MemoryStore":
        store = self.data
        assert isinstance(store, _RocksStore | _MemoryStore)
        return store

    def _cases(self, partition: int) -> "_RocksStore | _MemoryStore":
        store = self._stored()
        if not store.holds(partition):
            raise LookupError(f"partition {partition} is not assigned")
        return store

    def _new_store_by_url(self, url: str | URL) -> StoreT[bytes, bytes]:
        if URL(url).scheme == "memory":
            return _MemoryStore(url, self.app, self, table_name=self.name, loop=self.loop)
        return _RocksStore(
            url, self.app, self, table_name=self.name, loop=self.loop, options=self.options
        )


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
    tables = cast(TableManager, app.tables)
    tables._recovery = _Recovery(app, tables, beacon=tables.beacon, loop=tables.loop)
    tables.add(table)
    return table


class _Recovery(Recovery):
    """Faust's recovery, with changelogs read ahead; of what is read then it knows nothing."""

    async def _build_highwaters(
        self, consumer: ConsumerT, tps: set[TP], destination: Any, title: str
    ) -> None:
        if title == "active":
            most = self.app.conf.broker_request_timeout / 2  # Faust gives up after the whole
            for table in self.tables.values():
                assert isinstance(table, CaseTable)
                mine = {tp for tp in tps if tp.topic in table.changelog_topic.topics}
                for tp, offset in (await table.read_ahead(mine, most)).items():
                    self.active_offsets[tp] = offset  # a Counter, whose update() would add
        await super()._build_highwaters(consumer, tps, destination, title)


class _RocksStore(rocksdb.Store):
    """One database for each partition."""

    def holds(self, partition: int) -> bool:
        """Whether a partition is open here; asking for anything else of it would open it."""
        return partition in self._dbs

    def items_of(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._dbs[partition].items(from_key=prefix):
            if not key.startswith(prefix):
                return
            if key != self.offset_key:
                yield key, value

    def read(self, partition: int, key: bytes) -> bytes | None:
        value: bytes | None = self._dbs[partition].get(key)
        return value

    def write(self, partition: int, changes: Entries, offset: int | None) -> None:
        """Write changes at once, and with them how far the changelog is held then, where known."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if offset is not None:
            batch.put(self.offset_key, b"%d" % offset)
        self._dbs[partition].write(batch)


class _MemoryStore(memory.Store[bytes, bytes]):
    """Keys by partition; an assigned one starts empty and is refilled from its changelog."""

    def __post_init__(self) -> None:
        self.partitions: dict[int, dict[bytes, bytes]] = {}
        self._reached: dict[int, int] = {}

    def holds(self, partition: int) -> bool:
        """Whether a partition is assigned."""
        return partition in self.partitions

    def items_of(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = self.partitions[partition]
        return ((key, value) for key, value in found.items() if key.startswith(prefix))

    def read(self, partition: int, key: bytes) -> bytes | None:
        return self.partitions[partition].get(key)

    def write(self, partition: int, changes: Entries, offset: int | None) -> None:
        """Take changes in, and how far the changelog is held then, where that is known."""
        found = self.partitions[partition]
        for key, value in changes:
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        if offset is not None:
            self._reached[partition] = offset

    def persisted_offset(self, tp: TP) -> int | None:
        return self._reached.get(tp.partition)

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT[Any]],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        for event in batch:
            message = event.message
            assert message.key is not None
            self.write(message.partition, [(message.key, message.value)], message.offset)

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
                self._reached.pop(tp.partition, None)
                if tp in newly_assigned:
                    self.partitions[tp.partition] = {}

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Nothing is left of other partitions that would have to go."""
