"""Injectors for UPL-01, UPL-03 to UPL-06: what arrives late, twice, wrongly or not at all.

What is held back is never evidence whose absence another rule would confirm. Lateness, lost numbers
and days that do not add up are counted from the uploads (``truth.Lateness``), not expected here.
"""

from __future__ import annotations

from streams.simulator.filings import staff_filing
from streams.simulator.institution import Note
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import LAWFUL_DELAY, STREAM, Datum, Hold, OddManifest
from streams.simulator.scene import Scene
from streams.timeline import HOUR, MINUTE, end_of_day, format_instant

_SINGLE = ("ServiceRated", "MedicalRecordArchived", "DutyStatusReported")
_OUTAGE = frozenset({"ServiceRated", "DutyStatusReported"})
KINDS = Family()
_ENDLESS = 1_000_000_000
_LONGEST = 5 * HOUR


def late(scene: Scene) -> bool:
    """One event is uploaded more than 24 hours after it happened."""
    _hold_one(scene, LAWFUL_DELAY + scene.excess(_LONGEST))
    return True


def exact_limit(scene: Scene) -> bool:
    """One event is uploaded exactly 24 hours after it happened."""
    _hold_one(scene, LAWFUL_DELAY)
    return True


def outage(scene: Scene) -> bool:
    """The uploads of an hour or two fail and are repeated after more than 24 hours."""
    start, end = scene.rng.choice(scene.roster.intervals)
    begins = scene.rng.randrange(start, end - HOUR)
    ends = min(end_of_day(scene.day), begins + scene.rng.randint(60, 120) * MINUTE)
    excess = scene.rng.randint(2 * MINUTE, 2 * HOUR)
    delay = LAWFUL_DELAY + excess
    hold = Hold(begins, ends, _OUTAGE, scene.kind, lambda: delay, _ENDLESS)
    scene.inst.outbox.holds.append(hold)
    return True


def _hold_one(scene: Scene, delay: int) -> None:
    start, end = scene.rng.choice(scene.roster.intervals)
    kept = frozenset({scene.rng.choice(_SINGLE)})
    begins = scene.rng.randrange(start, end - HOUR)
    hold = Hold(begins, end_of_day(scene.day), kept, scene.kind, lambda: delay, 1)
    scene.inst.outbox.holds.append(hold)


@KINDS.violation("UPL-03", per=Per.DAY)
def upl03_lost(scene: Scene) -> bool:
    """A number of the stream is used up by something that never arrives."""
    scene.inst.outbox.lost.append(scene.opening(HOUR))
    return True


@KINDS.violation("UPL-04", "a", per=Per.DAY)
def upl04_no_manifest(scene: Scene) -> bool:
    """No manifest of the day is ever published."""
    scene.inst.outbox.odd_manifests[scene.day] = OddManifest(missing=True)
    _expect_manifest(scene, "a")
    return True


@KINDS.violation("UPL-04", "a", per=Per.DAY)
def upl04_late_manifest(scene: Scene) -> bool:
    """The manifest of the day is published long after the next day has ended."""
    delay = scene.rng.randint(25, 40) * HOUR
    scene.inst.outbox.odd_manifests[scene.day] = OddManifest(delay=delay)
    _expect_manifest(scene, "a", "RESOLVED")
    return True


@KINDS.lawful("UPL-04", "a", per=Per.DAY)
def upl04_last_instant(scene: Scene) -> bool:
    """The manifest of the day arrives exactly when the next day has ended."""
    scene.inst.outbox.odd_manifests[scene.day] = OddManifest(delay=24 * HOUR)
    return True


@KINDS.violation("UPL-04", "b", per=Per.DAY)
def upl04_miscounted(scene: Scene) -> bool:
    """The manifest speaks of a session that was never reported."""
    scene.inst.outbox.odd_manifests[scene.day] = OddManifest(excess=1)
    _expect_manifest(scene, "b")
    return True


@KINDS.violation("UPL-04", "c", per=Per.DAY)
def upl04_silent(scene: Scene) -> bool:
    """Nothing arrives for more than an hour of business; then everything does."""
    start, end = scene.rng.choice(scene.roster.intervals)
    begins = scene.rng.randrange(start + 30 * MINUTE, end - 2 * HOUR)
    scene.inst.outbox.silences.append((begins, begins + scene.rng.randint(65, 100) * MINUTE))
    return True


def _expect_manifest(scene: Scene, clause: str, state: str = "CONFIRMED") -> None:
    subject = f"{STREAM}:{format_instant(scene.midnight)[:10]}"
    scene.expect("UPL-04", clause, "manifest", subject, state)


def _event_id(scene: Scene) -> str:
    return scene.inst.name_id("odd")


@KINDS.violation("UPL-05", "a")
def upl05_unknown_drug(scene: Scene) -> bool:
    """A prescription names a drug code that is in no catalogue."""
    case = scene.case(prescribing=True)
    event_id = _event_id(scene)
    # Nobody reviews it, so nothing is supplied on it.
    case.visit.supply = False

    def unknown(note: Note) -> None:
        if note.event_type == "PrescriptionIssued":
            note.payload["event_id"] = event_id
            note.payload["items"][0]["drug_code"] = "D9999"

    case.visit.edits.append(unknown)
    scene.expect("UPL-05", "a", "event", event_id)
    return True


@KINDS.violation("UPL-05", "b")
def upl05_from_the_future(scene: Scene) -> bool:
    """An event is uploaded more than five minutes before it happened."""
    scene.expect("UPL-05", "b", "event", _beat(scene, -5 * MINUTE - scene.excess(20 * MINUTE)))
    return True


@KINDS.lawful("UPL-05", "b")
def upl05_five_minutes(scene: Scene) -> bool:
    """An event is uploaded exactly five minutes before it happened."""
    _beat(scene, -5 * MINUTE)
    return True


@KINDS.violation("UPL-05", "c")
def upl05_same_number(scene: Scene) -> bool:
    """Two events of a stream bear the same number."""
    event_id = _beat(scene, None)
    scene.expect("UPL-05", "c", "event", event_id)
    return True


def _beat(scene: Scene, delay: int | None) -> str:
    """A doctor's sign of presence; without a delay under the number of the event before it."""
    inst, event_id = scene.inst, _event_id(scene)
    at = scene.opening(HOUR, HOUR)
    payload: Datum = {
        "event_id": event_id,
        "staff_id": inst.doctors[0].staff_id,
        "duty_kind": "CONSULTATION",
        "phase": "HEARTBEAT",
        "shift_id": event_id,
    }
    draft = inst.outbox.emit("DutyStatusReported", at, payload, delay=delay, prompt=True)
    if delay is None:
        # Whatever bears the number first has arrived by then, even if it was overtaken.
        draft.repeats, draft.received_at = True, draft.sent_at + 6 * MINUTE
    return event_id


@KINDS.violation("UPL-05", "d")
def upl05_unknown_session(scene: Scene) -> bool:
    """A rating names a session that does not exist."""
    session_id = scene.inst.name_id("s")
    payload: Datum = {"session_id": session_id, "score": 5}
    scene.inst.outbox.emit("ServiceRated", scene.opening(HOUR), payload)
    scene.expect("UPL-05", "d", "session", session_id)
    return True


@KINDS.violation("UPL-05", "d")
def upl05_unknown_complaint(scene: Scene) -> bool:
    """A complaint is resolved that nobody made."""
    complaint_id = scene.inst.name_id("complaint")
    payload: Datum = {"complaint_id": complaint_id, "result": "SETTLED"}
    scene.inst.outbox.emit("ComplaintResolved", scene.opening(HOUR), payload)
    scene.expect("UPL-05", "d", "complaint", complaint_id)
    return True


@KINDS.violation("UPL-05", "e")
def upl05_wrong_sum(scene: Scene) -> bool:
    """A bill does not add up."""
    case = scene.case(prescribing=False)
    excess = 1 + scene.excess(500)

    def more(note: Note) -> None:
        if note.event_type == "FeeCharged":
            note.payload["total_fen"] += excess

    case.visit.edits.append(more)
    scene.expect("UPL-05", "e", "fee", case.visit.name(scene.inst, "fee"))
    return True


@KINDS.violation("UPL-05", "e")
def upl05_other_age(scene: Scene) -> bool:
    """Prescription and session differ in the patient's age by more than a year."""
    case = scene.prescribing(age=40)
    if case is None:
        return False
    case.edit("PrescriptionIssued", patient_age_years=42)
    scene.expect_rx("UPL-05", case, "e")
    return True


@KINDS.violation("UPL-05", "e")
def upl05_other_class(scene: Scene) -> bool:
    """The class of a drug contradicts the catalogue."""
    case = scene.prescribing()
    if case is None:
        return False

    def wrong(note: Note) -> None:
        if note.event_type == "PrescriptionIssued":
            note.payload["items"][0]["hospital_class"] = "HIGH_RISK"

    case.visit.edits.append(wrong)
    scene.expect_rx("UPL-05", case, "e")
    return True


@KINDS.lawful("UPL-05", "e")
def upl05_a_fen_apart(scene: Scene) -> bool:
    """A bill is a fen apart from its sum, and an age by a year."""
    case = scene.prescribing(age=40)
    if case is None:
        return False

    def more(note: Note) -> None:
        if note.event_type == "FeeCharged":
            note.payload["total_fen"] += 1
        elif note.event_type == "PrescriptionIssued":
            note.payload["patient_age_years"] = 41

    case.visit.edits.append(more)
    return True


@KINDS.violation("UPL-05", "f")
def upl05_unsigned(scene: Scene) -> bool:
    """A filing about a person is uploaded without a signature."""
    inst, event_id = scene.inst, _event_id(scene)
    update = staff_filing(inst, inst.spare) | {"filing_kind": "UPDATED", "event_id": event_id}
    update["change_completed_on"] = scene.day
    draft = inst.outbox.emit("StaffFiled", scene.midnight + MINUTE, update, prompt=True)
    draft.datum["signer_cert"] = None
    draft.signed = False
    scene.expect("UPL-05", "f", "event", event_id)
    return True
