"""A real Apache Kafka on loopback, from the jars on Maven Central: for tests and benchmarks.

One KRaft node that is broker and controller, on free ports, with its log in a directory of its
own and at most 512 MB of heap. The jars are those of deploy/kafka/pom.xml, fetched once into a
cache.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).parents[2]
POM = ROOT / "deploy" / "kafka" / "pom.xml"
START_TIMEOUT = 60.0  # seconds; two busy cores take 4 to 10
HOST = "127.0.0.1"

# The partition's clock is the broker's, as in production.
EVENT_TOPIC_CONFIG = {"message.timestamp.type": "LogAppendTime"}

LOG4J = """\
<Configuration>
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{plain},SLOW://{host}:{slow},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{plain},SLOW://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SLOW:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""


class KafkaMissingError(Exception):
    """Java 17, Maven or the jars are not to be had here; the text says which."""


def jars() -> Path:
    """Return the directory with Kafka's jars, fetching them with Maven the first time.

    The cache is $IHWATCH_TEST_CACHE, else ihwatch/ in the user's cache directory; a changed pom
    gets a directory of its own. Several processes may ask at once.
    """
    cache = os.environ.get("IHWATCH_TEST_CACHE")
    user = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = (Path(cache) if cache else Path(user) / "ihwatch") / "kafka"
    wanted = base / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if wanted.is_dir():
        return wanted
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissingError("Maven (apt-get install maven)")
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted.is_dir():
            return wanted
        with tempfile.TemporaryDirectory(dir=base) as fresh:
            result = subprocess.run(
                [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies",
                 "-DincludeScope=runtime", f"-DoutputDirectory={fresh}/jars"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if result.returncode:
                raise KafkaMissingError(f"Kafka's jars: {result.stdout[-500:]}")
            (Path(fresh) / "jars").rename(wanted)
    return wanted


def java() -> str:
    """Return the Java to run Kafka with; Kafka 4 needs 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise KafkaMissingError("Java 17 (apt-get install openjdk-17-jre-headless)")
    return found


class RealKafka:
    """One broker; a context manager. `address` for clients, `slow_address` through the proxy.

    `fast_jit=True` compiles as production does, for benchmarks: it starts slower and then runs
    faster.
    """

    def __init__(self, *, heap_mb: int = 512, fast_jit: bool = False) -> None:
        self._java, self._jars = java(), jars()
        self._heap_mb, self._fast_jit = heap_mb, fast_jit
        self.directory = Path(tempfile.mkdtemp(prefix="ihwatch-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        plain, slow, controller = free_ports(3)
        self.proxy = LatencyProxy(slow)
        self.address = f"{HOST}:{plain}"
        self.slow_address = f"{HOST}:{self.proxy.port}"
        self._write_files(plain, slow, controller)

    def start(self) -> None:
        """Start the broker and return when it answers; also again after `kill`, on the same log."""
        jit = [] if self._fast_jit else ["-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        with (self.directory / "kafka.out").open("ab") as out:
            self._process = subprocess.Popen(
                [self._java, f"-Xmx{self._heap_mb}m", "-Xms128m", "-XX:+UseSerialGC", *jit,
                 f"-Dlog4j2.configurationFile={self.directory / 'log4j2.xml'}",
                 "-cp", f"{self._jars}/*", "kafka.Kafka",
                 str(self.directory / "server.properties")],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka did not start: {self.output()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the broker at once (SIGKILL); the log stays until `close`."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the broker and remove its directory."""
        self.kill()
        self.proxy.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def create_topics(
        self, topics: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> None:
        """Make topics with these partition counts and wait until they are there."""
        wanted = [NewTopic(n, p, 1, config=dict(config or {})) for n, p in topics.items()]
        admin = self.admin()
        for made in admin.create_topics(wanted).values():
            made.result(timeout=START_TIMEOUT)

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def output(self) -> str:
        """What the broker said (warnings and errors)."""
        return (self.directory / "kafka.out").read_text(errors="replace")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answers(self) -> bool:
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return bool(self.admin().list_topics(timeout=2).brokers)
        except (OSError, KafkaException):
            return False

    def _write_files(self, plain: int, slow: int, controller: int) -> None:
        log = self.directory / "log"
        log.mkdir()
        # What `kafka-storage format` would write, without starting Java for it.
        identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        meta = f"version=1\ncluster.id={identity}\nnode.id=1\n"
        (log / "meta.properties").write_text(meta)
        (self.directory / "log4j2.xml").write_text(LOG4J)
        (self.directory / "server.properties").write_text(
            PROPERTIES.format(
                host=HOST,
                plain=plain,
                slow=slow,
                controller=controller,
                proxy=self.proxy.port,
                log=log,
            )
        )


class LatencyProxy:
    """A TCP proxy on a free port that holds every byte back for half of `round_trip` each way.

    It delays and does not throttle: what comes together leaves together. The broker advertises this
    port on its SLOW listener, so that clients stay on it.
    """

    def __init__(self, target: int) -> None:
        self.round_trip = 0.0  # seconds; may be changed at any time
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    def close(self) -> None:
        """Drop all connections and take no new one."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main(started))

    async def _main(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._closing.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._loop.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection(HOST, self._target)
                writers.append(back)
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            for open_writer in writers:
                open_writer.close()
            for open_writer in writers:
                with contextlib.suppress(OSError):
                    await open_writer.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def release() -> None:
            while True:
                due, data = await held.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not data:
                    sink.close()
                    return
                sink.write(data)
                await sink.drain()

        async def take() -> None:
            while True:
                data = await source.read(1 << 16)
                held.put_nowait((self._loop.time() + self.round_trip / 2, data))
                if not data:
                    return

        await asyncio.gather(take(), release())


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind((HOST, 0))
        return [int(free.getsockname()[1]) for free in sockets]
