"""One synthetic institution: who works there, when it is open, what it has counted so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from streams.simulator.config import SimulationConfig
from streams.simulator.outbox import Outbox
from streams.simulator.profiles import (
    DEPARTMENTS,
    FORMS,
    HOURS,
    OWN_DOCTORS,
    PLACES,
    PROFILES,
    Place,
    Profile,
)
from streams.timeline import MINUTE, start_of_day, weekday

Interval = tuple[int, int]
_DOCTOR_SESSIONS = 60
_TITLES = ("SENIOR", "DEPUTY_SENIOR", "INTERMEDIATE")


@dataclass(frozen=True, slots=True)
class Staff:
    """A doctor or pharmacist. ``employer_id`` differs from the institution for third parties."""

    staff_id: str
    role: str
    dept: str
    title: str
    employer_id: str
    full_time: bool = True
    multi_site: bool = False

    @property
    def certificate(self) -> str:
        """Serial of the digital certificate with which the person signs."""
        return f"CERT-{self.staff_id}"


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as the platform may know one: a token, an age, a capacity."""

    token: str
    age: int
    full_capacity: bool


class Institution:
    """An institution under a rulebook; ``rulebook`` is the one applied, not the candidate (D1).

    The last of the ``pharmacists`` is lent by a ``firm`` under an agreement.
    """

    def __init__(self, config: SimulationConfig, jurisdiction: str, number: int) -> None:
        self.jurisdiction = jurisdiction
        self.form = FORMS[number % len(FORMS)]
        refined = self.form == OWN_DOCTORS and jurisdiction in ("chongqing", "yinchuan")
        self.rulebook = "national" if refined else jurisdiction
        self.profile: Profile = PROFILES[self.rulebook]
        self.place: Place = PLACES[jurisdiction]
        self.id = f"SIM{self.place.region}{number + 1:03d}"
        self.host_id = f"{self.id}H"
        self.host_name = f"{self.place.city}示例第{number + 1}医院"
        self.name = f"{self.host_name}互联网医院"
        if self.form == OWN_DOCTORS:
            self.name = self.host_name
        self.hours = HOURS[(number + list(PLACES).index(jurisdiction)) % len(HOURS)]
        self.closed_on_sundays = number % 3 == 1
        self._config = config
        self._seed = f"{config.seed}/{self.id}"
        self.rng = Random(self._seed)
        self.outbox = Outbox(self.id, self.rng, config.late, config.shuffle)
        self.sessions = 0
        self.corrections = config.corrections
        self._patients: list[Patient] = []
        self._serials = 0
        self.doctors = self._doctors()
        self.spare = self._doctor(len(self.doctors))
        self.firm = f"FIRM-{self.id}"
        self.pharmacists = [self._pharmacist(n, self.id) for n in range(4)]
        self.pharmacists.append(self._pharmacist(4, self.firm))
        self.guests: list[Staff] = []

    def _doctors(self) -> list[Staff]:
        needed = int(self._config.rate / _DOCTOR_SESSIONS) + 2
        return [self._doctor(n) for n in range(max(2 * len(DEPARTMENTS), needed))]

    def _doctor(self, number: int) -> Staff:
        dept = DEPARTMENTS[number % len(DEPARTMENTS)]
        title = _TITLES[min(number // len(DEPARTMENTS), len(_TITLES) - 1)]
        away = self.form != OWN_DOCTORS and number == 2 * len(DEPARTMENTS)
        return Staff(f"D-{self.id}-{number}", "DOCTOR", dept, title, self.id, not away, away)

    def _pharmacist(self, number: int, employer: str) -> Staff:
        own = employer == self.id
        return Staff(f"P-{self.id}-{number}", "PHARMACIST", "", "INTERMEDIATE", employer, own)

    def new_doctor(self) -> Staff:
        """A doctor nobody has met yet; file the person before the first session."""
        staff_id = f"D-{self.id}-{self.serial('n')}"
        return Staff(staff_id, "DOCTOR", self.rng.choice(DEPARTMENTS), "INTERMEDIATE", self.id)

    def begin_day(self, day: int) -> Random:
        """Throw new dice for a day, independent of the days before and of other institutions."""
        self.rng = Random(f"{self._seed}/{day}")
        self.outbox.reseed(self.rng)
        return self.rng

    def serial(self, prefix: str) -> str:
        """A short id that is unique within the institution."""
        self._serials += 1
        return f"{prefix}{self._serials:06x}"

    def name_id(self, prefix: str) -> str:
        """An id that is unique among all institutions, such as a session_id."""
        return f"{self.id}-{self.serial(prefix)}"

    def is_open(self, day: int) -> bool:
        """Whether a day is lived: within the simulated days and not a closed weekday."""
        lived = self._config.first_day <= day <= self._config.last_day
        return lived and not (self.closed_on_sundays and weekday(day) == 7)

    def business(self, day: int) -> list[Interval]:
        """The declared business hours of a day, as instants."""
        if not self.is_open(day):
            return []
        midnight = start_of_day(day)
        return [(midnight + a * MINUTE, midnight + b * MINUTE) for a, b in self.hours]

    def patient(self) -> tuple[Patient, bool]:
        """A patient and whether the person is new; three in ten come back."""
        rng = self.rng
        if self._patients and rng.random() < 0.3:
            return rng.choice(self._patients), False
        age = rng.randint(1, 5) if rng.random() < 0.03 else rng.randint(6, 90)
        patient = Patient(self.name_id("p"), age, age < 75 or rng.random() < 0.9)
        if len(self._patients) < 300:
            self._patients.append(patient)
        else:
            self._patients[rng.randrange(300)] = patient
        return patient, True


def build(config: SimulationConfig) -> Iterator[Institution]:
    """All institutions of a simulation, jurisdiction by jurisdiction."""
    for jurisdiction in PLACES:
        for number in range(config.institutions.get(jurisdiction, 0)):
            yield Institution(config, jurisdiction, number)
