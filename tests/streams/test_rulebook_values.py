"""Parameters, clauses and severities of every rule, transcribed from its entry in RULES."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from schemas.catalogue import schema
from streams import rulebook
from streams.rulebook import RULEBOOKS, Library, Mode, ParameterError, RuleSettings, clauses_of

LIBRARY = Library.load()
OVERLAID = Library.load(["yinchuan.national_overlay=true"]).books["yinchuan"]
N, G, C, S, Y = RULEBOOKS
VOCABULARY: Mapping[str, Any] = rulebook._file("parameters")

# "Rulebooks" and "Parameters" of the entries: the clauses judged where they are on, N G C S Y.
CLAUSES = {
    "UPL-02": "- ab ab ab ab",
    "UPL-04": "abc abc abc abc abc",
    "LIC-03": "- - ab cd -",
    "LIC-04": "- abc bc b -",
    "LIC-06": "abcdf abcdf abcdef abcdf abcdf",
    "LIC-07": "- - abc - -",
    "STF-01": "abcd abcd abcd abcd abcd",
    "STF-02": "ab ab ab ab ab",
    "IDV-02": "- ab - - -",
    "IDV-03": "ab ab ab ab ab",
    "IDV-04": "a a ab a a",
    "SES-06": "ab ab ab ab ab",
    "SES-07": "- ab b ab -",
    "SES-08": "abc abc abc abc abc",
    "RX-04": "- abc abc - -",
    "RX-07": "- ab ab ab -",
    "RX-08": "b abc ab b b",
    "RX-09": "- ab a b -",
    "REC-02": "- - c abc -",
    "REC-03": "- abcd abcd - abc",
    "DIS-01": "- acd ac ab ac",
    "INC-01": "- a ab a -",
    "INC-02": "- a bce - d",
    "QLT-02": "- abc - abc abc",
    "QLT-03": "- ab a - -",
}
# Clauses that a parameter of the entry switches, N G C S Y.
SWITCHES = {
    "UPL-05.require_signed_filing": (False, False, True, False, False),
    "LIC-01.accept_municipal_filing": (False, False, False, False, True),
    "LIC-05.mlps_stop": (False, True, False, False, False),
    "LIC-05.adverse_stop": (False, False, True, False, False),
    "IDV-01.video_or_signature": (False, False, False, False, True),
    "SES-02.require_retained": (False, True, False, False, False),
    "SES-02.first_visits_exempt": (False, False, False, False, True),
    "SES-03.first_visits_exempt": (False, False, False, False, True),
    "SES-04.warning_required": (False, False, False, True, False),
    "SES-05.signature_required": (True, True, False, False, True),
    "RX-02.pharmacist_signature_required": (False, False, False, True, True),
    "RX-02.trusted_timestamp_required": (False, False, False, False, True),
    "PHA-02.third_party_agreement_required": (False, False, True, False, True),
    "REC-01.process_record_required": (False, True, True, False, False),
    "REC-01.host_share_required": (False, True, True, False, False),
    "REC-04.forbid_logged_amendment": (False, False, False, True, False),
    "SEC-03.snapshot_required": (False, False, False, True, True),
    "FEE-02.itemised_bill_required": (False, False, False, False, True),
    "FEE-02.drug_codes_must_be_listed": (False, False, False, False, True),
}
# Values that differ between rulebooks, by rulebook; where the rule is off nothing is asked.
VALUES = {
    "STF-02.multi_site_allowed": ("INTERNET_HOSPITALS", "true", "true", "true", "true"),
    "SES-05.applies_to": ("FAMILY_DOCTOR", "ALL", "ALL", "ALL", "FAMILY_DOCTOR"),
    "SES-05.scope": ("PATIENT", "SESSION", "SESSION", "SESSION", "PATIENT"),
    "IDV-05.min_identifier_kinds": (None, 0, 1, 0, None),
    "RX-07.draft_is_signal": (None, True, True, False, None),
    "REC-02.download_required": (None, None, True, False, None),
    "REC-03.emr_years": (None, 15, 15, None, 30),
    "REC-03.process_period": (None, "3Y", "3Y", None, "3M"),
    "SEC-01.interval": ("none", "1Y", "none", "none", "none"),
    "DIS-01.staff_item": (
        None,
        "STAFF_E_LICENCE",
        "STAFF_IDENTITY_MARK",
        "none",
        "STAFF_E_LICENCE",
    ),
    "QLT-04.staff_training": (None, "1Y", "1Y", "1Y", "none"),
    "QLT-04.staff_appraisal": (None, "1Y", "1Y", "1Y", "none"),
    "QLT-04.emergency_drill": (None, "1Y", "none", "none", "none"),
    "QLT-04.dr_drill": (None, "none", "none", "1Y", "none"),
    "QLT-04.quality_analysis": (None, "1Y", "none", "1Y", "1Y"),
    "QLT-04.quality_publication": (None, "none", "none", "none", "1Y"),
    "QLT-04.conformity_test": (None, "none", "1Y", "none", "none"),
    "QLT-04.daily_security_report": (None, "none", "none", "none", "1d"),
}
# Values that are the same in all.
EVERYWHERE: dict[str, Any] = {
    "UPL-02.window_days": 7,
    "UPL-03.reorder_wait": "15m",
    "UPL-04.manifest_due": "24h",
    "UPL-04.silence_limit": "60m",
    "UPL-04.count_tolerance": 0,
    "UPL-05.future_tolerance": "5m",
    "LIC-04.apply_months": 3,
    "LIC-04.interval_months": 12,
    "LIC-05.wind_down": "30m",
    "LIC-07.max_independent_per_host": 1,
    "STF-01.registry_required": True,
    "STF-01.registry_max_age": "30d",
    "STF-02.consent_required": True,
    "STF-03.years": 3,
    "STF-03.basis": "INDEPENDENT",
    "STF-06.min_senior": 1,
    "STF-06.min_deputy_senior": 1,
    "STF-06.senior_substitutes_deputy": False,
    "IDV-03.retry_window": "2m",
    "IDV-03.stop_within": "10m",
    "IDV-04.overlap_tolerance": "60s",
    "IDV-05.max_age": "none",
    "SES-02.max_age_of_diagnosis": "none",
    "SES-03.match_length": 3,
    "SES-04.terminate_within": "10m",
    "SES-07.overlap_tolerance": "60s",
    "SES-07.max_sessions_per_hour": 30,
    "SES-07.max_open_text_sessions": 50,
    "SES-08.max_session": "72h",
    "RX-06.age_limit": 6,
    "RX-06.age_inclusive": False,
    "RX-06.specialist_must_differ": True,
    "RX-07.min_time_to_prescribe": "20s",
    "RX-08.delivery_days": "15d",
    "RX-09.min_n": 50,
    "RX-09.max_share": 0.95,
    "PHA-03.heartbeat_timeout": "10m",
    "REC-01.archive_within": "24h",
    "REC-01.edge": "60s",
    "REC-03.custody_days": 30,
    "SEC-01.min_level": 3,
    "SEC-02.report_within": "24h",
    "SEC-02.measures_within": "1h",
    "SEC-03.min_servers": 2,
    "SEC-03.min_av_systems": 2,
    "SEC-03.min_bandwidth_mbps": 10,
    "SEC-03.min_isps": 2,
    "DIS-01.refresh_within": "7d",
    "FEE-01.max_working_days": 10,
    "INC-01.report_within": "24h",
    "INC-01.investigate_within": "30d",
    "INC-02.report_within": "24h",
    "INC-02.exit_within": "7d",
    "QLT-01.handle_working_days": 15,
    "QLT-02.max_complaint_rate": 0.01,
    "QLT-02.max_adverse_rate": 0.001,
    "QLT-02.min_mean_score": 3.0,
    "QLT-03.default_due_days": 7,
}
SEVERITIES = {
    "critical": "LIC-01 LIC-02 LIC-05 STF-01 STF-02a IDV-02 IDV-03 SES-01 SES-02 SES-04a SES-04b "
    "SES-07a RX-01 RX-02a RX-02b RX-03 RX-04 RX-05 RX-06 RX-07a RX-09a PHA-02a PHA-02b PHA-02c "
    "REC-03c REC-04 SEC-02a SEC-02b INC-02a INC-02b INC-02d",
    "major": "UPL-01 UPL-02 UPL-03 UPL-04a UPL-04b UPL-05c UPL-05f UPL-06 LIC-03a LIC-03b LIC-03d "
    "LIC-04 LIC-06a LIC-06d LIC-07a LIC-07c STF-02b STF-03 STF-04 STF-05 STF-06 IDV-04a IDV-05 "
    "SES-03 SES-04c SES-04d SES-05 SES-06a SES-08 RX-02c RX-08a RX-08b PHA-01 PHA-02d PHA-03 "
    "REC-01 REC-02b REC-03a REC-03b REC-03d SEC-01 SEC-02c SEC-03 INC-01 INC-02c QLT-03a",
    "minor": "UPL-04c UPL-05a UPL-05b UPL-05d UPL-05e LIC-03c LIC-06e LIC-07b RX-02d RX-08c "
    "REC-02a REC-02c DIS-01a DIS-01b DIS-01c FEE-01 FEE-02 QLT-01 QLT-03b QLT-04",
    "info": "IDV-04b SES-06b SES-07b RX-07b RX-09b DIS-01d INC-02e QLT-02",
}
SIGNALS = {
    *("UPL-04c", "LIC-07b", "IDV-04b", "SES-06b", "SES-07b", "RX-07b", "RX-09b", "INC-02e"),
    *("QLT-02a", "QLT-02b", "QLT-02c", "SEC-03dedicated_line", "SEC-03data_region"),
}


def rule(name: str, rule_id: str) -> RuleSettings:
    return LIBRARY.books[name].rules[rule_id]


def everything() -> Iterator[tuple[str, RuleSettings]]:
    for name in RULEBOOKS:
        for settings in LIBRARY.books[name].rules.values():
            yield name, settings


@pytest.mark.parametrize("rule_id", CLAUSES)
def test_a_rulebook_judges_the_clauses_it_has(rule_id: str) -> None:
    for name, letters in zip(RULEBOOKS, CLAUSES[rule_id].split(), strict=True):
        settings = rule(name, rule_id)
        assert (settings.mode is Mode.OFF) == (letters == "-")
        if letters != "-":
            judged = [clause for clause in clauses_of(rule_id) if settings.judges(clause)]
            assert "".join(judged) == letters, name


def test_the_other_rules_are_judged_whole() -> None:
    for name, settings in everything():
        if settings.rule_id not in {*CLAUSES, "SEC-03"}:
            assert settings.clauses == clauses_of(settings.rule_id), (name, settings.rule_id)
        assert settings.judges(None)


@pytest.mark.parametrize("path", [*SWITCHES, *VALUES])
def test_values_of_each_rulebook(path: str) -> None:
    rule_id, _, parameter = path.partition(".")
    expected = {**SWITCHES, **VALUES}[path]
    assert isinstance(expected, tuple)
    for name, value in zip(RULEBOOKS, expected, strict=True):
        if value is not None:
            assert rule(name, rule_id).values[parameter] == value, name
        else:
            assert rule(name, rule_id).mode is Mode.OFF


@pytest.mark.parametrize("path", EVERYWHERE)
def test_values_that_hold_everywhere(path: str) -> None:
    rule_id, _, parameter = path.partition(".")
    for name in RULEBOOKS:
        assert rule(name, rule_id).values[parameter] == EVERYWHERE[path], name


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities_by_clause(severity: str) -> None:
    for item in SEVERITIES[severity].split():
        rule_id, clause = item.rstrip("abcdef"), item[len(item.rstrip("abcdef")) :]
        for name in RULEBOOKS:
            assert rule(name, rule_id).severity(clause or None) == severity, item


def test_only_some_dagger_items_and_one_duty_are_of_another_severity() -> None:
    for field in clauses_of("SEC-03"):
        dagger = field in ("dedicated_line", "data_region")
        assert rule(C, "SEC-03").severity(field) == ("minor" if dagger else "major")
    assert rule(C, "QLT-04").severity("conformity_test") == "major"
    assert rule(C, "QLT-04").severity("staff_training") == "minor"


def test_the_severity_of_every_clause_is_stated() -> None:
    """IDV-01, whose severity differs by rulebook, is in test_rulebook.py."""
    stated = {item for items in SEVERITIES.values() for item in items.split()}
    for rule_id in LIBRARY.books[N].rules.keys() - {"IDV-01", "LIC-06"}:
        clauses = clauses_of(rule_id)
        whole = rule_id in stated
        assert whole != bool({f"{rule_id}{clause}" for clause in clauses} & stated), rule_id
        assert whole or {f"{rule_id}{clause}" for clause in clauses} <= stated, rule_id


def test_signals_by_clause() -> None:
    for name, settings in everything():
        for clause in (None, *clauses_of(settings.rule_id)):
            signal = f"{settings.rule_id}{clause}" in SIGNALS or settings.mode is Mode.SIGNAL
            assert settings.signals(clause) == signal, (name, settings.rule_id, clause)


# -- lists -----------------------------------------------------------------------------------------


def test_systems_units_and_agreements_required_on_paper() -> None:
    """RULES LIC-06: national items are added to every local column."""
    national = rule(N, "LIC-06")
    for name in RULEBOOKS:
        local = rule(name, "LIC-06")
        for parameter in ("required_documents", "required_clauses"):
            assert local.names(parameter) >= national.names(parameter)
    counts = [len(rule(name, "LIC-06").names("required_documents")) for name in RULEBOOKS]
    assert counts == [2, 14, 17, 6, 4]
    added = [rule(name, "LIC-06").names("required_clauses") for name in RULEBOOKS]
    assert [("RESPONSIBILITIES" in clauses) for clauses in added] == [0, 1, 1, 0, 0]
    units = [" ".join(rule(name, "LIC-06").listed("required_units")) for name in RULEBOOKS]
    assert units == [
        "",
        "QUALITY SAFETY PHARMACY IT ADVERSE_EVENT",
        "QUALITY SAFETY EMR IT PHARMACY",
        "INTERNET_DIAGNOSIS ADVERSE_EVENT",
        "QUALITY PHARMACY",
    ]
    filings = [sorted(rule(name, "LIC-06").names("required_filings")) for name in RULEBOOKS]
    assert filings == [
        [],
        ["BusinessHoursDeclared", "InfrastructureFiled"],
        ["BusinessHoursDeclared", "InfrastructureFiled", "onboarding_statement_no"],
        [],
        ["e_seal_filed"],
    ]
    staff = [len(rule(name, "LIC-06").names("required_staff_fields")) for name in RULEBOOKS]
    assert staff == [0, 6, 0, 0, 0]
    scans = [len(rule(name, "LIC-06").names("required_doctor_scans")) for name in RULEBOOKS]
    assert scans == [0, 0, 0, 0, 4]


def test_lists_of_the_other_entries() -> None:
    roles = [sorted(rule(name, "STF-01").names("registry_roles")) for name in RULEBOOKS]
    assert roles == [["DOCTOR", "NURSE"] + ["PHARMACIST"] * (name == G) for name in RULEBOOKS]
    classes = {"NARCOTIC", "PSYCHOTROPIC_1", "PSYCHOTROPIC_2", "OTHER_SPECIAL"}
    for name in RULEBOOKS:
        more = {"HIGH_RISK", "SPECIAL_RULE"} if name == C else set()
        assert rule(name, "RX-05").names("prohibited_classes") == classes | more
    items = [rule(name, "SES-05").names("required_items") for name in RULEBOOKS]
    family = {"SERVICE_CONTENT", "SERVICE_PROCESS", "RIGHTS_DUTIES", "RISKS"}
    assert items == [
        family,
        {"RULES", "REQUIREMENTS", "RISKS"},
        {"HOSPITAL_DOCTOR_INFO", "RULES", "REQUIREMENTS", "RISKS"},
        {"TECHNICAL_LIMITS", "FALSE_INFORMATION_RISK", "OFFLINE_ROUTE"},
        family,
    ]
    assert all(rule(n, "SES-05").names("family_doctor_items") == family for n in RULEBOOKS)
    kinds = [len(rule(name, "SES-06").names("permitted_kinds")) for name in RULEBOOKS]
    assert kinds == [2, 2, 2, 3, 8]
    recipients = [rule(name, "SEC-02").listed("accepted_recipients") for name in RULEBOOKS]
    health = ("HEALTH_AUTHORITY",)
    assert recipients == [health, ("ANY",), health, ("REGISTRATION_AUTHORITY",), health]
    displayed = [len(rule(name, "DIS-01").names("required_items")) for name in RULEBOOKS]
    assert displayed == [0, 5, 9, 2, 3]
    items_judged = [len(rule(name, "SEC-03").clauses) for name in (C, S, Y)]
    assert items_judged == [15, 4, 1]
    assert len(rule(S, "REC-02").names("required_sections")) == 7


def test_national_variants_replace_those_of_yinchuan() -> None:
    """RULES 1.4; what the switch does not name stays."""
    variants = {
        "LIC-01": "accept_municipal_filing",
        "SES-01": "first_visit_departments",
        "SES-02": "first_visits_exempt",
        "SES-03": "first_visits_exempt",
        "SES-04": "accepted_referrals_unclear_diagnosis",
        "SES-06": "permitted_kinds",
    }
    assert rule(Y, "SES-01").names("first_visit_departments") == {"13"}
    for rule_id, settings in OVERLAID.rules.items():
        changed = {k for k, v in settings.values.items() if v != rule(Y, rule_id).values[k]}
        assert changed == ({variants[rule_id]} if rule_id in variants else set()), rule_id
        for name in changed:
            assert settings.values[name] == rule(N, rule_id).values[name]
    retold = Library.load(["ses01.first_visit_departments=13,14", "yinchuan.national_overlay=true"])
    assert retold.books[Y].rules["SES-01"].listed("first_visit_departments") == ("13", "14")


# -- what may be stated ----------------------------------------------------------------------------


def test_every_value_is_of_a_kind_that_overrides_can_replace() -> None:
    """Reading back what is stated changes nothing, for every parameter of every rulebook."""
    for name, settings in everything():
        low = settings.rule_id.lower().replace("-", "")
        overrides = [f"{name}.{low}.{k}={v}" for k, v in settings.stated().items()]
        again = Library.load(overrides).books[name].rules[settings.rule_id]
        rates = {k for k, v in settings.values.items() if isinstance(v, float)}
        assert all(again.number(rate) == settings.number(rate) for rate in rates)
        same = {k: v for k, v in settings.stated().items() if k not in rates}
        assert {k: v for k, v in again.stated().items() if k not in rates} == same, name
        assert dataclasses.replace(again, values={}) == dataclasses.replace(settings, values={})


def test_values_that_may_be_none_are_of_their_kind_elsewhere() -> None:
    for path, kind in VOCABULARY["nullable"].items():
        section, _, parameter = path.partition(".")
        for name in RULEBOOKS:
            if section == "rulebook":
                continue
            settings = rule(name, section)
            read = {
                "period": settings.period,
                "duration": settings.millis_or_none,
                "count": settings.count_or_none,
                "choice": settings.text_or_none,
            }[kind]
            assert (read(parameter) is None) == (settings.values[parameter] == "none")


@pytest.mark.parametrize(
    ("path", "event_type", "field"),
    [
        ("LIC-06.required_documents", "DocumentFiled", "doc_type"),
        ("LIC-06.required_clauses", "DocumentFiled", "clauses"),
        ("LIC-06.required_units", "InstitutionFiled", "management_units"),
        ("LIC-06.required_doctor_scans", "StaffFiled", "scans_filed"),
        ("LIC-07.reregister_on", "InstitutionFiled", "changed_fields"),
        ("STF-01.registry_roles", "StaffFiled", "role"),
        ("SES-05.required_items", "ConsentSigned", "notice_items"),
        ("SES-05.family_doctor_items", "ConsentSigned", "notice_items"),
        ("SES-06.permitted_kinds", "SessionOpened", "service_kind"),
        ("REC-02.required_sections", "MedicalRecordArchived", "sections_present"),
        ("REC-02.sections_if_applicable", "MedicalRecordArchived", "sections_present"),
        ("REC-03.process_media", "ProcessRecordArchived", "media"),
        ("SEC-02.incident_kinds", "SecurityIncidentReported", "kind"),
        ("SEC-03.required_remote_functions", "InfrastructureFiled", "remote_functions"),
        ("SEC-03.required_trust_services", "InfrastructureFiled", "trust_services"),
        ("DIS-01.required_items", "NoticePublished", "item"),
        ("DIS-01.anywhere_items", "NoticePublished", "item"),
        ("DIS-01.positions", "NoticePublished", "position"),
    ],
)
def test_choices_are_the_symbols_of_the_contract(path: str, event_type: str, field: str) -> None:
    assert set(VOCABULARY["choices"][path]) == _symbols(event_type, field) - {"UNKNOWN"}


def test_named_fields_are_fields_of_the_contract() -> None:
    staff = {field["name"] for field in schema("StaffFiled")["fields"]}
    for name in ("required_staff_fields", "required_doctor_fields", "required_pharmacist_fields"):
        assert set(VOCABULARY["choices"][f"LIC-06.{name}"]) <= staff
    filed = {field["name"] for field in schema("InstitutionFiled")["fields"]}
    assert set(VOCABULARY["choices"]["LIC-06.required_unit_flags"]) <= filed
    filings = set(VOCABULARY["choices"]["LIC-06.required_filings"])
    assert filings - filed == {"InfrastructureFiled", "BusinessHoursDeclared"}
    infrastructure = {field["name"] for field in schema("InfrastructureFiled")["fields"]}
    assert set(clauses_of("SEC-03")) <= infrastructure


def test_a_value_of_the_wrong_kind_is_not_read() -> None:
    with pytest.raises(ParameterError):
        rule(N, "SEC-01").millis("interval")
    with pytest.raises(KeyError):
        rule(N, "SEC-01").text("intervall")


def _symbols(event_type: str, name: str) -> set[str]:
    (kind,) = (field["type"] for field in schema(event_type)["fields"] if field["name"] == name)
    for one in kind if isinstance(kind, list) else [kind]:
        inner = one["items"] if isinstance(one, dict) and "items" in one else one
        if isinstance(inner, dict) and "symbols" in inner:
            return set(inner["symbols"])
    raise AssertionError(f"{event_type}.{name} is no enum")
