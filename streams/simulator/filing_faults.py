"""Injectors for LIC-06, LIC-07(a), SEC-01, SEC-03, DIS-01 and QLT-04: what a house files."""

from __future__ import annotations

from streams.simulator.filings import Desk, notice, periodic_duty
from streams.simulator.institution import Note
from streams.simulator.kinds import Family, Per
from streams.simulator.outbox import Datum
from streams.simulator.profiles import INDEPENDENT, OWN_DOCTORS, SECOND_NAME, UNITS
from streams.simulator.scene import House, Scene, one_case
from streams.timeline import DAY, HOUR, MINUTE, add_months

KINDS = Family()
_HOUSE = Per.HOUSE
_UNITS = {
    "guangxi": ("QUALITY", "SAFETY", "PHARMACY", "IT", "ADVERSE_EVENT"),
    "chongqing": ("QUALITY", "SAFETY", "EMR", "IT", "PHARMACY"),
    "sichuan": ("INTERNET_DIAGNOSIS", "ADVERSE_EVENT"),
    "yinchuan": ("QUALITY", "PHARMACY"),
}
_BELOW: dict[str, tuple[Datum, ...]] = {
    "chongqing": (
        {"server_sets": 1},
        {"db_app_separated": False},
        {"dual_power_or_generator": False},
        {"av_systems": 1},
        {"bandwidth_mbps": 9},
        {"isp_count": 1},
        {"his_integrated": False},
        {"remote_functions": ["CONSULTATION", "OUTPATIENT", "PATHOLOGY", "IMAGING"]},
        {"health_cloud_joined": False},
    ),
    "sichuan": (
        {"backup_mechanism": False},
        {"disaster_recovery_system": False},
        {"record_audit_log": None},
        {"auto_archiving": False},
    ),
    "yinchuan": ({"trust_services": ["DIGITAL_CERT", "E_SEAL", "TIMESTAMP"]},),
}


@KINDS.violation("LIC-06", "a", per=_HOUSE, area="papers")
def lic06_no_document(house: House) -> bool:
    """A management system that the rulebook asks for is never filed."""
    doc_type = house.rng.choice(house.inst.profile.documents)
    house.drop("DocumentFiled", doc_type=doc_type)
    house.expect("LIC-06", "a", "item", doc_type)
    return True


@KINDS.violation("LIC-06", "a", per=_HOUSE, area="papers")
def lic06_lapsed_document(house: House) -> bool:
    """A management system lapses and is not renewed."""
    doc_type = house.rng.choice(house.inst.profile.documents)
    until = house.config.first_day - 1

    def lapse(note: Note) -> None:
        if note.payload.get("doc_type") == doc_type:
            note.payload["effective_to"] = until

    house.file(lapse)
    house.expect("LIC-06", "a", "item", doc_type)
    return True


@KINDS.violation("LIC-06", "b", per=_HOUSE, area="registration")
def lic06_no_unit(house: House) -> bool:
    """A management unit that the rulebook asks for does not exist."""
    wanted = _UNITS.get(house.inst.rulebook)
    if wanted is None:
        return False
    unit = house.rng.choice(wanted)
    house.edit("InstitutionFiled", management_units=[u for u in UNITS if u != unit])
    house.expect("LIC-06", "b", "item", unit)
    return True


@KINDS.violation("LIC-06", "b", per=_HOUSE, area="registration", on="chongqing sichuan")
def lic06_unit_not_as_required(house: House) -> bool:
    """A management unit exists, but not as the rulebook wants it led or placed."""
    name = "internet_unit_head_is_vice_president"
    if house.inst.rulebook == "chongqing":
        if house.inst.form != INDEPENDENT:
            return False
        name = "it_unit_independent_of_host"
    house.edit("InstitutionFiled", **{name: False})
    house.expect("LIC-06", "b", "item", name)
    return True


@KINDS.violation("LIC-06", "d", per=_HOUSE, area="registration")
def lic06_no_agreement(house: House) -> bool:
    """There is no cooperation agreement with a partner."""
    inst = house.inst
    if inst.form == OWN_DOCTORS:
        return False
    partner = f"PARTNER-{inst.id}"
    fields: Datum = {"partner_ids": [partner], "partner_short_names": ["示例合作"]}
    if inst.form == SECOND_NAME:
        fields["registered_name"] = f"{inst.host_name}示例合作互联网医院"
    house.edit("InstitutionFiled", **fields)
    house.expect("LIC-06", "d", "item", f"COOPERATION_AGREEMENT:{partner}")
    return True


@KINDS.violation("LIC-06", "e", per=_HOUSE, area="registration", on="chongqing")
def lic06_wrong_name(house: House) -> bool:
    """The registered name does not name the host or the applicant."""
    house.edit("InstitutionFiled", registered_name="示例互联网医院")
    house.expect("LIC-06", "e", "item", "registered_name")
    return True


@KINDS.violation("LIC-06", "f", per=_HOUSE, area="papers", on="guangxi chongqing yinchuan")
def lic06_other_item(house: House) -> bool:
    """Equipment, hours, the onboarding statement or the e-seal is not filed."""
    book = house.inst.rulebook
    if book == "yinchuan":
        item = "e_seal_filed"
        house.edit("InstitutionFiled", e_seal_filed=False)
    elif book == "chongqing" and (house.inst.deficient or house.rng.random() < 0.5):
        item = "onboarding_statement_no"
        house.edit("InstitutionFiled", onboarding_statement_no=None)
    else:
        item = "InfrastructureFiled" if book == "chongqing" else "BusinessHoursDeclared"
        house.inst.declared_hours = item != "BusinessHoursDeclared"
        house.drop(item)
    house.expect("LIC-06", "f", "item", item)
    return True


@KINDS.violation("LIC-07", "a", per=_HOUSE, area="registration")
def lic07_same_connection(house: House) -> bool:
    """The institution moves and keeps its old connection to the platform."""
    inst, config = house.inst, house.config

    def move(scene: Scene) -> None:
        changed: Datum = {"filing_kind": "CHANGED", "changed_fields": ["LOCATION"]}
        snapshot = inst.snapshot | changed
        Desk(inst, scene.midnight).file("InstitutionFiled", scene.day, snapshot)

    house.refiled = True
    house.on(config.first_day, move)
    house.expect_house("LIC-07", "a")
    return True


def _assessed(house: House, kind: str, **fields: object) -> None:
    def change(note: Note) -> None:
        if note.payload.get("assessment_type") == kind:
            note.payload |= fields

    house.file(change)


@KINDS.violation("SEC-01", "a", per=_HOUSE, area="equipment")
def sec01_low_level(house: House) -> bool:
    """The only security assessment is of the second level."""
    day = house.open_day(0)
    if day is None:
        return False
    _assessed(house, "MLPS", mlps_level=2)
    house.on(day, one_case)
    house.expect_house("SEC-01", "a")
    return True


@KINDS.violation("SEC-01", "b", per=_HOUSE, area="equipment")
def sec01_overdue(house: House) -> bool:
    """The security assessment is not repeated within its year."""
    _assessed(house, "MLPS", assessed_on=add_months(house.config.first_day, -12))
    house.expect_house("SEC-01", "b")
    return True


@KINDS.violation("SEC-03", per=_HOUSE, area="equipment")
def sec03_below(house: House) -> bool:
    """An item of the equipment is below the basic standard."""
    change = house.rng.choice(_BELOW[house.inst.rulebook])
    (name,) = change
    house.edit("InfrastructureFiled", **change)
    house.expect_house("SEC-03", name)
    house.expect_house("INC-02", "e")
    house.inst.deficient = True
    return True


@KINDS.violation("SEC-03", per=_HOUSE, area="equipment", on="chongqing")
def sec03_in_principle(house: House) -> bool:
    """The line is shared, or the data is kept outside Chongqing."""
    change = house.rng.choice(({"dedicated_line": False}, {"data_region": "510000"}))
    (name,) = change
    house.edit("InfrastructureFiled", **change)
    house.expect_house("SEC-03", name, "SUSPECTED")
    house.inst.deficient = True
    return True


@KINDS.violation("SEC-03", per=_HOUSE, area="equipment", on="sichuan yinchuan")
def sec03_unknown(house: House) -> bool:
    """The equipment is never filed."""
    house.drop("InfrastructureFiled")
    house.expect_house("SEC-03")
    return True


@KINDS.violation("DIS-01", "a", per=_HOUSE, area="display")
def dis01_not_shown(house: House) -> bool:
    """Something the public must be told is not published."""
    prices = ("PRICE_LIST", "DRUG_PRICES")
    item = house.rng.choice([i for i in house.inst.profile.notices if i not in prices])
    house.drop("NoticePublished", item=item)
    house.expect("DIS-01", "a", "item", item)
    return True


@KINDS.violation("DIS-01", "a", per=_HOUSE, area="display", on="guangxi sichuan")
def dis01_hidden(house: House) -> bool:
    """Something the public must be told stands where nobody looks."""
    item = house.rng.choice([i for i in house.inst.profile.notices if i != "PRICE_LIST"])

    def hide(note: Note) -> None:
        if note.event_type == "NoticePublished" and note.payload["item"] == item:
            note.payload["position"] = "OTHER"

    house.file(hide)
    house.expect("DIS-01", "a", "item", item)
    return True


@KINDS.violation("DIS-01", "b", per=_HOUSE, area="display", due=17)
def dis01_stale(house: House) -> bool:
    """The licence on display is not renewed after the registration changed."""
    if house.refiled:
        return False
    _change_what_is_shown(house)
    house.expect("DIS-01", "b", "item", "LICENCE")
    return True


def _change_what_is_shown(house: House) -> None:
    inst, config = house.inst, house.config

    def show(scene: Scene) -> None:
        desk = Desk(inst, scene.midnight + 12 * HOUR)
        desk.file("NoticePublished", scene.day, notice("LICENCE"))

    def change(scene: Scene) -> None:
        changed: Datum = {"filing_kind": "CHANGED", "changed_fields": ["MANAGEMENT"]}
        snapshot = inst.snapshot | changed
        Desk(inst, scene.midnight).file("InstitutionFiled", scene.day, snapshot)

    house.on(config.filing_day, show)
    house.on(config.first_day, change)


@KINDS.violation("DIS-01", "d")
def dis01_after_hours(scene: Scene) -> bool:
    """A session is opened after the declared hours."""
    closing = scene.roster.intervals[-1][1]
    if closing + HOUR > scene.midnight + DAY or scene.halted(closing):
        return False
    if not scene.inst.declared_hours:
        return False
    opened = closing + scene.excess(5 * MINUTE)
    scene.expect_session("DIS-01", scene.case("TEXT_IMAGE", opened=opened), "d")
    return True


@KINDS.lawful("DIS-01", "d")
def dis01_at_closing_time(scene: Scene) -> bool:
    """A session is opened on the last instant of the declared hours."""
    closing = scene.roster.intervals[-1][1]
    if closing + HOUR > scene.midnight + DAY or scene.halted(closing):
        return False
    scene.case("TEXT_IMAGE", opened=closing)
    return True


_DUTIES = {
    "guangxi": ("EMERGENCY_DRILL", "QUALITY_ANALYSIS"),
    "sichuan": ("DR_DRILL", "QUALITY_ANALYSIS"),
    "yinchuan": ("QUALITY_ANALYSIS", "QUALITY_PUBLICATION"),
}


@KINDS.violation("QLT-04", per=_HOUSE, area="duties")
def qlt04_overdue(house: House) -> bool:
    """A yearly duty is not repeated within its year."""
    last = add_months(house.config.first_day, -12)
    if house.inst.rulebook == "chongqing":
        _assessed(house, "CONFORMITY_TEST", assessed_on=last)
        house.expect("QLT-04", None, "duty", "CONFORMITY_TEST")
        return True
    duty = house.rng.choice(_DUTIES[house.inst.rulebook])
    event_id = house.inst.name_id("duty")

    def last_year(note: Note) -> None:
        if note.payload.get("duty_type") == duty:
            note.payload |= {"event_id": event_id, "change_completed_on": last}

    house.file(last_year)
    house.expect("QLT-04", None, "duty", duty)
    # What was done a year ago and is uploaded now is uploaded late.
    house.expect("UPL-02", "a", "event", event_id, "RESOLVED")
    return True


@KINDS.violation("QLT-04", per=_HOUSE, area="duties", on="guangxi chongqing sichuan")
def qlt04_person_overdue(house: House) -> bool:
    """One person is not trained or appraised again within a year."""
    inst, config = house.inst, house.config
    duty = house.rng.choice(("STAFF_TRAINING", "STAFF_APPRAISAL"))
    person = inst.spare.staff_id
    others = [staff.staff_id for staff in inst.everyone if staff.staff_id != person]
    event_id = inst.name_id("duty")

    def all_but_one(note: Note) -> None:
        if note.payload.get("duty_type") == duty:
            note.payload["staff_ids"] = others

    def last_year(scene: Scene) -> None:
        done = add_months(config.first_day, -12)
        payload = periodic_duty(duty, done, done)
        payload |= {"staff_ids": [person], "event_id": event_id}
        Desk(inst, scene.midnight + 12 * HOUR).file("PeriodicDutyCompleted", done, payload)

    house.file(all_but_one)
    house.on(config.filing_day, last_year)
    house.expect("QLT-04", None, "duty", f"{duty}:{person}")
    house.expect("UPL-02", "a", "event", event_id, "RESOLVED")
    return True


@KINDS.violation("QLT-04", per=_HOUSE, area="duties", on="yinchuan")
def qlt04_no_daily_report(house: House) -> bool:
    """The security report of one day is never written."""
    config = house.config
    day = config.first_day if config.days > 1 else config.filing_day
    house.inst.unreported.add(day)
    house.expect("QLT-04", None, "duty", "DAILY_SECURITY_REPORT")
    return True
