"""One synthetic institution: who works there, when it is open, what it has counted so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from streams.simulator.config import SimulationConfig
from streams.simulator.outbox import Datum, Outbox
from streams.simulator.profiles import (
    DEPARTMENTS,
    FORMS,
    HOURS,
    OWN_DOCTORS,
    PLACES,
    PROFILES,
    SPARE_DEPARTMENTS,
    Place,
    Profile,
)
from streams.timeline import MINUTE, start_of_day, weekday

Interval = tuple[int, int]
_DOCTOR_SESSIONS = 60
_TITLES = ("SENIOR", "DEPUTY_SENIOR", "INTERMEDIATE")


@dataclass(slots=True)
class Note:
    """One event before it is handed to the outbox; an edit may change or drop it."""

    event_type: str
    at: int
    payload: Datum
    delay: int | None = None
    sent_at: int | None = None
    prompt: bool = False
    kind: str | None = None
    dropped: bool = False


Edit = Callable[[Note], None]


@dataclass(frozen=True, slots=True)
class Staff:
    """A doctor or pharmacist. ``employer_id`` differs from the institution for third parties.

    ``home`` is the institution where the person is registered, when that is another one.
    """

    staff_id: str
    role: str
    dept: str
    title: str
    employer_id: str
    full_time: bool = True
    home: str = ""

    @property
    def multi_site(self) -> bool:
        """Whether the person is registered elsewhere and filed here for several places."""
        return self.role == "DOCTOR" and bool(self.home)

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
        self.number = number
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
        self.rate = config.rate
        self.corrections = config.corrections
        self._patients: list[Patient] = []
        self._serials = 0
        self.doctors = self._doctors()
        self.shared = self._shared()
        self.spare = self._doctor(len(self.doctors))
        self.firm = f"FIRM-{self.id}"
        self.pharmacists = [self._pharmacist(n, self.id) for n in range(4)]
        self.pharmacists.append(self._pharmacist(4, self.firm))
        self.guests: list[Staff] = []
        self.scores: tuple[int, ...] = (3, 4, 4, 5, 5, 5)
        self.closed_from: int | None = None
        self.unreported: set[int] = set()
        self.deficient = False
        self.declared_hours = True
        self.filing_edits: list[Edit] = []
        self.snapshot: Datum = {}
        self._departments = list(SPARE_DEPARTMENTS)

    @property
    def everyone(self) -> list[Staff]:
        """All who are filed when the institution is registered."""
        lent = [] if self.shared is None else [self.shared]
        return [*self.doctors, self.spare, *lent, *self.pharmacists]

    @property
    def shared_parity(self) -> int:
        """Whether the doctor shared with another institution comes on even or on odd days."""
        return self.number % 3

    def spare_department(self) -> str | None:
        """The code of a department this institution has nothing to do with; None after the last."""
        return self._departments.pop() if self._departments else None

    def _shared(self) -> Staff | None:
        """A doctor who works at two institutions, at each on its own days (``shared_parity``)."""
        if self.form == OWN_DOCTORS:
            return None
        region = self.place.region
        staff_id = f"D-SIM{region}-S{self.number // 3}"
        return Staff(
            staff_id, "DOCTOR", DEPARTMENTS[0], "INTERMEDIATE", self.id, False, f"SIM{region}X"
        )

    def _doctors(self) -> list[Staff]:
        needed = int(self._config.rate / _DOCTOR_SESSIONS) + 2
        return [self._doctor(n) for n in range(max(2 * len(DEPARTMENTS), needed))]

    def _doctor(self, number: int) -> Staff:
        dept = DEPARTMENTS[number % len(DEPARTMENTS)]
        title = _TITLES[min(number // len(DEPARTMENTS), len(_TITLES) - 1)]
        away = self.form != OWN_DOCTORS and number == 2 * len(DEPARTMENTS)
        home = f"{self.id}X" if away else ""
        return Staff(f"D-{self.id}-{number}", "DOCTOR", dept, title, self.id, not away, home)

    def _pharmacist(self, number: int, employer: str) -> Staff:
        own = employer == self.id
        home = "" if own else f"{self.id}X"
        return Staff(f"P-{self.id}-{number}", "PHARMACIST", "", "INTERMEDIATE", employer, own, home)

    def new_doctor(self, title: str = "INTERMEDIATE", dept: str = "") -> Staff:
        """A doctor nobody has met yet; file the person before the first session."""
        staff_id = f"D-{self.id}-{self.serial('n')}"
        return Staff(staff_id, "DOCTOR", dept or self.rng.choice(DEPARTMENTS), title, self.id)

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
        if self.closed_from is not None and day >= self.closed_from:
            return False
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
