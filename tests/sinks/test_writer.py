"""What lands in ClickHouse: whole rows, and the same rows however often and in whatever batches."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from schemas.catalogue import ENVELOPE
from schemas.flat import from_flat, to_flat
from schemas.topics import Topics
from sinks.clickhouse.client import ClickHouseUnavailable, connect
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.rows import COLUMNS, Rows
from sinks.clickhouse.writer import Writer, token
from sinks.log import Record
from tests.sinks import material
from tests.sinks.material import HOSPITAL, HOUR, NOON, OTHER, TOPICS

# Everything the writer fills, so that a comparison sees every difference.
FINAL = {table: f"SELECT {', '.join(names)} FROM {table} FINAL" for table, names in COLUMNS.items()}


def everything(client: Client) -> dict[str, list[str]]:
    """All rows of all tables as FINAL shows them, in a fixed order."""
    found = {table: client.query(sql).result_rows for table, sql in FINAL.items()}
    return {table: sorted(map(repr, lines)) for table, lines in found.items()}


def write(client: Client, records: Sequence[Record], topics: Topics = TOPICS) -> None:
    rows = material.decoders(topics).rows_of(records)
    Writer(lambda: client).insert(rows, token(records, rows))


def mixed(count: int = 60) -> list[Record]:
    """Records of every topic with versions, revisions and duplicates among them."""
    dice = random.Random(7)
    made: list[Record] = []
    for offset in range(count):
        made.append(material.event(offset, event_id=f"E-{dice.randrange(count // 2)}"))
        version = 1 + offset // 10
        made.append(material.alert_record(offset, material.alert(f"f{offset % 10}", version)))
        made.append(material.aggregate_record(offset, offset % 5, offset, {"events": offset}))
        made.append(material.reject_record(offset, dice.randrange(count)))
    made.append(material.event(count, "InstitutionFiled"))
    made.append(material.event(count + 1, "InstitutionFiled", registered_name="更名后的医院"))
    return made


def in_batches(records: Sequence[Record], sizes: Iterable[int]) -> list[Sequence[Record]]:
    batches, start = [], 0
    for size in sizes:
        batches.append(records[start : start + size])
        start += size
    return [*batches, records[start:]] if start < len(records) else batches


def test_an_event_lands_with_all_that_it_says(database: Client) -> None:
    record = material.event(5, partition=1)
    write(database, [record])
    names = COLUMNS["events"]
    (line,) = database.query(f"SELECT {', '.join(names)} FROM events").result_rows
    row = dict(zip(names, line, strict=True))
    assert row["event_id"] == "E-1-5"
    assert row["rulebook"] == "guangxi"
    assert row["staff_id"] == "D-450100-0217"
    assert row["session_id"] == "S-20260302-0001"
    assert row["signature_valid"] is True
    assert (row["topic"], row["partition"], row["offset"]) == ("ih.events", 1, 5)
    assert row["received_at"].timestamp() * 1000 == record.timestamp
    (payload,) = database.query("SELECT JSONExtractInt(payload, 'patient_age_years') FROM events")\
        .result_rows[0]  # fmt: skip
    assert payload == 63


@pytest.mark.parametrize("path", material.FIXTURES, ids=lambda path: path.stem)
def test_every_event_type_can_be_read_back_from_its_row(path: Path) -> None:
    """Replay from ClickHouse gives the very datum that was published."""
    supervisor = path.stem in ("StaffRegistryChecked", "SupervisionNoticeIssued")
    record = material.event(1, path.stem, key_id="supervisor-1" if supervisor else None)
    rows = material.decoders().rows_of([record])
    row = {
        name: value
        for name, (value,) in zip(COLUMNS["events"], rows.by_table["events"], strict=True)
    }
    envelope = {name: row[name] for name in COLUMNS["events"][:11]}
    absent = {"stream_id": None, "supersedes_event_id": None, "signer_cert": None}
    envelope |= {name: envelope[name] or None for name in absent}
    datum, _, warnings = from_flat({**envelope, **json.loads(row["payload"])})
    original, _, _ = from_flat(
        {**material.fixture(path.stem), "event_id": "E-0-1", "institution_id": HOSPITAL}
    )
    assert datum == original
    assert warnings == []
    whole = to_flat(original)
    assert json.loads(row["payload"]) == {
        name: whole[name] for name in whole if name not in ENVELOPE
    }


def test_an_alert_lands_with_all_that_it_says(database: Client) -> None:
    datum = material.alert(version=3, state="RESOLVED", previous_state="CONFIRMED", clause="a",
                           violation_end=NOON + 5, flags=["late_evidence"])  # fmt: skip
    write(database, [material.alert_record(9, datum)])
    names = COLUMNS["alerts"]
    (line,) = database.query(f"SELECT {', '.join(names)} FROM alerts").result_rows
    row = dict(zip(names, line, strict=True))
    same = ("finding_id", "version", "state", "previous_state", "rule_id", "clause", "notify",
            "evidence", "params", "flags", "citations", "message_zh", "cause_offset")  # fmt: skip
    assert {name: row[name] for name in same} == {name: datum[name] for name in same}
    assert [step["state"] for step in row["history"]] == ["CONFIRMED", "RESOLVED"]
    assert row["opened_at"] == row["history"][0]["at"]
    assert row["violation_end"].microsecond == 5000


def test_a_reject_keeps_the_bytes_as_they_came(database: Client) -> None:
    write(database, [material.reject_record(0, 41)])
    (line,) = database.query(
        "SELECT hex(key), hex(value), hex(headers['ih-key-id']), offset, reason, field FROM rejects"
    ).result_rows
    assert line == ("FF006B6579", "C30100FEFF", "80", 41, "TRUNCATED", "")


def test_an_output_that_cannot_be_read_is_kept_as_reject(database: Client) -> None:
    broken = material.alert_record(3, material.alert())
    broken = broken._replace(value=(broken.value or b"")[:-4])
    write(database, [broken, material.alert_record(4, material.alert())])
    assert database.command("SELECT count() FROM alerts") == 1
    (line,) = database.query("SELECT topic, offset, reason, hex(value) FROM rejects").result_rows
    assert line == ("ih.alerts", 3, "TRUNCATED", (broken.value or b"").hex().upper())


def test_only_admitted_events_land_and_ticks_are_no_events(database: Client) -> None:
    forged = material.event(1)._replace(value=b"\xc3\x01" + bytes(30))
    foreign = material.event(2, key_id=f"{OTHER}-1")
    unsigned = material.event(3)._replace(headers=[])
    rows = material.decoders().rows_of(
        [material.tick(0), forged, foreign, unsigned, material.event(4)]
    )
    assert rows.seen == {"ticks": 1, "events_refused": 3}
    assert rows.by_table["events"][0] == ["E-0-4"]


def test_columns_keep_the_order_of_the_records_and_one_length() -> None:
    """Also where refused and unreadable records stand between, and topics take turns."""
    unsigned = material.event(1)._replace(headers=[])
    broken = material.alert_record(1, material.alert())._replace(value=b"?")
    rows = material.decoders().rows_of(
        [
            material.event(0, "InstitutionFiled"),
            material.aggregate_record(0, 0, 1, {"events": 1.0, "late": 2.0}),
            unsigned,
            material.reject_record(0, 7),
            broken,
            material.aggregate_record(1, 1, 2, {}),
            material.event(2, institution_id=OTHER),
            material.aggregate_record(2, 2, 3, {"events": 3.0}),
            material.alert_record(2, material.alert("g")),
        ]
    )
    for table, columns in rows.by_table.items():
        assert {len(column) for column in columns} == {rows.count(table)}, table

    def column(table: str, name: str) -> list[Any]:
        return rows.by_table[table][COLUMNS[table].index(name)]

    assert column("events", "offset") == [0, 2]
    assert column("events", "rulebook") == ["guangxi", "chongqing"]
    assert column("institutions", "received_at") == [NOON]
    assert column("aggregates", "metric") == ["events", "late", "events"]
    assert column("aggregates", "value") == [1.0, 2.0, 3.0]
    assert column("aggregates", "revision") == [1, 1, 3]
    assert column("alerts", "finding_id") == ["g"]
    assert sorted(column("rejects", "topic")) == ["ih.alerts", "ih.events"]


def test_a_table_without_rows_is_left_alone(database: Client) -> None:
    """A batch of ticks, or an aggregate without metrics, asks ClickHouse for nothing."""
    write(database, [material.tick(0), material.aggregate_record(0, 0, 1, {})])
    assert not any(everything(database).values())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_first_receipt_of_an_event_stays(database: Client, order: tuple[int, ...]) -> None:
    """Also when its copies claim other times, so that they lie in other partitions."""
    copies = [
        material.event(10, event_id="E", received_at=NOON, occurred_at=NOON - HOUR),
        material.event(11, event_id="E", received_at=NOON, occurred_at=NOON - 90 * 24 * HOUR),
        material.event(3, event_id="E", partition=1, received_at=NOON + 1),
    ]
    for index in order:
        write(database, [copies[index]])
    final = "SELECT offset, partition FROM events FINAL"
    assert database.query(final).result_rows == [(10, 0)]
    database.command("OPTIMIZE TABLE events FINAL")
    assert database.query(final).result_rows == [(10, 0)]


def test_one_hospital_cannot_displace_the_event_of_another(database: Client) -> None:
    ours = material.event(5, event_id="E", received_at=NOON)
    theirs = material.event(1, event_id="E", institution_id=OTHER, received_at=NOON - HOUR)
    write(database, [ours, theirs])
    assert database.command("SELECT count() FROM events FINAL") == 2


def test_the_latest_version_revision_and_filing_stay(database: Client) -> None:
    for at in (2, 0, 1):
        write(database, [
            material.alert_record(at, material.alert("f", at + 1, title_en=f"v{at + 1}")),
            material.aggregate_record(at, 0, at, {"events": float(at), "late": 0.5}),
            material.event(at, "InstitutionFiled", occurred_at=NOON + at, registered_name=f"n{at}"),
        ])  # fmt: skip
    assert database.query("SELECT version, title_en FROM alerts FINAL").result_rows == [(3, "v3")]
    assert database.query(
        "SELECT metric, value, revision FROM aggregates FINAL ORDER BY metric"
    ).result_rows == [("events", 2.0, 2), ("late", 0.5, 2)]
    assert database.command("SELECT registered_name FROM institutions FINAL") == "n2"


def test_hostile_dates_open_few_partitions_and_stop_nothing(database: Client) -> None:
    months = [
        material.event(n, occurred_at=f"{2000 + n // 12}-{1 + n % 12:02}-15T00:00:00Z")
        for n in range(1199)
    ]
    write(database, months)
    assert database.command("SELECT count() FROM events FINAL") == 1199
    partitions = database.command(
        "SELECT uniqExact(partition) FROM system.parts WHERE table = 'events' AND active"
    )
    assert int(str(partitions)) <= 35 * 12


def test_no_end_of_a_licence_is_a_date_that_can_be_stored(database: Client) -> None:
    write(database, [material.event(0, "InstitutionFiled", licence_valid_to="9999-12-31")])
    assert str(database.command("SELECT toString(licence_valid_to) FROM institutions")) == (
        "2299-12-31"
    )


def test_moved_batch_boundaries_converge(chdb_url: str, database: Client) -> None:
    """The same range again, cut otherwise, partly twice, in another order: the same FINAL rows."""
    records = mixed()
    write(database, records)
    wanted = everything(database)
    dice = random.Random(3)
    for _ in range(4):
        start = dice.randrange(len(records))
        sizes = [dice.randrange(1, 40) for _ in range(20)]
        batches = in_batches(records[start:], sizes)
        dice.shuffle(batches)
        for batch in batches:
            if batch:
                write(database, batch)
        assert everything(database) == wanted
    for table in COLUMNS:
        database.command(f"OPTIMIZE TABLE {table} FINAL")
    assert everything(database) == wanted
    assert database.command("SELECT count() FROM events") == len(wanted["events"])


def test_the_same_batch_again_is_dropped_by_its_token(database: Client) -> None:
    records = mixed()
    write(database, records)
    stored = database.command("SELECT count() FROM events")
    write(database, records)
    assert database.command("SELECT count() FROM events") == stored


def test_a_topic_made_anew_is_not_taken_for_a_repeated_batch(database: Client) -> None:
    """Same partition and offsets, other records: another token, so nothing is dropped."""
    write(database, [material.event(0), material.reject_record(0, 7)])
    again = [material.event(0, event_id="new"), material.reject_record(0, 7)]
    write(database, again)
    ids = database.query("SELECT event_id FROM events FINAL ORDER BY event_id").result_rows
    assert ids == [("E-0-0",), ("new",)]


class Flaky:
    """A client that fails now and then, before or after the insert took place."""

    def __init__(self, client: Client, failures: Callable[[], str | None]) -> None:
        self._client = client
        self._failures = failures

    def insert(self, *args: Any, **kwargs: Any) -> Any:
        when = self._failures()
        if when == "before":
            raise OperationalError("injected")
        result = self._client.insert(*args, **kwargs)
        if when == "after":
            raise OperationalError("injected, though the rows are in")
        return result

    def close(self) -> None:
        """The client under it stays open for the next try."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_failed_insert_is_retriable_and_tells_no_row(database: Client) -> None:
    fates = iter(["before", "after", None])
    writer = Writer(lambda: Flaky(database, lambda: next(fates, None)))  # type: ignore[arg-type,return-value]
    records = mixed()
    rows = material.decoders().rows_of(records)
    for _ in range(2):
        with pytest.raises(ClickHouseUnavailable) as caught:
            writer.insert(rows, token(records, rows))
        assert caught.value.retriable
        assert HOSPITAL not in str(caught.value)
    writer.insert(rows, token(records, rows))
    seen = everything(database)
    write(database, records)
    assert everything(database) == seen


def test_unreachable_clickhouse_is_retriable() -> None:
    writer = Writer(lambda: connect("http://nobody@127.0.0.1:9/ihwatch", "secret-word"))
    rows = Rows()
    rows.add("aggregates", [["a"], ["b"], [NOON], [NOON], ["m"], [1.0], [1]])
    with pytest.raises(ClickHouseUnavailable) as caught:
        writer.insert(rows, "t")
    assert "secret-word" not in repr(caught.value)


CHILD = """
import sys, time
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import Writer, token
from tests.sinks.test_writer import mixed
from tests.sinks.material import decoders
url, done, size, total = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
writer, records, known = Writer(lambda: connect(url)), mixed(total), decoders()
start = int(open(done).read() or 0)
print("ready", flush=True)
while start < len(records):
    batch = records[start : start + size]
    rows = known.rows_of(batch)
    writer.insert(rows, token(batch, rows))
    start += size
    with open(done, "w") as file:  # only now: the offset follows the insert
        file.write(str(start))
writer.close()
print("end", flush=True)
"""


def test_a_writer_killed_midway_leaves_nothing_out_and_nothing_twice(
    chdb_url: str, tmp_path: Path
) -> None:
    client = connect(chdb_url)
    migrate(client)
    client.close()
    done = tmp_path / "done"
    done.write_text("")
    total, kills, dice = 400, 0, random.Random(11)
    for attempt in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, chdb_url, str(done), str(29 + attempt), str(total)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        if attempt < 4:
            time.sleep(dice.uniform(0.1, 0.5))
            child.send_signal(signal.SIGKILL)
            kills += 1
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
        if rest == "end\n":
            break
    assert kills >= 3
    client = connect(chdb_url)
    written = everything(client)
    client.close()
    other = connect(f"chdb://{tmp_path}/whole")
    migrate(other)
    write(other, mixed(total))
    wanted = everything(other)
    other.close()
    assert written == wanted
