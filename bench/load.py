"""The load: a realistic mix from the simulator, encoded and signed once, in order of receipt.

Days of many small hospitals in all five jurisdictions, all event types, 1 % of sessions unlawful.
Before the first of them the hospitals file who they are, and at night little happens: every
contender is given all that first and then timed from nine in the morning on, when the mix changes
little any more. So the rates can be compared of contenders that are given different numbers of
hours, each the beginning of the same records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from schemas.directory import Directory
from schemas.topics import TICK_HEADER, TICK_VALUE
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, simulate
from streams.timeline import DAY, HOUR
from tests.support.replay import Sender

OPENING = 9 * HOUR
"""After midnight of the first lived day, in ms: what is received from then on is timed."""

Encoded = tuple[bytes, bytes | None, list[tuple[str, bytes]], int]
"""Key, value, headers and timestamp of a record."""


@dataclass(frozen=True)
class Load:
    """What is published: first ``before``, then ``timed``, from ``begins`` to ``end`` (epoch ms).

    The last ``ticks`` records move the clock past the end, one with the key of each hospital: a
    framework that keeps state by key has no other way to tell the time to every hospital.
    """

    directory: Directory
    before: list[Encoded]
    timed: list[Encoded]
    begins: int
    end: int
    ticks: int

    @property
    def events(self) -> int:
        return len(self.before) + len(self.timed) - self.ticks

    def first(self, hours: float) -> Load:
        """The part of it that ends so many hours after the opening."""
        end = self.begins + round(hours * HOUR)
        events = self.timed[: len(self.timed) - self.ticks]
        ticks = _ticks(self.directory, end)
        kept = [record for record in events if record[-1] < end]
        return replace(self, timed=kept + ticks, end=end, ticks=len(ticks))


def make_load(each: int, rate: float, hours: float) -> Load:
    """``each`` hospitals in each jurisdiction with ``rate`` sessions a day, so many hours timed."""
    days = math.ceil((OPENING + hours * HOUR) / DAY)
    simulation = simulate(
        SimulationConfig(
            seed=7, institutions=dict.fromkeys(RULEBOOKS, each), rate=rate, days=days,
            violations=0.01, late=0.02, duplicates=0.01,
        )
    )  # fmt: skip
    sender = Sender(simulation.directory)
    begins = simulation.config.start + OPENING
    before: list[Encoded] = []
    timed: list[Encoded] = []
    for upload in simulation.uploads:
        record = (*sender.record(upload.datum), upload.received_at)
        (before if upload.received_at < begins else timed).append(record)
    whole = Load(simulation.directory, before, timed, begins, begins, 0)
    return whole.first(hours)


def _ticks(directory: Directory, end: int) -> list[Encoded]:
    """An instant is judged once the clock has passed it."""
    headers = [(TICK_HEADER, TICK_VALUE)]
    return [(name.encode(), None, headers, end + 1) for name in directory.institutions]
