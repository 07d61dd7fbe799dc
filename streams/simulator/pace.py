"""How simulated time passes on the wall clock: in real time, compressed, or as fast as it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from streams.simulator.config import SimulationConfig
from streams.timeline import SECOND, end_of_day

Clock = Callable[[], float]
Wait = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed of simulated time, piece by piece: up to each instant (epoch ms) so many times real.

    A speed of None is as fast as it goes.
    """

    start: int
    pieces: tuple[tuple[int, float | None], ...]

    @classmethod
    def even(cls, config: SimulationConfig, speed: float | None) -> Pace:
        """The same speed all along, from the filing day to the end of the tail."""
        return cls(_start(config), ((config.end, speed),))

    @classmethod
    def days_in(cls, config: SimulationConfig, seconds: float, tail_seconds: float) -> Pace:
        """The lived days in so many seconds; the quiet days before and after in so many others."""
        lead = config.start - _start(config)
        lived = end_of_day(config.last_day) - config.start
        tail = config.end - config.start - lived
        quiet = (lead + tail) / SECOND / tail_seconds
        middle = lived / SECOND / seconds
        pieces = ((config.start, quiet), (config.start + lived, middle), (config.end, quiet))
        return cls(_start(config), pieces)

    def seconds(self, instant: int) -> float:
        """Wall-clock seconds from the start until an instant (epoch ms)."""
        passed, begins = 0.0, self.start
        for until, speed in self.pieces:
            if instant <= begins:
                break
            if speed is not None:
                passed += (min(instant, until) - begins) / SECOND / speed
            begins = until
        return passed


class Pacer:
    """Waits until it is time; ``stop`` ends all waiting and may be called from another thread."""

    def __init__(self, pace: Pace, clock: Clock = time.monotonic, wait: Wait | None = None) -> None:
        self._pace = pace
        self._clock = clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._began: float | None = None

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """End at the next opportunity."""
        self._stopped.set()

    def until(self, instant: int, meanwhile: Callable[[], object] = int) -> bool:
        """Wait until an instant is due, doing something ten times a second; False when stopped."""
        if self._began is None:
            self._began = self._clock()
        due = self._began + self._pace.seconds(instant)
        while not self.stopped and (left := due - self._clock()) > 0:
            self._wait(min(left, 0.1))
            meanwhile()
        return not self.stopped


def _start(config: SimulationConfig) -> int:
    return end_of_day(config.filing_day - 1)
