"""From the log into ClickHouse: nothing lost while it is down, offsets only after the insert."""

from collections.abc import Callable
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from schemas.errors import RegistryUnavailable
from sinks.clickhouse.client import connect
from sinks.clickhouse.rows import Decoders, Rows
from sinks.clickhouse.sink import Backoff, BatchLimits, ClickHouseSink
from sinks.clickhouse.writer import Writer
from sinks.log import LogReader, Record
from sinks.status import Status
from tests.sinks import material
from tests.sinks.log import Log
from tests.sinks.running import running, until
from tests.sinks.test_writer import Flaky, everything, mixed, write

Made = Callable[..., ClickHouseSink]


@pytest.fixture
def make(log: Log, chdb_url: str) -> Made:
    """Make a sink on the test's broker and ClickHouse."""

    def made(
        connect_: Callable[[], Any] | None = None,
        decoders: Decoders | None = None,
        limits: BatchLimits | None = None,
    ) -> ClickHouseSink:
        known = decoders or material.decoders(log.topics)
        return ClickHouseSink(
            log.options(*known.topics),
            known,
            Writer(connect_ or (lambda: connect(chdb_url))),
            Status("clickhouse"),
            limits or BatchLimits(rows=40, age_s=0.1),
            Backoff(0.02, 0.05),
        )

    return made


@pytest.fixture
def records() -> list[Record]:
    """Records of all topics on both partitions, and a tick."""
    made = [*mixed(100), material.tick(101)]
    return [record._replace(partition=index % 2) for index, record in enumerate(made)]


def ends(log: Log, records: list[Record]) -> dict[tuple[str, int], int]:
    """The end of each partition after these records were published."""
    count: dict[tuple[str, int], int] = {}
    for record in map(log.named, records):
        count[record.place] = count.get(record.place, 0) + 1
    return count


def as_published(log: Log, records: list[Record]) -> list[Record]:
    """The records with the offsets that the broker gave them."""
    count: dict[tuple[str, int], int] = {}
    placed = []
    for record in records:
        at = count[record.place] = count.get(record.place, -1) + 1
        placed.append(log.named(record)._replace(offset=at))
    return placed


def expected(database: Client, log: Log, records: list[Record]) -> dict[str, list[str]]:
    """What the tables must hold, by writing the same once, directly; the tables are left empty."""
    write(database, as_published(log, records), log.topics)
    wanted = everything(database)
    for table in wanted:
        database.command(f"TRUNCATE TABLE {table}")
    return wanted


def test_all_topics_land_and_the_offsets_follow(
    log: Log, database: Client, make: Made, records: list[Record]
) -> None:
    wanted = expected(database, log, records)
    log.publish(records)
    sink = make()
    with running(sink):
        until(lambda: sink.status.committed == ends(log, records))
        until(lambda: sink.status.lag == 0)
    assert everything(database) == wanted
    assert log.committed() == ends(log, records)
    counts = sink.status.snapshot()
    assert counts["records"] == len(records)
    assert counts["ticks"] == 1
    assert counts["rows_aggregates"] == 100
    assert sink.status.trouble is None


def test_what_arrived_before_the_stop_is_written_and_committed(
    log: Log, database: Client, make: Made, records: list[Record]
) -> None:
    log.publish(records)
    sink = make(limits=BatchLimits(rows=10**6, age_s=3600))
    seen = 0
    add = sink._batch

    def counting(record: Record) -> Any:
        nonlocal seen
        seen += 1
        return add(record)

    sink._batch = counting  # type: ignore[method-assign]
    with running(sink):
        until(lambda: seen == len(records))
        assert sink.status.snapshot() == {}
    assert sink.status.snapshot()["records"] == len(records)
    assert log.committed() == ends(log, records)


def test_clickhouse_down_delays_and_loses_nothing(
    log: Log, chdb_url: str, database: Client, make: Made, records: list[Record]
) -> None:
    """Down from the start, then failing before or after every second insert, then well."""
    wanted = expected(database, log, records)
    phase = "down"
    turn = 0

    def failures() -> str | None:
        nonlocal turn
        turn += 1
        return None if phase == "well" else (None, "before", None, "after")[turn % 4]

    def open_client() -> Any:
        if phase == "down":
            raise OperationalError("injected: nobody listens")
        return Flaky(database, failures)

    sink = make(open_client)
    log.publish(records[:150])
    with running(sink):
        until(lambda: sink.status.counts["retries"] >= 3)
        assert sink.status.trouble == "ClickHouseUnavailable"
        assert log.committed() == {}
        assert sink.status.lag > 0
        phase = "flaky"
        log.publish(records[150:])
        until(lambda: sink.status.counts["retries"] >= 6)
        phase = "well"
        until(lambda: sink.status.committed == ends(log, records))
        assert sink.status.trouble is None
    assert everything(database) == wanted
    assert log.committed() == ends(log, records)


def test_a_partition_is_read_no_further_than_one_batch_while_clickhouse_is_down(
    log: Log, make: Made, database: Client
) -> None:
    up = False

    def open_client() -> Any:
        if not up:
            raise OperationalError("injected")
        return Flaky(database, lambda: None)

    log.publish([material.event(0, event_id=f"E{n}") for n in range(300)])
    sink = make(open_client)
    with running(sink):
        until(lambda: any(batch.paused for batch in sink._batches.values()))
        log.publish([material.event(0, event_id=f"E{n}") for n in range(300, 900)])
        held = max(len(batch) for batch in sink._batches.values())
        up = True
        until(lambda: sink.status.counts["records"] == 900)
    assert held < 900
    assert database.command("SELECT count() FROM events FINAL") == 900


def test_a_registry_that_is_away_holds_the_batch(
    log: Log, database: Client, make: Made, records: list[Record]
) -> None:
    away = True
    decoders = material.decoders(log.topics)
    rows_of = decoders.rows_of

    def asking(taken: Any) -> Rows:
        if away:
            raise RegistryUnavailable("injected")
        return rows_of(taken)

    decoders.rows_of = asking  # type: ignore[method-assign,assignment]
    wanted = expected(database, log, records)
    log.publish(records)
    sink = make(decoders=decoders)
    with running(sink):
        until(lambda: sink.status.counts["retries"] >= 2)
        assert sink.status.trouble == "RegistryUnavailable"
        away = False
        until(lambda: sink.status.committed == ends(log, records))
    assert everything(database) == wanted


def test_an_insert_whose_commit_was_lost_is_repeated_without_a_trace(
    log: Log, database: Client, make: Made, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between insert and commit writes the range again, with other boundaries."""
    wanted = expected(database, log, records)
    log.publish(records)
    first = make()
    with monkeypatch.context() as patch, running(first):
        patch.setattr(LogReader, "commit", lambda *_: False)
        until(lambda: first.status.counts["records"] == len(records))
    assert everything(database) == wanted
    assert log.committed() == {}
    second = make(limits=BatchLimits(rows=17, age_s=0.05))
    with running(second):
        until(lambda: second.status.committed == ends(log, records))
    assert second.status.counts["records"] == len(records)
    assert everything(database) == wanted
    assert log.committed() == ends(log, records)


def test_members_share_the_partitions_and_take_over(log: Log, database: Client, make: Made) -> None:
    published = 0

    def publish(count: int) -> bool:
        """Publish to both partitions; each event once."""
        nonlocal published
        numbers = range(published, published + count)
        log.publish(
            [material.event(0, event_id=f"E{n}")._replace(partition=n % 2) for n in numbers],
        )
        published += count
        return True

    def all_there() -> bool:
        return database.command("SELECT count() FROM events FINAL") == published

    first, second = make(), make()
    with running(first):
        publish(100)
        until(all_there)
        with running(second):
            until(lambda: publish(2) and second.status.counts["records"] > 0)
        publish(100)
        until(all_there)
    assert first.status.counts["records"] + second.status.counts["records"] >= published
