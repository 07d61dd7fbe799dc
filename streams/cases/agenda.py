"""The agenda: when which case file must be judged next.

A million open sessions wait for deadlines days away, and each is put off again with every event. So
what lies ahead is kept by the hour and once for each case file, at its earliest instant; only the
hours that have come are put into exact order.
"""

from __future__ import annotations

import heapq

from streams.cases.base import Name
from streams.timeline import HOUR


class Agenda:
    """Names of case files by the instants at which they asked to be judged.

    A name may come back earlier than it has to be judged, because it asked for less time before;
    whoever takes it must put it down again for the instant that it waits for now.
    """

    def __init__(self) -> None:
        self._near: list[tuple[int, Name]] = []
        self._far: dict[int, dict[Name, int]] = {}
        self._reached = -1  # the last hour that is in `_near`

    def add(self, instant: int, name: Name) -> None:
        """Put a case file down; of several instants in one hour ahead the earliest is kept."""
        hour = instant // HOUR
        if hour <= self._reached:
            heapq.heappush(self._near, (instant, name))
            return
        ahead = self._far.setdefault(hour, {})
        if instant < ahead.get(name, instant + 1):
            ahead[name] = instant

    def add_each(self, instant: int, name: Name) -> None:
        """Put a case file down for this instant beside all others it is down for."""
        heapq.heappush(self._near, (instant, name))

    def take(self, upto: int) -> set[Name]:
        """Remove and return what is down for an instant up to and including ``upto``."""
        self._reach(upto // HOUR)
        found: set[Name] = set()
        while self._near and self._near[0][0] <= upto:
            found.add(heapq.heappop(self._near)[1])
        return found

    def first(self) -> int | None:
        """The earliest instant that anything is down for."""
        if not self._near and self._far:
            self._reach(min(self._far))
        if not self._near:
            return None
        first = self._near[0][0]
        ahead = (waiting for hour, waiting in self._far.items() if hour * HOUR <= first)
        return min((first, *(min(waiting.values()) for waiting in ahead)))

    def _reach(self, hour: int) -> None:
        """Put the hours up to this one into exact order."""
        if hour <= self._reached:
            return
        self._reached = hour
        for come in sorted(ahead for ahead in self._far if ahead <= hour):
            for name, instant in self._far.pop(come).items():
                heapq.heappush(self._near, (instant, name))
