"""A Kafka broker inside this process, for the demo and for tests: the real protocol, nothing kept.

It is librdkafka's mock cluster, which confluent-kafka's wheel carries, driven through the C
interface because Python gives no way to make topics with several partitions. Never for data that
matters:

- nothing is on disk; when the process ends or `close()` is called, all is gone, offsets included,
  so a worker's data directory must be new as well;
- a partition keeps 5 MB or 100,000 message sets and drops the oldest;
- no compaction, no usable transactions, no CreateTopics: topics are named when the broker is made;
- timestamps are the producer's (CreateTime), whatever LogAppendTime would say;
- a poll gets one message set, so batches are as large as the producer made them;
- a member that died holds its group for the session timeout, and offsets are refused while a group
  rebalances (a real broker takes them).

Source: librdkafka 2.x, src/rdkafka_mock.c and rdkafka_mock.h.
"""

import ctypes
import ctypes.util
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import confluent_kafka

BROKER = 1  # librdkafka counts its mock brokers from one
_CONF_OK = 0
_PRODUCER = 0


class EmbeddedBroker:
    """One broker on a free loopback port; a context manager.

    `topics` maps names to partition counts. Any other topic springs up with four partitions when
    first used, as librdkafka does. `rebalance_delay` is how long a new group waits for more
    members, seconds.
    """

    def __init__(self, topics: Mapping[str, int], *, rebalance_delay: float = 0.1) -> None:
        self._library = _librdkafka()
        self._client: int | None = None
        self._cluster: int | None = None
        reason = ctypes.create_string_buffer(512)
        conf = self._library.rd_kafka_conf_new()
        if self._library.rd_kafka_conf_set(conf, b"log_level", b"0", reason, 512) != _CONF_OK:
            raise RuntimeError(f"librdkafka refused its setting: {reason.value!r}")
        self._client = self._library.rd_kafka_new(_PRODUCER, conf, reason, 512)
        if not self._client:
            raise RuntimeError(f"librdkafka gave no client: {reason.value!r}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise RuntimeError("librdkafka gave no cluster")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(
            self._cluster, round(rebalance_delay * 1000)
        )
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        for name, partitions in topics.items():
            self.create_topic(name, partitions)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; raises `ValueError` if it exists or the count is no count."""
        if self._call("rd_kafka_mock_topic_create", name.encode(), partitions, 1):
            raise ValueError(f"no topic {name!r} with {partitions} partitions could be made")

    def set_round_trip(self, seconds: float) -> None:
        """Make every answer of the broker take that much longer, from the next request on."""
        self._call("rd_kafka_mock_broker_set_rtt", BROKER, round(seconds * 1000))

    def go_down(self) -> None:
        """Drop all connections and take no new one, as a broker that died; the log stays."""
        self._call("rd_kafka_mock_broker_set_down", BROKER)

    def come_up(self) -> None:
        """End what `go_down` began."""
        self._call("rd_kafka_mock_broker_set_up", BROKER)

    def close(self) -> None:
        """Stop the broker and forget everything; a second call does nothing."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._cluster = None
        if self._client:
            self._library.rd_kafka_destroy(self._client)
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, function: str, *arguments: Any) -> int:
        if not self._cluster:
            raise RuntimeError("the embedded broker is closed")
        return int(getattr(self._library, function)(self._cluster, *arguments))


def _librdkafka() -> ctypes.CDLL:
    """Load the librdkafka that confluent-kafka uses, with the signatures we call."""
    library = ctypes.CDLL(_library_path())
    pointer, text, integer, size = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_size_t,
    )
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (integer, [pointer, text, text, text, size]),
        "rd_kafka_new": (pointer, [integer, pointer, text, size]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, integer]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (integer, [pointer, text, integer, integer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (integer, [pointer, ctypes.c_int32, integer]),
        "rd_kafka_mock_broker_set_down": (integer, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (integer, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _library_path() -> str:
    package = Path(confluent_kafka.__file__).parent
    bundled = [
        *package.parent.glob("confluent_kafka.libs/librdkafka*.so*"),  # Linux wheels
        *package.glob(".dylibs/librdkafka*.dylib"),  # macOS wheels
    ]
    if bundled:
        return str(bundled[0])
    system = ctypes.util.find_library("rdkafka")  # confluent-kafka built against the system's
    if system is None:
        raise RuntimeError("no librdkafka beside confluent-kafka, and none in the system")
    return system
