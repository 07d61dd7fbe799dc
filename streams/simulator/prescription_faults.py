"""Injectors for RX-01 to RX-09: prescriptions and their supply."""

from __future__ import annotations

from streams.simulator.filings import PHARMACY_CHAIN, hire
from streams.simulator.institution import Note
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import Datum
from streams.simulator.profiles import OVER_THE_COUNTER, RISKY_DRUGS, SPECIAL_DRUGS
from streams.simulator.scene import Case, House, Scene
from streams.timeline import DAY, HOUR, MINUTE, SECOND

KINDS = Family()
_DELIVERY = 15 * DAY
_STEERED = 55


@KINDS.violation("RX-01")
def rx01_other_doctor(scene: Scene) -> bool:
    """Another doctor than the attending one prescribes."""
    case = scene.prescribing()
    if case is None:
        return False
    other = scene.inst.doctors[0]
    case.edit(
        "PrescriptionIssued", prescriber_id=other.staff_id, doctor_signature_cert=other.certificate
    )
    scene.expect_rx("RX-01", case)
    return True


@KINDS.violation("RX-01")
def rx01_no_session(scene: Scene) -> bool:
    """A prescription belongs to no session."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionIssued", session_id=None)
    scene.expect_rx("RX-01", case)
    return True


@KINDS.violation("RX-02", "a")
def rx02_unsigned(scene: Scene) -> bool:
    """The doctor does not sign, or not validly."""
    # In Yinchuan a recording keeps the doctor identified although the signature is not (YC 8).
    case = scene.prescribing("VIDEO")
    if case is None:
        return False
    case.edit("PrescriptionIssued", doctor_signature=scene.rng.choice(("ABSENT", "INVALID")))
    scene.expect_rx("RX-02", case, "a")
    return True


@KINDS.violation("RX-02", "a")
def rx02_other_certificate(scene: Scene) -> bool:
    """The certificate of the signature is not the prescriber's filed one."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionIssued", doctor_signature_cert="CERT-OTHER")
    scene.expect_rx("RX-02", case, "a")
    return True


@KINDS.violation("RX-02", "b")
def rx02_unsigned_review(scene: Scene) -> bool:
    """The pharmacist approves without a valid signature."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionReviewed", pharmacist_signature="ABSENT")
    scene.expect_rx("RX-02", case, "b")
    return True


@KINDS.violation("RX-02", "c")
def rx02_signed_afterwards(scene: Scene) -> bool:
    """The doctor signs only after the pharmacist approved."""
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return False
    signed = case.visit.review[0] + scene.excess(60 * SECOND)
    case.edit("PrescriptionIssued", doctor_signed_at=signed)
    scene.expect_rx("RX-02", case, "c")
    return True


@KINDS.violation("RX-02", "d")
def rx02_no_timestamp(scene: Scene) -> bool:
    """A prescription or its approval carries no trusted timestamp."""
    case = scene.prescribing()
    if case is None:
        return False
    kinds = ("PrescriptionIssued", "PrescriptionReviewed")
    case.edit(scene.rng.choice(kinds), trusted_timestamp=False)
    scene.expect_rx("RX-02", case, "d")
    return True


@KINDS.lawful("RX-02")
def rx02_signed_at_approval(scene: Scene) -> bool:
    """The doctor's signature bears the millisecond of the approval."""
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return False
    case.edit("PrescriptionIssued", doctor_signed_at=case.visit.review[0])
    return True


@KINDS.violation("RX-03")
def rx03_unreviewed(scene: Scene) -> bool:
    """A drug is supplied that no pharmacist has reviewed."""
    case = scene.prescribing()
    if case is None:
        return False
    case.drop("PrescriptionReviewed")
    scene.expect_rx("RX-03", case)
    return True


@KINDS.violation("RX-03")
def rx03_rejected(scene: Scene) -> bool:
    """A drug is supplied although the pharmacist rejected the prescription."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionReviewed", result="REJECTED")
    scene.expect_rx("RX-03", case)
    return True


@KINDS.violation("RX-03")
def rx03_too_early(scene: Scene) -> bool:
    """A drug is dispensed before the pharmacist approves."""
    case = scene.prescribing()
    if case is None or case.visit.review is None or case.visit.prescribed_at is None:
        return False
    approved = case.visit.review[0]
    at = max(case.visit.prescribed_at, approved - scene.excess(2 * MINUTE))
    case.at("DrugSupplied", at, "DISPENSED")
    scene.expect_rx("RX-03", case)
    return True


@KINDS.lawful("RX-03")
def rx03_at_approval(scene: Scene) -> bool:
    """A drug is dispensed on the millisecond of an approval that is uploaded a day late."""
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return False
    case.at("DrugSupplied", case.visit.review[0], "DISPENSED")
    if scene.inst.rulebook != "chongqing":
        case.delay("PrescriptionReviewed", scene.rng.randint(18 * HOUR, 24 * HOUR))
        scene.expect_rx("RX-03", case, state="CLEARED")
    return True


def _supply(scene: Scene, case: Case, **fields: object) -> str:
    """One more delivery over the counter, besides what the session prescribes."""
    supply_id = scene.inst.name_id("sup")
    payload: Datum = {
        "supply_id": supply_id,
        "prescription_id": None,
        "session_id": None,
        "stage": "DISPENSED",
        "lines": [{"drug_code": "D0001", "quantity": 1000, "unit": "盒"}],
        "supplier_id": scene.inst.id,
        "carrier_id": None,
        **fields,
    }
    case.add("DrugSupplied", case.visit.closed + scene.rng.randint(60, 900) * SECOND, payload)
    return supply_id


@KINDS.violation("RX-04", "a")
def rx04_before(scene: Scene) -> bool:
    """A drug is supplied before it is prescribed."""
    case = scene.prescribing()
    if case is None or case.visit.prescribed_at is None:
        return False
    at = case.visit.prescribed_at - scene.excess(60 * SECOND)
    case.at("DrugSupplied", at, "DISPENSED")
    scene.expect("RX-04", "a", "supply", case.visit.name(scene.inst, "sup"))
    scene.expect_rx("RX-03", case)
    return True


@KINDS.violation("RX-04", "b")
def rx04_without(scene: Scene) -> bool:
    """A prescription drug is supplied without any prescription."""
    case = scene.case(prescribing=False)
    scene.expect("RX-04", "b", "supply", _supply(scene, case))
    return True


@KINDS.violation("RX-04", "c")
def rx04_unknown(scene: Scene) -> bool:
    """A drug is supplied on a prescription that does not exist."""
    case = scene.case(prescribing=False)
    missing = scene.inst.name_id("rx")
    # D19: such a supply is RX-04 only.
    supply_id = _supply(scene, case, prescription_id=missing)
    scene.expect("RX-04", "c", "supply", supply_id)
    return True


@KINDS.lawful("RX-04")
def rx04_over_the_counter(scene: Scene) -> bool:
    """A medicine that needs no prescription is supplied without one."""
    case = scene.case(prescribing=False)
    lines = [{"drug_code": OVER_THE_COUNTER, "quantity": 1000, "unit": "盒"}]
    _supply(scene, case, lines=lines)
    return True


@KINDS.violation("RX-05")
def rx05_prohibited(scene: Scene) -> bool:
    """A narcotic, psychotropic or otherwise specially controlled drug is prescribed."""
    case = scene.prescribing()
    if case is None:
        return False
    case.visit.drugs = [scene.rng.choice(sorted(SPECIAL_DRUGS))]
    scene.expect_rx("RX-05", case)
    return True


@KINDS.violation("RX-05")
def rx05_stopped(scene: Scene) -> bool:
    """A prohibited drug is prescribed, and the pharmacist stops it."""
    case = scene.prescribing()
    if case is None:
        return False
    case.visit.drugs, case.visit.supply = [scene.rng.choice(sorted(SPECIAL_DRUGS))], False
    case.edit("PrescriptionReviewed", result="REJECTED")
    scene.expect_rx("RX-05", case)
    return True


@KINDS.violation("RX-05", on="chongqing")
def rx05_risky(scene: Scene) -> bool:
    """A drug of higher risk or under special rules is prescribed."""
    case = scene.prescribing()
    if case is None:
        return False
    case.visit.drugs = [scene.rng.choice(sorted(RISKY_DRUGS))]
    scene.expect_rx("RX-05", case)
    return True


@KINDS.lawful("RX-05", on="national guangxi sichuan yinchuan")
def rx05_risky_elsewhere(scene: Scene) -> bool:
    """A drug of higher risk is prescribed where only Chongqing forbids it."""
    case = scene.prescribing()
    if case is None:
        return False
    case.visit.drugs = [scene.rng.choice(sorted(RISKY_DRUGS))]
    return True


@KINDS.violation("RX-06")
def rx06_no_guardian(scene: Scene) -> bool:
    """A small child gets a prescription without a guardian at its side."""
    case = scene.prescribing(age=scene.rng.randint(1, 5))
    if case is None:
        return False
    case.edit("PrescriptionIssued", guardian_present=scene.rng.choice((False, None)))
    scene.expect_rx("RX-06", case)
    return True


@KINDS.violation("RX-06")
def rx06_no_specialist(scene: Scene) -> bool:
    """A small child gets a prescription without a specialist at its side."""
    case = scene.prescribing(age=scene.rng.randint(1, 5))
    if case is None:
        return False
    alone = scene.rng.choice((None, case.visit.doctor.staff_id))
    case.edit("PrescriptionIssued", accompanying_specialist_id=alone)
    scene.expect_rx("RX-06", case)
    return True


@KINDS.lawful("RX-06")
def rx06_six_years(scene: Scene) -> bool:
    """A child of six gets a prescription without anybody at its side."""
    return scene.prescribing(age=6) is not None


@KINDS.violation("RX-07", "a")
def rx07_generated(scene: Scene) -> bool:
    """A prescription is generated automatically."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionIssued", origin="AUTO_GENERATED")
    scene.expect_rx("RX-07", case, "a")
    return True


@KINDS.violation("RX-07", "b", on="guangxi chongqing")
def rx07_drafted(scene: Scene) -> bool:
    """A doctor confirms a prescription drafted by software."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("PrescriptionIssued", origin="AI_DRAFT_DOCTOR_CONFIRMED")
    scene.expect_rx("RX-07", case, "b")
    return True


@KINDS.violation("RX-07", "b")
def rx07_too_fast(scene: Scene) -> bool:
    """A prescription is written within twenty seconds of the opening."""
    case = _fast(scene, 20 * SECOND - scene.excess(15 * SECOND))
    if case is None:
        return False
    scene.expect_rx("RX-07", case, "b")
    return True


@KINDS.lawful("RX-07", "b")
def rx07_twenty_seconds(scene: Scene) -> bool:
    """A prescription is written exactly twenty seconds after the opening."""
    return _fast(scene, 20 * SECOND) is not None


def _fast(scene: Scene, after: int) -> Case | None:
    case = scene.prescribing()
    if case is not None:
        case.visit.prescribed_at = case.visit.opened + after
        case.at("PriorDiagnosisEvidenced", case.visit.opened + SECOND)
        scene.recheck(case)
    return case


@KINDS.violation("RX-08", "a")
def rx08_no_agreement(scene: Scene) -> bool:
    """The carrier has no agreement with the hospital."""
    case = scene.prescribing()
    if case is None:
        return False
    case.edit("DrugSupplied", carrier_id=f"CARRIER-{scene.inst.serial('x')}")
    scene.expect("RX-08", "a", "supply", case.visit.name(scene.inst, "sup"))
    return True


@KINDS.violation("RX-08", "b")
def rx08_too_much(scene: Scene) -> bool:
    """More is dispensed than was prescribed."""
    case = scene.prescribing()
    if case is None:
        return False

    def more(note: Note) -> None:
        if note.event_type == "DrugSupplied":
            note.payload["lines"][0]["quantity"] += 1000

    case.visit.edits.append(more)
    scene.expect_rx("RX-08", case, "b")
    return True


@KINDS.violation("RX-08", "b")
def rx08_other_drug(scene: Scene) -> bool:
    """A prescription drug is dispensed that was not prescribed."""
    case = scene.prescribing()
    if case is None:
        return False
    case.visit.drugs = ["D0001"]

    def other(note: Note) -> None:
        if note.event_type == "DrugSupplied":
            note.payload["lines"][0]["drug_code"] = "D0006"

    case.visit.edits.append(other)
    scene.expect_rx("RX-08", case, "b")
    return True


@KINDS.violation("RX-08", "c")
def rx08_not_dispensed(scene: Scene) -> bool:
    """A drug is delivered that nobody dispensed."""
    case = scene.prescribing()
    if case is None:
        return False
    case.drop("DrugSupplied", "DISPENSED")
    scene.expect("RX-08", "c", "supply", case.visit.name(scene.inst, "sup"), "RESOLVED")
    return True


@KINDS.violation("RX-08", "c", due=18)
def rx08_not_delivered(scene: Scene) -> bool:
    """A drug is handed to a carrier and never arrives."""
    case = scene.prescribing()
    if case is None:
        return False
    case.drop("DrugSupplied", "DELIVERED")
    scene.expect("RX-08", "c", "supply", case.visit.name(scene.inst, "sup"))
    return True


@KINDS.lawful("RX-08", "c", due=18)
def rx08_on_the_last_day(scene: Scene) -> bool:
    """A drug arrives exactly fifteen days after it was handed to the carrier."""
    case = scene.prescribing()
    if case is None or case.visit.review is None:
        return False
    handed = case.visit.review[0] + 3 * HOUR
    case.at("DrugSupplied", handed, "HANDED_TO_CARRIER")
    case.at("DrugSupplied", handed + _DELIVERY, "DELIVERED")
    return True


def _statistics(scene: Scene, purpose: str, authorised: bool) -> str:
    """Run statistics on prescriptions; the event's id."""
    event_id = scene.inst.name_id("statistics")
    payload: Datum = {
        "event_id": event_id,
        "target_kind": "PRESCRIPTION_DATA",
        "target_id": None,
        "operation": "STATISTICS_RUN",
        "operator_id": scene.inst.pharmacists[0].staff_id,
        "purpose": purpose,
        "authorisation_doc_id": f"doc-{scene.inst.id}" if authorised else None,
        "to_institution_id": None,
    }
    scene.inst.outbox.emit("RecordOperationLogged", scene.opening(HOUR), payload)
    return event_id


@KINDS.violation("RX-09", "a")
def rx09_commercial(scene: Scene) -> bool:
    """Statistics are run on prescriptions for a commercial purpose."""
    scene.expect("RX-09", "a", "event", _statistics(scene, "COMMERCIAL", True))
    return True


@KINDS.violation("RX-09", "a")
def rx09_unexplained(scene: Scene) -> bool:
    """Statistics are run on prescriptions without a purpose or an authorisation."""
    event_id = _statistics(scene, "UNSPECIFIED", False)
    scene.expect("RX-09", "a", "event", event_id, "SUSPECTED")
    return True


@KINDS.lawful("RX-09", "a")
def rx09_authorised(scene: Scene) -> bool:
    """Statistics without a stated purpose are run under an authorisation."""
    _statistics(scene, "UNSPECIFIED", True)
    return True


@KINDS.violation("RX-09", "b", per=Per.HOUSE, area="conduct", due=12)
def rx09_steering(house: House) -> bool:
    """A doctor's patients nearly all buy from one and the same pharmacy."""
    inst = house.inst
    pharmacy = f"{PHARMACY_CHAIN}-{inst.number}"

    def send(scene: Scene) -> None:
        doctor = inst.new_doctor()
        hire(inst, doctor, scene.day)
        found = 0
        while found < _STEERED:
            case = scene.prescribing("TEXT_IMAGE", doctor=doctor)
            if case is None:
                return
            case.edit("DrugSupplied", supplier_id=pharmacy)
            found += 1
        scene.expect("RX-09", "b", "staff", doctor.staff_id)

    house.on(house.config.first_day, send)
    return True
