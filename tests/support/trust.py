"""The experiments behind docs/trust.md: what a worker loses or repeats when it is pushed.

Each runs on the embedded or on a real broker, with stock Faust or with our transport, and returns
what it counted. The tests assert on the counts of ours; `python -m bench.trust` prints both.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from streams.embedded import EmbeddedBroker
from streams.transport import CHANGELOG_CONFIG, changelog_topic
from tests.support.kafka import EVENT_TOPIC_CONFIG, ROOT, RealKafka
from tests.support.transport_app import TABLE, Plan, unpack

PATIENCE = 60.0  # seconds for anything that is bound to happen
KEYS = 40


class Cluster(Protocol):
    """What an experiment needs of a broker."""

    name: str
    address: str  # for the harness
    worker_address: str  # for workers; this one can be slow
    session_timeout: float  # the shortest that the broker bears, seconds

    def create(self, topic: str, partitions: int, config: dict[str, str]) -> None: ...

    def set_round_trip(self, seconds: float) -> None: ...


class EmbeddedCluster:
    name = "embedded"
    session_timeout = 4.0

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self.address = self.worker_address = broker.address

    def create(self, topic: str, partitions: int, config: dict[str, str]) -> None:
        self._broker.create_topic(topic, partitions)

    def set_round_trip(self, seconds: float) -> None:
        self._broker.set_round_trip(seconds)


class RealCluster:
    name = "Kafka"
    session_timeout = 2.0

    def __init__(self, kafka: RealKafka) -> None:
        self._kafka = kafka
        self.address = kafka.address
        self.worker_address = kafka.slow_address

    def create(self, topic: str, partitions: int, config: dict[str, str]) -> None:
        self._kafka.create_topics({topic: partitions}, config)

    def set_round_trip(self, seconds: float) -> None:
        self._kafka.proxy.round_trip = seconds


class Worker:
    """One child process that runs a `Plan`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._output = Path(plan.data_dir).with_suffix(".out")
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.transport_app",
                 json.dumps(dataclasses.asdict(plan))],
                cwd=ROOT, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        self._end(signal.SIGTERM)
        return self._process.returncode

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def _end(self, how: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()


class Bench:
    """One experiment's topic, group, directory and bookkeeping."""

    def __init__(self, cluster: Cluster, partitions: int, *, stock: bool) -> None:
        self.cluster, self.partitions, self.stock = cluster, partitions, stock
        mark = uuid.uuid4().hex[:8]
        self.topic, self.app_id = f"events-{mark}", f"worker-{mark}"
        self.changelog = changelog_topic(self.app_id, TABLE)
        cluster.create(self.topic, partitions, EVENT_TOPIC_CONFIG)
        cluster.create(self.changelog, partitions, CHANGELOG_CONFIG)
        self._directory = tempfile.TemporaryDirectory(prefix="ihwatch-trust-")
        self.journal = Path(self._directory.name) / "journal"
        self.journal.touch()
        self._lives = 0
        self._produced: defaultdict[int, int] = defaultdict(int)
        self._folded: defaultdict[bytes, int] = defaultdict(int)
        self._producer = Producer({"bootstrap.servers": cluster.address, "linger.ms": 50})
        self._reader = Consumer({"bootstrap.servers": cluster.address, "group.id": self.app_id})

    def close(self) -> None:
        self._reader.close()
        self._directory.cleanup()

    def worker(self, *, same_disk: bool = False, **differences: Any) -> Worker:
        """Start a worker: on a disk of its own unless it is to find the one of the last life."""
        self._lives += not same_disk or not self._lives
        plan = Plan(
            brokers=self.cluster.worker_address,
            app_id=self.app_id,
            topic=self.topic,
            partitions=self.partitions,
            data_dir=str(Path(self._directory.name) / f"disk-{self._lives}"),
            journal=str(self.journal),
            stock=self.stock,
            session_timeout=self.cluster.session_timeout,
        )
        return Worker(dataclasses.replace(plan, **differences))

    def produce(self, count: int, *, at_once: int = 500, pause: float = 0.0) -> None:
        """Append so many records, spread evenly over the partitions."""
        for number in range(count):
            partition = number % self.partitions
            offset = self._produced[partition]
            key = b"%d-%d" % (partition, offset % KEYS)
            self._produced[partition] += 1
            self._folded[key] += 1
            self._producer.produce(self.topic, key=key, value=b"x" * 60, partition=partition)
            if number % at_once == at_once - 1:
                self._producer.flush()
                time.sleep(pause)
        self._producer.flush()

    def delete(self, partition: int, number: int) -> None:
        """Append a record that deletes the key of this number."""
        key = b"%d-%d" % (partition, number)
        self._produced[partition] += 1
        self._folded[key] = 0
        self._producer.produce(self.topic, key=key, value=None, partition=partition)
        self._producer.flush()

    @property
    def produced(self) -> int:
        return sum(self._produced.values())

    def committed(self) -> dict[int, int]:
        wanted = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        found = self._reader.committed(wanted, timeout=PATIENCE)
        return {tp.partition: max(0, tp.offset) for tp in found}

    def finished(self) -> dict[int, set[int]]:
        """Return the offsets that any life finished, by partition."""
        done: dict[int, set[int]] = {partition: set() for partition in range(self.partitions)}
        for partition, first, last in self._journal():
            done[partition].update(range(first, last + 1))
        return done

    def repeated(self) -> int:
        """Count how often a record was finished once more."""
        total = sum(last - first + 1 for _, first, last in self._journal())
        return total - sum(map(len, self.finished().values()))

    def said(self, word: str) -> list[str]:
        """Return what followed `word` in the journal's remarks."""
        lines = self.journal.read_text().splitlines()
        return [line[len(word) + 3 :] for line in lines if line.startswith(f"# {word}")]

    def skipped(self) -> int:
        """Count records below a committed offset that no life finished: they are lost."""
        committed = self.committed()  # before the journal: that may only be ahead
        done = self.finished()
        return sum(
            committed[p] - len(done[p] & set(range(committed[p]))) for p in range(self.partitions)
        )

    def table(self) -> dict[bytes, int]:
        """Return the folded counts, from the changelog: what a new worker would recover."""
        found: dict[bytes, int] = {}
        reader = Consumer({"bootstrap.servers": self.cluster.address, "group.id": "reader"})
        with contextlib.closing(reader):
            left = 0
            starts = []
            for partition in range(self.partitions):
                tp = TopicPartition(self.changelog, partition)
                low, high = reader.get_watermark_offsets(tp, timeout=PATIENCE)
                left += high - low
                starts.append(TopicPartition(self.changelog, partition, low))
            reader.assign(starts)
            deadline = time.monotonic() + PATIENCE
            while left > 0:
                assert time.monotonic() < deadline, f"{left} changelog entries not to be read"
                for message in reader.consume(10_000, timeout=0.5):
                    assert message.error() is None, message.error()
                    left -= 1
                    key, value = message.key(), message.value()
                    assert isinstance(key, bytes)
                    found[key] = unpack(value)[0] if value else 0
        return found

    def table_errors(self) -> tuple[int, int]:
        """Return by how much the table counts too many and too few, over all keys."""
        found = self.table()
        over = sum(max(0, found.get(key, 0) - count) for key, count in self._folded.items())
        under = sum(max(0, count - found.get(key, 0)) for key, count in self._folded.items())
        return over, under

    def quiet(self, seconds: float) -> bool:
        """Tell whether the journal has not grown for so long."""
        return time.time() - self.journal.stat().st_mtime > seconds

    def wait_ready(self, worker: Worker, lives: int = 1) -> None:
        wait_for(lambda: len(self.said("ready")) >= lives, worker)

    @property
    def complete(self) -> bool:
        """Whether every record was finished by some life."""
        return self.finished_count() == self.produced

    def finished_count(self) -> int:
        return sum(map(len, self.finished().values()))

    def wait_finished(self, worker: Worker) -> None:
        wait_for(lambda: self.complete, worker)

    def wait_committed(self, worker: Worker, patience: float = PATIENCE) -> int:
        """Wait until all is committed or nothing moves for 3 s; return what is not."""
        before, since = -1, time.monotonic()
        deadline = time.monotonic() + patience
        while (now := sum(self.committed().values())) < self.produced:
            assert worker.running, worker.output()
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() > min(deadline, since + 3.0):
                break
            time.sleep(0.1)
        return self.produced - now

    def _journal(self) -> Iterator[tuple[int, int, int]]:
        for line in self.journal.read_text().splitlines():
            if not line.startswith("#"):
                partition, first, last = map(int, line.split())
                yield partition, first, last


def wait_for(condition: Callable[[], bool], worker: Worker, patience: float = PATIENCE) -> None:
    """Wait for a condition that a running worker brings about."""

    def reached() -> bool:
        if condition():
            return True
        assert worker.running, worker.output()
        return False

    eventually(reached, patience)


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s"
        time.sleep(0.1)
