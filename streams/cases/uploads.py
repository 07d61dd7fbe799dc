"""The uploads case files: what arrived, when, how late, and which numbers are missing.

``lateness`` (key: ten minutes of occurrence) remembers every event seen, so that a resend years
later is still a duplicate, and keeps the late ones as evidence of UPL-01. ``window`` counts
receipts by slot for UPL-06 and the boards. ``stream`` follows the sequence numbers of one
publishing stream (UPL-03).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import msgspec

from streams.cases.base import FOREVER, CaseFile
from streams.timeline import DAY, HOUR, MINUTE, SHANGHAI_OFFSET

_GROWTH = math.log(1.25)
KEPT_IDS = 50
_CLOSELY = 100
KEPT_MISSING = 3 * DAY
"""How long a run confirmed missing is kept once complete, in ms: the windows of UPL-06 are over."""


class Receipt(msgspec.Struct, array_like=True, gc=False):
    """Where and when an event was first received, and a hash of what it said."""

    offset: int
    received_at: int
    occurred_at: int
    digest: bytes


class Lateness(CaseFile):
    """Events that occurred in ten minutes: receipts of all by hash of id, evidence of the late."""

    seen: dict[int, Receipt] = msgspec.field(default_factory=dict)


class Slot(msgspec.Struct, array_like=True):
    """Receipts in one slot ``(end - slide, end]``: counts, late ids and a latency sketch."""

    events: int = 0
    clinical: int = 0
    judged: int = 0
    late: int = 0
    counts: dict[str, int] = {}
    late_ids: list[str] = []
    sketch: dict[int, int] = {}
    longest: int = 0
    given: int = 0

    def owes(self, ended: bool) -> bool:
        """Whether its counts should be given out: changed, and either final or grown by a tenth."""
        fresh = self.events - self.given
        return fresh != 0 and (ended or fresh * 10 >= max(self.given, 10))

    def add(self, event_type: str, latency: int, clinical: bool, sign: int = 1) -> None:
        """Count one received event, or take it back with ``sign`` -1; ``latency`` in ms."""
        self.events += sign
        self.clinical += sign * clinical
        self.counts[event_type] = self.counts.get(event_type, 0) + sign
        bucket = math.ceil(math.log(max(latency, 0) + 1) / _GROWTH)
        self.sketch[bucket] = self.sketch.get(bucket, 0) + sign
        self.longest = max(self.longest, latency)

    def judge(self, event_id: str, late: bool, sign: int = 1) -> None:
        """Count one event for the late-upload rate, or take it back."""
        self.judged += sign
        self.late += sign * late
        if late and sign > 0 and len(self.late_ids) < KEPT_IDS:
            self.late_ids.append(event_id)
        elif late and event_id in self.late_ids:
            self.late_ids.remove(event_id)

    def quantile(self, share: float) -> float:
        """Latency in milliseconds that ``share`` of the events do not exceed, within 25 %."""
        wanted = share * self.events
        passed = 0
        for bucket in sorted(self.sketch):
            passed += self.sketch[bucket]
            if passed >= wanted:
                return min(math.exp(bucket * _GROWTH) - 1, float(self.longest))
        return float(self.longest)


class Episode(msgspec.Struct, array_like=True):
    """A run of violating windows: the ends of the first and the last, and the worst counts."""

    first_end: int
    last_end: int
    judged: int
    late: int
    evidence: list[str]


class Window(CaseFile):
    """Receipts of one institution by slot."""

    slots: dict[int, Slot] = msgspec.field(default_factory=dict)
    judged_until: int = 0
    episode: Episode | None = None


class Run(msgspec.Struct, array_like=True):
    """A run of missing numbers ``[first, last]``.

    ``noticed`` is the receipt that showed it; ``low``/``high`` the occurrences on either side;
    ``filled`` the numbers that came later, as ``(first, last, received_at)``.
    """

    first: int
    last: int
    noticed: int
    low: int
    high: int
    filled: list[tuple[int, int, int]]

    def matters(self, clock: int, confirm_after: int) -> bool:
        """Whether any judging from ``clock`` on may still have to know this run."""
        if self.missing(clock - HOUR) > 0:
            return True
        confirmed_at = self.noticed + confirm_after
        return self.missing(confirmed_at) > 0 and confirmed_at > clock - KEPT_MISSING

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def missing(self, instant: int) -> int:
        """How many numbers had not been received by ``instant``."""
        came = sum(last - first + 1 for first, last, at in self.filled if at <= instant)
        return self.length - came

    def gaps(self, instant: int) -> list[tuple[int, int]]:
        """The numbers that had not been received by ``instant``, as ``(first, last)``."""
        found = []
        start = self.first
        for first, last, at in self.filled:
            if at <= instant:
                if first > start:
                    found.append((start, first - 1))
                start = last + 1
        return [*found, (start, self.last)] if start <= self.last else found

    def fill(self, number: int, received_at: int) -> bool:
        """Note the arrival of one of its numbers; False if that came before."""
        place = bisect_left(self.filled, (number,))
        if place < len(self.filled) and self.filled[place][0] == number:
            return False
        self.filled.insert(place, (number, number, received_at))
        return True


class Stream(CaseFile):
    """Sequence numbers of one publishing stream: the highest received and the runs missing.

    ``begun`` says from which receipt on which day was the first of its use, ``manifests`` the first
    receipt of a manifest by business day (UPL-04).
    """

    highest: int = 0
    highest_at: int = 0
    runs: list[Run] = msgspec.field(default_factory=list)
    begun: dict[int, int] = msgspec.field(default_factory=dict)
    manifests: dict[int, int] = msgspec.field(default_factory=dict)

    def receive(self, number: int, occurred_at: int, received_at: int) -> bool:
        """Take one number in; whether the runs should be judged again for it.

        A long run is judged again when it is complete, not for every number on the way.
        """
        if number > self.highest:
            known = len(self.runs)
            self.expect(number - 1, occurred_at, received_at)
            self.highest, self.highest_at = number, occurred_at
            return len(self.runs) > known
        place = bisect_right(self.runs, number, key=lambda run: run.first) - 1
        if place < 0 or number > self.runs[place].last:
            return False
        run = self.runs[place]
        filled = run.fill(number, received_at)
        return filled and (run.length <= _CLOSELY or len(run.filled) == run.length)

    def expect(self, last: int, occurred_at: int, received_at: int) -> None:
        """Note that all numbers up to ``last`` exist; those not received are missing."""
        if last > self.highest:
            low = min(self.highest_at or occurred_at, occurred_at)
            high = max(self.highest_at, occurred_at)
            self.runs.append(Run(self.highest + 1, last, received_at, low, high, []))
            self.highest = last

    def forget(self, clock: int, confirm_after: int) -> None:
        """Drop runs that matter no more: complete in time, or confirmed missing long ago."""
        self.runs = [run for run in self.runs if run.matters(clock, confirm_after)]

    def use(self, day: int, received_at: int) -> bool:
        """Note a day of use; False if one no later was known no later."""
        if any(known <= day and at <= received_at for known, at in self.begun.items()):
            return False
        self.begun = {
            known: at for known, at in self.begun.items() if known < day or at < received_at
        }
        self.begun[day] = received_at
        return True

    def first_day(self, instant: int) -> int:
        """The first day of its use as known at an instant; ``FOREVER`` while it has none."""
        return min((day for day, at in self.begun.items() if at <= instant), default=FOREVER)

    def begun_by(self, instant: int) -> bool:
        """Whether an event of it had been received by an instant."""
        return any(at <= instant for at in self.begun.values())

    def receipts(self) -> set[int]:
        """Every receipt at which something about the stream changed."""
        found = {*self.begun.values(), *self.manifests.values()}
        for run in self.runs:
            found.add(run.noticed)
            found.update(at for _, _, at in run.filled)
        return found


def slot_of(received_at: int, slide: int) -> int:
    """The slot ``(end - slide, end]`` that holds a receipt, numbered by its end."""
    return -(-(received_at + SHANGHAI_OFFSET) // slide)


def slot_end(slot: int, slide: int) -> int:
    """The instant at which a slot ends (inclusive)."""
    return slot * slide - SHANGHAI_OFFSET


def shard_of(occurred_at: int) -> int:
    """The ten minutes of occurrence whose events share a ``lateness`` case file."""
    return occurred_at // (10 * MINUTE)
