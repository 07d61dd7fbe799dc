"""Injectors for LIC-01 to LIC-05, INC-02(a) and REC-03(d): licences, departments, stops."""

from __future__ import annotations

from streams.simulator.conduct_faults import incident, suspend
from streams.simulator.filings import Desk, Papers, assessment, department
from streams.simulator.institution import Note
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import Datum
from streams.simulator.profiles import INDEPENDENT, OWN_DOCTORS, scope
from streams.simulator.scene import Case, House, Scene, one_case
from streams.simulator.staff_faults import new_department
from streams.timeline import DAY, HOUR, MINUTE, SECOND, add_months, end_of_day, start_of_day

KINDS = Family()
_WIND_DOWN = 30 * MINUTE
_CUSTODY = 33
_HOUSE = Per.HOUSE


@KINDS.violation("LIC-01", per=_HOUSE, area="licence")
def lic01_expired(house: House) -> bool:
    """The licence runs out, and its renewal begins two days later."""
    inst = house.inst
    day = house.open_day(1)
    if day is None:
        return False
    house.edit("InstitutionFiled", licence_valid_to=day - 1, host_licence_valid_to=day - 1)

    def renew(scene: Scene) -> None:
        until = add_months(scene.day, 60)
        host = inst.snapshot["host_licence_valid_to"]
        terms: Datum = {
            "filing_kind": "RENEWED",
            "changed_fields": ["LICENCE_TERM"],
            "licence_valid_from": scene.day,
            "licence_valid_to": until,
            "host_licence_valid_to": until if host == day - 1 else host,
        }
        renewed = inst.snapshot | terms
        Desk(inst, scene.midnight).file("InstitutionFiled", scene.day, renewed)

    house.refiled = True
    house.on(day, one_case)
    house.on(day + 2, renew)
    house.expect_house("LIC-01", state="RESOLVED")
    return True


@KINDS.violation("LIC-01", per=_HOUSE, area="licence")
def lic01_no_service_mode(house: House) -> bool:
    """The licence does not name internet services."""
    house.edit("InstitutionFiled", service_modes=["OTHER"])
    day = house.open_day(0)
    if day is None:
        return False
    house.on(day, one_case)
    house.expect_house("LIC-01")
    return True


@KINDS.violation("LIC-01", per=_HOUSE, area="licence")
def lic01_cancelled(house: House) -> bool:
    """The licence is cancelled, and one more patient is treated."""
    day = house.open_day(house.config.days - 1) or house.open_day(0)
    if day is None or day < house.needed_until or house.inst.form == OWN_DOCTORS:
        return False
    _cancel(house, day, 2)
    return True


@KINDS.violation("REC-03", "d", per=_HOUSE, area="licence", due=_CUSTODY + 1)
def rec03_no_custody(house: House) -> bool:
    """The licence is cancelled, and nobody takes over the records."""
    latest = house.config.final_day - _CUSTODY
    day = house.open_day(min(house.config.days - 1, latest - house.config.first_day))
    if day is None or not house.needed_until <= day <= latest or house.inst.form == OWN_DOCTORS:
        return False
    _cancel(house, day, None)
    house.expect_house("REC-03", "d")
    return True


def _cancel(house: House, day: int, transferred: int | None) -> None:
    """Cancel the licence in the afternoon of a day and treat one more patient then."""
    inst = house.inst
    inst.closed_from = day + 1
    house.done = True

    def cancel(scene: Scene) -> None:
        at = scene.midnight + 14 * HOUR + 30 * MINUTE
        scene.roster.quiet.append((at, end_of_day(day)))
        scene.settled_roster = True
        snapshot = inst.snapshot | {"filing_kind": "CANCELLED"}
        Desk(inst, at).file("InstitutionFiled", day, snapshot)
        case = scene.case("TEXT_IMAGE", opened=at + HOUR)
        scene.expect_session("LIC-05", case)
        scene.expect_house("LIC-01")

    def transfer(scene: Scene) -> None:
        payload: Datum = {
            "target_kind": "MEDICAL_RECORD",
            "target_id": None,
            "operation": "CUSTODY_TRANSFERRED",
            "operator_id": inst.spare.staff_id,
            "purpose": "CLINICAL",
            "authorisation_doc_id": None,
            "to_institution_id": inst.host_id,
        }
        at = scene.midnight + 10 * HOUR
        inst.outbox.emit("RecordOperationLogged", at, payload)

    house.on(day, cancel, first=True)
    if transferred is not None:
        house.on(day + transferred, transfer)


@KINDS.violation("LIC-02")
def lic02_not_approved(scene: Scene) -> bool:
    """A patient is treated in a department that was never approved."""
    case = _in_department(scene, "22")
    scene.expect_session("LIC-02", case)
    return True


@KINDS.violation("LIC-02")
def lic02_revoked(scene: Scene) -> bool:
    """A patient is treated in a department whose approval was revoked."""
    desk = Desk(scene.inst, scene.midnight)
    fields: Datum = {"is_clinical": False}
    for status in ("APPROVED", "REVOKED"):
        payload = department(scene.inst, "24", scene.day) | fields | {"status": status}
        desk.file("DepartmentApproved", scene.day, payload)
    scene.expect_session("LIC-02", _in_department(scene, "24"))
    return True


@KINDS.lawful("LIC-02")
def lic02_approved_late(scene: Scene) -> bool:
    """A patient is treated in a department whose approval is uploaded five days later."""
    code = scene.inst.spare_department()
    if code is None:
        return False
    payload = department(scene.inst, code, scene.day)
    payload |= {"is_clinical": False, "effective_to": scene.day}
    Desk(scene.inst, scene.midnight).file("DepartmentApproved", scene.day, payload, 5 * DAY)
    scene.expect_session("LIC-02", _in_department(scene, code), state="CLEARED")
    return True


def _in_department(scene: Scene, code: str) -> Case:
    case = scene.case(papers=Papers(fields={"practice_scope_codes": [scope(code)]}))
    case.visit.dept = code
    return case


@KINDS.violation("LIC-03", "a")
def lic03_host_without_subject(scene: Scene) -> bool:
    """A department is approved whose subject the host does not have."""
    code = scene.inst.spare_department()
    if code is None:
        return False
    new_department(scene, code, {"host_has_subject": False})
    scene.expect("LIC-03", "a", "department", code)
    return True


@KINDS.violation("LIC-03", "b")
def lic03_no_clinical_department(scene: Scene) -> bool:
    """A clinical department is approved without a counterpart in the host."""
    code = scene.inst.spare_department()
    if code is None:
        return False
    new_department(scene, code, {"host_clinical_dept_id": None})
    scene.expect("LIC-03", "b", "department", code)
    return True


@KINDS.violation("LIC-03", "c", per=_HOUSE, area="registration")
def lic03_other_term(house: House) -> bool:
    """The licence of the host ends on another day, or its end is not filed."""
    if house.inst.form == OWN_DOCTORS:
        return False
    until = add_months(house.config.filing_day, 30)
    house.edit("InstitutionFiled", host_licence_valid_to=house.rng.choice((until, None)))
    house.expect_house("LIC-03", "c")
    return True


@KINDS.violation("LIC-03", "d", per=_HOUSE, area="registration")
def lic03_no_host(house: House) -> bool:
    """An internet hospital has no host."""
    if house.inst.form == OWN_DOCTORS:
        return False
    house.edit("InstitutionFiled", host_institution_id=None)
    house.expect_house("LIC-03", "d")
    return True


def _verified(house: House, due: int, months: int) -> None:
    """Let the verification for a due date be applied for so many months before it."""
    at = start_of_day(add_months(due, -months)) + 10 * HOUR
    sent = start_of_day(house.config.filing_day) + 10 * HOUR

    def change(note: Note) -> None:
        if note.event_type == "LicenceVerificationRecorded":
            note.payload["verification_due_on"] = due
            note.at, note.sent_at = at, sent

    house.file(change)


def _stage(house: House, day: int, stage: str, due: int) -> None:
    """Record another stage of the verification at noon of a day."""
    inst = house.inst

    def record(scene: Scene) -> None:
        payload: Datum = {"stage": stage, "verification_due_on": due}
        desk = Desk(inst, scene.midnight + 12 * HOUR)
        desk.file("LicenceVerificationRecorded", scene.day, payload)

    house.on(day, record)


def _due(house: House, clause: str, due: int, state: str = "CONFIRMED") -> None:
    house.expect("LIC-04", clause, "verification", house.date(due), state)


@KINDS.violation("LIC-04", "a", per=_HOUSE, area="verification")
def lic04_applied_late(house: House) -> bool:
    """The verification is applied for two months before it is due, instead of three."""
    due = add_months(house.config.filing_day, 2)
    house.edit("LicenceVerificationRecorded", verification_due_on=due)
    _due(house, "a", due, "RESOLVED")
    return True


@KINDS.violation("LIC-04", "b", per=_HOUSE, area="verification")
def lic04_not_passed(house: House) -> bool:
    """The verification is not passed, the service goes on, and it is passed later."""
    config, day = house.config, house.open_day(0)
    if day is None:
        return False
    due = config.filing_day
    _verified(house, due, 4)
    _stage(house, config.filing_day, "NOT_PASSED", due)
    house.on(day, one_case)
    _stage(house, day + 3, "PASSED", due)
    _due(house, "b", due, "RESOLVED")
    return True


@KINDS.violation("LIC-04", "b", per=_HOUSE, area="verification", on="chongqing sichuan")
def lic04_overdue(house: House) -> bool:
    """The verification is applied for only after it was due, and the service goes on."""
    config, day = house.config, house.open_day(0)
    if day is None:
        return False
    due = config.filing_day
    house.drop("LicenceVerificationRecorded")
    _stage(house, due + 1, "APPLIED", due)
    house.on(day, one_case)
    _due(house, "b", due)
    return True


@KINDS.violation("LIC-04", "c", per=_HOUSE, area="verification")
def lic04_interval(house: House) -> bool:
    """After a passed verification the next one is due more than a year later."""
    if house.inst.form != INDEPENDENT:
        return False
    due = house.config.filing_day + 1
    _verified(house, due, 4)
    _stage(house, house.config.filing_day, "PASSED", due)
    following = add_months(due, 12) + 1
    _stage(house, house.config.first_day, "APPLIED", following)
    _due(house, "c", following)
    return True


@KINDS.violation("LIC-05")
def lic05_suspended(scene: Scene) -> bool:
    """A doctor opens a session while suspended."""
    case = scene.case(papers=Papers(), after=4 * HOUR)
    before = scene.rng.choice((0, scene.rng.randint(1, 60) * MINUTE))
    suspend(scene, case.visit.doctor.staff_id, case.visit.opened - before, "VOLUNTARY")
    scene.expect_session("LIC-05", case)
    return True


@KINDS.violation("LIC-05")
def lic05_wind_down(scene: Scene) -> bool:
    """A doctor prescribes more than half an hour after being suspended."""
    case = _winding_down(scene, _WIND_DOWN + scene.excess(5 * MINUTE))
    scene.expect_session("LIC-05", case)
    return True


@KINDS.lawful("LIC-05")
def lic05_last_prescription(scene: Scene) -> bool:
    """A doctor prescribes exactly half an hour after being suspended, in an open session."""
    _winding_down(scene, _WIND_DOWN)
    return True


def _winding_down(scene: Scene, after: int) -> Case:
    case = scene.case("TEXT_IMAGE", minutes=(45, 55), papers=Papers(), prescribing=True)
    stop = case.visit.opened + MINUTE
    suspend(scene, case.visit.doctor.staff_id, stop, "VOLUNTARY")
    case.visit.prescribed_at = stop + after
    scene.recheck(case)
    return case


@KINDS.lawful("LIC-05")
def lic05_resumed(scene: Scene) -> bool:
    """A doctor opens a session on the millisecond of the return from a suspension."""
    case = scene.case(papers=Papers(), after=4 * HOUR)
    staff_id, opened = case.visit.doctor.staff_id, case.visit.opened
    suspend(scene, staff_id, opened - HOUR, "VOLUNTARY")
    resume(scene, staff_id, opened)
    return True


def resume(scene: Scene, staff_id: str | None, at: int) -> None:
    """Let a person, or with None the institution, return to work."""
    payload: Datum = {
        "scope": "INSTITUTION" if staff_id is None else "STAFF",
        "scope_id": staff_id,
        "status": "RESUMED",
        "reason": "VOLUNTARY",
        "reported_to_authority_at": at,
    }
    scene.inst.outbox.emit("ServiceStatusChanged", at, payload)


@KINDS.violation("LIC-05", on="chongqing")
def lic05_adverse(scene: Scene) -> bool:
    """A doctor goes on seeing patients after an adverse event."""
    case = scene.case(papers=Papers(), after=6 * HOUR)
    at = case.visit.opened - HOUR - scene.rng.choice((0, MINUTE))
    incident_id = incident(scene, at, suspended=None, staff_id=case.visit.doctor.staff_id)
    scene.expect_session("LIC-05", case)
    scene.expect("INC-02", "b", "incident", incident_id)
    return True


@KINDS.violation("LIC-05", per=_HOUSE, area="equipment", on="guangxi")
def lic05_failed_assessment(house: House) -> bool:
    """The security assessment fails, services are suspended, and a patient is treated."""
    day = house.open_day(1) or house.open_day(0)
    if day is None:
        return False

    def fail(scene: Scene) -> None:
        at = _fail(scene)
        payload: Datum = {
            "scope": "INSTITUTION",
            "scope_id": None,
            "status": "SUSPENDED",
            "reason": "MLPS_FAILED",
            "reported_to_authority_at": at + 20 * MINUTE,
        }
        scene.inst.outbox.emit("ServiceStatusChanged", at + 10 * MINUTE, payload)
        opened = at + HOUR + scene.rng.choice((0, 20 * MINUTE))
        scene.expect_session("LIC-05", scene.case("TEXT_IMAGE", opened=opened))

    house.on(day, fail, first=True)
    house.on(day + 1, _pass)
    house.on(day + 1, lambda scene: resume(scene, None, scene.midnight + 30 * SECOND))
    return True


@KINDS.violation("INC-02", "a", per=_HOUSE, area="equipment")
def inc02_failed_assessment(house: House) -> bool:
    """The security assessment fails, and services are not suspended."""
    day = house.open_day(1) or house.open_day(0)
    if day is None:
        return False
    house.on(day, _fail_only, first=True)
    house.on(day + 1, _pass)
    house.expect_house("INC-02", "a", "RESOLVED")
    return True


def _fail(scene: Scene) -> int:
    """Fail the assessment at three o'clock; no ordinary session is held after it."""
    at = scene.midnight + 15 * HOUR
    scene.roster.quiet.append((at, end_of_day(scene.day)))
    payload = assessment(scene.inst, "MLPS", 3, scene.day) | {"result": "FAIL"}
    payload["change_completed_on"] = scene.day
    scene.inst.outbox.emit("AssessmentCompleted", at, payload, prompt=True)
    return at


def _fail_only(scene: Scene) -> None:
    _fail(scene)


def _pass(scene: Scene) -> None:
    payload = assessment(scene.inst, "MLPS", 3, scene.day)
    Desk(scene.inst, scene.midnight).file("AssessmentCompleted", scene.day, payload)
