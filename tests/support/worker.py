"""`ihwatch worker` as child processes on a broker, with topics, keys and disks of their own.

A `Deployment` is what operators would set up: topics made by plan, a directory with keys, settings
in the environment. It publishes signed events as hospitals do, starts and kills workers, waits
until the group has committed everything, and reads back all that was published and stored.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.codec import Datum
from schemas.directory import Directory
from schemas.settings import Settings
from schemas.topics import TICK_HEADER, TICK_VALUE, Topics
from streams.admin import plan
from streams.simulator.publish import PRODUCER_SETTINGS
from tests.support.kafka import HOST, free_ports
from tests.support.replay import Logged, Results, Rules, Sender
from tests.support.trust import Cluster

PATIENCE = 60.0  # seconds for anything that is bound to happen
NOT_YET = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
IHWATCH = Path(sys.executable).with_name("ihwatch")


class Answer(NamedTuple):
    """What a page of the worker's web server said."""

    status: int
    text: str


class WorkerProcess:
    """One `ihwatch worker`; a context manager that leaves nothing running."""

    def __init__(self, environ: Mapping[str, str], options: Iterable[str], output: Path) -> None:
        self.data_dir = Path(environ["IHWATCH_DATA_DIR"])
        self.port = int(environ["IHWATCH_WEB_PORT"])
        self._output = output
        clean = {k: v for k, v in os.environ.items() if not k.startswith("IHWATCH_")}
        with output.open("ab") as out:
            self._process = subprocess.Popen(
                [IHWATCH, "worker", *options], env={**clean, **environ},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code of a worker that ends by itself."""
        return self._process.wait(PATIENCE)

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def get(self, path: str) -> Answer | None:
        """A page of its web server; None while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=10) as page:
                return Answer(page.status, page.read().decode())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, refusal.read().decode())
        except OSError:
            return None

    @property
    def ready(self) -> bool:
        answer = self.get("/readyz")
        return answer is not None and answer.status == 200

    def wait_ready(self) -> Self:
        self.until(lambda: self.ready)
        return self

    def until(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait for what must happen while this worker lives."""
        deadline = time.monotonic() + patience
        while not condition():
            assert self.running, self.output()[-5000:]
            assert time.monotonic() < deadline, f"waited {patience} s: {self.output()[-5000:]}"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()


class Deployment:
    """One set of topics on a broker, with everything around it; a context manager.

    On `clock="create"` the events topic keeps the producer's timestamps, so that `received_at` is
    the simulated time; on "log-append" they are the broker's.
    """

    def __init__(
        self,
        cluster: Cluster,
        directory: Directory,
        *,
        partitions: int = 4,
        clock: str = "create",
        overrides: Iterable[str] = (),
        topic_clock: str | None = None,
        **settings: Any,
    ) -> None:
        mark = uuid.uuid4().hex[:8]
        self.cluster, self.partitions = cluster, partitions
        self.folder = Path(tempfile.mkdtemp(prefix="ihwatch-test-"))
        directory.write(self.folder / "institutions.toml")
        environ = {
            "brokers": cluster.address, "topic_prefix": f"t{mark}", "group": f"workers-{mark}",
            "directory": self.folder / "institutions.toml", "partitions": partitions,
            "clock": clock, "overrides": ";".join(overrides), "log_format": "text", **settings,
        }  # fmt: skip
        self.environ = {f"IHWATCH_{name.upper()}": str(value) for name, value in environ.items()}
        self.settings = Settings.from_env(self.environ)
        self.topics = Topics.named(self.settings.topic_prefix)
        self.rules = Rules(directory, self.settings.overrides, self.topics)
        self.sender = Sender(directory)
        self.delivered = 0
        self._undelivered: list[str] = []
        self._lives = 0
        self._create_topics(topic_clock or clock)
        self._producer = Producer(
            {
                **PRODUCER_SETTINGS, "bootstrap.servers": cluster.address, "linger.ms": 50,
                "message.max.bytes": 100_000_000, "log_level": 0,
            }
        )  # fmt: skip
        self._reader = Consumer(
            {
                "bootstrap.servers": cluster.address, "group.id": self.settings.group,
                "enable.auto.commit": False, "fetch.wait.max.ms": 50, "log_level": 0,
            }
        )  # fmt: skip

    def close(self) -> None:
        self._reader.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create_topics(self, clock: str) -> None:
        stamp = "LogAppendTime" if clock == "log-append" else "CreateTime"
        for wanted in plan(self.settings):
            config = dict(wanted.config)
            if wanted.name == self.topics.events.name:
                config["message.timestamp.type"] = stamp
            self.cluster.create(wanted.name, wanted.partitions, config)

    # -- workers ---------------------------------------------------------------------------------

    def worker(self, disk: str = "disk", **settings: Any) -> WorkerProcess:
        """Start a worker on a disk of that name; two at a time need two disks."""
        self._lives += 1
        environ = {
            **self.environ,
            "IHWATCH_DATA_DIR": str(self.folder / disk),
            "IHWATCH_WEB_PORT": str(free_ports(1)[0]),
            **{f"IHWATCH_{name.upper()}": str(value) for name, value in settings.items()},
        }
        options = [f"--session-timeout={self.cluster.session_timeout}", "--settle=0"]
        return WorkerProcess(environ, options, self.folder / f"worker-{self._lives}.out")

    def wipe(self, disk: str = "disk") -> None:
        """Lose a worker's disk."""
        shutil.rmtree(self.folder / disk, ignore_errors=True)

    # -- publishing ------------------------------------------------------------------------------

    def publish(self, datum: Datum, received_at: int) -> None:
        """Sign and send one event; only topics on the producer's clock keep `received_at`."""
        key, value, headers = self.sender.record(datum)
        self.send(key, value, headers, received_at)

    def send(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        timestamp: int,
        partition: int | None = None,
    ) -> None:
        """Send any record; `flush` says when it is there."""
        self._producer.produce(
            self.topics.events.name, key=key, value=value, headers=[*headers],
            partition=-1 if partition is None else partition, timestamp=timestamp,
            on_delivery=self._acknowledged,
        )  # fmt: skip
        self._producer.poll(0)

    def tick(self, timestamp: int) -> None:
        """Move the clock of every partition."""
        for partition in range(self.partitions):
            self.send(None, None, [(TICK_HEADER, TICK_VALUE)], timestamp, partition)

    def flush(self) -> None:
        """Wait until the broker has everything that was sent."""
        left = self._producer.flush(PATIENCE)
        assert not left, f"{left} records not acknowledged"
        assert not self._undelivered, self._undelivered[:3]

    def _acknowledged(self, error: Any, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._undelivered.append(str(error))

    # -- reading back ----------------------------------------------------------------------------

    def committed(self, topic: str | None = None) -> dict[int, int]:
        """The group's offset of each partition of the events, or of another topic."""
        name = topic or self.topics.events.name
        wanted = [TopicPartition(name, p) for p in range(self.partitions)]
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = self._reader.committed(wanted, timeout=PATIENCE)
                break
            except KafkaException as refusal:  # a broker that has just started is not ready yet
                if refusal.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        return {tp.partition: 0 if tp.offset == OFFSET_INVALID else tp.offset for tp in found}

    def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """The first offset and the one after the last, by partition."""
        return {
            p: self._reader.get_watermark_offsets(TopicPartition(topic, p), timeout=PATIENCE)
            for p in range(self.partitions)
        }

    @property
    def finished(self) -> bool:
        """Whether the group has committed everything: events, then what they told others."""
        return all(
            self.committed(topic.name)[p] >= end
            for topic in (self.topics.events, self.topics.practice)
            for p, (_, end) in self.ends(topic.name).items()
        )

    def read(self, topic: str) -> Iterator[Message]:
        """Every record of a topic, each partition in order."""
        starts, left = [], 0
        for partition, (low, high) in self.ends(topic).items():
            if high > low:
                starts.append(TopicPartition(topic, partition, low))
                left += high - low
        if not left:
            return
        self._reader.assign(starts)
        deadline = time.monotonic() + PATIENCE
        try:
            while left > 0:
                assert time.monotonic() < deadline, f"{left} records of {topic} not to be read"
                for message in self._reader.consume(min(left, 10_000), timeout=0.5):
                    assert message.error() is None, message.error()
                    left -= 1
                    yield message
        finally:
            self._reader.unassign()

    def log(self) -> dict[int, list[Logged]]:
        """The events topic as workers see it."""
        found: dict[int, list[Logged]] = {partition: [] for partition in range(self.partitions)}
        for message in self.read(self.topics.events.name):
            kind, timestamp = message.timestamp()
            found[message.partition() or 0].append(
                Logged(
                    message.partition() or 0,
                    message.offset() or 0,
                    timestamp,
                    int(kind == 2),  # TIMESTAMP_LOG_APPEND_TIME
                    message.key(),
                    message.value(),
                    [*(message.headers() or [])],
                )
            )
        return found

    def results(self) -> Results:
        """All that workers published and what their changelog holds now."""
        found = Results(self.topics)
        topics = self.topics
        for topic in (topics.alerts, topics.aggregates, topics.rejects, topics.receipts):
            for message in self.read(topic.name):
                found.take(topic.name, message.value())  # type: ignore[arg-type]
        found.table = self.changelog()
        return found

    def changelog(self) -> dict[str, bytes]:
        """The latest case file of every key."""
        found: dict[str, bytes] = {}
        for message in self.read(plan(self.settings)[-1].name):
            key, value = message.key(), message.value()
            assert isinstance(key, bytes)
            if value is None:
                found.pop(key.decode(), None)
            else:
                assert isinstance(value, bytes)
                found[key.decode()] = value
        return found
