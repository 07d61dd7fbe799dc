"""Changelogs are read to their end, from where each store stands, and never over what is odd."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Producer

from streams.transport_restore import Entries, catch_up
from tests.support.trust import Cluster

PARTITIONS = 3


class Changelog:
    """A changelog on a broker, and a store that it is read into."""

    def __init__(self, cluster: Cluster) -> None:
        self.address, self.topic = cluster.address, f"log-{uuid.uuid4().hex[:8]}"
        cluster.create(self.topic, PARTITIONS, {"cleanup.policy": "compact"})
        self._producer = Producer({"bootstrap.servers": self.address, "log_level": 0})
        self.stored: dict[int, dict[bytes, bytes]] = {p: {} for p in range(PARTITIONS)}
        self.reached: dict[int, int] = {}

    def write(self, partition: int, *records: tuple[bytes, bytes | None]) -> None:
        for key, value in records:
            self._producer.produce(self.topic, value, key, partition)
        assert self._producer.flush(30) == 0

    def read(self, **reached: int | None) -> None:
        """Catch up from what was ``reached`` in partitions `p0`, `p1` and so on."""
        starts = {int(name[1:]): offset for name, offset in reached.items()}
        catch_up(self.address, self.topic, starts, self._write, lambda: False)

    def _write(self, partition: int, entries: Entries, offset: int) -> None:
        for key, value in entries:
            if value is None:
                self.stored[partition].pop(key, None)
            else:
                self.stored[partition][key] = value
        self.reached[partition] = offset


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def changelog(request: pytest.FixtureRequest) -> Changelog:
    return Changelog(request.getfixturevalue(request.param))


def test_what_comes_later_counts_and_deletions_delete(changelog: Changelog) -> None:
    changelog.write(0, (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None))
    changelog.write(1, *((b"k%d" % n, b"%d" % n) for n in range(25_000)))
    changelog.read(p0=None, p1=None, p2=None)
    assert changelog.stored[0] == {b"a": b"2"}
    assert changelog.stored[1] == {b"k%d" % n: b"%d" % n for n in range(25_000)}
    assert changelog.stored[2] == {}
    assert changelog.reached == {0: 3, 1: 24_999, 2: -1}


def test_what_a_store_has_is_not_read_again(changelog: Changelog) -> None:
    changelog.write(0, (b"a", b"1"), (b"b", b"1"), (b"c", b"1"))
    changelog.read(p0=1)
    assert changelog.stored[0] == {b"c": b"1"}
    changelog.read(p0=2)
    assert (changelog.stored[0], changelog.reached) == ({b"c": b"1"}, {0: 2})


def test_a_log_shorter_than_its_store_is_left_alone(changelog: Changelog) -> None:
    changelog.write(0, (b"a", b"1"))
    changelog.write(1, (b"b", b"1"))
    changelog.read(p0=100, p1=None)
    assert (changelog.stored[0], changelog.stored[1]) == ({}, {b"b": b"1"})
    assert 0 not in changelog.reached
