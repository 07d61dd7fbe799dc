"""Injectors for FEE, SEC-02, INC, QLT-01 to QLT-03: money, incidents, complaints, notices."""

from __future__ import annotations

from streams.reference import ReferenceData
from streams.simulator import scope
from streams.simulator.filings import Papers, hire
from streams.simulator.institution import Note, Staff
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import Datum
from streams.simulator.profiles import service_item
from streams.simulator.scene import House, Scene
from streams.timeline import DAY, HOUR, MINUTE, day_of, end_of_day

KINDS = Family()
_IN_TIME = 24 * HOUR
_AT_ONCE = HOUR
_UNLISTED = "S-UNLISTED"
_RATED_DAYS = 30


def _working_days(scene: Scene, day: int, count: int) -> int | None:
    """The so-many-th working day after a day; None when that leaves no time to see the end."""
    last = ReferenceData.load().nth_working_day_after(day, count)
    return last if last + 3 <= scene.config.final_day else None


@KINDS.violation("FEE-01")
def fee01_never_settled(scene: Scene) -> bool:
    """A refund is requested and never decided."""
    return _refund(scene, None)


@KINDS.violation("FEE-01")
def fee01_too_late(scene: Scene) -> bool:
    """A refund is paid after the tenth working day."""
    return _refund(scene, scene.excess(20 * HOUR) - 1)


@KINDS.lawful("FEE-01")
def fee01_last_instant(scene: Scene) -> bool:
    """A refund is paid in the last millisecond of the tenth working day."""
    return _refund(scene, -1)


def _refund(scene: Scene, after: int | None) -> bool:
    last = _working_days(scene, scene.day, 10)
    if last is None:
        return False
    case = scene.case(after=8 * HOUR, prescribing=False)
    if day_of(case.visit.closed + HOUR) != scene.day:
        scene.cases.remove(case)
        return False
    case.visit.refunded = True
    case.at("RefundRequested", case.visit.closed + 5 * MINUTE)
    refund_id = case.visit.name(scene.inst, "refund")
    if after is None:
        case.drop("RefundSettled")
        scene.expect("FEE-01", None, "refund", refund_id)
        return True
    case.at("RefundSettled", end_of_day(last) + after)
    if after >= 0:
        scene.expect("FEE-01", None, "refund", refund_id, "RESOLVED")
    return True


@KINDS.violation("FEE-02", "a")
def fee02_unlisted(scene: Scene) -> bool:
    """A service is charged that is on no price list."""
    return _bill(scene, "a", {"item_code": _UNLISTED})


@KINDS.violation("FEE-02", "b")
def fee02_too_dear(scene: Scene) -> bool:
    """A service is charged above its disclosed price."""
    return _bill(scene, "b", {"more": scene.excess(900)})


@KINDS.violation("FEE-02", "c")
def fee02_no_bill(scene: Scene) -> bool:
    """The patient gets no itemised bill."""
    case = scene.case(prescribing=False)
    case.edit("FeeCharged", itemised_bill_provided=False)
    scene.expect("FEE-02", "c", "fee", case.visit.name(scene.inst, "fee"))
    return True


@KINDS.lawful("FEE-02", "b")
def fee02_cheaper(scene: Scene) -> bool:
    """A service is charged below its disclosed price."""
    return _bill(scene, None, {"more": -300})


def _bill(scene: Scene, clause: str | None, change: Datum) -> bool:
    case = scene.case(prescribing=False)
    case.visit.refunded = False
    item = service_item(case.visit.mode)

    def bill(note: Note) -> None:
        if note.event_type == "FeeCharged":
            for line in note.payload["lines"]:
                if line["item_code"] == item:
                    line["item_code"] = change.get("item_code", item)
                    line["unit_price_fen"] += change.get("more", 0)
            note.payload["total_fen"] += change.get("more", 0)

    case.visit.edits.append(bill)
    if clause is not None:
        scene.expect("FEE-02", clause, "fee", case.visit.name(scene.inst, "fee"))
    return True


def _breach(scene: Scene, at: int, **fields: object) -> str:
    """A breach of patients' data, reported and handled at once but for these fields."""
    incident_id = scene.inst.name_id("breach")
    payload: Datum = {
        "incident_id": incident_id,
        "kind": "DATA_BREACH",
        "discovered_at": at,
        "reported_to_authority_at": at + HOUR,
        "report_recipient": scene.inst.profile.report_recipient,
        "measures_started_at": at + 10 * MINUTE,
        "affected_patients": 12,
        **fields,
    }
    known = [value for value in payload.values() if isinstance(value, int) and value > at]
    scene.inst.outbox.emit("SecurityIncidentReported", max([*known, at]) + MINUTE, payload)
    return incident_id


def _morning(scene: Scene) -> int:
    return scene.midnight + 9 * HOUR + scene.rng.randrange(2 * HOUR)


@KINDS.violation("SEC-02", "a")
def sec02_reported_late(scene: Scene) -> bool:
    """A breach is reported more than a day after its discovery."""
    at = _morning(scene)
    late = at + _IN_TIME + scene.excess(5 * HOUR)
    incident_id = _breach(scene, at, reported_to_authority_at=late)
    scene.expect("SEC-02", "a", "incident", incident_id, "RESOLVED")
    return True


@KINDS.violation("SEC-02", "a")
def sec02_not_reported(scene: Scene) -> bool:
    """A breach is never reported to the authority."""
    incident_id = _breach(scene, _morning(scene), reported_to_authority_at=None)
    scene.expect("SEC-02", "a", "incident", incident_id)
    return True


@KINDS.violation("SEC-02", "b")
def sec02_handled_late(scene: Scene) -> bool:
    """Measures against a breach begin more than an hour after its discovery, or never."""
    at = _morning(scene)
    started = None if scene.rng.random() < 0.5 else at + _AT_ONCE + scene.excess(5 * HOUR)
    incident_id = _breach(scene, at, measures_started_at=started)
    scene.expect(
        "SEC-02", "b", "incident", incident_id, "CONFIRMED" if started is None else "RESOLVED"
    )
    return True


@KINDS.violation("SEC-02", "c")
def sec02_wrong_recipient(scene: Scene) -> bool:
    """A breach is reported to somebody else than the competent authority."""
    incident_id = _breach(scene, _morning(scene), report_recipient="OTHER")
    scene.expect("SEC-02", "c", "incident", incident_id)
    return True


@KINDS.lawful("SEC-02")
def sec02_exactly_in_time(scene: Scene) -> bool:
    """A breach is reported exactly a day, and handled exactly an hour, after its discovery."""
    at = _morning(scene)
    _breach(scene, at, reported_to_authority_at=at + _IN_TIME, measures_started_at=at + _AT_ONCE)
    return True


def _bystander(scene: Scene) -> Staff:
    """A doctor who is filed and never sees a patient."""
    doctor = scene.inst.new_doctor()
    hire(scene.inst, doctor, scene.day, Papers())
    return doctor


def suspend(
    scene: Scene,
    staff_id: str,
    at: int,
    reason: str = "ADVERSE_EVENT",
    reported: int | None = MINUTE,
) -> str:
    """Suspend a person from an instant on; the event's id."""
    event_id = scene.inst.name_id("stop")
    payload: Datum = {
        "event_id": event_id,
        "scope": "STAFF",
        "scope_id": staff_id,
        "status": "SUSPENDED",
        "reason": reason,
        "reported_to_authority_at": None if reported is None else at + reported,
    }
    scene.inst.outbox.emit("ServiceStatusChanged", at, payload)
    return event_id


def incident(
    scene: Scene,
    at: int,
    *,
    reported: int | None = HOUR,
    investigated: int | None = 20 * HOUR,
    suspended: int | None = 15 * MINUTE,
    major: bool = False,
    staff_id: str | None = None,
) -> str:
    """An adverse event about a person who sees nobody; durations count from the discovery."""
    inst = scene.inst
    doctor = staff_id or _bystander(scene).staff_id
    incident_id = inst.name_id("incident")
    stages: list[tuple[str, int, int | None]]
    if investigated is not None and investigated <= DAY:
        stages = [("INITIAL", 20 * MINUTE, None)]
        stages.append(("INVESTIGATED", max(investigated, (reported or 0) + MINUTE), reported))
    else:
        stages = [("INITIAL", (reported or 0) + MINUTE, reported)]
        if investigated is not None:
            stages.append(("INVESTIGATED", investigated, reported))
    for stage, after, told in stages:
        payload: Datum = {
            "incident_id": incident_id,
            "kind": "MEDICAL_SAFETY",
            "stage": stage,
            "major_accident": major,
            "discovered_at": at,
            "reported_to_authority_at": None if told is None else at + told,
            "session_id": None,
            "prescription_id": None,
            "affected_scope": "STAFF",
            "affected_scope_id": doctor,
            "responsible_staff_ids": [doctor],
        }
        inst.outbox.emit("AdverseEventReported", at + after, payload)
    if suspended is not None:
        suspend(scene, doctor, at + suspended)
    return incident_id


@KINDS.violation("INC-01", "a")
def inc01_reported_late(scene: Scene) -> bool:
    """An adverse event is reported more than a day after its discovery."""
    late = _IN_TIME + scene.excess(10 * HOUR)
    incident_id = incident(scene, _morning(scene), reported=late)
    scene.expect("INC-01", "a", "incident", incident_id, "RESOLVED")
    return True


@KINDS.violation("INC-01", "a")
def inc01_not_reported(scene: Scene) -> bool:
    """An adverse event is never reported to the authority."""
    incident_id = incident(scene, _morning(scene), reported=None)
    scene.expect("INC-01", "a", "incident", incident_id)
    return True


@KINDS.lawful("INC-01", "a")
def inc01_exactly_a_day(scene: Scene) -> bool:
    """An adverse event is reported exactly a day after its discovery."""
    incident_id = incident(scene, _morning(scene), reported=_IN_TIME)
    scene.expect("INC-01", "a", "incident", incident_id, "CLEARED")
    return True


@KINDS.violation("INC-01", "b", due=33)
def inc01_not_investigated(scene: Scene) -> bool:
    """An adverse event is never investigated."""
    incident_id = incident(scene, _morning(scene), investigated=None)
    scene.expect("INC-01", "b", "incident", incident_id)
    return True


@KINDS.lawful("INC-01", "b", due=33)
def inc01_investigated_on_the_last_day(scene: Scene) -> bool:
    """An adverse event is investigated exactly thirty days after its discovery."""
    incident(scene, _morning(scene), investigated=30 * DAY)
    return True


@KINDS.violation("INC-02", "b")
def inc02_not_suspended(scene: Scene) -> bool:
    """Nobody is suspended after an adverse event, or only later than an hour."""
    late = None if scene.rng.random() < 0.5 else _AT_ONCE + scene.excess(4 * HOUR)
    incident_id = incident(scene, _morning(scene), suspended=late)
    scene.expect(
        "INC-02", "b", "incident", incident_id, "CONFIRMED" if late is None else "RESOLVED"
    )
    return True


@KINDS.lawful("INC-02", "b")
def inc02_suspended_at_the_limit(scene: Scene) -> bool:
    """The person concerned is suspended exactly an hour after an adverse event."""
    incident(scene, _morning(scene), suspended=_AT_ONCE)
    return True


@KINDS.violation("INC-02", "c")
def inc02_stop_not_reported(scene: Scene) -> bool:
    """A stop for lack of conditions is never reported to the authority."""
    at = _morning(scene)
    event = suspend(scene, _bystander(scene).staff_id, at, "CONDITIONS_LOST", None)
    scene.expect("INC-02", "c", "event", event)
    return True


@KINDS.violation("INC-02", "d", due=17)
def inc02_no_exit(scene: Scene) -> bool:
    """A doctor responsible for a major accident goes on being registered for practice."""
    incident_id = incident(scene, _morning(scene), suspended=None, major=True)
    scene.expect("INC-02", "d", "incident", incident_id)
    return True


@KINDS.lawful("INC-02", "d", due=17)
def inc02_exit_on_the_last_day(scene: Scene) -> bool:
    """A doctor responsible for a major accident is suspended exactly a week after its discovery."""
    incident(scene, _morning(scene), suspended=7 * DAY, major=True)
    return True


def _complaint(scene: Scene, at: int, resolved: int | None) -> str:
    inst = scene.inst
    complaint_id = inst.name_id("complaint")
    payload: Datum = {
        "complaint_id": complaint_id,
        "session_id": None,
        "channel": "TELEPHONE",
        "category": "OTHER",
        "staff_id": None,
    }
    inst.outbox.emit("ComplaintReceived", at, payload)
    if resolved is not None:
        answer = {"complaint_id": complaint_id, "result": "NOT_UPHELD"}
        inst.outbox.emit("ComplaintResolved", resolved, answer)
    return complaint_id


@KINDS.violation("QLT-01")
def qlt01_not_handled(scene: Scene) -> bool:
    """A complaint is never handled."""
    if _working_days(scene, scene.day, 15) is None:
        return False
    complaint = _complaint(scene, _morning(scene), None)
    scene.expect("QLT-01", None, "complaint", complaint)
    return True


@KINDS.violation("QLT-01")
def qlt01_handled_late(scene: Scene) -> bool:
    """A complaint is handled after the fifteenth working day."""
    last = _working_days(scene, scene.day, 15)
    if last is None:
        return False
    late = end_of_day(last) + scene.excess(20 * HOUR) - 1
    complaint = _complaint(scene, _morning(scene), late)
    scene.expect("QLT-01", None, "complaint", complaint, "RESOLVED")
    return True


@KINDS.lawful("QLT-01")
def qlt01_last_instant(scene: Scene) -> bool:
    """A complaint is handled in the last millisecond of the fifteenth working day."""
    last = _working_days(scene, scene.day, 15)
    if last is None:
        return False
    _complaint(scene, _morning(scene), end_of_day(last) - 1)
    return True


def _busy(house: House, sessions: int) -> None:
    """Hold at least so many sessions in the window of thirty days, if so many days are lived."""
    open_days = sum(
        house.inst.is_open(house.config.first_day + number)
        for number in range(min(house.config.days, _RATED_DAYS))
    )
    if open_days >= _RATED_DAYS * 2 // 3:
        # One session in seven is cancelled, out of scope or falls outside.
        house.inst.rate = max(house.inst.rate, sessions * 7 / 6 / open_days)


@KINDS.violation("QLT-02", "a", per=Per.HOUSE, area="conduct")
def qlt02_complaints(house: House) -> bool:
    """Many patients complain, all on two days; all complaints are settled."""
    _busy(house, 100)

    def complain(scene: Scene) -> None:
        for _ in range(scene.rng.randint(4, 6)):
            at = _morning(scene)
            _complaint(scene, at, at + 30 * HOUR)

    for share in (3, 2):
        day = house.open_day(house.config.days // share)
        if day is not None:
            house.on(day, complain)
    return True


@KINDS.violation("QLT-02", "b", per=Per.HOUSE, area="conduct")
def qlt02_poor_ratings(house: House) -> bool:
    """Patients rate the institution below three on the average."""
    _busy(house, 100)
    house.inst.scores = (1, 2, 2, 3, 4)
    house.inst.corrections = 0.0
    return True


@KINDS.violation("QLT-02", "c", per=Per.HOUSE, area="size")
def qlt02_incidents(house: House) -> bool:
    """Several adverse events are reported by a large house, all of them as they should be."""
    inst, counts = house.inst, house.config.institutions
    # One in a simulation is enough: it holds more sessions than all the others together may.
    first = next((name for name in sorted(scope.where("QLT-02", "c")) if counts.get(name)), "")
    if inst.jurisdiction != first or inst.number + 1 != counts[first]:
        return False
    _busy(house, 1_000)

    def happen(scene: Scene) -> None:
        for _ in range(3):
            incident(scene, _morning(scene))

    day = house.open_day(house.config.days // 2)
    if day is None:
        return False
    house.on(day, happen)
    return True


def _notice(
    scene: Scene, notice_kind: str, status: str, answered: int | None, registered: bool = True
) -> str:
    """A notice that is due in three days and answered at an instant."""
    inst = scene.inst
    notice_id = inst.name_id("notice")
    inst.outbox.supervise(
        "SupervisionNoticeIssued",
        _morning(scene),
        {
            "notice_id": notice_id,
            "notice_kind": notice_kind,
            "finding_keys": [],
            "due_on": scene.day + 3,
        },
    )
    if answered is not None:
        answer = {
            "notice_id": notice_id,
            "status": status,
            "reported_to_registration_authority": registered,
        }
        inst.outbox.emit("RectificationReported", answered, answer)
    return notice_id


@KINDS.violation("QLT-03", "a")
def qlt03_unanswered(scene: Scene) -> bool:
    """A notice is never answered, or only with work in progress."""
    begun = scene.midnight + 2 * DAY if scene.rng.random() < 0.5 else None
    notice = _notice(scene, "PROBLEM_FEEDBACK", "IN_PROGRESS", begun)
    scene.expect("QLT-03", "a", "notice", notice)
    return True


@KINDS.violation("QLT-03", "a")
def qlt03_too_late(scene: Scene) -> bool:
    """A notice is complied with after its day."""
    late = end_of_day(scene.day + 3) + scene.excess(20 * HOUR) - 1
    notice = _notice(scene, "PROBLEM_FEEDBACK", "COMPLETED", late)
    scene.expect("QLT-03", "a", "notice", notice, "RESOLVED")
    return True


@KINDS.violation("QLT-03", "b")
def qlt03_not_registered(scene: Scene) -> bool:
    """A notice is complied with, and the registration authority is not told."""
    done = scene.midnight + 2 * DAY + 10 * HOUR
    notice = _notice(scene, "PROBLEM_FEEDBACK", "COMPLETED", done, registered=False)
    scene.expect("QLT-03", "b", "notice", notice)
    return True


@KINDS.lawful("QLT-03", "a")
def qlt03_contested(scene: Scene) -> bool:
    """A reported anomaly is contested in the last millisecond of its day."""
    _notice(scene, "ANOMALY", "CONTESTED", end_of_day(scene.day + 3) - 1)
    return True
