"""Injectors for REC-01 to REC-04: archiving, content, keeping and tampering."""

from __future__ import annotations

from streams.simulator.institution import Patient
from streams.simulator.kinds import Family
from streams.simulator.outbox import Datum
from streams.simulator.scene import Case, Scene
from streams.simulator.trail import MEDIA, SECTIONS
from streams.timeline import HOUR, MINUTE, SECOND, add_months, day_of

KINDS = Family()
_WITHIN = 24 * HOUR
_EDGE = 60 * SECOND
_EMR_YEARS = {"guangxi": 15, "chongqing": 15, "yinchuan": 30}
_PROCESS_MONTHS = {"guangxi": 36, "chongqing": 36, "yinchuan": 3}


def _record(scene: Scene, case: Case) -> str:
    return case.visit.name(scene.inst, "emr")


@KINDS.violation("REC-01", "a")
def rec01_missing(scene: Scene) -> bool:
    """No medical record of a session is ever archived."""
    case = scene.case()
    case.drop("MedicalRecordArchived")
    scene.expect_session("REC-01", case, "a")
    return True


@KINDS.violation("REC-01", "a")
def rec01_late(scene: Scene) -> bool:
    """The medical record is archived more than a day after the session."""
    case = scene.case()
    at = case.visit.closed + _WITHIN + scene.excess(10 * HOUR)
    case.at("MedicalRecordArchived", at)
    scene.expect_session("REC-01", case, "a", "RESOLVED")
    return True


@KINDS.lawful("REC-01", "a")
def rec01_exactly_a_day(scene: Scene) -> bool:
    """The medical record is archived exactly a day after the session."""
    case = scene.case()
    case.at("MedicalRecordArchived", case.visit.closed + _WITHIN)
    return True


@KINDS.violation("REC-01", "b")
def rec01_no_process_record(scene: Scene) -> bool:
    """No record of the conversation is ever archived."""
    case = scene.case()
    case.drop("ProcessRecordArchived")
    scene.expect_session("REC-01", case, "b")
    return True


@KINDS.violation("REC-01", "b")
def rec01_other_medium(scene: Scene) -> bool:
    """Of a call only the text is archived."""
    case = scene.case(scene.rng.choice(("VOICE", "VIDEO")))
    case.edit("ProcessRecordArchived", media="TEXT_IMAGE")
    scene.expect_session("REC-01", case, "b")
    return True


@KINDS.violation("REC-01", "b")
def rec01_partly(scene: Scene) -> bool:
    """The record of the conversation misses more than a minute of it."""
    case = scene.case()
    cut = _EDGE + scene.excess(60 * SECOND)
    case.visit.recorded_to = case.visit.closed - cut
    scene.expect_session("REC-01", case, "b")
    return True


@KINDS.lawful("REC-01", "b")
def rec01_joined(scene: Scene) -> bool:
    """Two records of the conversation leave out exactly a minute between them."""
    case = scene.case(minutes=(6, 12))
    visit = case.visit
    end, middle = visit.recorded_to, visit.opened + 2 * MINUTE
    visit.recorded_to = middle
    case.add(
        "ProcessRecordArchived",
        visit.closed + 5 * MINUTE,
        {
            "session_id": visit.session_id,
            "media": MEDIA[visit.mode],
            "coverage_start": middle + _EDGE,
            "coverage_end": end,
            "retention_until": add_months(day_of(visit.closed), 37),
            "content_hash": f"hash-{visit.session_id}-2",
        },
    )
    return True


@KINDS.violation("REC-01", "c")
def rec01_not_shared(scene: Scene) -> bool:
    """The record is not shared with the host, or not in its format."""
    case = scene.case()
    name = scene.rng.choice(("host_shared", "host_format_consistent"))
    case.edit("MedicalRecordArchived", **{name: False})
    scene.expect_session("REC-01", case, "c")
    return True


@KINDS.violation("REC-02", "a")
def rec02_section_missing(scene: Scene) -> bool:
    """The record lacks a section."""
    case = scene.case()
    sections = ["PATIENT_BASICS", "CHIEF_COMPLAINT", "PRESENT_ILLNESS", "DISPOSITION"]
    case.edit("MedicalRecordArchived", sections_present=sections)
    scene.expect("REC-02", "a", "record", _record(scene, case))
    return True


@KINDS.violation("REC-02", "a")
def rec02_exams_unmentioned(scene: Scene) -> bool:
    """The record says neither what was examined nor that nothing was."""
    case = scene.case()
    case.edit("MedicalRecordArchived", sections_not_applicable=["MENSTRUAL_HISTORY"])
    scene.expect("REC-02", "a", "record", _record(scene, case))
    return True


@KINDS.violation("REC-02", "b")
def rec02_no_companion(scene: Scene) -> bool:
    """The record of an adult without full capacity names no companion."""
    case = scene.case()
    case.visit.patient = Patient(scene.inst.name_id("p"), 40, False)
    case.edit("MedicalRecordArchived", sections_present=SECTIONS)
    scene.expect("REC-02", "b", "record", _record(scene, case))
    return True


@KINDS.violation("REC-02", "b")
def rec02_no_specialist(scene: Scene) -> bool:
    """The record of a small child with a prescription names no accompanying specialist."""
    case = scene.prescribing(age=scene.rng.randint(1, 5))
    if case is None:
        return False
    case.edit("MedicalRecordArchived", sections_present=[*SECTIONS, "COMPANION"])
    scene.expect("REC-02", "b", "record", _record(scene, case))
    return True


@KINDS.lawful("REC-02", "b")
def rec02_companion_only(scene: Scene) -> bool:
    """An adult without full capacity needs a companion in the record and no specialist."""
    case = scene.case()
    case.visit.patient = Patient(scene.inst.name_id("p"), 40, False)
    case.edit("MedicalRecordArchived", sections_present=[*SECTIONS, "COMPANION"])
    return True


@KINDS.violation("REC-02", "c")
def rec02_no_access(scene: Scene) -> bool:
    """The patient cannot look up the record, or in Chongqing not download it."""
    case = scene.case()
    names = ["patient_can_query"]
    if scene.inst.rulebook == "chongqing":
        names.append("patient_can_download")
    case.edit("MedicalRecordArchived", **{scene.rng.choice(names): False})
    scene.expect("REC-02", "c", "record", _record(scene, case))
    return True


@KINDS.lawful("REC-02", "c", on="sichuan")
def rec02_no_download(scene: Scene) -> bool:
    """The patient can look up but not download the record, which Sichuan does not ask for."""
    case = scene.case()
    case.edit("MedicalRecordArchived", patient_can_download=False)
    return True


def _base(case: Case) -> int:
    return day_of(case.visit.closed)


@KINDS.violation("REC-03", "a")
def rec03_record_too_short(scene: Scene) -> bool:
    """A medical record is kept a day less than it must be."""
    case = scene.case()
    until = add_months(_base(case), 12 * _EMR_YEARS[scene.inst.rulebook])
    case.edit("MedicalRecordArchived", retention_until=until - 1)
    scene.expect("REC-03", "a", "record", _record(scene, case))
    return True


@KINDS.violation("REC-03", "b")
def rec03_process_too_short(scene: Scene) -> bool:
    """A recording is kept a day less than it must be."""
    case = scene.case("VIDEO")
    until = add_months(_base(case), _PROCESS_MONTHS[scene.inst.rulebook])
    case.edit("ProcessRecordArchived", retention_until=until - 1)
    scene.expect_session("REC-03", case, "b")
    return True


@KINDS.lawful("REC-03")
def rec03_exactly_long_enough(scene: Scene) -> bool:
    """Record and recording are kept exactly as long as they must be."""
    case = scene.case("VIDEO")
    book = scene.inst.rulebook
    emr = add_months(_base(case), 12 * _EMR_YEARS[book])
    case.edit("MedicalRecordArchived", retention_until=emr)
    process = add_months(_base(case), _PROCESS_MONTHS[book])
    case.edit("ProcessRecordArchived", retention_until=process)
    return True


def _operation(scene: Scene, case: Case, target: str, operation: str, at: int) -> None:
    medical = target == "MEDICAL_RECORD"
    payload: Datum = {
        "target_kind": target,
        "target_id": _record(scene, case) if medical else case.visit.session_id,
        "operation": operation,
        "operator_id": case.visit.doctor.staff_id,
        "purpose": "CLINICAL",
        "authorisation_doc_id": None,
        "to_institution_id": None,
    }
    case.add("RecordOperationLogged", at, payload)


@KINDS.violation("REC-03", "c")
def rec03_recording_deleted(scene: Scene) -> bool:
    """A recording is deleted long before its time."""
    case = scene.case("VIDEO")
    _operation(scene, case, "PROCESS_RECORD", "DELETED", case.visit.closed + 3 * HOUR)
    scene.expect_session("REC-03", case, "c")
    return True


@KINDS.violation("REC-03", "c")
def rec03_record_deleted(scene: Scene) -> bool:
    """A medical record is deleted long before its time."""
    case = scene.case()
    _operation(scene, case, "MEDICAL_RECORD", "DELETED", case.visit.closed + 3 * HOUR)
    scene.expect("REC-03", "c", "record", _record(scene, case))
    return True


@KINDS.violation("REC-04", "a")
def rec04_amended(scene: Scene) -> bool:
    """An archived record is amended or deleted."""
    case = scene.case()
    operation = scene.rng.choice(("AMENDED", "DELETED"))
    _operation(scene, case, "MEDICAL_RECORD", operation, case.visit.closed + 3 * HOUR)
    scene.expect("REC-04", "a", "record", _record(scene, case))
    return True


@KINDS.violation("REC-04", "b")
def rec04_changed(scene: Scene) -> bool:
    """An archived record appears again with other content, and nobody logged a change."""
    case = scene.case()
    _again(scene, case, case.visit.closed + 4 * HOUR)
    scene.expect("REC-04", "b", "record", _record(scene, case))
    return True


@KINDS.lawful("REC-04", "b", on="national guangxi chongqing yinchuan")
def rec04_change_logged(scene: Scene) -> bool:
    """An archived record is changed, and the change is logged."""
    case = scene.case()
    at = case.visit.closed + 4 * HOUR
    _operation(scene, case, "MEDICAL_RECORD", "AMENDED", at - scene.rng.choice((0, 60_000)))
    _again(scene, case, at)
    return True


def _again(scene: Scene, case: Case, at: int) -> None:
    visit = case.visit
    payload: Datum = {
        "record_id": _record(scene, case),
        "session_id": visit.session_id,
        "content_hash": f"hash-emr-{visit.session_id}-other",
        "sections_present": [*SECTIONS, "COMPANION", "ACCOMPANYING_SPECIALIST"],
        "sections_not_applicable": ["AUXILIARY_EXAMS", "MENSTRUAL_HISTORY"],
        "retention_until": add_months(_base(case), 361),
        "host_format_consistent": True,
        "host_shared": True,
        "patient_can_query": True,
        "patient_can_download": True,
    }
    case.add("MedicalRecordArchived", at, payload)
