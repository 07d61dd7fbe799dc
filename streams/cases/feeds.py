"""The feed of an institution: what a stream's day should hold, and when nothing came at all.

``clocks`` is about the feed of what institutions share: how far each partition has told it.
``manifest`` (key: stream and Shanghai day of occurrence) counts the clinical events that the daily
manifest speaks of; ``silence`` remembers when anything was received (UPL-04).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.catalogue import EVENT_TYPES, UploadClass, upload_class
from streams.cases.base import FOREVER, CaseFile
from streams.timeline import MINUTE, day_of, end_of_day

MANIFEST = "DailyManifestPublished"
COUNTED = frozenset(
    name for name in EVENT_TYPES if upload_class(name) is UploadClass.CLINICAL and name != MANIFEST
)
"""The types of event that a manifest counts (RULES B18)."""


def day_of_use(event_type: str, body: Mapping[str, Any], received_at: int) -> int:
    """The day from which an event shows its stream in use (D34).

    That of the act; of a filing, whose time is when the state filed takes effect, the receipt's.
    """
    if event_type == MANIFEST:
        return int(body["business_date"])
    clinical = upload_class(event_type) is UploadClass.CLINICAL
    return day_of(body["occurred_at"] if clinical else received_at)


class Clocks(CaseFile):
    """By partition of ``ih.events`` the instant before which it has told others everything."""

    told_upto: dict[int, int] = msgspec.field(default_factory=dict)

    def move(self, clocks: Mapping[int, int]) -> None:
        """Take in what partitions have said of themselves; none goes back."""
        for partition, clock in clocks.items():
            self.told_upto[partition] = max(clock, self.told_upto.get(partition, 0))

    def common(self, partitions: int) -> int:
        """The instant before which all of them have told everything; 0 while one has not begun."""
        return min(self.told_upto.get(partition, 0) for partition in range(partitions))


class Manifest(CaseFile):
    """Receipts of revision-0 clinical events of one stream and day, by type; manifests as evidence.

    Nobody counts before the day has ended, so what was received by then (``early``) is a number
    only, and a day of any size stays small.
    """

    early: dict[str, int] = msgspec.field(default_factory=dict)
    later: dict[str, list[int]] = msgspec.field(default_factory=dict)

    def count(self, event_type: str, received_at: int, day: int) -> None:
        """Count an event of a day that was not received before."""
        if received_at <= end_of_day(day):
            self.early[event_type] = self.early.get(event_type, 0) + 1
            return
        receipts = self.later.setdefault(event_type, [])
        receipts.insert(bisect_right(receipts, received_at), received_at)

    def discount(self, event_type: str, received_at: int, day: int) -> None:
        """Take a count back, of an event of which an earlier receipt came to light."""
        if received_at <= end_of_day(day):
            self.early[event_type] = max(0, self.early.get(event_type, 0) - 1)
        elif received_at in self.later.get(event_type, ()):
            self.later[event_type].remove(received_at)

    def counted(self, instant: int) -> dict[str, int]:
        """How many events of each type had been received by an instant after the day."""
        found = dict(self.early)
        for name, receipts in self.later.items():
            found[name] = found.get(name, 0) + bisect_right(receipts, instant)
        return found

    def differences(
        self, declared: Mapping[str, int], instant: int, tolerance: int
    ) -> dict[str, tuple[int, int]]:
        """What was received and declared of each type in which they differ by more."""
        received = self.counted(instant)
        return {
            name: (received.get(name, 0), declared.get(name, 0))
            for name in sorted(received.keys() | (declared.keys() & COUNTED))
            if abs(received.get(name, 0) - declared.get(name, 0)) > tolerance
        }

    def next_receipt(self, instant: int) -> int:
        """The first receipt after an instant; ``FOREVER`` if there is none."""
        found = FOREVER
        for receipts in self.later.values():
            position = bisect_right(receipts, instant)
            if position < len(receipts):
                found = min(found, receipts[position])
        return found


class Silence(CaseFile):
    """First and last receipt of anything, by minute of receipt, since about the last judging."""

    minutes: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)

    def hear(self, received_at: int, judged: int) -> None:
        """Note that something was received; forget what only instants judged before rest on."""
        minute = received_at // MINUTE
        known = self.minutes.get(minute)
        if known is not None:
            self.minutes[minute] = (min(known[0], received_at), max(known[1], received_at))
            return
        self.minutes[minute] = (received_at, received_at)
        past = [number for number in self.minutes if (number + 1) * MINUTE <= judged]
        for number in sorted(past)[:-1]:
            del self.minutes[number]

    def last_receipt(self, instant: int) -> int | None:
        """The last receipt by an instant; of its own minute the first, if not all came by then."""
        found = None
        for first, last in self.minutes.values():
            receipt = last if last <= instant else first
            if receipt <= instant and (found is None or receipt > found):
                found = receipt
        return found

    def next_receipt(self, instant: int) -> int:
        """The first receipt after an instant (of its own minute the last); ``FOREVER`` if none."""
        found = FOREVER
        for first, last in self.minutes.values():
            if last > instant:
                found = min(found, first if first > instant else last)
        return found
