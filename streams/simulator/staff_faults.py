"""Injectors for STF-01 to STF-06, LIC-06(c), UPL-02 and DIS-01(c): who is filed, and as what."""

from __future__ import annotations

from streams.simulator.filings import (
    Desk,
    Papers,
    department,
    hire,
    notice,
    registry_check,
    staff_filing,
)
from streams.simulator.institution import Staff
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import Datum
from streams.simulator.profiles import OWN_DOCTORS, scope
from streams.simulator.scene import Case, Scene
from streams.timeline import DAY, HOUR, MINUTE, add_months, start_of_day

KINDS = Family()
_LONG_AGO = 20_000
_OPTIONAL_ITEMS = ("CONVENIENCE_MEASURES", "QUALITY_INDICATORS")
_ELSEWHERE: Datum = {
    "multi_site_from": _LONG_AGO,
    "registering_institution_consent_from": _LONG_AGO,
}


def _case(scene: Scene, papers: Papers, home: str = "") -> Case:
    inst = scene.inst
    drawn = inst.new_doctor()
    doctor = Staff(drawn.staff_id, "DOCTOR", drawn.dept, drawn.title, inst.id, not home, home)
    return scene.case(doctor=doctor, papers=papers)


def _expect_person(
    scene: Scene, rule_id: str, clause: str, case: Case, state: str = "CONFIRMED"
) -> None:
    scene.expect(rule_id, clause, "staff", case.visit.doctor.staff_id, state)


@KINDS.violation("STF-01", "a")
def stf01_unfiled(scene: Scene) -> bool:
    """A doctor treats a patient whom the institution never filed."""
    _expect_person(scene, "STF-01", "a", _case(scene, Papers(filed=False)))
    return True


@KINDS.violation("STF-01", "b")
def stf01_not_in_register(scene: Scene) -> bool:
    """The national register does not agree with the filing of a doctor who treats a patient."""
    wrong = scene.rng.choice(({"found": False}, {"matches_filing": False}))
    check: Datum = {**wrong, "mismatch_fields": ["TITLE"]}
    _expect_person(scene, "STF-01", "b", _case(scene, Papers(check=check)))
    return True


@KINDS.violation("STF-01", "c")
def stf01_revoked(scene: Scene) -> bool:
    """A doctor treats a patient whose registration is revoked, cancelled or suspended."""
    status = scene.rng.choice(("REVOKED", "CANCELLED", "SUSPENDED"))
    papers = Papers(check={"registration_status": status})
    _expect_person(scene, "STF-01", "c", _case(scene, papers))
    return True


@KINDS.violation("STF-01", "c")
def stf01_not_active(scene: Scene) -> bool:
    """A doctor treats a patient who is filed as suspended or gone."""
    papers = Papers(fields={"status": scene.rng.choice(("SUSPENDED", "EXITED"))})
    _expect_person(scene, "STF-01", "c", _case(scene, papers))
    return True


@KINDS.violation("STF-01", "c")
def stf01_expired(scene: Scene) -> bool:
    """A doctor treats a patient on the day after the qualification ended."""
    papers = Papers(fields={"qualification_valid_to": scene.day - 1})
    _expect_person(scene, "STF-01", "c", _case(scene, papers))
    return True


@KINDS.violation("STF-01", "d")
def stf01_nurse(scene: Scene) -> bool:
    """Somebody treats patients who is filed as a nurse."""
    _expect_person(scene, "STF-01", "d", _case(scene, Papers(fields={"role": "NURSE"})))
    return True


@KINDS.lawful("STF-01")
def stf01_filed_late(scene: Scene) -> bool:
    """A doctor treats patients whose filing is uploaded days later but within its week."""
    papers = Papers(filing_delay=scene.rng.randint(3, 7) * DAY)
    _expect_person(scene, "STF-01", "a", _case(scene, papers), "CLEARED")
    return True


@KINDS.lawful("STF-01")
def stf01_last_day(scene: Scene) -> bool:
    """A doctor treats a patient on the last day of the qualification."""
    _case(scene, Papers(fields={"qualification_valid_to": scene.day}))
    return True


@KINDS.violation("STF-02", "a")
def stf02_elsewhere(scene: Scene) -> bool:
    """A doctor who is registered only elsewhere treats a patient."""
    fields = {**_ELSEWHERE, "multi_site_from": None}
    case = _case(scene, Papers(fields=fields), home=f"{scene.inst.id}Y")
    scene.expect_session("STF-02", case, "a")
    return True


@KINDS.violation("STF-02", "a")
def stf02_too_soon(scene: Scene) -> bool:
    """A doctor treats a patient the day before the filing for several places begins."""
    fields = {**_ELSEWHERE, "multi_site_from": scene.day + 1}
    case = _case(scene, Papers(fields=fields), home=f"{scene.inst.id}Y")
    scene.expect_session("STF-02", case, "a")
    return True


@KINDS.violation("STF-02", "a")
def stf02_register_differs(scene: Scene) -> bool:
    """The national register knows the doctor at other institutions than the filing."""
    check: Datum = {"registered_institution_ids": [f"{scene.inst.id}Y"]}
    scene.expect_session("STF-02", _case(scene, Papers(check=check)), "a")
    return True


@KINDS.violation("STF-02", "b")
def stf02_no_consent(scene: Scene) -> bool:
    """The institution where the doctor is registered has not agreed, or no longer agrees."""
    ended = scene.rng.random() < 0.5
    fields: Datum = {
        "multi_site_from": _LONG_AGO,
        "registering_institution_consent_from": _LONG_AGO if ended else None,
        "registering_institution_consent_to": scene.day - 1 if ended else None,
    }
    case = _case(scene, Papers(fields=fields), home=f"{scene.inst.id}Y")
    scene.expect_session("STF-02", case, "b")
    if _own_doctors_only(scene):
        scene.expect_session("STF-02", case, "a")
    return True


@KINDS.violation("STF-02", "a", on="national")
def stf02_guest_of_own_service(scene: Scene) -> bool:
    """A service with its own doctors employs one who is only filed for several places."""
    if not _own_doctors_only(scene):
        return False
    case = _case(scene, Papers(fields=_ELSEWHERE), home=f"{scene.inst.id}Y")
    scene.expect_session("STF-02", case, "a")
    return True


@KINDS.lawful("STF-02")
def stf02_first_day(scene: Scene) -> bool:
    """A doctor registered elsewhere treats a patient on the first day of the filing and consent."""
    if _own_doctors_only(scene):
        return False
    fields: Datum = {
        "multi_site_from": scene.day,
        "registering_institution_consent_from": scene.day,
        "registering_institution_consent_to": scene.day,
    }
    _case(scene, Papers(fields=fields), home=f"{scene.inst.id}Y")
    return True


def _own_doctors_only(scene: Scene) -> bool:
    return scene.inst.rulebook == "national" and scene.inst.form == OWN_DOCTORS


@KINDS.violation("STF-03")
def stf03_beginner(scene: Scene) -> bool:
    """A doctor with less than three years of independent work treats a patient."""
    since = add_months(scene.day, -36) + scene.rng.randint(1, 300)
    fields = {"independent_practice_since": since}
    scene.expect_session("STF-03", _case(scene, Papers(fields=fields)))
    return True


@KINDS.violation("STF-03", on="national chongqing sichuan yinchuan")
def stf03_unknown(scene: Scene) -> bool:
    """Nobody filed since when the doctor has worked independently."""
    fields = {"independent_practice_since": None}
    scene.expect_session("STF-03", _case(scene, Papers(fields=fields)))
    return True


@KINDS.lawful("STF-03")
def stf03_three_years_to_the_day(scene: Scene) -> bool:
    """A doctor treats a patient on the day that completes three years."""
    _case(scene, Papers(fields={"independent_practice_since": add_months(scene.day, -36)}))
    return True


@KINDS.violation("STF-04")
def stf04_scope(scene: Scene) -> bool:
    """A doctor treats a patient outside the scope or category of the certificate."""
    wrong = ({"practice_scope_codes": [scope("05")]}, {"practice_category": "口腔"})
    case = _case(scene, Papers(fields=dict(scene.rng.choice(wrong))))
    scene.expect_session("STF-04", case)
    return True


@KINDS.violation("STF-05")
def stf05_uninsured(scene: Scene) -> bool:
    """A doctor without malpractice insurance treats a patient."""
    scene.expect_session("STF-05", _case(scene, Papers(insured=False)))
    return True


@KINDS.violation("STF-05")
def stf05_expired(scene: Scene) -> bool:
    """A doctor treats a patient after the insurance ended or was cancelled."""
    ended = ({"valid_to": scene.day - 1}, {"cancelled_on": scene.day})
    papers = Papers(insurance=dict(scene.rng.choice(ended)))
    scene.expect_session("STF-05", _case(scene, papers))
    return True


@KINDS.lawful("STF-05")
def stf05_last_day(scene: Scene) -> bool:
    """A doctor treats a patient on the last day of the insurance, which is uploaded late."""
    papers = Papers(insurance={"valid_to": scene.day}, insurance_delay=5 * DAY)
    scene.expect_session("STF-05", _case(scene, papers), state="CLEARED")
    return True


@KINDS.violation("STF-06", due=10)
def stf06_no_deputy(scene: Scene) -> bool:
    """A clinical department has senior doctors but no deputy senior one, or the other way round."""
    code = scene.inst.spare_department()
    if code is None:
        return False
    title = scene.rng.choice(("SENIOR", "DEPUTY_SENIOR"))
    new_department(scene, code, {}, (title, title))
    scene.inst.deficient = True
    scene.expect("STF-06", None, "department", code)
    scene.expect("INC-02", "e", "department", code)
    return True


def new_department(
    scene: Scene,
    code: str,
    fields: Datum,
    titles: tuple[str, ...] = ("SENIOR", "DEPUTY_SENIOR"),
) -> None:
    """Approve another department on this day, with doctors of these titles."""
    inst = scene.inst
    desk = Desk(inst, scene.midnight)
    desk.file("DepartmentApproved", scene.day, department(inst, code, scene.day) | fields)
    if inst.rulebook == "chongqing":
        for title in titles:
            doctor = inst.new_doctor(title, dept="02")
            hire(inst, doctor, scene.day, Papers(fields={"dept_codes": [code]}))


@KINDS.violation("LIC-06", "c", on="guangxi yinchuan", due=9)
def lic06_staff_field(scene: Scene) -> bool:
    """A doctor's filing lacks what the rulebook asks for."""
    inst = scene.inst
    wanted = ("id_number_filed", "photo_filed") if inst.rulebook == "guangxi" else ("esign_filed",)
    name = scene.rng.choice(wanted)
    doctor = inst.new_doctor()
    hire(inst, doctor, scene.day, Papers(fields={name: False}))
    scene.expect("LIC-06", "c", "staff_field", f"{doctor.staff_id}:{name}")
    return True


@KINDS.violation("DIS-01", "c")
def dis01_staff_not_shown(scene: Scene) -> bool:
    """A doctor treats a patient whose licence or identity mark is not shown to the public."""
    _expect_person(scene, "DIS-01", "c", _case(scene, Papers(shown=False)))
    return True


@KINDS.violation("UPL-02", "a")
def upl02_filed_late(scene: Scene) -> bool:
    """A notice is uploaded more than a week after it was put up."""
    scene.expect("UPL-02", "a", "event", _show(scene, 8 * DAY, HOUR), "RESOLVED")
    return True


@KINDS.lawful("UPL-02", "a")
def upl02_last_instant(scene: Scene) -> bool:
    """A notice is uploaded in the last millisecond of its week."""
    _show(scene, 8 * DAY, -1)
    return True


def _show(scene: Scene, after: int, more: int) -> str:
    """Publish a notice today and upload it some time after the first instant of the day."""
    event_id = scene.inst.name_id("notice")
    at = scene.midnight + 9 * HOUR
    shown = scene.inst.profile.notices
    payload = notice(next(item for item in _OPTIONAL_ITEMS if item not in shown))
    payload |= {"event_id": event_id, "change_completed_on": scene.day}
    scene.inst.outbox.emit(
        "NoticePublished", at, payload, sent_at=start_of_day(scene.day) + after + more
    )
    return event_id


@KINDS.violation("UPL-02", "b", per=Per.DAY, due=10)
def upl02_change_not_filed(scene: Scene) -> bool:
    """The register shows a change of a person that the institution never files."""
    inst = scene.inst
    staff = inst.new_doctor()
    hire(inst, staff, scene.day)
    changed: Datum = {
        "matches_filing": False,
        "mismatch_fields": ["TITLE"],
        "registry_change_on": scene.day + 1,
    }
    registry_check(inst, staff, scene.midnight + DAY + 10 * HOUR, changed)
    scene.expect("UPL-02", "b", "staff", staff.staff_id)
    return True


@KINDS.lawful("UPL-02", "b", per=Per.DAY, due=10)
def upl02_change_filed(scene: Scene) -> bool:
    """The register shows a change of a person that is filed within a week."""
    inst = scene.inst
    staff = inst.new_doctor()
    hire(inst, staff, scene.day)
    changed: Datum = {
        "matches_filing": False,
        "mismatch_fields": ["TITLE"],
        "registry_change_on": scene.day + 1,
    }
    registry_check(inst, staff, scene.midnight + DAY + 10 * HOUR, changed)
    update = staff_filing(inst, staff) | {"filing_kind": "UPDATED"}
    update["change_completed_on"] = scene.day + 1
    sent = start_of_day(scene.day + 8) + 20 * HOUR
    at = scene.midnight + DAY + MINUTE
    inst.outbox.emit("StaffFiled", at, update, sent_at=sent)
    scene.expect("UPL-02", "b", "staff", staff.staff_id, "CLEARED")
    return True
