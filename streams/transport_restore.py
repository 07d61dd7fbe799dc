"""Changelogs read ahead of Faust's recovery, thousands of records at a time.

Faust 0.15.3 passes every changelog record through a queue, an event and a scheduler: a million case
files take minutes. Here librdkafka's batches go into the store as they come. Faust then finds that
nothing is left; whatever is (a broker that stalls, records that came meanwhile) it reads itself.

This is done by the task that recovers, never in a callback of the rebalance: while that runs no
heartbeat is sent.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

logger = logging.getLogger(__name__)

Entries = Iterable[tuple[bytes, bytes | None]]
"""Keys and values of a changelog, in order; None deletes."""
Write = Callable[[int, Entries, int], None]
"""Takes partition, entries, and the offset that they reach."""

RECORDS = 10_000  # at most in one batch


def catch_up(
    brokers: str,
    topic: str,
    reached: Mapping[int, int | None],
    write: Write,
    stopped: Callable[[], bool],
) -> None:
    """Write everything in a changelog after the offsets ``reached``, by partition, to its end now.

    Blocks; to be run in a thread. Ends early, and says so in the log, when the brokers fail or
    ``stopped`` says yes: what was written stays written.
    """
    starts = [
        TopicPartition(topic, partition, OFFSET_BEGINNING if offset is None else offset + 1)
        for partition, offset in reached.items()
    ]
    if not starts:
        return
    begun = time.monotonic()
    left, count = set(reached), 0
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "not-a-member-of-any",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # a log that does not fit its store is Faust's to refuse
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 8 << 20,
            "queued.max.messages.kbytes": 64 << 10,
        },
        logger=logger,
    )
    try:
        consumer.assign(starts)
        while left and not stopped():
            found = consumer.consume(RECORDS, timeout=0.5)
            batches: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
            ends: dict[int, int] = {}
            for message in found:
                error = message.error()
                if error is None:
                    partition, offset = _place(message)
                    batches[partition].append((message.key() or b"", message.value()))
                    ends[partition] = offset
                elif error.code() == KafkaError._PARTITION_EOF:
                    partition, offset = _place(message)
                    ends[partition] = offset - 1  # the last ones may be compacted away
                    left.discard(partition)
                else:  # librdkafka goes on trying where that can help
                    logger.warning("changelog not read", extra={"reason": error.str()})
                    if error.code() == KafkaError._AUTO_OFFSET_RESET:
                        left.discard(_place(message)[0])
            for partition, end in ends.items():
                write(partition, batches[partition], end)
                count += len(batches[partition])
    except KafkaException as error:
        logger.warning("changelog not read", extra={"reason": error.args[0].str()})
    finally:
        consumer.close()
    seconds = round(time.monotonic() - begun, 3)
    logger.info(
        "changelog read ahead",
        extra={"records": count, "seconds": seconds, "unfinished": len(left)},
    )


class ReadAhead:
    """At most one reading at a time, in a thread of its own, which can be ended and waited for."""

    def __init__(self) -> None:
        self._thread: asyncio.Future[None] | None = None
        self._ended = True

    async def run(
        self, brokers: str, topic: str, reached: Mapping[int, int | None], write: Write, most: float
    ) -> None:
        """Catch up for at most so many seconds, when an earlier reading has been ended."""
        assert self._thread is None
        self._ended = False
        deadline = time.monotonic() + most

        def stopped() -> bool:
            return self._ended or time.monotonic() > deadline

        self._thread = asyncio.get_running_loop().run_in_executor(
            None, catch_up, brokers, topic, reached, write, stopped
        )
        await asyncio.shield(self._thread)

    async def end(self) -> None:
        """Have the reading end, whoever waited for it; return when nothing more is written."""
        self._ended = True
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.wait({thread})
            if (error := thread.exception()) is not None:
                logger.warning("changelog not read ahead", extra={"reason": repr(error)})


def _place(message: Message) -> tuple[int, int]:
    """Partition and offset, which whatever comes from a partition has."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset
