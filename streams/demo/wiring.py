"""All parts of the platform in one process: broker, hospitals, worker, sinks, receiver, auditor.

This is the one place that imports from every folder. Each part is the real one and runs in its own
thread; the broker is librdkafka's built-in cluster and ClickHouse is chDB.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from schemas.admission import Admission
from schemas.registry import LocalRegistry
from schemas.settings import Settings
from schemas.topics import Topics
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.rows import Decoders
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.writer import Writer
from sinks.log import LogOptions
from sinks.status import Status
from sinks.webhooks.dead import DeadLetters
from sinks.webhooks.endpoint import Endpoint
from sinks.webhooks.sink import WebhookSink
from streams.agents import CASES, Shell
from streams.app import build, ready
from streams.demo.audit import Auditor
from streams.demo.receiver import Receiver
from streams.demo.sabotage import sabotage
from streams.demo.stopwatch import Stopwatch, TimedProducer
from streams.embedded import EmbeddedBroker
from streams.simulator.config import SimulationConfig
from streams.simulator.pace import Pace, Pacer
from streams.simulator.publish import PRODUCER_SETTINGS, Publisher
from streams.simulator.simulation import Simulation, simulate
from streams.timeline import DAY, MINUTE
from streams.transport import changelog_topic

PARTITIONS = 4
TICK_EVERY = 30 * MINUTE
log = logging.getLogger(__name__)


class PartFailed(Exception):
    """A part of the demo ended by an error of its own."""


class Platform:
    """Starts every part, tells how far each is, and stops them in the order of the data's way."""

    def __init__(
        self, config: SimulationConfig, folder: Path, lived_seconds: float, quiet_seconds: float
    ) -> None:
        self.config = config
        self.folder = folder
        self.topics = Topics.named()
        self.simulation: Simulation = simulate(config)
        self.stopwatch = Stopwatch()
        lived = config.days * DAY / 1_000
        self.speed = lived / lived_seconds
        self.patience_from = lived_seconds + quiet_seconds
        self.pacer = Pacer(Pace.days_in(config, lived_seconds, quiet_seconds))
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.receiver = Receiver(secret, self.stopwatch)
        self.sink_status = Status("clickhouse")
        self.webhook_status = Status("webhooks")
        self.publisher: Publisher
        self.auditor: Auditor
        self.shell: Shell
        self._secret = secret
        self._threads: list[threading.Thread] = []
        self._stops: dict[str, threading.Event] = {}
        self._producer: TimedProducer
        self._failed: list[BaseException] = []
        self._ready = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything is up inside; whatever happens, everything is down after."""
        directory = self.simulation.directory
        topics = {topic.name: PARTITIONS for topic in self.topics.all()}
        settings = self._settings(topics)
        with EmbeddedBroker(topics) as broker:
            settings = self._settings(topics, brokers=broker.address)
            admission = Admission(LocalRegistry(), directory)
            self.client = connect(self.clickhouse_url)
            migrate(self.client)
            decoders = Decoders(self.topics, admission, directory)
            self.auditor = Auditor(broker.address, self.topics, admission)
            sink = ClickHouseSink(
                LogOptions(broker.address, "demo-clickhouse", decoders.topics),
                decoders,
                Writer(lambda: connect(self.clickhouse_url)),
                self.sink_status,
            )
            try:
                self._start("receiver", lambda stop: asyncio.run(self._receive(stop)))
                self._wait_until(lambda: self.receiver.port > 0, 10)
                url = f"http://127.0.0.1:{self.receiver.port}/alerts"
                webhooks = WebhookSink(
                    LogOptions(broker.address, "demo-webhooks", [self.topics.alerts.name]),
                    Endpoint(url, self._secret, 10.0),
                    DeadLetters(broker.address, self.topics.dead_webhooks.name),
                    self.webhook_status,
                )
                self._start("auditor", self.auditor.run)
                self._start("webhooks", webhooks.run)
                self._start("clickhouse", sink.run)
                self._start("worker", lambda stop: asyncio.run(self._work(stop, settings)))
                self._wait_until(self._worker_ready, 30)
                self._producer = self._make_producer(broker.address)
                self.publisher = Publisher(
                    self._producer, self.topics.events.name, directory, PARTITIONS, TICK_EVERY
                )
                self._start("hospitals", self._publish)
                yield
            finally:
                self.pacer.stop()
                for name in (
                    "hospitals",
                    "worker",
                    "webhooks",
                    "clickhouse",
                    "auditor",
                    "receiver",
                ):
                    self._stop(name)
                self.client.close()

    @property
    def clickhouse_url(self) -> str:
        return f"chdb://{self.folder / 'clickhouse'}"

    @property
    def clock(self) -> int:
        """The simulated instant that the slowest partition of the worker has reached."""
        clocks = self.shell.clocks
        return min(clocks.values()) if len(clocks) == PARTITIONS else 0

    @property
    def published_all(self) -> bool:
        return not self._alive("hospitals")

    @property
    def shared_clock(self) -> int:
        """The same of what institutions share; a partition at work counts as at the beginning."""
        shared = [self.shell.shared.get(partition) for partition in range(PARTITIONS)]
        return min(0 if one is None else one.supervisor.clock for one in shared)

    @property
    def judged_all(self) -> bool:
        """Whether the worker's clocks stand at the end of the simulation on every partition."""
        end = self.simulation.end
        return self.published_all and self.clock >= end and self.shared_clock >= end

    @property
    def delivered_all(self) -> bool:
        """Whether every alert that concerns on-call has arrived and every row is stored."""
        wanted = sum(a["notify"] for a in self.auditor.seen.alerts.values())
        arrived = len(self.receiver.states)
        # A finding may have ended with a version that tells on-call nothing new.
        return self.sink_status.lag == 0 and self.webhook_status.lag == 0 and arrived >= wanted

    def check(self) -> None:
        """Raise ``PartFailed`` if a part ended by an error."""
        if self._failed:
            raise PartFailed(repr(self._failed[0])) from self._failed[0]

    def _settings(self, topics: dict[str, int], **values: str) -> Settings:
        settings = Settings.from_env(
            {
                "IHWATCH_PARTITIONS": str(PARTITIONS),
                "IHWATCH_GROUP": "demo-worker",
                "IHWATCH_CLOCK": "create",
                "IHWATCH_TABLE_STORE": "memory",
                "IHWATCH_DATA_DIR": str(self.folder / "tables"),
                **{f"IHWATCH_{name.upper()}": value for name, value in values.items()},
            }
        )
        topics[changelog_topic(settings.group, CASES)] = PARTITIONS
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return settings

    def _make_producer(self, brokers: str) -> TimedProducer:
        settings = {
            "bootstrap.servers": brokers,
            **PRODUCER_SETTINGS,
            # The embedded broker gives one message set a fetch: fill it.
            "linger.ms": 100,
            "log_level": 2,
        }
        return TimedProducer(settings, self.stopwatch)

    def _publish(self, _stop: threading.Event) -> None:
        sabotage(self._producer, self.topics.events.name, self.simulation)
        self.publisher.run(self.simulation, self.pacer)

    async def _work(self, stop: threading.Event, settings: Settings) -> None:
        # Faust binds to the event loop of the thread in which its app is made.
        self.shell = build(
            settings,
            self.simulation.directory,
            recovery_delay=0.0,
            session_timeout=6.0,
            web=False,
        )
        app = self.shell.app
        app.finalize()
        await app.start()
        try:
            app.loop.create_task(self._report_ready(app))
            await asyncio.wait(
                [asyncio.create_task(asyncio.to_thread(stop.wait)), _crash(app)],
                return_when=asyncio.FIRST_COMPLETED,
            )
            if app.crashed:
                raise PartFailed("the worker crashed")
        finally:
            await app.stop()

    async def _report_ready(self, app: Any) -> None:
        """Faust tells of recovery by a signal of its own, so look now and then."""
        for _ in range(600):
            if all(ready(app).values()):
                self._ready.set()
                return
            await asyncio.sleep(0.05)

    def _worker_ready(self) -> bool:
        self.check()
        return self._ready.is_set()

    async def _receive(self, stop: threading.Event) -> None:
        runner = await self.receiver.start()
        try:
            await asyncio.to_thread(stop.wait)
        finally:
            await runner.cleanup()

    def _start(self, name: str, run: Callable[[threading.Event], Any]) -> None:
        stop = self._stops[name] = threading.Event()

        def guarded() -> None:
            try:
                run(stop)
            except Exception as error:
                log.exception("a part of the demo failed", extra={"part": name})
                self._failed.append(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _alive(self, name: str) -> bool:
        return any(t.name == name and t.is_alive() for t in self._threads)

    def _stop(self, name: str) -> None:
        if name in self._stops:
            self._stops[name].set()
            for thread in self._threads:
                if thread.name == name:
                    thread.join(20)

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise PartFailed("a part of the demo did not come up")
            time.sleep(0.05)


def _crash(app: Any) -> asyncio.Task[None]:
    """Ends when the app has crashed."""

    async def wait() -> None:
        await app.wait_until_stopped()

    return asyncio.create_task(wait())
