"""Injectors for PHA-02 and PHA-03: who reviews a prescription."""

from __future__ import annotations

from streams.simulator.duty import Shift
from streams.simulator.filings import Papers, hire
from streams.simulator.institution import Staff
from streams.simulator.kinds import Family
from streams.simulator.scene import Case, Scene
from streams.timeline import DAY

KINDS = Family()


def _reviewed_by(scene: Scene, reviewer: Staff, on_duty: bool = False) -> Case | None:
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return None
    at = case.visit.review[0]
    case.visit.review = at, reviewer
    if on_duty:
        # A shift of one instant: it covers no gap that another incident may have made (PHA-01).
        scene.roster.shifts.append(Shift(reviewer, at, at, [], may_review=False))
    return case


@KINDS.violation("PHA-02", "a")
def pha02_doctor(scene: Scene) -> bool:
    """A doctor reviews the prescription of another doctor."""
    case = _reviewed_by(scene, scene.inst.doctors[1], on_duty=True)
    if case is None:
        return False
    scene.expect_rx("PHA-02", case, "a")
    return True


@KINDS.violation("PHA-02", "b")
def pha02_unfiled(scene: Scene) -> bool:
    """Somebody reviews a prescription whom the institution never filed."""
    stranger = _pharmacist(scene, Papers(filed=False))
    case = _reviewed_by(scene, stranger, on_duty=True)
    if case is None:
        return False
    scene.expect_rx("PHA-02", case, "b")
    return True


@KINDS.violation("PHA-02", "b")
def pha02_suspended(scene: Scene) -> bool:
    """A pharmacist reviews a prescription while suspended."""
    stranger = _pharmacist(scene, Papers(fields={"status": "SUSPENDED"}))
    case = _reviewed_by(scene, stranger, on_duty=True)
    if case is None:
        return False
    scene.expect_rx("PHA-02", case, "b")
    return True


@KINDS.violation("PHA-02", "c")
def pha02_own_prescription(scene: Scene) -> bool:
    """The prescriber reviews the own prescription."""
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return False
    case.visit.review = case.visit.review[0], case.visit.doctor
    scene.expect_rx("PHA-02", case, "a")
    scene.expect_rx("PHA-02", case, "c")
    scene.expect_rx("PHA-03", case)
    return True


@KINDS.violation("PHA-02", "d")
def pha02_no_agreement(scene: Scene) -> bool:
    """A pharmacist of a company reviews a prescription without any agreement with it."""
    firm = f"FIRM-{scene.inst.id}-{scene.inst.serial('f')}"
    stranger = _pharmacist(scene, Papers(), employer=firm)
    case = _reviewed_by(scene, stranger, on_duty=True)
    if case is None:
        return False
    scene.expect_rx("PHA-02", case, "d")
    return True


@KINDS.lawful("PHA-02")
def pha02_filed_late(scene: Scene) -> bool:
    """A new pharmacist reviews, whose filing is uploaded days later but within its week."""
    stranger = _pharmacist(scene, Papers(filing_delay=scene.rng.randint(3, 7) * DAY))
    case = _reviewed_by(scene, stranger, on_duty=True)
    if case is None:
        return False
    scene.expect_rx("PHA-02", case, "b", "CLEARED")
    return True


def _pharmacist(scene: Scene, papers: Papers, employer: str = "") -> Staff:
    inst = scene.inst
    staff_id = f"P-{inst.id}-{inst.serial('r')}"
    stranger = Staff(staff_id, "PHARMACIST", "", "INTERMEDIATE", employer or inst.id, not employer)
    hire(inst, stranger, scene.day, papers)
    return stranger


@KINDS.violation("PHA-03")
def pha03_off_duty(scene: Scene) -> bool:
    """A pharmacist reviews a prescription without being on duty."""
    case = _reviewed_by(scene, _pharmacist(scene, Papers()))
    if case is None:
        return False
    scene.expect_rx("PHA-03", case)
    return True
