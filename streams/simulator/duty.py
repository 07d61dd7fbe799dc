"""Pharmacists' shifts of one day: planned so that someone is always there, changed by incidents.

A compliant day has overlapping shifts over every interval of business time (CQ-A1 三(三)).
Presence is evidenced as PHA-01 reads it: sign-on, heartbeats, sign-off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from streams.simulator.institution import Institution, Interval, Staff
from streams.timeline import HOUR, MINUTE, SECOND, start_of_day

_LONGEST = 6 * HOUR
_MARGIN = 15 * MINUTE


@dataclass(slots=True)
class Shift:
    """One pharmacist's presence, with a sign of it every ``heartbeat`` (``beats`` are those sent).

    ``may_review`` is false for people who must not review here.
    ``delay`` gives the upload delay of the event at an instant; None uploads as usual.
    """

    staff: Staff
    on: int
    off: int
    beats: list[int]
    may_review: bool = True
    heartbeat: int = 0
    delay: Callable[[int], int | None] | None = None

    def start_at(self, on: int) -> None:
        """Let the shift begin later, with the heartbeats that belong to it."""
        self.on = on
        self.beats = [beat for beat in self.beats if beat > on]

    def end_at(self, off: int) -> None:
        """Let the shift end earlier."""
        self.off = off
        self.beats = [beat for beat in self.beats if beat < off]

    def review_windows(self) -> list[Interval]:
        """When the pharmacist may review without leaving more evidence than the heartbeats do."""
        if not self.may_review or not self.beats:
            return []
        points = [self.on, *self.beats]
        windows = [(points[0], points[0])]
        for before, after in pairwise(points):
            if after - before <= 2 * self.heartbeat:
                windows[-1] = (windows[-1][0], after)
            else:
                windows.append((after, after))
        return windows


@dataclass(slots=True)
class DutyDay:
    """The duty roster of one day.

    ``intervals`` is declared business time; ``quiet`` are spans in which no session may be open.
    ``prompt`` uploads all evidence of presence at once, so that the first instant of a gap, by
    which PHA-01 names its finding, cannot depend on late uploads.
    """

    day: int
    intervals: list[Interval]
    shifts: list[Shift] = field(default_factory=list)
    quiet: list[Interval] = field(default_factory=list)
    prompt: bool = False
    _windows: list[tuple[int, int, Staff]] | None = None

    def reviewer(self, at: int) -> tuple[int, Staff] | None:
        """The first instant from ``at`` on when a pharmacist can review, and who does.

        Ask when the roster is final.
        """
        if self._windows is None:
            self._windows = [
                (start, end, shift.staff)
                for shift in self.shifts
                for start, end in shift.review_windows()
            ]
        best: tuple[int, Staff] | None = None
        for start, end, staff in self._windows:
            when = max(at, start)
            if when <= end and (best is None or when < best[0]):
                best = when, staff
        return best

    def parts(self, interval: Interval) -> list[Shift]:
        """The planned shifts of one interval of business time, in order."""
        start, end = interval
        return [shift for shift in self.shifts if shift.on < end and shift.off > start]


def plan(inst: Institution, day: int) -> DutyDay:
    """A compliant roster: each shift overlaps the next by about half an hour."""
    roster = DutyDay(day, inst.business(day))
    midnight = start_of_day(day)
    turn = day
    for start, end in roster.intervals:
        parts = -(-(end - start) // _LONGEST)
        length = (end - start) // parts
        for part in range(parts):
            # Whoever works from midnight signs on at midnight: the day before must not be touched.
            on = max(midnight, start + part * length - _MARGIN - inst.rng.randint(0, 5) * MINUTE)
            off = start + (part + 1) * length + _MARGIN + inst.rng.randint(0, 300) * SECOND
            staff = inst.pharmacists[turn % len(inst.pharmacists)]
            roster.shifts.append(on_duty(inst, staff, on, off))
            turn += 1
    return roster


def on_duty(inst: Institution, staff: Staff, on: int, off: int, may_review: bool = True) -> Shift:
    """A shift with signs of presence at regular intervals, give or take ten seconds."""
    every, jitter = inst.profile.heartbeat, inst.rng.randint
    beats = (base + jitter(-10_000, 10_000) for base in range(on + every, off, every))
    return Shift(staff, on, off, [beat for beat in beats if beat < off], may_review, every)


def report(inst: Institution, roster: DutyDay) -> None:
    """Emit the duty events of the day."""
    for shift in roster.shifts:
        shift_id = inst.name_id("shift")
        phases = [
            (shift.on, "SIGN_ON"),
            *((beat, "HEARTBEAT") for beat in shift.beats),
            (shift.off, "SIGN_OFF"),
        ]
        for at, phase in phases:
            inst.outbox.emit(
                "DutyStatusReported",
                at,
                {
                    "staff_id": shift.staff.staff_id,
                    "duty_kind": "RX_REVIEW",
                    "phase": phase,
                    "shift_id": shift_id,
                },
                delay=None if shift.delay is None else shift.delay(at),
                prompt=roster.prompt,
            )
