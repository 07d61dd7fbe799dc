"""Rows per second from a real Kafka into ClickHouse, where a row's time goes, and the floors.

    python -m bench.sink [--records 60000] [--runs 5] [--write]

A realistic mix from the simulator (bench/load.py), one event in 500 not signed, is judged by the
worker's core; the events, and what the core makes of them, fill the topics once. Every run reads
all of it anew: a new group, a new chDB, a process of its own. Contenders alternate:

- sink: the product on one core, with a clock on each stage;
- decode only: `consume()` and decoding on one core, nothing else;
- insert only: the batches of the sink on one core, made before the clock runs;
- two sinks: two processes at once on all cores, each reads all into a chDB of its own.

With --write into bench/results/sink.json.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import click
from confluent_kafka import Producer

from bench.contenders import PARTITIONS, Cluster, core_of_contender
from bench.load import Encoded, make_load
from bench.machine import RESULTS, machine
from bench.report import Spread
from schemas import wire
from schemas.admission import Admission
from schemas.directory import Directory
from schemas.memory import collect_seldom
from schemas.registry import LocalRegistry
from schemas.topics import Topics
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.rows import Decoders, Rows
from sinks.clickhouse.sink import BatchLimits, ClickHouseSink
from sinks.clickhouse.writer import Writer, token
from sinks.log import LogOptions, LogReader, Record
from sinks.status import Status
from streams.simulator.publish import PRODUCER_SETTINGS
from tests.support.kafka import RealKafka
from tests.support.replay import Logged, Rules, process

TOPICS = Topics.named("bench")
READ = (TOPICS.events, TOPICS.alerts, TOPICS.aggregates, TOPICS.rejects)
SINK, DECODE, INSERT, TWO = "sink", "decode only", "insert only", "two sinks"

_HOURS, _RATE = 33.0, 20.0  # timed hours, sessions a day of a hospital
_EVENTS_A_HOSPITAL = 530  # in these hours
_UNSIGNED = 500
_BATCH = 2_000
_SENT_AT_ONCE = 20_000


@dataclass
class Run:
    """One contender, once; `stages` are CPU seconds by what was done and for which table."""

    contender: str
    records: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        """Rows, or records where no rows are made."""
        return sum(self.rows.values()) or self.records

    @property
    def rate(self) -> float:
        return self.counted / self.seconds

    @property
    def cpu_rate(self) -> float:
        return self.counted / self.cpu_seconds


@dataclass(frozen=True)
class Filled:
    """The topics with everything in them: where, whose keys, and how many records there are."""

    brokers: str
    directory: Path
    records: int

    def options(self) -> LogOptions:
        """As a group that has read nothing yet."""
        return LogOptions(self.brokers, uuid.uuid4().hex, [topic.name for topic in READ])

    def decoders(self) -> Decoders:
        directory = Directory.load(self.directory)
        return Decoders(TOPICS, Admission(LocalRegistry(), directory), directory)


# -- filling the topics ----------------------------------------------------------------------------


def fill(kafka: RealKafka, folder: Path, events: int) -> Filled:
    """Publish about so many events, and what a worker would have published about them."""
    load = make_load(max(1, round(events / 5 / _EVENTS_A_HOSPITAL)), _RATE, _HOURS)
    logged = _logged(load.before + load.timed)
    before, timed = logged[: len(load.before)], logged[len(load.before) :]
    for number in range(0, len(timed) - load.ticks, _UNSIGNED):
        timed[number] = timed[number]._replace(headers=[])
    cluster = Cluster(kafka)
    for topic in READ:
        cluster.create(topic.name, PARTITIONS, {"max.message.bytes": "3000000"})
    producer = Producer({**PRODUCER_SETTINGS, "bootstrap.servers": kafka.address, "linger.ms": 50})
    sent = 0

    def send(topic: str, key: bytes | None, value: bytes | None, at: int, **rest: Any) -> None:
        nonlocal sent
        producer.produce(topic, value, key, timestamp=at, **rest)
        sent += 1
        if sent % _SENT_AT_ONCE == 0:  # the producer's queue is not without end
            producer.flush()

    for one in timed:
        place = {"partition": one.partition, "headers": one.headers}
        send(TOPICS.events.name, one.key, one.value, one.timestamp, **place)
    outputs = {topic.name for topic in READ}
    for partition in range(PARTITIONS):
        processor = Rules(load.directory, (), TOPICS).processor(partition, {})
        for part in (before, timed):
            mine = [one for one in part if one.partition == partition]
            for _, done in process(processor, mine, lambda: _BATCH):
                for effect in done.effects:
                    if part is timed and effect.topic in outputs:
                        send(effect.topic, effect.key, effect.value, load.end)
    assert producer.flush(60) == 0
    load.directory.write(folder / "institutions.toml")
    return Filled(kafka.address, folder / "institutions.toml", sent)


def _logged(records: Iterable[Encoded]) -> list[Logged]:
    """The records as they will stand in their partitions."""
    offsets, placed = Counter[int](), []
    for key, value, headers, timestamp in records:
        partition = crc32(key) % PARTITIONS
        placed.append(Logged(partition, offsets[partition], timestamp, 0, key, value, headers))
        offsets[partition] += 1
    return placed


# -- contenders, each in a process of its own ------------------------------------------------------


class Clock:
    """CPU seconds by stage and table, taken around methods of the product."""

    def __init__(self) -> None:
        self.stages: defaultdict[str, float] = defaultdict(float)

    def around(
        self, owner: type, name: str, stage: str, table: Callable[..., str] | None = None
    ) -> None:
        """Time every call of a method; `table` tells from its arguments for which table it is."""
        method = getattr(owner, name)

        def timed(*args: Any) -> Any:
            begun = time.process_time()
            try:
                return method(*args)
            finally:
                spent = time.process_time() - begun
                self.stages[f"{stage} {table(*args)}" if table else stage] += spent

        setattr(owner, name, timed)


def run_sink(filled: Filled) -> Run:
    """The product, from the first record that it polls to its last commit."""
    run, clock, stop = Run(SINK), Clock(), threading.Event()
    begun = cpu_begun = 0.0
    poll, commit = LogReader.poll, LogReader.commit

    def polling(reader: LogReader, at_most: int, timeout_s: float) -> list[Record]:
        nonlocal begun, cpu_begun
        found = poll(reader, at_most, timeout_s)
        if found and not run.records:
            clock.stages.clear()
            begun, cpu_begun = time.perf_counter(), time.process_time()
        run.records += len(found)
        if run.records == filled.records:
            stop.set()
        return found

    def committing(*args: Any) -> bool:
        done = commit(*args)
        run.seconds, run.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
        return done

    def table(_: Decoders, records: Sequence[Record]) -> str:
        return records[0].topic.rpartition(".")[2]

    LogReader.poll = polling  # type: ignore[method-assign,assignment]
    LogReader.commit = committing  # type: ignore[method-assign,assignment]
    clock.around(LogReader, "poll", "fetch")
    clock.around(Decoders, "rows_of", "make", table)
    clock.around(Writer, "insert", "insert", _first_table)
    clock.around(LogReader, "commit", "commit")
    status = Status("bench")
    with tempfile.TemporaryDirectory(prefix="ihwatch-bench-") as folder:
        client = connect(f"chdb://{folder}/chdb")
        migrate(client)
        sink = ClickHouseSink(filled.options(), filled.decoders(), Writer(lambda: client), status)
        sink.run(stop)
    for name, count in status.snapshot().items():
        if name.startswith("rows_"):
            run.rows[name.removeprefix("rows_")] = count
    rest = run.cpu_seconds - sum(clock.stages.values())
    run.stages = {**clock.stages, "rest": rest}
    return run


def _first_table(_: Writer, rows: Rows, __: str) -> str:
    """Where most rows of a batch go; an event that files an institution has a second row."""
    return max(rows.by_table, key=rows.count)


def run_decode(filled: Filled) -> Run:
    """Fetch and decode every record; signatures and values are not looked at."""
    from confluent_kafka import Consumer

    run, registry, options = Run(DECODE), LocalRegistry(), filled.options()
    consumer = Consumer(
        {
            "bootstrap.servers": options.brokers,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(list(options.topics))
    run.records = left = filled.records - len(consumer.consume(1, timeout=30))
    begun, cpu_begun = time.perf_counter(), time.process_time()
    while left:
        messages = consumer.consume(min(left, 5_000), timeout=30)
        left -= len(messages)
        for message in messages:
            value = message.value()
            if message.topic() != TOPICS.events.name:
                wire.decode_output(value)  # type: ignore[arg-type]
            elif value is not None:
                wire.decode(value, registry)
    run.seconds, run.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    consumer.close()
    return run


def run_insert(filled: Filled) -> Run:
    """Only the inserts, of such batches as the sink makes of a backlog."""
    run, decoders, size = Run(INSERT), filled.decoders(), BatchLimits().rows
    reader = LogReader(filled.options(), lambda _: {})
    places: dict[tuple[str, int], list[Record]] = {}
    while run.records < filled.records:
        for record in reader.poll(5_000, 1.0):
            places.setdefault(record.place, []).append(record)
            run.records += 1
    reader.close()
    batches, made = [], Counter[str]()
    for records in places.values():
        for first in range(0, len(records), size):
            batch = records[first : first + size]
            rows = decoders.rows_of(batch)
            made.update({table: rows.count(table) for table in rows.by_table})
            batches.append((rows, token(batch, rows)))
    run.rows = dict(made)
    with tempfile.TemporaryDirectory(prefix="ihwatch-bench-") as folder:
        client = connect(f"chdb://{folder}/chdb")
        migrate(client)
        writer = Writer(lambda: client)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for rows, name in batches:
            writer.insert(rows, name)
        run.seconds, run.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
        writer.close()
    return run


# -- measuring and telling -------------------------------------------------------------------------


def together(contender: Callable[[Filled], Run], filled: Filled, cores: set[int]) -> list[Run]:
    """Run a contender on these cores, as often at once as there are cores."""
    with ProcessPoolExecutor(
        len(cores), get_context("spawn"), initializer=_prepare, initargs=(cores,)
    ) as pool:
        return [one.result() for one in [pool.submit(contender, filled) for _ in cores]]


def _prepare(cores: set[int]) -> None:
    """In the new process: its cores, and the collector as the product sets it."""
    os.sched_setaffinity(0, cores)
    collect_seldom()


def added(runs: Sequence[Run]) -> Run:
    """Sinks that ran at once, as one."""
    whole = Run(TWO, sum(one.records for one in runs))
    whole.seconds = max(one.seconds for one in runs)
    whole.cpu_seconds = sum(one.cpu_seconds for one in runs)
    whole.rows = {table: sum(one.rows[table] for one in runs) for table in runs[0].rows}
    return whole


def measure(filled: Filled, runs: int) -> list[Run]:
    """All contenders, alternating."""
    every, core = os.sched_getaffinity(0), core_of_contender()
    single = every if core is None else {core}
    found = []
    for number in range(runs):
        for contender in (run_sink, run_decode, run_insert):
            found += together(contender, filled, single)
        found.append(added(together(run_sink, filled, set(sorted(every)[-2:]))))
        for one in found[-4:]:
            click.echo(
                f"run {number + 1}/{runs}  {one.contender:12} {one.counted:8,}:"
                f" {one.rate:9,.0f}/s, {one.cpu_rate:9,.0f} a CPU second"
            )
    return found


def told(found: Sequence[Run]) -> str:
    """Rates, and where the CPU time of a row goes, for reading."""
    lines = []
    for name in (SINK, DECODE, INSERT, TWO):
        mine = [one for one in found if one.contender == name]
        lines.append(
            f"{name:12} {mine[0].counted:,} {'rows' if mine[0].rows else 'records'}:"
            f" {Spread.of([one.rate for one in mine])}/s,"
            f" {Spread.of([one.cpu_rate for one in mine])} a CPU second"
        )
    sinks = [one for one in found if one.contender == SINK]
    lines.append("CPU microseconds of the sink: for each row in all, and for each row of the table")
    for stage in sorted(sinks[0].stages):
        of = [one.stages[stage] / one.counted * 1e6 for one in sinks]
        line = f"  {stage:18} {Spread.of(of)}"
        table = stage.partition(" ")[2]
        if table in sinks[0].rows:
            line += f"   {Spread.of([one.stages[stage] / one.rows[table] * 1e6 for one in sinks])}"
        lines.append(line)
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--records", default=60_000, show_default=True, help="Events, about.")
@click.option("--runs", default=5, show_default=True, help="Runs of each contender.")
@click.option("--write", is_flag=True, help="Write bench/results/sink.json.")
def main(records: int, runs: int, write: bool) -> None:
    where = machine()
    with RealKafka(heap_mb=768, fast_jit=True) as kafka, tempfile.TemporaryDirectory() as folder:
        filled = fill(kafka, Path(folder), records)
        click.echo(f"{filled.records:,} records")
        found = measure(filled, runs)
    click.echo(told(found))
    if write:
        report = {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "runs": runs,
            "machine": where,
            "clickhouse": {name: version(name) for name in ("clickhouse-connect", "chdb-core")},
            "measured": [asdict(one) for one in found],
        }
        (RESULTS / "sink.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
