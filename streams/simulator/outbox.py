"""An institution's outbox: events take their envelope, their delay and their number here.

A number of the stream (`stream_seq`) is given when an event is sent, not when it happens, so a late
event leaves no gap (UPL-03) and a manifest speaks of what was sent before it (RULES B18, D33).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from schemas.catalogue import UploadClass, upload_class
from streams.timeline import DAY, HOUR, MINUTE, SECOND, SHANGHAI_OFFSET, end_of_day

Datum = dict[str, Any]
STREAM = "main"
MANIFEST = "DailyManifestPublished"
LAWFUL_DELAY = 24 * HOUR
"""The longest lawful delay of clinical data; exactly this long is still in time (RULES 1.5)."""

_OVERTAKING = 5 * MINUTE


@cache
def clinical(event_type: str) -> bool:
    """Whether an event type has the 24-hour upload window."""
    return upload_class(event_type) is UploadClass.CLINICAL


class Draft:
    """One event on its way: what is said, when it is sent and when it arrives (epoch ms).

    One that ``repeats`` is sent under the number of the event before it; one whose arrival was
    ``fixed`` by whoever wrote it is never moved.
    """

    __slots__ = ("datum", "fixed", "kind", "order", "received_at", "repeats", "sent_at", "signed")

    def __init__(self, datum: Datum, sent_at: int, received_at: int, kind: str | None) -> None:
        self.datum = datum
        self.fixed = False
        self.repeats = False
        self.signed = True
        self.sent_at = sent_at
        self.received_at = received_at
        self.kind = kind
        self.order = 0


@dataclass(slots=True)
class Hold:
    """An upload fault: events of these types that happen in [start, end) arrive too late.

    ``remaining`` bounds how many; ``delay`` gives each its delay in milliseconds.
    """

    start: int
    end: int
    types: frozenset[str]
    kind: str
    delay: Callable[[], int]
    remaining: int


@dataclass(slots=True)
class OddManifest:
    """What is wrong with a manifest: not published, published after ``delay`` ms, or miscounted."""

    missing: bool = False
    delay: int | None = None
    excess: int = 0


class Outbox:
    """Collects the events of one institution and hands them over in the order they are sent."""

    def __init__(self, institution_id: str, rng: Random, late: float, shuffle: float) -> None:
        self.institution_id = institution_id
        self.holds: list[Hold] = []
        self.odd_manifests: dict[int, OddManifest] = {}
        self.lost: list[int] = []
        self.silences: list[tuple[int, int]] = []
        self._rng = rng
        self._late = late
        self._shuffle = shuffle
        self._waiting: list[Draft] = []
        self._counts: dict[int, dict[str, int]] = {}
        self._ranges: dict[int, tuple[int, int]] = {}
        self._issued = 0
        self._sent = 0
        self._handed = 0
        self._prefix = f"{institution_id}-"
        self._certificate = f"CERT-{institution_id}"

    def reseed(self, rng: Random) -> None:
        """Throw the dice of a new day; it does not depend on how earlier ones were dealt."""
        self._rng = rng

    def emit(
        self,
        event_type: str,
        occurred_at: int,
        payload: Datum,
        *,
        delay: int | None = None,
        sent_at: int | None = None,
        prompt: bool = False,
        kind: str | None = None,
    ) -> Draft:
        """Write one event; ``delay`` or ``sent_at`` fix its upload, ``prompt`` forbids lateness.

        Otherwise it is uploaded within half a minute, or hours late with the configured share.
        ``kind`` tags an upload that is late on purpose.
        """
        rng = self._rng
        self._issued += 1
        fixed = sent_at is not None or delay is not None
        if sent_at is not None:
            delay, prompt = sent_at - occurred_at, True
        elif delay is not None:
            prompt = True
        else:
            if self.holds and not prompt:
                delay, kind = self._held(event_type, occurred_at)
            if delay is None:
                if prompt or rng.random() >= self._late:
                    delay = 150 + int(rng.random() ** 3 * 25_000)
                else:
                    delay, prompt = min(LAWFUL_DELAY, int(rng.uniform(1, 24.02) * HOUR)), True
            else:
                prompt = True
        sent = occurred_at + delay
        received = sent
        if not prompt and self._shuffle and rng.random() < self._shuffle:
            received += int(rng.random() * _OVERTAKING)
        datum: Datum = {
            "event_id": f"{self._prefix}{self._issued:07x}",
            "event_type": event_type,
            "schema_version": 1,
            "institution_id": self.institution_id,
            "occurred_at": occurred_at,
            "recorded_at": occurred_at + min(delay, 90) if delay > 0 else occurred_at,
            "stream_id": STREAM,
            "stream_seq": None,
            "revision": 0,
            "supersedes_event_id": None,
            "signer_cert": self._certificate,
            **payload,
        }
        if clinical(event_type) and event_type != MANIFEST:
            of_day = self._counts.setdefault((occurred_at + SHANGHAI_OFFSET) // DAY, {})
            of_day[event_type] = of_day.get(event_type, 0) + 1
        draft = Draft(datum, sent, received, kind)
        draft.fixed = fixed
        self._waiting.append(draft)
        return draft

    def correct(self, draft: Draft, recorded_at: int, changes: Datum) -> Draft:
        """Write a second version of an event, recorded at an instant and uploaded at once."""
        self._issued += 1
        datum = {
            **draft.datum,
            "event_id": f"{self._prefix}{self._issued:07x}",
            "recorded_at": recorded_at,
            "revision": int(draft.datum["revision"]) + 1,
            "supersedes_event_id": draft.datum["event_id"],
            **changes,
        }
        sent = recorded_at + 1 + int(self._rng.random() * 20 * SECOND)
        corrected = Draft(datum, sent, sent, None)
        self._waiting.append(corrected)
        return corrected

    def supervise(self, event_type: str, occurred_at: int, payload: Datum) -> Draft:
        """Write an event of the supervisor about this institution; it has no stream of its own."""
        draft = self.emit(event_type, occurred_at, payload, prompt=True)
        draft.datum["stream_id"] = draft.datum["signer_cert"] = None
        return draft

    def close_day(self, day: int) -> None:
        """Publish the manifest of a day; call it when everything of that day has been written.

        Its first and last number are filled in when it is sent.
        """
        counts = self._counts.pop(day, {})
        odd = self.odd_manifests.pop(day, OddManifest())
        if odd.missing:
            return
        if odd.excess:
            counts["SessionOpened"] = counts.get("SessionOpened", 0) + odd.excess
        payload: Datum = {
            "business_date": day,
            "first_seq": None,
            "last_seq": None,
            "counts": dict(sorted(counts.items())),
        }
        delay = 2 * MINUTE + int(self._rng.random() * 18 * MINUTE)
        if odd.delay is not None:
            delay = odd.delay
        self.emit(MANIFEST, end_of_day(day), payload, delay=delay)

    def send(self, until: int) -> list[Draft]:
        """Number and hand over everything sent before an instant, in the order it is sent.

        A number in ``lost`` is used up by something that never arrives; in a span of ``silences``
        the connection is down and everything new waits for its end.
        """
        for start, end in self.silences:
            for draft in self._waiting:
                if start <= draft.sent_at < end and not draft.fixed:
                    waited = draft.sent_at - int(draft.datum["occurred_at"])
                    # What is late already must not become later than its window: it comes before.
                    late = waited > HOUR
                    earliest = max(start, draft.sent_at - waited + SECOND)
                    draft.sent_at = (
                        earliest if late else end + (draft.sent_at - start) % (30 * SECOND)
                    )
                    draft.received_at = draft.sent_at
        due = [draft for draft in self._waiting if draft.sent_at < until]
        if not due:
            return due
        self._waiting = [draft for draft in self._waiting if draft.sent_at >= until]
        due.sort(key=lambda draft: draft.sent_at)
        for draft in due:
            self._handed += 1
            draft.order = self._handed
            datum = draft.datum
            if datum["stream_id"] is None:
                continue
            if self.lost and draft.sent_at >= self.lost[0]:
                self._sent += 1
                del self.lost[0]
            if not (draft.repeats and self._sent):
                self._sent += 1
            datum["stream_seq"] = self._sent
            if datum["event_type"] == MANIFEST:
                sent = self._ranges.pop(datum["business_date"], None)
                if sent is not None:
                    datum["first_seq"], datum["last_seq"] = sent
            else:
                day = (datum["occurred_at"] + SHANGHAI_OFFSET) // DAY
                first, _ = self._ranges.get(day, (self._sent, 0))
                self._ranges[day] = (first, self._sent)
        return due

    def _held(self, event_type: str, occurred_at: int) -> tuple[int | None, str | None]:
        for hold in self.holds:
            if hold.remaining and event_type in hold.types and hold.start <= occurred_at < hold.end:
                hold.remaining -= 1
                return hold.delay(), hold.kind
        return None, None
