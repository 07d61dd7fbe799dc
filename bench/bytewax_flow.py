"""The same core as a Bytewax dataflow with recovery on, as its users would write it.

    python -m bench.bytewax_flow    (settings from IHWATCH_*; the peers' environment)

Bytewax keeps state in the logic objects of its stateful steps, by key, and takes each whole into
its recovery store (SQLite) when an epoch ends. The key is the partition: whatever the key, all
state that changed in an epoch is written, and nearly every institution has changed, so a key for
each institution would write the same and split every batch into two hundred calls of the core. A
state is the encoded case files in a dict, so that a snapshot copies references and no case file is
encoded for it again. Facts that institutions share are re-keyed inside the dataflow.

Durable in its own way, all by default: the source keeps its offsets in the recovery store, the sink
waits for the broker after every batch, an epoch and its snapshots are 10 seconds. It reads to the
end of the topic and then ends, or goes on from its recovery store where the one before it ended.
There are no commits to watch, so it times itself: from the first batch, when all state has been
resumed, until all is judged, published and acknowledged, and the last snapshot lies in the recovery
store. It prints records, seconds and CPU seconds.
"""

from __future__ import annotations

import json
import os
import time

from bytewax import operators as op  # type: ignore[import-not-found]
from bytewax.connectors.kafka import (  # type: ignore[import-not-found]
    KafkaSink,
    KafkaSinkMessage,
    KafkaSource,
    KafkaSourceMessage,
)
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.operators import StatefulBatchLogic  # type: ignore[import-not-found]
from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found]
from bytewax.run import cli_main  # type: ignore[import-not-found]

from bench.core import Core, Record
from schemas.settings import Settings
from streams.effects import Effect
from streams.processing import Processor
from streams.sharing import SharedProcessor

Cases = dict[str, bytes]


class Stopwatch:
    """Counts records, and takes the time from the first batch on."""

    def __init__(self) -> None:
        self._records, self._at, self._cpu = 0, 0.0, 0.0

    def before(self, batch: list[Record]) -> None:
        """Take note of a batch that is about to be judged."""
        if not self._records:
            self._at, self._cpu = time.perf_counter(), time.process_time()
        self._records += len(batch)

    def said(self) -> str:
        seconds, cpu = time.perf_counter() - self._at, time.process_time() - self._cpu
        return json.dumps({"events": self._records, "seconds": seconds, "cpu": cpu})


class Supervise(StatefulBatchLogic):  # type: ignore[misc]
    """Judges the events of one partition; what it keeps are the partition's case files."""

    def __init__(self, core: Core, watch: Stopwatch, kept: tuple[int, Cases] | None) -> None:
        self._core, self._watch = core, watch
        self._cases: Cases = {}
        self._processor: Processor | None = None
        if kept is not None:
            self._begin(*kept)

    def on_batch(self, values: list[Record]) -> tuple[list[Effect], bool]:
        self._watch.before(values)
        processor = self._processor or self._begin(values[0].partition, {})
        processed = processor.process(values)
        self._cases.update(processed.saves)
        clocks = [effect for record in values for effect in self._core.clocks(record)]
        return processed.effects + clocks, StatefulBatchLogic.RETAIN

    def snapshot(self) -> tuple[int, Cases]:
        assert self._processor is not None
        return self._processor.partition, dict(self._cases)

    def _begin(self, partition: int, cases: Cases) -> Processor:
        self._cases = cases
        self._processor = self._core.processor(partition, cases.get, cases.items())
        return self._processor


class Share(StatefulBatchLogic):  # type: ignore[misc]
    """Judges what institutions share, in one shard; facts are numbered as they come."""

    def __init__(self, core: Core, kept: tuple[int, Cases, int] | None) -> None:
        self._core = core
        self._cases: Cases = {}
        self._processor: SharedProcessor | None = None
        self._heard = 0
        if kept is not None:
            shard, cases, self._heard = kept
            self._begin(shard, cases)

    def on_batch(self, values: list[Effect]) -> tuple[list[Effect], bool]:
        processor = self._processor or self._begin(self._core.shard(values[0]), {})
        told = [
            Record(0, offset, 0, 0, effect.key, effect.value, [])
            for offset, effect in enumerate(values, self._heard)
        ]
        self._heard += len(told)
        processed = processor.process(told)
        self._cases.update(processed.saves)
        return processed.effects, StatefulBatchLogic.RETAIN

    def snapshot(self) -> tuple[int, Cases, int]:
        assert self._processor is not None
        return self._processor.partition, dict(self._cases), self._heard

    def _begin(self, shard: int, cases: Cases) -> SharedProcessor:
        self._cases = cases
        self._processor = self._core.shared_processor(shard, cases.get, cases.items())
        return self._processor


def by_partition(message: KafkaSourceMessage) -> tuple[str, Record]:
    _, timestamp = message.timestamp
    record = Record(
        message.partition, message.offset, timestamp, 0, message.key, message.value, message.headers
    )
    return str(message.partition), record


def message(effect: Effect) -> KafkaSinkMessage:
    return KafkaSinkMessage(effect.key, effect.value, topic=effect.topic)


def make_flow(settings: Settings, watch: Stopwatch) -> Dataflow:
    core, brokers = Core(settings), settings.brokers.split(",")
    practice = core.topics.practice.name
    flow = Dataflow("ihwatch")
    source = KafkaSource(brokers, [core.topics.events.name], tail=False)
    records = op.map("by_partition", op.input("events", flow, source), by_partition)
    judged = op.stateful_batch("supervise", records, lambda kept: Supervise(core, watch, kept))
    effects = op.branch("told", op.key_rm("judged", judged), lambda e: e.topic == practice)
    facts = op.map("by_shard", effects.trues, lambda effect: (str(core.shard(effect)), effect))
    shared = op.stateful_batch("share", facts, lambda kept: Share(core, kept))
    found = op.merge("found", effects.falses, op.key_rm("shared", shared))
    op.output("publish", op.map("message", found, message), KafkaSink(brokers, None))
    return flow


def main() -> None:
    settings = Settings.from_env(os.environ)
    recovery = settings.data_dir / "recovery"
    if not recovery.exists():
        recovery.mkdir(parents=True)
        init_db_dir(recovery, 1)
    watch = Stopwatch()
    cli_main(make_flow(settings, watch), recovery_config=RecoveryConfig(str(recovery)))
    print(watch.said())


if __name__ == "__main__":
    main()
