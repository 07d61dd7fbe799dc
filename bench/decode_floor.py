"""The floor under any per-event Python: fetch and decode, nothing else.

    python -m bench.decode_floor PARTITIONS RECORDS    (settings from IHWATCH_*)

Reads the whole topic a few times with confluent-kafka's `consume()` and decodes every event with
the contract's codec (fastavro, every byte consumed); no signature, no validation, no state. Prints
the records read, the seconds from the first poll that found something, and CPU seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time

from confluent_kafka import Consumer, TopicPartition

from schemas.registry import LocalRegistry
from schemas.settings import Settings
from schemas.topics import Topics
from schemas.wire import decode

ROUNDS = 5
"""How often the topic is read: one reading is over soon."""


def main(partitions: str, records: str) -> None:
    settings, registry = Settings.from_env(os.environ), LocalRegistry()
    topic = Topics.named(settings.topic_prefix).events.name
    config = {"bootstrap.servers": settings.brokers, "group.id": "floor", "log_level": 0}
    consumer = Consumer(config)
    decoded, seconds, cpu = 0, 0.0, 0.0
    for _ in range(ROUNDS):
        consumer.assign([TopicPartition(topic, p, 0) for p in range(int(partitions))])
        # What is found first was fetched before the clock ran: neither its time nor its count.
        left = int(records) - len(consumer.consume(1, timeout=10))
        begun, cpu_begun = time.perf_counter(), time.process_time()
        counted = left
        while left > 0:
            for message in consumer.consume(min(left, 4_000), timeout=10):
                left -= 1
                value = message.value()
                if value is not None:
                    decode(value, registry)
        decoded += counted
        seconds += time.perf_counter() - begun
        cpu += time.process_time() - cpu_begun
    consumer.close()
    print(json.dumps({"events": decoded, "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
