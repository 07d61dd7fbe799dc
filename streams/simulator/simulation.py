"""Runs a simulation day by day: uploads in order of arrival, and the truth about them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from schemas.directory import Directory, Institution, Key
from streams.simulator.config import SimulationConfig
from streams.simulator.institution import build
from streams.simulator.outbox import Datum, Draft
from streams.simulator.rates import Rates
from streams.simulator.routine import Drawn, Routine
from streams.simulator.truth import Expected, Lateness, distinct
from streams.simulator.violations import KINDS
from streams.timeline import HOUR, SECOND, start_of_day


class Upload(NamedTuple):
    """One arrival at the platform; ``duplicate`` repeats an upload that was sent before.

    ``signed`` is whether the sender's signature holds.
    """

    received_at: int
    institution_id: str
    datum: Datum
    duplicate: bool
    signed: bool = True


class Simulation:
    """Synthetic institutions, their uploads and what the platform must find in them.

    Everything follows from the configuration. ``uploads`` can be consumed once; one simulated hour
    at a time is held in memory, with what is late. ``truth`` is complete when they are consumed.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self._drawn: Drawn = Counter()
        self._routines = [Routine(inst, config, self._drawn) for inst in build(config)]
        self._truth: list[Expected] = []
        self._complete = False
        self.uploads: Iterator[Upload] = self._run()

    @property
    def start(self) -> int:
        """First instant of the filing day; nothing happens or arrives earlier (epoch ms)."""
        return start_of_day(self.config.filing_day)

    @property
    def end(self) -> int:
        """The instant for which the truth is stated; nothing arrives at it or later (epoch ms)."""
        return self.config.end

    @property
    def directory(self) -> Directory:
        """The institutions with signing keys that follow from the seed: synthetic, never secret."""
        institutions = [
            Institution(inst.id, inst.name, inst.jurisdiction, (self._key(inst.id),))
            for inst in (routine.inst for routine in self._routines)
        ]
        return Directory(institutions, [self._key(None)])

    @property
    def truth(self) -> list[Expected]:
        """What must be found at ``end``; RuntimeError until all uploads have been consumed."""
        if not self._complete:
            raise RuntimeError("the truth is known when all uploads have been consumed")
        return self._truth

    @property
    def drawn(self) -> frozenset[str]:
        """The names of the kinds injected so far; some leave nothing that must be found."""
        return frozenset(name for (_, name), count in self._drawn.items() if count)

    def ticks(self, step: int) -> Iterator[int]:
        """Instants at which to move the clock, ``step`` ms apart; the last is ``end``."""
        yield from range(self.start + step, self.end, step)
        yield self.end

    def _key(self, institution_id: str | None) -> Key:
        owner = institution_id or "supervisor"
        secret = hashlib.sha256(f"{self.config.seed}/{owner}/key".encode()).digest()
        return Key(f"{owner}-1", institution_id, secret)

    def _run(self) -> Iterator[Upload]:
        config = self.config
        receivers = [
            _Receiver(number, routine, config) for number, routine in enumerate(self._routines)
        ]
        pending: list[_Arrival] = []
        for day in range(config.filing_day, config.final_day + 1):
            for routine in self._routines:
                self._truth += routine.begin_day(day)
            midnight = start_of_day(day)
            for until in range(midnight + HOUR, midnight + 25 * HOUR, HOUR):
                for receiver in receivers:
                    pending += receiver.arrivals(until)
                due = [arrival for arrival in pending if arrival[0] < until]
                pending = [arrival for arrival in pending if arrival[0] >= until]
                due.sort()
                for received_at, number, _, repeated, draft in due:
                    institution_id = receivers[number].routine.inst.id
                    yield Upload(
                        received_at, institution_id, draft.datum, bool(repeated), draft.signed
                    )
            for routine in self._routines:
                routine.end_day(day)
        for receiver in receivers:
            self._truth += receiver.lateness.findings(config.end)
            self._truth += receiver.rates.findings(config.end)
        self._truth = distinct(self._truth)
        self._complete = True


_Arrival = tuple[int, int, int, int, Draft]
"""When, which institution, which of its uploads, which repetition; unique before the draft."""


class _Receiver:
    """What arrives from one institution, repetitions included."""

    def __init__(self, number: int, routine: Routine, config: SimulationConfig) -> None:
        self.number = number
        self.routine = routine
        self.lateness = Lateness(routine.inst.id, routine.inst.rulebook)
        self.rates = Rates(routine.inst.id, routine.inst.rulebook)
        self._share = config.duplicates
        self._end = config.end
        self._dice = Random(f"{config.seed}/{routine.inst.id}/repetitions")

    def arrivals(self, until: int) -> Iterator[_Arrival]:
        """What is sent before an instant, with the times of arrival."""
        for draft in self.routine.advance(until):
            if draft.received_at < self._end:
                self.lateness.receive(draft)
                self.rates.receive(draft)
            yield draft.received_at, self.number, draft.order, 0, draft
            if self._share and self._dice.random() < self._share:
                again = draft.received_at + self._dice.randint(SECOND, 6 * HOUR)
                if self._dice.random() < 0.1:
                    again += 24 * HOUR
                yield again, self.number, draft.order, 1, draft


def simulate(config: SimulationConfig) -> Simulation:
    """Prepare a simulation; nothing is computed before its uploads are consumed.

    ValueError for a kind of violation that does not exist.
    """
    unknown = (config.kinds or frozenset()) - {kind.name for kind in KINDS}
    if unknown:
        raise ValueError(f"no such kinds: {', '.join(sorted(unknown))}")
    return Simulation(config)
