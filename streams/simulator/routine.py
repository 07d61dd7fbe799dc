"""One day of one institution: roster, doctors, sessions, and what is injected into them."""

from __future__ import annotations

from collections import Counter, deque
from heapq import heapify, heappop
from random import Random

from streams.simulator import duty, trail, visits
from streams.simulator.config import SimulationConfig
from streams.simulator.duty import DutyDay
from streams.simulator.filings import identity_check, register
from streams.simulator.institution import Institution, Staff
from streams.simulator.kinds import Kind, Per
from streams.simulator.outbox import Draft
from streams.simulator.profiles import Regime
from streams.simulator.scene import Event, House, Scene
from streams.simulator.truth import Expected
from streams.simulator.upkeep import Upkeep
from streams.simulator.violations import AREAS, MEETINGS, applicable
from streams.simulator.visits import AUDIO_VIDEO, Visit
from streams.timeline import HOUR, MINUTE, SECOND, start_of_day

_PER_DOCTOR = 60
_LONGEST_SHIFT = 8 * HOUR
_INCIDENTS = 10
"""An incident of a day or a house is so many times as likely as one of a session."""

_DRAWN = (Per.SESSION, Per.DAY)

Drawn = Counter[tuple[str, str]]
"""How often a kind was injected in a jurisdiction."""


class Routine:
    """Lives an institution's days in order and hands over what it uploads.

    ``drawn`` counts the kinds that were injected, here and in the other institutions.
    """

    def __init__(self, inst: Institution, config: SimulationConfig, drawn: Drawn) -> None:
        self.inst = inst
        self._config = config
        self._drawn = drawn
        self._upkeep = Upkeep(inst, config.first_day)
        self._queue: list[tuple[int, int, Visit]] = []
        self._roster = DutyDay(config.filing_day, [])
        self._truth: list[Expected] = []
        self._agenda: dict[int, list[Event]] = {}
        self._kinds = {
            (lawful, per): self._turns(lawful, per) for lawful in (False, True) for per in _DRAWN
        }

    def begin_day(self, day: int) -> list[Expected]:
        """Plan a day and write what is fixed in advance; return the findings it must lead to."""
        inst = self.inst
        rng = inst.begin_day(day)
        midnight = start_of_day(day)
        inst.outbox.holds = [hold for hold in inst.outbox.holds if hold.end > midnight]
        truth: list[Expected] = []
        if day == self._config.filing_day:
            truth += self._furnish()
            register(inst, self._config)
        self._roster = duty.plan(inst, day)
        scene = Scene(inst, self._config, roster=self._roster)
        for event in self._agenda.pop(day, ()):
            event(scene)
        if not inst.is_open(day):
            return truth + scene.truth
        mean = inst.rate
        sessions = max(0, round(rng.gauss(mean, mean**0.5)))
        self._inject(scene, sessions)
        duty.report(inst, self._roster)
        self._upkeep.open_day(day)
        planned = [*scene.settle(), *self._ordinary(scene, sessions)]
        for visit in planned:
            for check in visit.logins:
                trail.check_doctor(inst, visit, check)
        self._queue = [(visit.earliest, number, visit) for number, visit in enumerate(planned)]
        heapify(self._queue)
        return truth + scene.truth

    def advance(self, until: int) -> list[Draft]:
        """Let the sessions happen that begin before an instant, and send what is due by then."""
        while self._queue and self._queue[0][0] < until:
            visit = heappop(self._queue)[2]
            trail.write(self.inst, visit, self._roster)
            self._upkeep.after(visit)
        return self.inst.outbox.send(until)

    def end_day(self, day: int) -> None:
        """Publish the day's manifest; call it before sending anything of the next day."""
        self._upkeep.close_day(day)

    def _turns(self, lawful: bool, per: Per) -> deque[Kind]:
        """The applicable kinds in their order; each institution begins somewhere else."""
        inst, config = self.inst, self._config
        kinds = applicable(inst.rulebook, config.kinds, lawful, per)
        Random(f"{config.seed}/{inst.rulebook}/{lawful}/{per}").shuffle(kinds)
        first = inst.number * len(kinds) // config.institutions[inst.jurisdiction]
        return deque(kinds[first:] + kinds[:first])

    def _in_turn(self, kinds: list[Kind], area: str) -> list[Kind]:
        """Kinds of an area as this house tries them: first what few others had before it."""
        inst = self.inst
        order = list(kinds)
        Random(f"{self._config.seed}/{inst.id}/{area}").shuffle(order)
        return sorted(order, key=lambda kind: self._drawn[inst.jurisdiction, kind.name])

    def _furnish(self) -> list[Expected]:
        """Choose what is wrong with the house as a whole: at most one kind of each area."""
        inst, config = self.inst, self._config
        house = House(inst, config, agenda=self._agenda)
        for kind in MEETINGS:
            share = config.look_alikes if kind.lawful else config.violations
            wanted = config.kinds is None or kind.name in config.kinds
            if share and wanted and inst.rulebook in kind.rulebooks:
                self._inject_kind(kind, house)
        share = min(1.0, config.violations * _INCIDENTS)
        for area in AREAS:
            kinds = [
                kind
                for kind in applicable(inst.rulebook, config.kinds, False, Per.HOUSE)
                if kind.area == area
            ]
            if house.done or not kinds or inst.rng.random() >= share:
                continue
            for kind in self._in_turn(kinds, area):
                final = config.first_day + kind.due <= config.final_day
                if final and self._inject_kind(kind, house):
                    break
        return house.truth

    def _inject_kind(self, kind: Kind, stage: House | Scene) -> bool:
        stage.kind = kind.name
        found = kind.inject(stage)
        self._drawn[self.inst.jurisdiction, kind.name] += found
        return found

    def _inject(self, scene: Scene, sessions: int) -> None:
        config, rng = self._config, self.inst.rng
        shares = ((False, config.violations), (True, config.look_alikes))
        # Incidents of the day change the roster, by which sessions are planned.
        for lawful, share in shares:
            if share and rng.random() < share * _INCIDENTS and self._draw(scene, lawful, Per.DAY):
                break
        for lawful, share in shares:
            # However busy it is: what makes a house busier is no reason to draw more.
            expected = share * sessions * config.rate / max(self.inst.rate, 1e-9)
            for _ in range(int(expected) + (rng.random() < expected % 1)):
                self._draw(scene, lawful, Per.SESSION)

    def _draw(self, scene: Scene, lawful: bool, per: Per) -> bool:
        """Inject the next kind whose turn it is; one that finds no place comes again next time."""
        turns = self._kinds[lawful, per]
        for kind in list(turns):
            if kind.rule_id == "PHA-01" and scene.settled_roster:
                continue
            if scene.day + kind.due <= self._config.final_day and self._inject_kind(kind, scene):
                turns.remove(kind)
                turns.append(kind)
                return True
        return False

    def _ordinary(self, scene: Scene, sessions: int) -> list[Visit]:
        """The day's ordinary sessions, dealt to as many doctors as they need."""
        inst = self.inst
        pool = list(inst.doctors)
        if inst.shared is not None and scene.day % 2 == inst.shared_parity and not self._met(scene):
            pool.append(inst.shared)
        on_duty = min(len(pool), max(2, -(-sessions // _PER_DOCTOR)))
        doctors = inst.rng.sample(pool, on_duty)
        planned: list[Visit] = []
        for number, doctor in enumerate(doctors):
            share = sessions // on_duty + (number < sessions % on_duty)
            planned += self._clinic(scene, doctor, share)
        return planned

    def _met(self, scene: Scene) -> bool:
        """Whether the shared doctor has sessions of a meeting today."""
        return any(case.visit.doctor is self.inst.shared for case in scene.cases)

    def _clinic(self, scene: Scene, doctor: Staff, sessions: int) -> list[Visit]:
        """One doctor's day: a log-in, then sessions of which no two calls overlap."""
        inst = self.inst
        rng = inst.rng
        ranges = scene.free(40 * MINUTE)
        if not ranges:
            return []
        first, last = min(start for start, _ in ranges), max(end for _, end in ranges)
        begins = rng.randrange(first, max(first + 1, last - _LONGEST_SHIFT))
        ends = min(last, begins + _LONGEST_SHIFT)
        login = max(scene.midnight, begins - rng.randint(120, 900) * SECOND)
        method = inst.profile.login_method
        if inst.profile.regime is not Regime.SESSION or rng.random() < 0.5:
            identity_check(inst, doctor.staff_id, doctor.staff_id, None, "LOGIN", method, login)
        self._consult(doctor, login, "SIGN_ON")
        openings = [
            (max(start, begins), min(end, ends))
            for start, end in ranges
            if max(start, begins) < min(end, ends)
        ]
        weights = [end - start for start, end in openings]
        spans = rng.choices(openings, weights, k=sessions)
        planned: list[Visit] = []
        call_over = 0
        for opened in sorted(rng.randrange(start, end) for start, end in spans):
            mode = rng.choices(visits.MODES, (5, 2, 3))[0]
            if opened < call_over:
                mode = "TEXT_IMAGE"
            visit = visits.plan(inst, doctor, mode, opened, visits.length(inst, mode))
            visits.vary(inst, visit)
            visits.supervise(inst, visit)
            if mode in AUDIO_VIDEO:
                call_over = visit.closed
            planned.append(visit)
        over = max((visit.closed for visit in planned), default=ends)
        self._consult(doctor, over + rng.randint(30, 600) * SECOND, "SIGN_OFF")
        return planned

    def _consult(self, doctor: Staff, at: int, phase: str) -> None:
        self.inst.outbox.emit(
            "DutyStatusReported",
            at,
            {
                "staff_id": doctor.staff_id,
                "duty_kind": "CONSULTATION",
                "phase": phase,
                "shift_id": f"{doctor.staff_id}-{self._roster.day}",
            },
        )
