"""Kafka for the worker: whole polls as batches, none lost, none committed before it is finished.

Faust keeps the group membership, tables, recovery, web server and command line. Replaced are its
consumer and producer (`transport_consumer`, `transport_producer`); what stock Faust loses and
what this transport was measured to keep is in docs/trust.md. An agent over a batched topic looks
like this:

    async for value in stream:
        batch = records(value)
        outcome = judge(batch)
        for effect in outcome.effects:
            publish(app, topic, key=effect.key, value=effect.value)
        await producer_barrier(app)                  # effects before state
        table.store(batch.partition, outcome.states) # its changelog: state before offsets
        batch.done()                                 # only now may the offset move

An agent that leaves a batch without `done()` crashes the worker, which then starts again from the
last committed offset. One concurrency a worker. Delivery is at least once: state must fold
repeated records into nothing new. `exactly_once` is refused, since Faust's is not
(docs/trust.md).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, cast

import faust
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerT, TopicT
from faust.types.transports import ConsumerCallback

from streams.transport_consumer import BatchConsumer, Lag
from streams.transport_producer import SEND_TIMEOUT, BatchProducer, Headers, SendFailedError
from streams.transport_progress import (
    Batch,
    LogRewoundError,
    Record,
    UnfinishedBatchError,
    records,
)

__all__ = [
    "Batch",
    "Lag",
    "LogRewoundError",
    "Record",
    "SendFailedError",
    "UnfinishedBatchError",
    "app_options",
    "batch_topic",
    "changelog_topic",
    "install",
    "lags",
    "producer_barrier",
    "publish",
    "records",
]

# Batches waiting for the agent. Faust stops fetching a partition at three and goes on at one.
QUEUED_BATCHES = 4
# The upper bound of one batch, bytes: memory is (queued batches + partitions) times this.
MAX_BATCH_BYTES = 1 << 20
# The largest case file that fits into its changelog, bytes; the topic must allow as much.
MAX_STATE_BYTES = 8_000_000
# Changelogs keep deletions a week: a worker that comes back later must have its data wiped.
CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    "delete.retention.ms": "604800000",
    "max.message.bytes": str(MAX_STATE_BYTES),
}


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer and producer, for both directions."""

    Producer = BatchProducer

    def __init__(self, app: AppT, topics: frozenset[str]) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.topics = topics

    def create_consumer(self, callback: ConsumerCallback, **kwargs: Any) -> ConsumerT:
        return BatchConsumer(self, callback=callback, loop=self.loop, topics=self.topics, **kwargs)


def install(app: faust.App, topics: Iterable[str]) -> None:
    """Make `app` consume the named topics in batches and send behind a barrier.

    Call it once, right after the app is made, before agents and tables are declared. Raises
    `ImproperlyConfigured` where a setting would take the guarantees back.
    """
    conf = app.conf
    refused = {
        "processing_guarantee": str(conf.processing_guarantee.value) != "at_least_once",
        "producer_threaded": conf.producer_threaded,
        "consumer_auto_offset_reset": conf.consumer_auto_offset_reset != "earliest",
        "stream_wait_empty": not conf.stream_wait_empty,
        # Recovery clears the changelog queue under standbys and goes on over the hole.
        "table_standby_replicas": conf.table_standby_replicas > 0,
    }
    wrong = [name for name, bad in refused.items() if bad]
    if wrong:
        raise ImproperlyConfigured(f"the batch transport cannot hold with {', '.join(wrong)}")
    transport = BatchTransport(app, frozenset(topics))
    app.transport = transport
    app.producer_transport = transport


def batch_topic(app: faust.App, name: str) -> TopicT:
    """Return the Faust topic of a batched topic; its stream values go through `records`."""
    topic = app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")
    cast(Any, topic).maxsize = QUEUED_BATCHES  # app.topic() takes maxsize and forgets it
    return topic


def publish(
    app: AppT,
    topic: str,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers | None = None,
    partition: int | None = None,
) -> None:
    """Put one record on its way; `producer_barrier` says when it is there.

    Waits only for room in the producer's queue.
    """
    _producer(app).produce(topic, key, value, partition, headers)


async def producer_barrier(app: AppT, timeout: float = SEND_TIMEOUT) -> None:
    """Return when the broker has acknowledged everything this app sent so far.

    That is every `publish` and every changelog entry. Raises `SendFailedError` if any of
    them failed or cannot be acknowledged within `timeout` seconds; the app is then crashing
    already.
    """
    await _producer(app).barrier(timeout)


def lags(app: AppT) -> dict[TP, Lag]:
    """Return by partition how many records are not committed and how long nothing has moved.

    A worker with records to do that has not moved for minutes is to be killed: from outside,
    since what hangs cannot be trusted to end itself. Empty until partitions are assigned.
    """
    consumer = app.consumer
    assert isinstance(consumer, BatchConsumer), "install() was not called"
    return consumer.lags()


def changelog_topic(app_id: str, table: str) -> str:
    """Return the name of a table's changelog topic; it needs as many partitions as its source."""
    return f"{app_id}-{table}-changelog"


def app_options(
    app_id: str,
    brokers: str,
    data_dir: Path,
    *,
    store: Literal["rocksdb", "memory"] = "rocksdb",
    partitions: int = 8,
    web_host: str = "127.0.0.1",
    web_port: int = 6066,
    session_timeout: float = 30.0,
    commit_interval: float = 0.5,
    recovery_delay: float = 1.0,
) -> dict[str, Any]:
    """Return the settings of `faust.App` that the guarantees need, and a closed web server.

    `brokers` is "host:port,host:port". Topics and changelogs are made by us beforehand (the
    embedded broker cannot be asked, and a declared changelog would get Faust's settings).
    `recovery_delay` lets a group settle before tables are restored, seconds; 0 for one worker.
    """
    return {
        "id": app_id,
        "broker": ";".join(f"kafka://{address.strip()}" for address in brokers.split(",")),
        "autodiscover": False,
        "datadir": data_dir,
        "store": f"{store}://",
        "processing_guarantee": "at_least_once",
        "broker_commit_interval": commit_interval,
        "broker_session_timeout": session_timeout,
        "broker_heartbeat_interval": min(3.0, session_timeout / 3),
        "broker_request_timeout": max(60.0, 2 * session_timeout),
        "broker_rebalance_timeout": 60.0,
        "broker_max_poll_records": 4_000,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MAX_BATCH_BYTES,
        "producer_max_request_size": MAX_STATE_BYTES,
        "producer_threaded": False,
        "stream_recovery_delay": recovery_delay,
        "stream_wait_empty": True,
        "stream_publish_on_commit": False,
        "recovery_consistency_check": True,
        "table_standby_replicas": 0,
        "topic_partitions": partitions,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_bind": web_host,
        "web_host": web_host,
        "web_port": web_port,
        # They answer with the contents of tables, to anyone.
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "web_graph_enabled": False,
        "worker_redirect_stdouts": False,
    }


def _producer(app: AppT) -> BatchProducer:
    producer = app.producer
    assert isinstance(producer, BatchProducer), "install() was not called"
    return producer
