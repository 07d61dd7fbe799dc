"""Injectors that need two institutions at once: IDV-04 and LIC-07(b) and (c).

The two do not know of each other: each follows the same rule from the seed and from its own place
among the institutions of its jurisdiction, so that both act when one does.
"""

from __future__ import annotations

from random import Random

from streams.simulator.duty import on_duty
from streams.simulator.filings import hire
from streams.simulator.institution import Staff
from streams.simulator.kinds import Family, Per
from streams.simulator.profiles import INDEPENDENT, SECOND_NAME
from streams.simulator.scene import House, Scene
from streams.timeline import HOUR, MINUTE, SECOND, weekday

KINDS = Family()
_HOUSE = Per.HOUSE
AREA = "meeting"
_TRIO = 3
"""Forms go round in threes; of each three the first two share a doctor."""

_SUNDAY = 7
_EARLY = 4
"""Meetings happen on one of the first days, so that a house may close soon after."""

_TOLERANCE = 60 * SECOND


def _pair(house: House) -> Random | None:
    """The common dice of two institutions that share a doctor, if both are simulated."""
    inst, config = house.inst, house.config
    first = inst.number - inst.number % _TRIO
    count = config.institutions.get(inst.jurisdiction, 0)
    if inst.shared is None or first + 1 >= count:
        return None
    return Random(f"{config.seed}/{inst.jurisdiction}/{first}/{house.kind}")


def _day(house: House, dice: Random, turn: int = 0) -> int | None:
    """A day on which both are open; kinds about the same doctor take turns with the days."""
    config = house.config
    days = [day for day in range(config.first_day, config.last_day + 1) if weekday(day) != _SUNDAY][
        turn::2
    ]
    day = dice.choice(days) if days else None
    house.needed_until = max(house.needed_until, day or 0)
    return day


def _first(house: House) -> bool:
    return house.inst.number % _TRIO == 0


def _two_calls(house: House, overlap: int) -> bool:
    dice = _pair(house)
    found = overlap > _TOLERANCE
    day = None if dice is None else _day(house, dice, int(not found))
    doctor = house.inst.shared
    if day is None or doctor is None:
        return False

    def meet(scene: Scene) -> None:
        if not scene.inst.is_open(scene.day):
            return
        # Half past ten is business time of every pattern of hours.
        start, length = scene.midnight + 10 * HOUR + 30 * MINUTE, 12 * MINUTE
        opened = start if _first(house) else start + length - overlap
        case = scene.case("VIDEO", minutes=(12, 12), opened=opened, doctor=doctor)
        if found:
            scene.expect_session("IDV-04", case, "a")

    house.on(day, meet)
    return True


@KINDS.violation("IDV-04", "a", per=_HOUSE, area=AREA)
def idv04_two_places(house: House) -> bool:
    """A doctor holds video sessions at two institutions at once."""
    dice = _pair(house)
    return dice is not None and _two_calls(house, _TOLERANCE + dice.choice((1, 90 * SECOND)))


@KINDS.lawful("IDV-04", "a", per=_HOUSE, area=AREA)
def idv04_a_minute(house: House) -> bool:
    """A doctor's video sessions at two institutions overlap by exactly a minute."""
    return _two_calls(house, _TOLERANCE)


@KINDS.violation("IDV-04", "b", per=_HOUSE, area=AREA)
def idv04_dedicated_pharmacist(house: House) -> bool:
    """A full-time pharmacist is on duty at two institutions at once."""
    inst, dice = house.inst, _pair(house)
    day = None if dice is None else _day(house, dice)
    if day is None:
        return False
    staff_id = f"P-SIM{inst.place.region}-S{inst.number // _TRIO}"
    staff = Staff(staff_id, "PHARMACIST", "", "INTERMEDIATE", inst.id, home=f"SIM{inst.id[3:9]}X")

    def watch(scene: Scene) -> None:
        if not scene.inst.is_open(scene.day):
            return
        hire(inst, staff, scene.day)
        on = scene.midnight + 10 * HOUR + (0 if _first(house) else 20 * MINUTE)
        off = on + 50 * MINUTE
        scene.roster.shifts.append(on_duty(inst, staff, on, off, may_review=False))
        scene.settled_roster = True
        scene.expect("IDV-04", "b", "staff", staff_id)

    house.on(day, watch)
    return True


def _same_host(house: House, numbers: tuple[int, int]) -> str | None:
    """A host that two institutions name, which otherwise have one each."""
    inst, config = house.inst, house.config
    if inst.number not in numbers:
        return None
    if config.institutions.get(inst.jurisdiction, 0) <= max(numbers):
        return None
    host = f"SIM{inst.place.region}{numbers[0] + 1:03d}H"
    house.edit("InstitutionFiled", host_institution_id=host)
    inst.host_id = host
    house.needed_until = config.final_day
    house.expect("LIC-07", "c" if numbers == _TWO_FORMS else "b", "host", host)
    return host


_TWO_FORMS = (3, 4)
_TWO_OF_A_KIND = (1, 7)


@KINDS.violation("LIC-07", "b", per=_HOUSE, area=AREA)
def lic07_second_independent(house: House) -> bool:
    """Two independent internet hospitals depend on the same host."""
    return house.inst.form == INDEPENDENT and _same_host(house, _TWO_OF_A_KIND) is not None


@KINDS.violation("LIC-07", "c", per=_HOUSE, area=AREA)
def lic07_two_forms(house: House) -> bool:
    """A host has an internet hospital as its second name and an independent one besides."""
    wanted = (SECOND_NAME, INDEPENDENT)
    return house.inst.form in wanted and _same_host(house, _TWO_FORMS) is not None
