"""Injectors for IDV-01 and IDV-02: who is treating the patient."""

from __future__ import annotations

from streams.simulator.profiles import Regime
from streams.simulator.scene import WINDOW, Scene
from streams.simulator.visits import Check
from streams.timeline import HOUR, MINUTE, SECOND

_STRONG_BUT_NOT_BIOMETRIC = ("DIGITAL_CERT", "REAL_NAME_OTP", "PASSWORD")
_EDGE = 60 * SECOND
_MAX_GAP = 10 * MINUTE
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
    return True


def failed(scene: Scene) -> bool:
    """The verification fails and the session goes on."""
    case = scene.unproved()
    case.proof = case.proof and case.proof._replace(matched=None, passed=False)
    scene.expect_identity(case)
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
