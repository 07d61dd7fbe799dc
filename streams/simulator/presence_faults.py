"""Injectors for PHA-01: whether a pharmacist is on duty in business time."""

from __future__ import annotations

from itertools import pairwise

from streams.simulator.duty import Shift, on_duty
from streams.simulator.filings import document, hire
from streams.simulator.institution import Interval, Staff
from streams.simulator.scene import WINDOW, Scene
from streams.timeline import DAY, HOUR, MINUTE, SECOND, end_of_day, format_instant, start_of_day

_TOLERANCE = 5 * MINUTE
_TIMEOUT = 10 * MINUTE


def late_sign_on(scene: Scene) -> bool:
    """The first pharmacist of the morning or afternoon signs on too late."""
    interval = _starting(scene)
    if interval is None:
        return False
    on = interval[0] + _TOLERANCE + scene.excess(50 * MINUTE)
    scene.roster.parts(interval)[0].start_at(on)
    _expect(scene, interval[0], on)
    return True


def early_sign_off(scene: Scene) -> bool:
    """The last pharmacist leaves before closing time."""
    interval = _ending(scene)
    if interval is None:
        return False
    off = interval[1] - _TOLERANCE - scene.excess(50 * MINUTE)
    scene.roster.parts(interval)[-1].end_at(off)
    _expect(scene, off, interval[1])
    return True


def handover_gap(scene: Scene) -> bool:
    """One pharmacist leaves long before the next one comes."""
    return _gap(scene, _TOLERANCE + scene.excess(80 * MINUTE))


def silent(scene: Scene) -> bool:
    """The pharmacist on duty sends no sign of presence for a while."""
    shifts = scene.roster.shifts
    shift = scene.rng.choice(shifts)
    others = [other for other in shifts if other is not shift]
    alone = [
        index
        for index, beat in enumerate(shift.beats)
        if beat > scene.midnight + HOUR
        and not any(o.on - HOUR < beat < o.off + HOUR for o in others)
    ]
    skip = scene.rng.randint(4, 12)
    if len(alone) < skip + 1:
        return False
    last = scene.rng.choice(alone[: len(alone) - skip])
    start, end = shift.beats[last] + _TIMEOUT, shift.beats[last + skip]
    if not any(a <= start and end <= b for a, b in scene.roster.intervals):
        return False
    shift.beats = shift.beats[: last + 1] + shift.beats[last + skip :]
    _expect(scene, start, end)
    return True


def no_agreement(scene: Scene) -> bool:
    """Only a third-party pharmacist without any agreement is present for a while."""
    return _relieved(scene, _stranger(scene))


def agreement_ended(scene: Scene) -> bool:
    """Only a third-party pharmacist is present whose agreement ended the day before."""
    stranger = _stranger(scene)
    if not _relieved(scene, stranger):
        return False
    _agree(scene, stranger.employer_id, scene.midnight + MINUTE, until=scene.day - 1)
    return True


def unfiled(scene: Scene) -> bool:
    """Only a pharmacist is present whom the institution never filed."""
    return _relieved(scene, _stranger(scene), filed=False)


def wrong_role(scene: Scene) -> bool:
    """Only a nurse is present for a while."""
    staff_id = f"N-{scene.inst.id}-{scene.inst.serial('n')}"
    return _relieved(scene, Staff(staff_id, "NURSE", "", "JUNIOR", scene.inst.id))


def video_after_hours(scene: Scene) -> bool:
    """A video session is held after hours, when the pharmacists have gone."""
    closing = scene.roster.intervals[-1][1]
    latest = end_of_day(scene.day) - 30 * MINUTE
    if closing + 40 * MINUTE >= latest or scene.halted(closing):
        return False
    opened = scene.rng.randrange(closing + 40 * MINUTE, latest)
    case = scene.case("VIDEO", minutes=(6, 20), opened=opened)
    case.visit.prescribed_at = None
    case.visit.prompt = True
    _expect(scene, case.visit.opened, case.visit.closed)
    return True


def evidence_too_late(scene: Scene) -> bool:
    """The evidence of the first half hour is uploaded after its absence was confirmed."""
    interval = _starting(scene)
    if interval is None:
        return False
    opening = interval[0]
    shift = scene.roster.parts(interval)[0]
    confirmed = opening + _TOLERANCE + WINDOW

    def delay(at: int) -> int | None:
        # The later the act, the sooner it arrives: the gap keeps its beginning as it shrinks.
        missing = opening + 40 * MINUTE - at
        return None if missing < 0 else confirmed + MINUTE + missing - at

    shift.delay = delay
    shift.may_review = False
    scene.roster.prompt = True
    scene.expect("PHA-01", None, "gap", format_instant(opening), "WITHDRAWN")
    return True


def exact_gap(scene: Scene) -> bool:
    """A hand-over with a gap of exactly five minutes."""
    pair = _handover(scene)
    if pair is None:
        return False
    before, after, at = pair
    before.end_at(at)
    after.start_at(at + _TOLERANCE)
    return True


def late_upload(scene: Scene) -> bool:
    """All evidence of one shift is uploaded many hours late, but within its window."""
    shift = scene.rng.choice(scene.roster.shifts)
    delay = scene.rng.randint(15 * HOUR, 24 * HOUR)
    shift.delay = lambda at: delay
    return True


def late_filing(scene: Scene) -> bool:
    """A third-party pharmacist's agreement is uploaded days later, but within its week."""
    stranger = _stranger(scene)
    pair = _handover(scene)
    if pair is None:
        return False
    start, _ = _relieve(scene, stranger, pair)
    uploaded = start_of_day(scene.day + scene.rng.randint(5, 7)) + scene.rng.randrange(DAY)
    _agree(scene, stranger.employer_id, scene.midnight + MINUTE, sent_at=uploaded)
    scene.expect("PHA-01", None, "gap", format_instant(start), "CLEARED")
    return True


def suspended(scene: Scene) -> bool:
    """The institution declares that it suspends all services, and the pharmacists leave."""
    pair = _handover(scene)
    # A suspension would also answer for what the house lacks (INC-02(e)).
    if pair is None or scene.inst.deficient:
        return False
    before, after, at = pair
    resumed = at + scene.rng.randint(40, 100) * MINUTE
    if any(c.visit.opened < resumed and c.visit.closed > at for c in scene.cases):
        return False
    before.end_at(at + 30 * SECOND)
    after.start_at(resumed - 30 * SECOND)
    scene.roster.quiet.append((at, resumed))
    delay = None if scene.rng.random() < 0.5 else scene.rng.randint(15 * HOUR, 24 * HOUR)
    for instant, status in ((at, "SUSPENDED"), (resumed, "RESUMED")):
        scene.inst.outbox.emit(
            "ServiceStatusChanged",
            instant,
            {
                "scope": "INSTITUTION",
                "scope_id": None,
                "status": status,
                "reason": "VOLUNTARY",
                "reported_to_authority_at": instant + MINUTE,
            },
            delay=delay,
            prompt=True,
        )
    if delay is not None:
        scene.roster.prompt = True
        scene.expect("PHA-01", None, "gap", format_instant(at + 30 * SECOND), "CLEARED")
    return True


def _expect(scene: Scene, start: int, end: int) -> None:
    scene.roster.prompt = True
    scene.expect("PHA-01", None, "gap", format_instant(start), "RESOLVED", start, end)


def _starting(scene: Scene) -> Interval | None:
    """An interval of business time that begins in the day, not at its midnight."""
    found = [interval for interval in scene.roster.intervals if interval[0] > scene.midnight]
    return scene.rng.choice(found) if found else None


def _ending(scene: Scene) -> Interval | None:
    """An interval of business time that ends in the day, not at its midnight."""
    found = [i for i in scene.roster.intervals if i[1] < end_of_day(scene.day)]
    return scene.rng.choice(found) if found else None


def _handover(scene: Scene) -> tuple[Shift, Shift, int] | None:
    """Two shifts that overlap within business time, and an instant at which both are there."""
    pairs: list[tuple[Shift, Shift]] = []
    for interval in scene.roster.intervals:
        parts = scene.roster.parts(interval)
        pairs += pairwise(parts)
    if not pairs:
        return None
    before, after = scene.rng.choice(pairs)
    return before, after, scene.rng.randrange(after.on + 1, before.off)


def _gap(scene: Scene, length: int) -> bool:
    pair = _handover(scene)
    if pair is None:
        return False
    before, after, at = pair
    before.end_at(at)
    after.start_at(at + length)
    _expect(scene, at, at + length)
    return True


def _stranger(scene: Scene) -> Staff:
    """A pharmacist of a company with which nothing else has been agreed."""
    staff_id = f"P-{scene.inst.id}-{scene.inst.serial('t')}"
    return Staff(staff_id, "PHARMACIST", "", "INTERMEDIATE", f"FIRM-{staff_id}", full_time=False)


def _relieved(scene: Scene, stranger: Staff, filed: bool = True) -> bool:
    """Let somebody who does not count stand in between two shifts."""
    pair = _handover(scene)
    if pair is None:
        return False
    _expect(scene, *_relieve(scene, stranger, pair, filed))
    return True


def _relieve(
    scene: Scene, stranger: Staff, pair: tuple[Shift, Shift, int], filed: bool = True
) -> Interval:
    before, after, at = pair
    length = scene.rng.randint(20, 120) * MINUTE
    before.end_at(at)
    after.start_at(at + length)
    on, off = at - 10 * MINUTE, at + length + 10 * MINUTE
    scene.roster.shifts.append(on_duty(scene.inst, stranger, on, off, may_review=False))
    if filed:
        hire(scene.inst, stranger, scene.day)
    return at, at + length


def _agree(
    scene: Scene, employer: str, at: int, until: int | None = None, sent_at: int | None = None
) -> None:
    inst = scene.inst
    payload = document(
        inst, "PHARMACIST_SERVICE_AGREEMENT", scene.day - 30, [employer], effective_to=until
    )
    payload["change_completed_on"] = scene.day
    inst.outbox.emit("DocumentFiled", at, payload, sent_at=sent_at, prompt=True)
