"""Injectors for UPL-01 and UPL-06: clinical data that arrives after its 24 hours.

What is held back is never evidence whose absence a star rule would confirm. The truth itself is
counted from the uploads (``truth.Lateness``), so nothing is expected here.
"""

from __future__ import annotations

from streams.simulator.outbox import LAWFUL_DELAY, Hold
from streams.simulator.scene import Scene
from streams.timeline import HOUR, MINUTE, end_of_day

_SINGLE = ("ServiceRated", "FeeCharged", "MedicalRecordArchived", "DutyStatusReported")
_OUTAGE = frozenset({"ServiceRated", "FeeCharged", "DutyStatusReported"})
_ENDLESS = 1_000_000_000
_LONGEST = 5 * HOUR


def late(scene: Scene) -> bool:
    """One event is uploaded more than 24 hours after it happened."""
    _hold_one(scene, LAWFUL_DELAY + scene.excess(_LONGEST))
    return True


def exact_limit(scene: Scene) -> bool:
    """One event is uploaded exactly 24 hours after it happened."""
    _hold_one(scene, LAWFUL_DELAY)
    return True


def outage(scene: Scene) -> bool:
    """The uploads of an hour or two fail and are repeated after more than 24 hours."""
    start, end = scene.rng.choice(scene.roster.intervals)
    begins = scene.rng.randrange(start, end - HOUR)
    ends = min(end_of_day(scene.day), begins + scene.rng.randint(60, 120) * MINUTE)
    excess = scene.rng.randint(2 * MINUTE, 2 * HOUR)
    delay = LAWFUL_DELAY + excess
    hold = Hold(begins, ends, _OUTAGE, scene.kind, lambda: delay, _ENDLESS)
    scene.inst.outbox.holds.append(hold)
    return True


def _hold_one(scene: Scene, delay: int) -> None:
    start, end = scene.rng.choice(scene.roster.intervals)
    kept = frozenset({scene.rng.choice(_SINGLE)})
    begins = scene.rng.randrange(start, end - HOUR)
    hold = Hold(begins, end_of_day(scene.day), kept, scene.kind, lambda: delay, 1)
    scene.inst.outbox.holds.append(hold)
