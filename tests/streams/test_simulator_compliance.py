"""A compliant simulated hospital breaks none of the rules, not only none of the star rules.

A sample of the other rules, each written from its entry in RULES as a check over the whole set of
events; the rules themselves will judge the same days when they are built.
"""

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, simulate
from streams.simulator.profiles import PROFILES
from streams.timeline import DAY, HOUR, MINUTE, SECOND, add_months, day_of, start_of_day
from tests.streams.simulator_oracle import first_receipts

Datum = dict[str, Any]
CONFIG = SimulationConfig(
    seed=3,
    days=4,
    rate=60,
    institutions=dict.fromkeys(RULEBOOKS, 4),
    late=0.05,
    duplicates=0.02,
    shuffle=0.2,
    corrections=0.2,
)


class Days:
    """All events of the simulation, by type and by session."""

    def __init__(self) -> None:
        simulation = simulate(CONFIG)
        events = [upload.datum for upload in first_receipts(simulation.uploads)]
        self.all = [event for event in events if event["revision"] == 0]
        self.by_type: dict[str, list[Datum]] = defaultdict(list)
        self.session: dict[str, dict[str, list[Datum]]] = defaultdict(lambda: defaultdict(list))
        for event in self.all:
            self.by_type[event["event_type"]].append(event)
            if event.get("session_id"):
                self.session[event["session_id"]][event["event_type"]].append(event)
        forms = {
            e["institution_id"]: e["institution_form"] for e in self.by_type["InstitutionFiled"]
        }
        self.rulebook = {
            i.id: "national"
            if forms[i.id] == "OWN_DOCTOR_SERVICE" and i.rulebook in ("chongqing", "yinchuan")
            else i.rulebook
            for i in simulation.directory.institutions.values()
        }

    def one(self, event_type: str, **fields: Any) -> list[Datum]:
        return [
            event
            for event in self.by_type[event_type]
            if all(event[name] == value for name, value in fields.items())
        ]

    def opened(self) -> list[tuple[Datum, dict[str, list[Datum]], str]]:
        return [
            (parts["SessionOpened"][0], parts, self.rulebook[opened["institution_id"]])
            for parts in self.session.values()
            for opened in parts["SessionOpened"]
        ]


@pytest.fixture(scope="module")
def days() -> Days:
    return Days()


def acts(parts: dict[str, list[Datum]]) -> list[int]:
    (closed,) = parts["SessionClosed"]
    found = [e["occurred_at"] for e in parts["PrescriptionIssued"]]
    if closed["outcome"] == "COMPLETED" and closed["diagnosis_codes"]:
        found.append(closed["occurred_at"])
    return found


def test_ses_08_each_session_opens_and_closes_once_with_its_acts_between(days: Days) -> None:
    assert len(days.session) > 3_000
    for opened, parts, _ in days.opened():
        (closed,) = parts["SessionClosed"]
        assert len(parts["SessionOpened"]) == 1
        assert 0 < closed["occurred_at"] - opened["occurred_at"] < HOUR
        for kind in ("PrescriptionIssued", "UnsuitabilityIdentified"):
            for event in parts[kind]:
                assert opened["occurred_at"] <= event["occurred_at"] <= closed["occurred_at"]


def test_ses_01_02_03_follow_ups_rest_on_a_documented_diagnosis(days: Days) -> None:
    first_visits = 0
    for opened, parts, rulebook in days.opened():
        if opened["visit_kind"] == "FIRST_VISIT":
            first_visits += 1
            assert (rulebook, opened["dept_code"]) == ("yinchuan", "13")
            continue
        if not acts(parts):
            continue
        (prior,) = parts["PriorDiagnosisEvidenced"]
        assert prior["doctor_confirmed"]
        assert prior["source_is_physical_institution"]
        assert prior["retained"]
        assert prior["occurred_at"] <= min(acts(parts))
        assert prior["diagnosed_on"] <= day_of(opened["occurred_at"])
        known = {code[:3] for code in prior["diagnosis_codes"]}
        said = [*parts["PrescriptionIssued"], *parts["SessionClosed"]]
        assert {code[:3] for event in said for code in event["diagnosis_codes"]} <= known
    assert first_visits > 0


def test_ses_04_unsuitable_sessions_are_ended_and_referred(days: Days) -> None:
    assert days.by_type["UnsuitabilityIdentified"]
    for event in days.by_type["UnsuitabilityIdentified"]:
        parts = days.session[event["session_id"]]
        (closed,) = parts["SessionClosed"]
        assert closed["outcome"] == "TERMINATED"
        assert closed["referral"] == "OFFLINE"
        assert closed["warning_given"]
        assert 0 <= closed["occurred_at"] - event["occurred_at"] <= 10 * MINUTE
        assert not parts["PrescriptionIssued"]


def test_ses_05_06_consent_is_given_before_and_covers_what_the_rulebook_wants(days: Days) -> None:
    agreements = {
        (e["institution_id"], e["patient_token"], e["occurred_at"])
        for e in days.one("ConsentSigned", consent_kind="FAMILY_DOCTOR_AGREEMENT")
    }
    for opened, parts, rulebook in days.opened():
        kinds = {kind for kind, _ in PROFILES[rulebook].service_kinds}
        assert opened["service_kind"] in kinds
        if opened["service_kind"] == "FAMILY_DOCTOR":
            assert any(
                (inst, token) == (opened["institution_id"], opened["patient_token"])
                and at <= opened["occurred_at"]
                for inst, token, at in agreements
            )
            continue
        (consent,) = parts["ConsentSigned"]
        assert consent["agreed"]
        assert consent["signature"] == "VALID"
        assert consent["occurred_at"] <= opened["occurred_at"]
        assert set(PROFILES[rulebook].consent_items) <= set(consent["notice_items"])


def test_ses_07_no_doctor_holds_two_calls_at_once(days: Days) -> None:
    calls: dict[str, list[tuple[int, int]]] = defaultdict(list)
    hourly: Counter[tuple[str, int]] = Counter()
    for opened, parts, _ in days.opened():
        hourly[opened["doctor_id"], opened["occurred_at"] // HOUR] += 1
        if opened["mode"] != "TEXT_IMAGE":
            span = (opened["occurred_at"], parts["SessionClosed"][0]["occurred_at"])
            calls[opened["doctor_id"]].append(span)
    for spans in calls.values():
        assert all(end <= start for (_, end), (start, _) in pairwise(sorted(spans)))
    assert max(hourly.values()) < 30


def test_idv_05_patients_are_verified_before_their_first_session(days: Days) -> None:
    verified = {
        (e["institution_id"], e["patient_token"]): e
        for e in days.by_type["PatientIdentityVerified"]
    }
    returning = Counter(opened["patient_token"] for opened, _, _ in days.opened())
    assert max(returning.values()) > 1
    for opened, _, _ in days.opened():
        check = verified[opened["institution_id"], opened["patient_token"]]
        assert check["occurred_at"] <= opened["occurred_at"]
        assert check["result"] == "PASS"
        assert check["identifier_kinds_registered"]


def test_idv_03_failures_are_repeated_at_once(days: Days) -> None:
    failures = days.one("DoctorIdentityVerified", result="FAIL")
    assert failures
    for failure in failures:
        checks = days.session[failure["session_id"]]["DoctorIdentityVerified"]
        assert any(
            check["result"] == "PASS"
            and 0 < check["occurred_at"] - failure["occurred_at"] <= 2 * MINUTE
            for check in checks
        )


def test_rx_01_02_06_07_prescriptions_are_the_attending_doctors_own(days: Days) -> None:
    children = 0
    for rx in days.by_type["PrescriptionIssued"]:
        (opened,) = days.session[rx["session_id"]]["SessionOpened"]
        assert rx["prescriber_id"] == opened["doctor_id"]
        assert rx["doctor_signature"] == "VALID"
        assert rx["doctor_signature_cert"] == f"CERT-{rx['prescriber_id']}"
        assert rx["doctor_signed_at"] <= rx["occurred_at"]
        assert rx["trusted_timestamp"]
        assert rx["origin"] == "DOCTOR_WRITTEN"
        assert rx["occurred_at"] - opened["occurred_at"] >= 20 * SECOND
        assert rx["patient_age_years"] == opened["patient_age_years"]
        if rx["patient_age_years"] < 6:
            children += 1
            assert rx["guardian_present"]
            assert rx["accompanying_specialist_id"] not in (None, rx["prescriber_id"])
    assert children > 0


def test_rx_03_08_drugs_follow_an_approved_review_and_arrive(days: Days) -> None:
    issued = {e["prescription_id"]: e for e in days.by_type["PrescriptionIssued"]}
    approved = {
        e["prescription_id"]: e for e in days.one("PrescriptionReviewed", result="APPROVED")
    }
    supplies: dict[str, dict[str, Datum]] = defaultdict(dict)
    for supply in days.by_type["DrugSupplied"]:
        supplies[supply["supply_id"]][supply["stage"]] = supply
        assert approved[supply["prescription_id"]]["occurred_at"] <= supply["occurred_at"]
        wanted = issued[supply["prescription_id"]]["items"]
        line = {"drug_code", "quantity", "unit"}
        assert supply["lines"] == [{name: item[name] for name in item if name in line}
                                   for item in wanted]  # fmt: skip
    for stages in supplies.values():
        times = [stages[s]["occurred_at"] for s in ("DISPENSED", "HANDED_TO_CARRIER", "DELIVERED")
                 if s in stages]  # fmt: skip
        assert times == sorted(times)
        assert "DELIVERED" in stages
        assert times[-1] - times[0] < 15 * DAY


def test_pha_02_03_reviewers_are_filed_pharmacists_on_duty(days: Days) -> None:
    shifts: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for duty in days.one("DutyStatusReported", duty_kind="RX_REVIEW"):
        key = duty["institution_id"], duty["staff_id"]
        shifts[key][duty["shift_id"]][duty["phase"]] = duty["occurred_at"]
    filed = {e["staff_id"]: e for e in days.by_type["StaffFiled"]}
    for review in days.by_type["PrescriptionReviewed"]:
        reviewer = review["reviewer_id"]
        assert filed[reviewer]["role"] == "PHARMACIST"
        assert review["pharmacist_signature"] == "VALID"
        mine = shifts[review["institution_id"], reviewer].values()
        assert any(s["SIGN_ON"] <= review["occurred_at"] <= s["SIGN_OFF"] for s in mine)


def test_rec_01_02_03_records_are_archived_in_time_and_whole(days: Days) -> None:
    media = {"TEXT_IMAGE": "TEXT_IMAGE", "VOICE": "AUDIO", "VIDEO": "VIDEO"}
    for opened, parts, _ in days.opened():
        (closed,) = parts["SessionClosed"]
        if closed["outcome"] == "CANCELLED":
            continue
        (record,) = parts["MedicalRecordArchived"]
        (process,) = parts["ProcessRecordArchived"]
        for archived in (record, process):
            assert 0 <= archived["occurred_at"] - closed["occurred_at"] <= 24 * HOUR
        assert process["media"] == media[opened["mode"]]
        assert process["coverage_start"] <= opened["occurred_at"]
        assert process["coverage_end"] >= closed["occurred_at"]
        base = day_of(closed["occurred_at"])
        assert record["retention_until"] >= add_months(base, 360)
        assert process["retention_until"] >= add_months(base, 36)
        child = opened["patient_age_years"] < 6
        if child or not opened["patient_full_capacity"]:
            assert {"COMPANION", "ACCOMPANYING_SPECIALIST"} <= set(record["sections_present"])


def test_fee_02_bills_add_up_at_disclosed_prices(days: Days) -> None:
    for fee in days.by_type["FeeCharged"]:
        total = sum(line["quantity"] * line["unit_price_fen"] for line in fee["lines"])
        assert total == fee["total_fen"] * 1000
        listed = {
            price["item_code"]: price["unit_price_fen"]
            for notice in days.one("NoticePublished", institution_id=fee["institution_id"])
            for price in notice["prices"] or ()
        }
        service = [line for line in fee["lines"] if line["item_code"].startswith("S-")]
        assert len(service) == 1
        for line in fee["lines"]:
            if line in service or "D0001" in listed:
                assert listed[line["item_code"]] == line["unit_price_fen"]


def test_lic_stf_dis_what_must_be_filed_is_in_force_before_the_first_session(days: Days) -> None:
    for inst, rulebook in days.rulebook.items():
        profile = PROFILES[rulebook]
        mine = {
            kind: [e for e in days.by_type[kind] if e["institution_id"] == inst]
            for kind in ("DocumentFiled", "NoticePublished", "DepartmentApproved", "StaffFiled")
        }
        assert set(profile.documents) <= {e["doc_type"] for e in mine["DocumentFiled"]}
        assert set(profile.notices) <= {e["item"] for e in mine["NoticePublished"]}
        shown = {e["staff_id"] for e in mine["NoticePublished"]}
        doctors = [e for e in mine["StaffFiled"] if e["role"] == "DOCTOR"]
        if profile.staff_notice is not None:
            assert {e["staff_id"] for e in doctors} <= shown
        titles = {(dept, e["title_level"]) for e in doctors for dept in e["dept_codes"]}
        for approved in mine["DepartmentApproved"]:
            assert {(approved["dept_code"], t) for t in ("SENIOR", "DEPUTY_SENIOR")} <= titles
        for kind in mine:
            assert all(e["occurred_at"] < start_of_day(CONFIG.first_day) for e in mine[kind])
    filed = {e["staff_id"] for e in days.by_type["StaffFiled"]}
    insured = {e["staff_id"] for e in days.by_type["LiabilityInsuranceFiled"]}
    for opened, _, _ in days.opened():
        assert opened["doctor_id"] in filed & insured


def test_qlt_and_sec_duties_are_done(days: Days) -> None:
    reports = Counter(
        (e["institution_id"], e["covered_from"])
        for e in days.one("PeriodicDutyCompleted", duty_type="DAILY_SECURITY_REPORT")
    )
    for inst, rulebook in days.rulebook.items():
        if rulebook == "yinchuan":
            for day in range(CONFIG.filing_day, CONFIG.final_day):
                assert reports[inst, day] == 1
        levels = [
            e["mlps_level"]
            for e in days.one("AssessmentCompleted", institution_id=inst, assessment_type="MLPS")
        ]
        assert levels == [3]
    answered = {e["notice_id"] for e in days.by_type["RectificationReported"]}
    assert answered == {e["notice_id"] for e in days.by_type["SupervisionNoticeIssued"]}
    settled = {e["refund_id"] for e in days.by_type["RefundSettled"]}
    assert settled == {e["refund_id"] for e in days.by_type["RefundRequested"]}
    assert settled


def test_lic_05_nobody_works_while_suspended(days: Days) -> None:
    stops: dict[str, list[int]] = defaultdict(list)
    for change in days.one("ServiceStatusChanged", scope="STAFF"):
        stops[change["scope_id"]].append(change["occurred_at"])
    assert stops
    for opened, _, _ in days.opened():
        assert opened["doctor_id"] not in stops
    for reaction in days.one("AdverseEventReported", stage="INITIAL"):
        suspended, resumed = sorted(stops[reaction["affected_scope_id"]])
        assert suspended - reaction["discovered_at"] <= HOUR < resumed - suspended


def test_the_feed_never_falls_silent_in_business_hours(days: Days) -> None:
    for inst in days.rulebook:
        times = sorted(
            e["occurred_at"]
            for e in days.one("DutyStatusReported", institution_id=inst, duty_kind="RX_REVIEW")
        )
        gaps = [(a, b) for a, b in pairwise(times) if b - a > HOUR]
        opened = [e["occurred_at"] for e in days.one("SessionOpened", institution_id=inst)]
        assert not any(a < at < b for a, b in gaps for at in opened)
