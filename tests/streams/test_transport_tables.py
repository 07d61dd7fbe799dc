"""A table read by partition is whole and holds nothing that has gone, in memory and in RocksDB."""

import contextlib

import pytest

from tests.support.kafka import RealKafka
from tests.support.trust import KEYS, Bench, RealCluster, Worker, wait_for

PARTITIONS = 4


def items(bench: Bench, worker: Worker) -> dict[int, tuple[int, int]]:
    """Have every partition taken up say its keys and its sum of counts, before one more record."""
    before = len(bench.said("items"))
    bench.produce(PARTITIONS)
    wait_for(lambda: len(bench.said("items")) == before + PARTITIONS, worker)
    lines = [tuple(map(int, line.split())) for line in bench.said("items")[before:]]
    bench.wait_finished(worker)
    return {partition: (keys, total) for partition, keys, total in lines}


@pytest.mark.kafka
def test_partitions_move_between_a_memory_and_a_rocksdb_worker_with_all_their_keys(
    real_kafka: RealKafka,
) -> None:
    with contextlib.closing(Bench(RealCluster(real_kafka), PARTITIONS, stock=False)) as bench:
        with bench.worker(store="memory", tell_items=True) as memory:
            bench.wait_ready(memory)
            bench.produce(2 * KEYS * PARTITIONS)
            bench.wait_finished(memory)
            with bench.worker(store="rocksdb", tell_items=True) as rocksdb:
                bench.wait_ready(rocksdb, lives=3)
                assert items(bench, rocksdb) == dict.fromkeys(range(PARTITIONS), (KEYS, 2 * KEYS))
                for partition in range(PARTITIONS):
                    bench.delete(partition, number=7)
                bench.wait_finished(rocksdb)
                rocksdb.stop()
            bench.wait_ready(memory, lives=4)
            left = 2 * KEYS + 1 - 2
            assert items(bench, memory) == dict.fromkeys(range(PARTITIONS), (KEYS - 1, left))
            memory.stop()
        with bench.worker(store="rocksdb", same_disk=True, tell_items=True) as rocksdb:
            bench.wait_ready(rocksdb, lives=5)
            left += 1
            assert items(bench, rocksdb) == dict.fromkeys(range(PARTITIONS), (KEYS - 1, left))
        assert bench.table_errors() == (0, 0)
