"""Prometheus metrics of the worker, counted by record (Faust counts batches).

Names are fixed here and described in docs/operations.md; labels never carry payload.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.effects import Processed

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters, gauges and histograms of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.records = Counter(
            "ihwatch_records", "Records of ih.events by result", ["result"], registry=registry
        )
        self.rejects = Counter(
            "ihwatch_rejects", "Records refused by reason", ["reason"], registry=registry
        )
        self.findings = Counter(
            "ihwatch_findings",
            "Versions of findings published, by rule and state",
            ["rule", "state"],
            registry=registry,
        )
        self.clock = Gauge(
            "ihwatch_partition_clock_seconds",
            "Platform clock of a partition (Unix time)",
            ["partition"],
            registry=registry,
        )
        self.shared_clock = Gauge(
            "ihwatch_shared_clock_seconds",
            "Platform clock of what institutions share: the earliest of all partitions (Unix time)",
            ["partition"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "ihwatch_batch_seconds",
            "From taking a batch to its offset being free",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_records = Histogram(
            "ihwatch_batch_records",
            "Records in a batch",
            buckets=(1, 10, 100, 500, 1_000, 2_000, 4_000),
            registry=registry,
        )
        self.lag_records = Gauge(
            "ihwatch_partition_lag_records",
            "Records of a partition that are not committed",
            ["partition"],
            registry=registry,
        )
        self.stalled_seconds = Gauge(
            "ihwatch_partition_stalled_seconds",
            "How long a partition with lag has not moved",
            ["partition"],
            registry=registry,
        )
        self.saved_bytes = Counter(
            "ihwatch_saved_bytes", "Bytes of case files written", registry=registry
        )

    def lag(self, partition: int, records: int, seconds: float) -> None:
        """Report records not committed yet, and since when nothing was (0 with no lag)."""
        self.lag_records.labels(str(partition)).set(records)
        self.stalled_seconds.labels(str(partition)).set(seconds)

    def reassigned(self) -> None:
        """Forget the clocks of partitions that others may have now."""
        self.clock.clear()
        self.shared_clock.clear()

    def batch(
        self, partition: int, size: int, processed: Processed, clock: int, started: float
    ) -> None:
        """Count one finished batch; ``clock`` in epoch ms, ``started`` on the monotonic clock."""
        self.published(processed)
        self.clock.labels(str(partition)).set(clock / 1_000)
        self.batch_seconds.observe(time.monotonic() - started)
        self.batch_records.observe(size)

    def shared(self, partition: int, processed: Processed, clock: int) -> None:
        """Count a batch of shared facts; ``clock`` in epoch ms."""
        self.published(processed)
        self.shared_clock.labels(str(partition)).set(clock / 1_000)

    def published(self, processed: Processed) -> None:
        """Count what a batch led to."""
        for labels, count in processed.counts.items():
            match labels:
                case ("records", result):
                    self.records.labels(result).inc(count)
                case ("rejects", reason):
                    self.rejects.labels(reason).inc(count)
                case ("findings", rule, state):
                    self.findings.labels(rule, state).inc(count)
        self.saved_bytes.inc(sum(map(len, processed.saves.values())))
