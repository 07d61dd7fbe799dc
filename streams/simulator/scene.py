"""What an injector of a violation works with: one institution, on one day or as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streams.intervals import Interval, subtract
from streams.simulator import scope, visits
from streams.simulator.config import SimulationConfig
from streams.simulator.duty import DutyDay
from streams.simulator.filings import Papers, hire
from streams.simulator.institution import Institution, Note, Patient, Staff
from streams.simulator.outbox import Datum
from streams.simulator.profiles import REACH, Regime
from streams.simulator.truth import Expected
from streams.simulator.visits import Check, Visit
from streams.timeline import HOUR, MINUTE, SECOND, format_instant, start_of_day

WINDOW = 24 * HOUR + 10 * MINUTE
"""``C_c(D) - D``: from then on the absence of clinical evidence is confirmed (RULES 1.5)."""

_ATTEMPTS = 20


@dataclass(slots=True)
class Case:
    """An extra session by a doctor who holds no other one that day.

    ``proof`` is the one verification that IDV-01 accepts; ``certificate`` the log-in by digital
    certificate that Yinchuan accepts in place of a recording (YC 8). An injector changes or removes
    them; what is left when it is done is what happened.
    """

    visit: Visit
    proof: Check | None
    certificate: Check | None

    def edit(self, event_type: str, **fields: Any) -> None:
        """Write other values into an event of the session."""

        def change(note: Note) -> None:
            if note.event_type == event_type:
                note.payload |= fields

        self.visit.edits.append(change)

    def at(self, event_type: str, instant: int, stage: str | None = None) -> None:
        """Let an event of the session happen at another instant."""

        def move(note: Note) -> None:
            if note.event_type == event_type and stage in (None, note.payload.get("stage")):
                note.at = instant

        self.visit.edits.append(move)

    def delay(self, event_type: str, delay: int) -> None:
        """Upload an event of the session so many milliseconds after it happened."""

        def hold(note: Note) -> None:
            if note.event_type == event_type:
                note.delay = delay

        self.visit.edits.append(hold)

    def drop(self, event_type: str, stage: str | None = None) -> None:
        """Leave an event of the session out."""

        def leave_out(note: Note) -> None:
            if note.event_type == event_type and stage in (None, note.payload.get("stage")):
                note.dropped = True

        self.visit.edits.append(leave_out)

    def add(self, event_type: str, at: int, payload: Datum) -> None:
        """Emit another event beside those of the session."""
        self.visit.extras.append(Note(event_type, at, payload))


@dataclass(slots=True)
class Stage:
    """An institution and what must be found there because of what ``kind`` does to it."""

    inst: Institution
    config: SimulationConfig
    kind: str = ""
    truth: list[Expected] = field(default_factory=list)

    @property
    def rng(self) -> Random:
        return self.inst.rng

    def excess(self, most: int) -> int:
        """By how much to break a limit: one time in four by a single millisecond."""
        return 1 if self.rng.random() < 0.25 else self.rng.randint(1, most)

    def expect(
        self,
        rule_id: str,
        clause: str | None,
        subject_type: str,
        subject_id: str,
        state: str = "CONFIRMED",
        start: int | None = None,
        end: int | None = None,
        optional: bool | None = None,
    ) -> None:
        """Expect a finding, where the rule is on; one that ends CLEARED is optional.

        State what a rule in force would hold at the end: where the rulebook takes it as a signal
        only, it is suspected or cleared instead.
        """
        reached = scope.state(rule_id, clause, self.inst.rulebook, state)
        if reached is None:
            return
        self.truth.append(
            Expected(
                rule_id,
                clause,
                self.inst.rulebook,
                self.inst.id,
                subject_type,
                subject_id,
                reached,
                self.kind,
                start,
                end,
                optional=reached == "CLEARED" if optional is None else optional,
            )
        )

    def expect_house(
        self, rule_id: str, clause: str | None = None, state: str = "CONFIRMED"
    ) -> None:
        """Expect a finding about the institution."""
        self.expect(rule_id, clause, "institution", self.inst.id, state)


Event = Callable[["Scene"], None]


@dataclass(slots=True)
class House(Stage):
    """One institution before it is registered; ``agenda`` is what will happen on later days.

    ``done`` is set by an incident that leaves no room for another one, ``refiled`` by one that
    files the registration again; until the day ``needed_until`` the house must not close, because
    another one counts on it.
    """

    agenda: dict[int, list[Event]] = field(default_factory=dict)
    done: bool = False
    refiled: bool = False
    needed_until: int = 0

    def file(self, change: Callable[[Note], None]) -> None:
        """Change what is filed at registration."""
        self.inst.filing_edits.append(change)

    def edit(self, event_type: str, **fields: Any) -> None:
        """File other values at registration in every event of a type."""

        def change(note: Note) -> None:
            if note.event_type == event_type:
                note.payload |= fields

        self.file(change)

    def drop(self, event_type: str, **where: Any) -> None:
        """File nothing of a type at registration, or nothing with these values."""

        def leave_out(note: Note) -> None:
            if note.event_type == event_type and where.items() <= _plain(note.payload):
                note.dropped = True

        self.file(leave_out)

    def open_day(self, after: int) -> int | None:
        """The first open day so many days after the first lived one, or None."""
        days = range(self.config.first_day + after, self.config.last_day + 1)
        return next((day for day in days if self.inst.is_open(day)), None)

    @staticmethod
    def date(day: int) -> str:
        """A day as findings name it."""
        return format_instant(start_of_day(day))[:10]

    def on(self, day: int, event: Event, *, first: bool = False) -> None:
        """Let something happen at the beginning of a day, open or closed.

        What closes the house for a while goes ``first``: others must not plan into it.
        """
        kind = self.kind

        def happen(scene: Scene) -> None:
            scene.kind = kind
            event(scene)

        planned = self.agenda.setdefault(day, [])
        planned.insert(0 if first else len(planned), happen)


def _plain(payload: Datum) -> set[tuple[str, Any]]:
    return {(name, value) for name, value in payload.items() if not isinstance(value, list | dict)}


@dataclass(slots=True)
class Scene(Stage):
    """One institution on one day, as an injector finds it and leaves it.

    ``settled_roster`` is set when who is on duty must not be changed any more.
    """

    roster: DutyDay = field(default_factory=lambda: DutyDay(0, []))
    cases: list[Case] = field(default_factory=list)
    settled_roster: bool = False
    _busy: set[str] = field(default_factory=set)

    @property
    def day(self) -> int:
        return self.roster.day

    @property
    def midnight(self) -> int:
        """First instant of the day."""
        return start_of_day(self.roster.day)

    @property
    def reach(self) -> int:
        """How old a verification may be at the opening of a session; KeyError without a limit."""
        return REACH[self.inst.profile.regime]

    def free(self, lasting: int, after: int = 0) -> list[Interval]:
        """Ranges of instants (so many ms ``after`` midnight) at which a session may be opened."""
        open_time = subtract(self.roster.intervals, sorted(self.roster.quiet))
        margin = 2 * MINUTE
        # What precedes a session must not fall on the day before, whose manifest is out.
        earliest = self.midnight + max(after, visits.LEAD)
        ranges = [
            (max(start + margin, earliest), end - lasting - margin) for start, end in open_time
        ]
        return [(start, end) for start, end in ranges if start < end]

    def halted(self, instant: int) -> bool:
        """Whether services are stopped at an instant, or for ever before it."""
        return any(start <= instant <= end for start, end in self.roster.quiet)

    def opening(self, lasting: int, after: int = 0) -> int:
        """An instant at which a session of this length may be opened."""
        ranges = self.free(lasting, after)
        start, end = self.rng.choices(ranges, [end - start for start, end in ranges])[0]
        return self.rng.randrange(start, end)

    def case(
        self,
        mode: str | None = None,
        minutes: tuple[int, int] | None = None,
        after: int = 3 * HOUR,
        opened: int | None = None,
        *,
        doctor: Staff | None = None,
        papers: Papers | None = None,
        prescribing: bool | None = None,
        age: int | None = None,
    ) -> Case:
        """Add a compliant session by a doctor with no other one that day.

        ``papers`` are those of a doctor who is filed for this session alone.
        """
        rng = self.rng
        mode = mode or rng.choice(visits.MODES)
        if minutes is None:
            lasting = visits.length(self.inst, mode)
        else:
            lasting = rng.randint(minutes[0] * 60, minutes[1] * 60) * SECOND
        if opened is None:
            opened = self.opening(lasting, after)
        if papers is not None:
            doctor = doctor or self.inst.new_doctor()
            hire(self.inst, doctor, self.day, papers)
        doctor = doctor or self._guest()
        visit = visits.plan(self.inst, doctor, mode, opened, lasting)
        if prescribing is not None:
            visit.prescribed_at = None
            if prescribing:
                early = max(90 * SECOND, lasting // 2)
                visit.prescribed_at = opened + early - early % SECOND
        visit.patient = Patient(self.inst.name_id("p"), age or rng.randint(18, 70), True)
        regime = self.inst.profile.regime
        back = 8 * MINUTE if regime is Regime.SESSION else 2 * HOUR
        at = opened - rng.randint(20 * SECOND, back)
        proof = Check(at, regime.value, "FACE", doctor.staff_id)
        certificate = None
        if self.inst.rulebook == "yinchuan":
            certificate = Check(at + 1, "LOGIN", "DIGITAL_CERT", doctor.staff_id)
        if regime is Regime.SESSION:
            visit.checks = visits.in_session(self.inst, visit)
        case = Case(visit, proof, certificate)
        self.cases.append(case)
        return case

    def prescribing(
        self,
        mode: str | None = None,
        *,
        doctor: Staff | None = None,
        papers: Papers | None = None,
        age: int | None = None,
    ) -> Case | None:
        """A case whose prescription is approved by a pharmacist on duty and delivered.

        None, and nothing is changed, when no pharmacist is there to review one.
        """
        rng = self.rng
        mode = mode or rng.choice(visits.MODES)
        lasting = visits.length(self.inst, mode)
        for _ in range(_ATTEMPTS):
            opened = self.opening(lasting, 3 * HOUR)
            at = opened + lasting + rng.randint(60, 300) * SECOND
            review = self.roster.reviewer(at)
            if review is not None and review[0] < at + 20 * MINUTE:
                break
        else:
            return None
        minutes = lasting // MINUTE, lasting // MINUTE
        case = self.case(
            mode,
            minutes=minutes,
            opened=opened,
            doctor=doctor,
            papers=papers,
            prescribing=True,
            age=age,
        )
        case.visit.review = review
        return case

    def recheck(self, case: Case) -> None:
        """Plan the checks within a session again after its acts were moved."""
        if self.inst.profile.regime is Regime.SESSION:
            case.visit.checks = visits.in_session(self.inst, case.visit)

    def unproved(self, after: int = 3 * HOUR) -> Case:
        """A case in which nothing but ``proof`` shows who the doctor is.

        In Yinchuan it is recorded on video, so that only clause (a) is at stake.
        """
        if self.inst.rulebook != "yinchuan":
            return self.case(after=after)
        case = self.case("VIDEO", after=after)
        case.certificate = None
        return case

    def expect_session(
        self, rule_id: str, case: Case, clause: str | None = None, state: str = "CONFIRMED"
    ) -> None:
        """Expect a finding about a session."""
        self.expect(rule_id, clause, "session", case.visit.session_id, state)

    def expect_rx(
        self, rule_id: str, case: Case, clause: str | None = None, state: str = "CONFIRMED"
    ) -> None:
        """Expect a finding about a session's prescription."""
        self.expect(rule_id, clause, "prescription", case.visit.name(self.inst, "rx"), state)

    def expect_identity(self, case: Case, state: str = "CONFIRMED") -> None:
        """Expect IDV-01, which has clauses in Yinchuan only (D40)."""
        clause = "a" if self.inst.rulebook == "yinchuan" else None
        self.expect_session("IDV-01", case, clause, state)

    def settle(self) -> list[Visit]:
        """Attach what is left of each case's proofs and return the sessions."""
        for case in self.cases:
            for check in (case.proof, case.certificate):
                if check is None:
                    continue
                bound = check.phase == Regime.SESSION.value
                (case.visit.checks if bound else case.visit.logins).append(check)
        return [case.visit for case in self.cases]

    def _guest(self) -> Staff:
        """A doctor whose past holds no verification that could count for the new session.

        Where each session needs its own, guests come again; elsewhere everyone is new.
        """
        inst = self.inst
        if inst.profile.regime is Regime.SESSION:
            for doctor in inst.guests:
                if doctor.staff_id not in self._busy:
                    self._busy.add(doctor.staff_id)
                    return doctor
        doctor = inst.new_doctor()
        hire(inst, doctor, self.day)
        inst.guests.append(doctor)
        self._busy.add(doctor.staff_id)
        return doctor


def one_case(scene: Scene) -> None:
    """Make sure that a patient is treated on a day."""
    scene.case()
