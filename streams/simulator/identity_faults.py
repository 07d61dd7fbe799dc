"""Injectors for IDV-01, IDV-02, IDV-03 and IDV-05: who treats whom."""

from __future__ import annotations

from streams.simulator.kinds import Family
from streams.simulator.profiles import Regime
from streams.simulator.scene import WINDOW, Case, Scene
from streams.simulator.visits import Check
from streams.timeline import HOUR, MINUTE, SECOND

_STRONG_BUT_NOT_BIOMETRIC = ("DIGITAL_CERT", "REAL_NAME_OTP", "PASSWORD")
_EDGE = 60 * SECOND
_MAX_GAP = 10 * MINUTE
KINDS = Family()
_RETRY = 2 * MINUTE
_STOP = 10 * MINUTE
_HALF_DAY = 12 * HOUR + 40 * MINUTE


def missing(scene: Scene) -> bool:
    """The doctor is never verified before the session."""
    case = scene.unproved()
    case.proof = None
    scene.expect_identity(case)
    return True


def too_early(scene: Scene) -> bool:
    """The only verification is older than the rulebook allows."""
    case = scene.unproved(after=_after(scene))
    at = case.visit.opened - scene.reach - scene.excess(5 * MINUTE)
    case.proof = case.proof and case.proof._replace(at=at)
    scene.expect_identity(case)
    return True


def wrong_method(scene: Scene) -> bool:
    """The verification uses a method that does not count."""
    case = scene.unproved()
    biometric = scene.inst.profile.regime is Regime.SESSION
    method = scene.rng.choice(_STRONG_BUT_NOT_BIOMETRIC) if biometric else "PASSWORD"
    case.proof = case.proof and case.proof._replace(method=method)
    scene.expect_identity(case)
    return True


def other_person(scene: Scene) -> bool:
    """The verification recognises somebody else."""
    case = scene.unproved()
    case.proof = case.proof and case.proof._replace(matched=scene.inst.spare.staff_id)
    scene.expect_identity(case)
    _expect_continued(scene, case)
    return True


def failed(scene: Scene) -> bool:
    """The verification fails and the session goes on."""
    case = scene.unproved()
    case.proof = case.proof and case.proof._replace(matched=None, passed=False)
    scene.expect_identity(case)
    _expect_continued(scene, case)
    return True


def after_opening(scene: Scene) -> bool:
    """The verification comes after the session was opened."""
    case = scene.unproved()
    at = case.visit.opened + scene.excess(2 * MINUTE)
    case.proof = case.proof and case.proof._replace(at=at)
    scene.expect_identity(case)
    return True


def evidence_too_late(scene: Scene) -> bool:
    """A lawful verification is uploaded after its absence was confirmed."""
    case = scene.unproved()
    if case.proof is not None:
        due = case.visit.opened + WINDOW + scene.excess(6 * HOUR)
        case.proof = case.proof._replace(delay=due - case.proof.at, kind=scene.kind)
    scene.expect_identity(case, "WITHDRAWN")
    return True


def no_certificate(scene: Scene) -> bool:
    """A session without video, and the doctor logged in without a digital certificate."""
    case = scene.case(scene.rng.choice(("TEXT_IMAGE", "VOICE")))
    case.certificate = None
    scene.expect_session("IDV-01", case, "b")
    return True


def old_certificate(scene: Scene) -> bool:
    """A session without video, and the log-in by certificate is more than twelve hours old."""
    case = scene.case(scene.rng.choice(("TEXT_IMAGE", "VOICE")), after=_HALF_DAY)
    at = case.visit.opened - 12 * HOUR - scene.excess(5 * MINUTE)
    case.certificate = case.certificate and case.certificate._replace(at=at)
    scene.expect_session("IDV-01", case, "b")
    return True


def cut_video(scene: Scene) -> bool:
    """The recording misses more than a minute of the session, and there is no certificate."""
    case = scene.case("VIDEO")
    case.certificate = None
    cut = _EDGE + scene.excess(90 * SECOND)
    if scene.rng.random() < 0.5:
        case.visit.recorded_from = case.visit.opened + cut
    else:
        case.visit.recorded_to = case.visit.closed - cut
    scene.expect_session("IDV-01", case, "b")
    return True


def exact_limit(scene: Scene) -> bool:
    """The verification is exactly as old as allowed."""
    case = scene.unproved(after=_after(scene))
    case.proof = case.proof and case.proof._replace(at=case.visit.opened - scene.reach)
    return True


def at_opening(scene: Scene) -> bool:
    """The verification falls on the millisecond of the opening."""
    case = scene.unproved()
    case.proof = case.proof and case.proof._replace(at=case.visit.opened)
    return True


def late_upload(scene: Scene) -> bool:
    """The verification is uploaded many hours late, but within its window."""
    case = scene.unproved()
    delay = scene.rng.choice((24 * HOUR, scene.rng.randint(18 * HOUR, 24 * HOUR)))
    case.proof = case.proof and case.proof._replace(delay=delay)
    scene.expect_identity(case, "CLEARED")
    return True


def video_edge(scene: Scene) -> bool:
    """The recording misses exactly a minute at either end, and there is no certificate."""
    case = scene.case("VIDEO", minutes=(6, 20))
    case.certificate = None
    case.visit.recorded_from = case.visit.opened + _EDGE
    case.visit.recorded_to = case.visit.closed - _EDGE
    return True


def remote(scene: Scene) -> bool:
    """Telemedicine between institutions, which no rule judges, without any verification."""
    case = scene.case("TEXT_IMAGE")
    case.proof, case.visit.checks = None, []
    case.visit.service_kind = "REMOTE_MEDICINE"
    case.visit.prescribed_at, case.visit.diagnosed = None, False
    return True


def unchecked_call(scene: Scene) -> bool:
    """A short voice or video session ends with a diagnosis and without any check in it."""
    case = scene.case(_call(scene), minutes=(4, 9))
    case.visit.checks = []
    scene.expect_session("IDV-02", case, "a")
    return True


def long_unchecked_call(scene: Scene) -> bool:
    """A long voice or video session without any check breaks both clauses."""
    case = scene.case(_call(scene), minutes=(11, 25))
    case.visit.checks = []
    scene.expect_session("IDV-02", case, "a")
    scene.expect_session("IDV-02", case, "b")
    return True


def gap_in_call(scene: Scene) -> bool:
    """Two checks of a voice or video session are more than ten minutes apart."""
    case = scene.case(_call(scene), minutes=(18, 26))
    first = case.visit.opened + scene.rng.randint(30, 180) * SECOND
    second = first + _MAX_GAP + scene.excess(2 * MINUTE)
    doctor = case.visit.doctor.staff_id
    times = [first, second]
    while case.visit.closed - times[-1] > _MAX_GAP:
        times.append(times[-1] + 7 * MINUTE)
    case.visit.checks = [Check(at, "IN_SESSION", "FACE", doctor) for at in times]
    scene.expect_session("IDV-02", case, "b")
    return True


def unchecked_text(scene: Scene) -> bool:
    """A short text session relies on the check before it and has none of its own."""
    case = scene.case("TEXT_IMAGE", minutes=(4, 8))
    case.visit.checks = []
    if case.proof is not None:
        case.proof = case.proof._replace(at=case.visit.opened - 30 * SECOND)
    scene.expect_session("IDV-02", case, "a")
    return True


def stale_text(scene: Scene) -> bool:
    """The diagnosis of a text session comes more than ten minutes after the last check."""
    case = scene.case("TEXT_IMAGE", minutes=(16, 35))
    case.visit.prescribed_at = None
    last = case.visit.closed - _MAX_GAP - scene.excess(4 * MINUTE)
    case.visit.checks = [Check(last, "IN_SESSION", "FACE", case.visit.doctor.staff_id)]
    scene.expect_session("IDV-02", case, "b")
    return True


def weak_method(scene: Scene) -> bool:
    """The checks in a short call are not biometric."""
    case = scene.case(_call(scene), minutes=(4, 9))
    case.visit.checks = [check._replace(method="DIGITAL_CERT") for check in case.visit.checks]
    scene.expect_session("IDV-02", case, "a")
    return True


def checks_too_late(scene: Scene) -> bool:
    """The checks of a short call are uploaded after their absence was confirmed."""
    case = scene.case(_call(scene), minutes=(4, 9))
    due = case.visit.closed + WINDOW + scene.excess(6 * HOUR)
    case.visit.checks = [
        check._replace(delay=due - check.at, kind=scene.kind) for check in case.visit.checks
    ]
    scene.expect_session("IDV-02", case, "a", "WITHDRAWN")
    return True


def exact_gap(scene: Scene) -> bool:
    """The checks of a video session are exactly ten minutes apart."""
    case = scene.case("VIDEO", minutes=(21, 28))
    doctor = case.visit.doctor.staff_id
    times = range(case.visit.opened + _MAX_GAP, case.visit.closed, _MAX_GAP)
    case.visit.checks = [Check(at, "IN_SESSION", "FACE", doctor) for at in times]
    return True


def cancelled_call(scene: Scene) -> bool:
    """A video session without checks is cancelled without a prescription, which is exempt."""
    case = scene.case("VIDEO", minutes=(17, 25))
    case.visit.checks = []
    case.visit.outcome, case.visit.diagnosed, case.visit.prescribed_at = "CANCELLED", False, None
    scene.expect_session("IDV-02", case, "b", "CLEARED")
    return True


def checks_late(scene: Scene) -> bool:
    """The checks of a call are uploaded many hours late, but within their window."""
    case = scene.case(_call(scene), minutes=(12, 25))
    delay = scene.rng.randint(18 * HOUR, 24 * HOUR)
    case.visit.checks = [check._replace(delay=delay) for check in case.visit.checks]
    scene.expect_session("IDV-02", case, "b", "CLEARED")
    return True


def _call(scene: Scene) -> str:
    return scene.rng.choice(("VOICE", "VIDEO"))


def _after(scene: Scene) -> int:
    """How long after midnight the session must begin, so that its log-in is of the same day."""
    return _HALF_DAY if scene.inst.profile.regime is Regime.LOGIN else 3 * HOUR


def _expect_continued(scene: Scene, case: Case) -> None:
    """Expect IDV-03(b) when the failed check belongs to the session and nobody stopped it."""
    failed, visit = case.proof, case.visit
    if failed is None or failed.phase != "PRE_SESSION":
        return
    end = max(failed.at + _RETRY, visit.opened)
    mine = visit.doctor.staff_id
    repeated = any(c.matched == mine and failed.at < c.at <= end for c in visit.checks if c.passed)
    if not repeated and (max(visit.acts, default=0) > end or visit.closed > end + _STOP):
        scene.expect_session("IDV-03", case, "b")


@KINDS.violation("IDV-03", "a")
def idv03_somebody_else(scene: Scene) -> bool:
    """A check in the session recognises somebody else."""
    case = scene.case()
    at = case.visit.opened + scene.rng.randint(60, 180) * SECOND
    stranger = scene.inst.spare.staff_id
    case.visit.checks.append(Check(at, "IN_SESSION", "FACE", stranger))
    scene.expect_session("IDV-03", case, "a")
    return True


@KINDS.violation("IDV-03", "b")
def idv03_went_on(scene: Scene) -> bool:
    """A check in the session fails, is not repeated in time, and the session goes on."""
    case, failure = _failure(scene)
    case.visit.checks.append(_pass(case, failure + _RETRY + scene.excess(60 * SECOND)))
    scene.expect_session("IDV-03", case, "b")
    return True


@KINDS.lawful("IDV-03", "b")
def idv03_repeated_in_time(scene: Scene) -> bool:
    """A check in the session fails and is repeated exactly two minutes later."""
    case, failure = _failure(scene)
    case.visit.checks.append(_pass(case, failure + _RETRY))
    return True


@KINDS.lawful("IDV-03", "b")
def idv03_stopped(scene: Scene) -> bool:
    """A check in the session fails, and the session is ended without any act."""
    case, _ = _failure(scene)
    visit = case.visit
    visit.outcome, visit.diagnosed = "TERMINATED", False
    return True


def _failure(scene: Scene) -> tuple[Case, int]:
    """A session of six to nine minutes with a failed check half a minute after its opening."""
    case = scene.case(minutes=(6, 9), prescribing=False)
    at = case.visit.opened + 30 * SECOND
    case.visit.checks = [Check(at, "IN_SESSION", "FACE", None, False)]
    return case, at


def _pass(case: Case, at: int) -> Check:
    return Check(at, "IN_SESSION", "FACE", case.visit.doctor.staff_id)


@KINDS.violation("IDV-05")
def idv05_unverified(scene: Scene) -> bool:
    """The patient is never verified."""
    case = scene.case()
    case.drop("PatientIdentityVerified")
    scene.expect_session("IDV-05", case)
    return True


@KINDS.violation("IDV-05")
def idv05_failed(scene: Scene) -> bool:
    """The patient's verification fails."""
    case = scene.case()
    case.edit("PatientIdentityVerified", result="FAIL")
    scene.expect_session("IDV-05", case)
    return True


@KINDS.violation("IDV-05")
def idv05_afterwards(scene: Scene) -> bool:
    """The patient is verified only after the session was opened."""
    case = scene.case()
    case.at("PatientIdentityVerified", case.visit.opened + scene.excess(2 * MINUTE))
    scene.expect_session("IDV-05", case)
    return True


@KINDS.violation("IDV-05", on="chongqing")
def idv05_no_identifier(scene: Scene) -> bool:
    """The patient is verified without any identifier being registered."""
    case = scene.case()
    case.edit("PatientIdentityVerified", identifier_kinds_registered=[])
    scene.expect_session("IDV-05", case)
    return True


@KINDS.lawful("IDV-05")
def idv05_at_opening(scene: Scene) -> bool:
    """The patient is verified on the millisecond of the opening."""
    case = scene.case()
    case.at("PatientIdentityVerified", case.visit.opened)
    return True
