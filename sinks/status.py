"""What a sink knows of itself, readable from another thread: counts, lag, and what is wrong now."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Status:
    """Counters of one sink since it started.

    `trouble` is a stable code while the sink cannot read (`log_trouble`, librdkafka's name of it)
    or cannot deliver (`own_trouble`), else None: then it holds its offsets and tries again.
    `lag` counts the records of its partitions that are not safe on the other side yet; `committed`
    is the next offset of each partition it holds: everything before is safe.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    lag: int = 0
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    own_trouble: str | None = None
    log_trouble: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def trouble(self) -> str | None:
        """What keeps the sink from its work now."""
        return self.own_trouble or self.log_trouble

    def add(self, name: str, number: int = 1) -> None:
        """Count `number` more of `name`."""
        with self._lock:
            self.counts[name] += number

    def snapshot(self) -> dict[str, int]:
        """The counts at this instant."""
        with self._lock:
            return dict(self.counts)

    def metrics(self) -> str:
        """The same in the text format of Prometheus."""
        lines = [
            "# TYPE ihwatch_sink_total counter",
            *(
                f'ihwatch_sink_total{{sink="{self.name}",what="{what}"}} {count}'
                for what, count in sorted(self.snapshot().items())
            ),
            "# TYPE ihwatch_sink_lag_records gauge",
            f'ihwatch_sink_lag_records{{sink="{self.name}"}} {self.lag}',
            "# TYPE ihwatch_sink_up gauge",
            f'ihwatch_sink_up{{sink="{self.name}"}} {int(self.trouble is None)}',
        ]
        return "\n".join(lines) + "\n"
