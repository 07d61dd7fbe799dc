"""What an injector of a violation works with: one institution on one open day."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from streams.intervals import Interval, subtract
from streams.simulator import visits
from streams.simulator.duty import DutyDay
from streams.simulator.filings import hire
from streams.simulator.institution import Institution, Staff
from streams.simulator.profiles import REACH, Regime
from streams.simulator.truth import Expected
from streams.simulator.visits import Check, Visit
from streams.timeline import HOUR, MINUTE, SECOND, start_of_day

WINDOW = 24 * HOUR + 10 * MINUTE
"""``C_c(D) - D``: from then on the absence of clinical evidence is confirmed (RULES 1.5)."""


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


@dataclass(slots=True)
class Scene:
    """One institution on one open day, as an injector finds it and leaves it."""

    inst: Institution
    roster: DutyDay
    kind: str = ""
    cases: list[Case] = field(default_factory=list)
    truth: list[Expected] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)

    @property
    def rng(self) -> Random:
        return self.inst.rng

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

    def excess(self, most: int) -> int:
        """By how much to break a limit: one time in four by a single millisecond."""
        return 1 if self.rng.random() < 0.25 else self.rng.randint(1, most)

    def free(self, lasting: int, after: int = 0) -> list[Interval]:
        """Ranges of instants (so many ms ``after`` midnight) at which a session may be opened."""
        open_time = subtract(self.roster.intervals, sorted(self.roster.quiet))
        margin = 2 * MINUTE
        ranges = [
            (max(start + margin, self.midnight + after), end - lasting - margin)
            for start, end in open_time
        ]
        return [(start, end) for start, end in ranges if start < end]

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
    ) -> Case:
        """Add a compliant session by a doctor with no other one that day."""
        rng = self.rng
        mode = mode or rng.choice(visits.MODES)
        if minutes is None:
            lasting = visits.length(self.inst, mode)
        else:
            lasting = rng.randint(minutes[0] * 60, minutes[1] * 60) * SECOND
        if opened is None:
            opened = self.opening(lasting, after)
        doctor = self._guest()
        visit = visits.plan(self.inst, doctor, mode, opened, lasting)
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

    def expect_identity(self, case: Case, state: str = "CONFIRMED") -> None:
        """Expect IDV-01, which has clauses in Yinchuan only (D40)."""
        clause = "a" if self.inst.rulebook == "yinchuan" else None
        self.expect_session("IDV-01", case, clause, state)

    def expect(
        self,
        rule_id: str,
        clause: str | None,
        subject_type: str,
        subject_id: str,
        state: str,
        start: int | None = None,
        end: int | None = None,
    ) -> None:
        """Expect a finding; one that ends CLEARED is optional."""
        self.truth.append(
            Expected(
                rule_id,
                clause,
                self.inst.rulebook,
                self.inst.id,
                subject_type,
                subject_id,
                state,
                self.kind,
                start,
                end,
                optional=state == "CLEARED",
            )
        )

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
