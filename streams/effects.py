"""What the shell must do after a batch: records to publish and case files to store, as data."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Effect(NamedTuple):
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


class Processed(NamedTuple):
    """What a batch led to; ``saves`` are case files by key, ``counts`` are for the metrics."""

    effects: list[Effect]
    saves: dict[str, bytes]
    counts: Counter[tuple[str, ...]]
