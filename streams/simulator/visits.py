"""Online sessions, planned as a compliant hospital conducts them.

A plan (``Visit``) is what incidents change; ``trail.write`` turns it into events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.simulator.institution import Edit, Institution, Note, Patient, Staff
from streams.simulator.profiles import Regime
from streams.timeline import MINUTE, SECOND

MODES = ("TEXT_IMAGE", "VOICE", "VIDEO")
AUDIO_VIDEO = frozenset({"VOICE", "VIDEO"})
LEAD = 16 * MINUTE
"""No event of a session happens earlier than this before its opening."""

_LENGTH = {"TEXT_IMAGE": (6, 40), "VOICE": (4, 20), "VIDEO": (4, 25)}


class Check(NamedTuple):
    """One real-name check of the doctor; ``delay`` (ms) fixes its upload, ``kind`` says why."""

    at: int
    phase: str
    method: str = "FACE"
    matched: str | None = None
    passed: bool = True
    delay: int | None = None
    kind: str | None = None


@dataclass(slots=True)
class Visit:
    """The plan of one session; instants in epoch ms.

    ``checks`` belong to the session; ``logins`` (log-ins, enrolments) to the doctor. Video is
    recorded from ``recorded_from`` to ``recorded_to``. What is left empty is thrown with dice when
    the session is written: the department (the doctor's), the patient, the diagnosis ``codes``, the
    ``drugs``, the ``review`` (when and by whom; a fixed one approves) and what is bought of it.
    ``evidenced`` is whether a prior diagnosis is on file. ``edits`` see every event of the session
    before it is emitted, ``extras`` are emitted beside them.
    """

    session_id: str
    doctor: Staff
    mode: str
    opened: int
    closed: int
    service_kind: str = "FOLLOW_UP"
    visit_kind: str = "FOLLOW_UP"
    outcome: str = "COMPLETED"
    diagnosed: bool = True
    prescribed_at: int | None = None
    unsuitable_at: int | None = None
    checks: list[Check] = field(default_factory=list)
    logins: list[Check] = field(default_factory=list)
    recorded_from: int = 0
    recorded_to: int = 0
    prompt: bool = False
    dept: str = ""
    patient: Patient | None = None
    evidenced: bool = True
    codes: list[str] = field(default_factory=list)
    drugs: list[str] = field(default_factory=list)
    review: tuple[int, Staff] | None = None
    supply: bool = True
    reason: str = ""
    refunded: bool | None = None
    edits: list[Edit] = field(default_factory=list)
    extras: list[Note] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def acts(self) -> list[int]:
        """Instants of the clinical acts (RULES 2.6)."""
        acts = [] if self.prescribed_at is None else [self.prescribed_at]
        if self.outcome == "COMPLETED" and self.diagnosed:
            acts.append(self.closed)
        return acts

    def name(self, inst: Institution, prefix: str) -> str:
        """The id of the session's prescription, supply, record, fee or refund, by its prefix."""
        if prefix not in self.ids:
            self.ids[prefix] = inst.name_id(prefix)
        return self.ids[prefix]

    @property
    def earliest(self) -> int:
        """An instant before which the session leaves no trace but log-ins."""
        return self.opened - LEAD


def length(inst: Institution, mode: str) -> int:
    """How long a session of a mode takes, in milliseconds."""
    low, high = _LENGTH[mode]
    return int(inst.rng.uniform(low, high) * MINUTE)


def plan(inst: Institution, doctor: Staff, mode: str, opened: int, lasting: int) -> Visit:
    """A compliant, completed session with a diagnosis and, seven times in ten, a prescription."""
    rng = inst.rng
    visit = Visit(inst.name_id("s"), doctor, mode, opened, opened + lasting)
    visit.recorded_from, visit.recorded_to = opened - 2 * SECOND, visit.closed + 2 * SECOND
    if rng.random() < 0.7:
        visit.prescribed_at = opened + max(90 * SECOND, int(lasting * rng.uniform(0.4, 0.9)))
    return visit


def vary(inst: Institution, visit: Visit) -> None:
    """Give an ordinary session its service kind and, now and then, another ending."""
    rng = inst.rng
    kinds = inst.profile.service_kinds
    visit.service_kind = rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
    if visit.service_kind == "COMMON_DISEASE" and visit.doctor.dept == "13":
        visit.visit_kind, visit.evidenced = "FIRST_VISIT", False
    if visit.service_kind in ("HEALTH_CONSULTATION", "REMOTE_MEDICINE"):
        visit.prescribed_at, visit.diagnosed = None, False
        return
    dice = rng.random()
    lasting = visit.closed - visit.opened
    if dice < 0.03:
        visit.prescribed_at, visit.diagnosed, visit.outcome = None, False, "TERMINATED"
        visit.unsuitable_at = visit.opened + int(lasting * rng.uniform(0.3, 0.6))
        visit.closed = min(visit.closed, visit.unsuitable_at + rng.randint(60, 480) * SECOND)
    elif dice < 0.05:
        visit.prescribed_at, visit.diagnosed, visit.outcome = None, False, "CANCELLED"
    visit.recorded_to = visit.closed + 2 * SECOND


def supervise(inst: Institution, visit: Visit) -> None:
    """Plan the identity checks of a session as the institution's rulebook wants them."""
    rng = inst.rng
    doctor = visit.doctor.staff_id
    opened = visit.opened
    if inst.profile.regime is not Regime.SESSION:
        if visit.mode == "VIDEO" and rng.random() < 0.3:
            at = opened - rng.randint(10, 300) * SECOND
            visit.checks.append(Check(at, "PRE_SESSION", "FACE", doctor))
        return
    before = opened - rng.randint(20, 480) * SECOND
    if rng.random() < 0.03:
        visit.checks.append(Check(before - 15 * SECOND, "PRE_SESSION", "FACE", None, passed=False))
    visit.checks.append(Check(before, "PRE_SESSION", "FACE", doctor))
    visit.checks += in_session(inst, visit)


def in_session(inst: Institution, visit: Visit) -> list[Check]:
    """Checks in the session: all along a call, shortly before the acts in a text session."""
    rng = inst.rng
    doctor = visit.doctor.staff_id
    times: list[int] = []
    if visit.mode in AUDIO_VIDEO:
        at = visit.opened
        while visit.closed - at > 9 * MINUTE + 30 * SECOND or not times:
            step = min(rng.randint(240, 560) * SECOND, (visit.closed - visit.opened) // 2)
            at += step
            times.append(at)
    else:
        times = [max(visit.opened, act - rng.randint(10, 240) * SECOND) for act in visit.acts]
    method = "FACE" if visit.mode != "VOICE" else "VOICEPRINT"
    return [Check(at, "IN_SESSION", method, doctor) for at in times]
