"""Injectors for SES-01 to SES-08: how a session is opened, led and closed."""

from __future__ import annotations

from streams.simulator.kinds import Family
from streams.simulator.profiles import DIAGNOSES
from streams.simulator.scene import Case, Scene
from streams.timeline import HOUR, MINUTE, SECOND

KINDS = Family()
_TERMINATE = 10 * MINUTE
_MAX_SESSION = 72 * HOUR


@KINDS.violation("SES-01")
def ses01_first_visit(scene: Scene) -> bool:
    """A patient who comes for the first time is diagnosed."""
    case = _first_visit(scene)
    scene.expect_session("SES-01", case)
    return True


@KINDS.violation("SES-01")
def ses01_unknown_patient(scene: Scene) -> bool:
    """A patient who comes for the first time is diagnosed, without anything on file."""
    case = _first_visit(scene)
    case.visit.evidenced = False
    scene.expect_session("SES-01", case)
    if scene.inst.rulebook != "yinchuan":
        scene.expect_session("SES-02", case)
    return True


@KINDS.lawful("SES-01")
def ses01_recognised(scene: Scene) -> bool:
    """A first visit is recognised and ended without a diagnosis."""
    case = _first_visit(scene)
    visit = case.visit
    visit.outcome, visit.diagnosed, visit.prescribed_at = "TERMINATED", False, None
    visit.evidenced = False
    scene.expect_session("SES-01", case, state="CLEARED")
    return True


def _first_visit(scene: Scene) -> Case:
    case = scene.case()
    case.visit.visit_kind = "FIRST_VISIT"
    if scene.inst.rulebook == "yinchuan":
        # In dermatology Yinchuan allows first visits; this is somewhere else.
        case.visit.dept = "03" if case.visit.doctor.dept == "13" else ""
    return case


@KINDS.violation("SES-02")
def ses02_missing(scene: Scene) -> bool:
    """The doctor diagnoses without any evidence of an earlier diagnosis."""
    case = scene.case()
    case.visit.evidenced = False
    scene.expect_session("SES-02", case)
    return True


@KINDS.violation("SES-02")
def ses02_online_source(scene: Scene) -> bool:
    """The earlier diagnosis comes from another online service."""
    case = scene.case()
    case.edit("PriorDiagnosisEvidenced", source_is_physical_institution=False)
    scene.expect_session("SES-02", case)
    return True


@KINDS.violation("SES-02")
def ses02_unconfirmed(scene: Scene) -> bool:
    """The doctor does not confirm the evidence."""
    case = scene.case()
    case.edit("PriorDiagnosisEvidenced", doctor_confirmed=False)
    scene.expect_session("SES-02", case)
    return True


@KINDS.violation("SES-02")
def ses02_afterwards(scene: Scene) -> bool:
    """The evidence is judged only after the first act."""
    case = scene.case()
    case.at("PriorDiagnosisEvidenced", min(case.visit.acts) + scene.excess(30 * SECOND))
    scene.expect_session("SES-02", case)
    return True


@KINDS.violation("SES-02", on="guangxi")
def ses02_not_retained(scene: Scene) -> bool:
    """The doctor saw the evidence but keeps no copy."""
    case = scene.case()
    case.edit("PriorDiagnosisEvidenced", retained=False)
    scene.expect_session("SES-02", case)
    return True


@KINDS.lawful("SES-02")
def ses02_at_the_act(scene: Scene) -> bool:
    """The evidence is judged on the millisecond of the first act, a day's upload late."""
    case = scene.case()
    case.at("PriorDiagnosisEvidenced", min(case.visit.acts))
    case.delay("PriorDiagnosisEvidenced", scene.rng.randint(18 * HOUR, 24 * HOUR))
    scene.expect_session("SES-02", case, state="CLEARED")
    scene.expect_session("SES-03", case, state="CLEARED")
    return True


@KINDS.violation("SES-03")
def ses03_other_disease(scene: Scene) -> bool:
    """The diagnosis is of another category than the documented one."""
    case = scene.case()
    case.visit.codes = ["I10"]
    case.edit("PriorDiagnosisEvidenced", diagnosis_codes=["E11.9"])
    scene.expect_session("SES-03", case)
    return True


@KINDS.violation("SES-03")
def ses03_one_more(scene: Scene) -> bool:
    """One of two diagnoses has no documented counterpart."""
    case = scene.case()
    case.visit.codes = ["I10", "J06.9"]
    case.edit("PriorDiagnosisEvidenced", diagnosis_codes=["I10"])
    scene.expect_session("SES-03", case)
    return True


@KINDS.lawful("SES-03")
def ses03_same_category(scene: Scene) -> bool:
    """The diagnosis is another one of the same category."""
    case = scene.case()
    case.visit.codes = ["E11.4"]
    case.edit("PriorDiagnosisEvidenced", diagnosis_codes=["E11.9"])
    return True


def _unsuitable(scene: Scene, longest: int = 8 * MINUTE) -> tuple[Case, int]:
    """A session in which a reason to end it arises; it ends as it should."""
    case = scene.case(minutes=(5, 9))
    visit = case.visit
    visit.reason = "CONDITION_CHANGED"
    visit.outcome, visit.diagnosed, visit.prescribed_at = "TERMINATED", False, None
    at = visit.unsuitable_at = visit.opened + scene.rng.randint(40, 90) * SECOND
    visit.closed = at + scene.rng.randint(60 * SECOND, longest)
    visit.recorded_to = visit.closed
    scene.recheck(case)
    return case, at


@KINDS.violation("SES-04", "a")
def ses04_completed(scene: Scene) -> bool:
    """The doctor goes on and completes a session that should have been ended."""
    case, _ = _unsuitable(scene)
    case.visit.outcome, case.visit.diagnosed = "COMPLETED", True
    scene.recheck(case)
    scene.expect_session("SES-04", case, "a")
    return True


@KINDS.violation("SES-04", "b")
def ses04_too_late(scene: Scene) -> bool:
    """A session is ended more than ten minutes after the reason arose."""
    case, at = _unsuitable(scene)
    case.visit.closed = at + _TERMINATE + scene.excess(5 * MINUTE)
    case.visit.recorded_to = case.visit.closed
    scene.recheck(case)
    scene.expect_session("SES-04", case, "b", "RESOLVED")
    return True


@KINDS.violation("SES-04", "c")
def ses04_not_referred(scene: Scene) -> bool:
    """A session is ended, and the patient is sent nowhere."""
    case, _ = _unsuitable(scene)
    case.edit("SessionClosed", referral="NONE")
    scene.expect_session("SES-04", case, "c")
    return True


@KINDS.violation("SES-04", "d")
def ses04_not_warned(scene: Scene) -> bool:
    """A session is ended without a warning to the patient."""
    case, _ = _unsuitable(scene)
    case.edit("SessionClosed", warning_given=False)
    scene.expect_session("SES-04", case, "d")
    return True


@KINDS.lawful("SES-04")
def ses04_exactly_in_time(scene: Scene) -> bool:
    """A session is ended exactly ten minutes after the reason arose."""
    case, at = _unsuitable(scene)
    case.visit.closed = case.visit.recorded_to = at + _TERMINATE
    scene.recheck(case)
    return True


@KINDS.violation("SES-05", on="guangxi chongqing sichuan")
def ses05_missing(scene: Scene) -> bool:
    """The patient is never asked to consent."""
    case = scene.case()
    case.drop("ConsentSigned")
    scene.expect_session("SES-05", case)
    return True


@KINDS.violation("SES-05", on="guangxi chongqing sichuan")
def ses05_afterwards(scene: Scene) -> bool:
    """The patient consents after the session was opened."""
    case = scene.case()
    case.at("ConsentSigned", case.visit.opened + scene.excess(60 * SECOND))
    scene.expect_session("SES-05", case)
    return True


@KINDS.violation("SES-05", on="guangxi chongqing sichuan")
def ses05_not_told(scene: Scene) -> bool:
    """The consent leaves out an item the patient must be told."""
    case = scene.case()
    items = list(scene.inst.profile.consent_items)
    items.remove(scene.rng.choice(items))
    case.edit("ConsentSigned", notice_items=items)
    scene.expect_session("SES-05", case)
    return True


@KINDS.violation("SES-05", on="guangxi")
def ses05_unsigned(scene: Scene) -> bool:
    """The patient agrees but does not sign."""
    case = scene.case()
    case.edit("ConsentSigned", signature="ABSENT")
    scene.expect_session("SES-05", case)
    return True


@KINDS.violation("SES-05")
def ses05_family_doctor(scene: Scene) -> bool:
    """A family-doctor agreement carries no valid signature."""
    case = scene.case()
    case.visit.service_kind = "FAMILY_DOCTOR"
    case.edit("ConsentSigned", signature=scene.rng.choice(("ABSENT", "INVALID")))
    scene.expect_session("SES-05", case)
    return True


@KINDS.lawful("SES-05", on="guangxi chongqing sichuan")
def ses05_at_opening(scene: Scene) -> bool:
    """The patient consents on the millisecond of the opening."""
    case = scene.case()
    case.at("ConsentSigned", case.visit.opened)
    return True


@KINDS.lawful("SES-05", on="chongqing sichuan")
def ses05_signature_not_needed(scene: Scene) -> bool:
    """The patient agrees without a signature, where none is asked for."""
    case = scene.case()
    case.edit("ConsentSigned", signature="ABSENT")
    return True


@KINDS.violation("SES-06", "a", on="national guangxi chongqing sichuan")
def ses06_not_permitted(scene: Scene) -> bool:
    """A service of a kind that is not admitted ends with a diagnosis."""
    case = scene.case()
    case.visit.service_kind = scene.rng.choice(("COMMON_DISEASE", "REHAB_FOLLOW_UP"))
    scene.expect_session("SES-06", case, "a")
    return True


@KINDS.violation("SES-06", "a", on="national guangxi chongqing sichuan")
def ses06_consultation(scene: Scene) -> bool:
    """A health consultation ends with a diagnosis."""
    case = scene.case()
    case.visit.service_kind = "HEALTH_CONSULTATION"
    scene.expect_session("SES-06", case, "a")
    return True


@KINDS.lawful("SES-06", "a")
def ses06_only_talk(scene: Scene) -> bool:
    """A health consultation stays one: no diagnosis, no prescription."""
    case = scene.case(prescribing=False)
    case.visit.service_kind, case.visit.diagnosed = "HEALTH_CONSULTATION", False
    scene.recheck(case)
    return True


@KINDS.violation("SES-07", "a")
def ses07_substituted(scene: Scene) -> bool:
    """Software treats the patient in the doctor's place."""
    case = scene.case()
    case.edit("SessionClosed", ai_involvement="SUBSTITUTED")
    scene.expect_session("SES-07", case, "a")
    return True


@KINDS.violation("SES-07", "b")
def ses07_two_calls(scene: Scene) -> bool:
    """A doctor holds two video sessions at once."""
    doctor = _two_calls(scene, 60 * SECOND + scene.excess(60 * SECOND))
    scene.expect("SES-07", "b", "staff", doctor, "CLEARED", optional=False)
    return True


@KINDS.lawful("SES-07", "b")
def ses07_overlap_of_a_minute(scene: Scene) -> bool:
    """Two video sessions of a doctor overlap by exactly a minute."""
    _two_calls(scene, 60 * SECOND)
    return True


def _two_calls(scene: Scene, overlap: int) -> str:
    opened = scene.opening(20 * MINUTE, 3 * HOUR)
    first = scene.case("VIDEO", minutes=(5, 8), opened=opened)
    doctor = first.visit.doctor
    begins = first.visit.closed - overlap
    second = scene.case("VIDEO", minutes=(5, 8), opened=begins, doctor=doctor)
    # A signal of yesterday is none: what shows it must not be uploaded a day late.
    first.visit.prompt = second.visit.prompt = True
    return doctor.staff_id


@KINDS.violation("SES-08", "a", due=12)
def ses08_never_closed(scene: Scene) -> bool:
    """A session is never closed."""
    case = _endless(scene)
    case.drop("SessionClosed")
    case.visit.outcome = "CANCELLED"
    scene.expect_session("SES-08", case, "a")
    return True


@KINDS.violation("SES-08", "a", due=12)
def ses08_closed_too_late(scene: Scene) -> bool:
    """A session times out after more than three days."""
    case = _endless(scene)
    case.visit.outcome = "CANCELLED"
    case.edit("SessionClosed", outcome="TIMED_OUT")
    case.at("SessionClosed", case.visit.opened + _MAX_SESSION + scene.excess(6 * HOUR))
    scene.expect_session("SES-08", case, "a", "RESOLVED")
    return True


@KINDS.lawful("SES-08", "a", due=12)
def ses08_exactly_three_days(scene: Scene) -> bool:
    """A session times out exactly three days after it was opened."""
    case = _endless(scene)
    case.visit.outcome = "CANCELLED"
    case.edit("SessionClosed", outcome="TIMED_OUT")
    case.at("SessionClosed", case.visit.opened + _MAX_SESSION)
    return True


def _endless(scene: Scene) -> Case:
    case = scene.case("TEXT_IMAGE", prescribing=False)
    case.visit.diagnosed = False
    scene.recheck(case)
    return case


@KINDS.violation("SES-08", "b")
def ses08_after_closing(scene: Scene) -> bool:
    """A prescription is written after the session was closed."""
    case = scene.prescribing()
    if case is None:
        return False
    late = case.visit.closed + scene.excess(30 * SECOND)
    case.at("PrescriptionIssued", late)
    case.edit("PrescriptionIssued", doctor_signed_at=late)
    scene.expect_session("SES-08", case, "b")
    return True


@KINDS.lawful("SES-08", "b")
def ses08_at_closing(scene: Scene) -> bool:
    """A prescription is written on the millisecond of the closing."""
    case = scene.prescribing()
    if case is None:
        return False
    case.at("PrescriptionIssued", case.visit.closed)
    case.edit("PrescriptionIssued", doctor_signed_at=case.visit.closed)
    return True


@KINDS.violation("SES-08", "c")
def ses08_closed_twice(scene: Scene) -> bool:
    """A session is closed twice."""
    case = scene.case()
    visit = case.visit
    codes = visit.codes = [scene.rng.choice(DIAGNOSES[visit.doctor.dept])]
    case.add(
        "SessionClosed",
        visit.closed,
        {
            "session_id": visit.session_id,
            "outcome": visit.outcome,
            "referral": "NONE",
            "warning_given": False,
            "diagnosis_codes": codes,
            "ai_involvement": "NONE",
        },
    )
    scene.expect_session("SES-08", case, "c")
    return True
