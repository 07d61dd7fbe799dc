"""Every case of `tests/cases` through `ihwatch check`, and that the cases leave nothing out."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from schemas.validate import validate
from streams import cli
from streams.checks import RULES
from streams.events import Event
from streams.publication import finding_object
from streams.reference import ReferenceData
from streams.rulebook import RULEBOOKS, Library
from streams.supervisor import Supervisor
from tests.support.cases import (
    STAR_RULES,
    Case,
    Checkpoint,
    all_cases,
    differences,
    rule_examples,
)
from tests.support.catalogue import CLAUSES

CASES = all_cases()
ADMIN = {
    "LIC": ("LIC-02", "LIC-05"),
    "STF": ("STF-01", "STF-02", "STF-03", "STF-04", "STF-05"),
    "IDV": ("IDV-03", "IDV-04", "IDV-05"),
    "SES": tuple(f"SES-0{n}" for n in range(1, 9)),
    "RX": tuple(f"RX-0{n}" for n in range(1, 10)),
    "PHA": ("PHA-02", "PHA-03"),
    "REC": ("REC-03", "REC-04"),
    "SEC": ("SEC-02",),
    "DIS": ("DIS-01",),
    "FEE": ("FEE-02",),
    "QLT": ("QLT-03",),
}
"""Rules with findings that only a rectification or a supervisor ends, by family."""

INFRASTRUCTURE = (
    "server_sets", "db_app_separated", "dual_power_or_generator", "av_systems",
    "av_on_city_platform", "bandwidth_mbps", "isp_count", "access_control_system",
    "his_integrated", "pacs_ris_integrated", "lis_integrated", "remote_functions",
    "health_cloud_joined", "dedicated_line", "data_region", "backup_mechanism",
    "disaster_recovery_system", "record_audit_log", "auto_archiving", "trust_services",
)  # fmt: skip
"""The fields of `InfrastructureFiled` that SEC-03 judges, each a clause (D13)."""


def checked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The findings that `ihwatch check` prints; its exit code must fit them."""
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(cli.run([*arguments, "--history"]))
    printed = capsys.readouterr()
    findings = [json.loads(line) for line in printed.out.splitlines()]
    is_open = any(f["state"] in ("SUSPECTED", "CONFIRMED") for f in findings)
    assert ended.value.code == (3 if is_open else 0), printed.err
    return findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_finds_exactly_what_the_case_says(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At its last instant, and an example of RULES at each; the test below looks at all others."""
    file = case.write(tmp_path / "events.jsonl")
    wrong = {}
    for point in case.checkpoints[-1:] if case.kind != "example" else case.checkpoints:
        findings = checked(case.arguments(file, point.as_of), capsys)
        if faults := differences(point, findings):
            wrong[point.as_of] = faults
    assert not wrong


@cache
def reference(lines: tuple[tuple[str, tuple[str, ...]], ...]) -> ReferenceData:
    """The supplied reference data with the lists of a case in their place."""
    case = next(case for case in CASES if case.reference == lines)
    with TemporaryDirectory() as folder:
        return ReferenceData.load(case.write_reference(Path(folder) / "reference"))


@cache
def library(overrides: tuple[str, ...]) -> Library:
    return Library.load(overrides)


def of_one_rulebook() -> list[Any]:
    """Every case; where one stands for several rulebooks, all but the first are slow."""
    seen: set[str] = set()
    found = []
    for case in CASES:
        plain = case.name.removesuffix(f"-{case.rulebook}")
        marks = (pytest.mark.slow,) if plain in seen else ()
        seen.add(plain)
        found.append(pytest.param(case, marks=marks, id=case.name))
    return found


@pytest.mark.parametrize("case", of_one_rulebook())
def test_the_same_is_found_one_event_at_a_time(case: Case) -> None:
    """As a worker sees it that is never behind, looked at whenever the case says something."""
    core = Supervisor(
        library(case.overrides),
        case.candidates(),
        case.rulebook,
        reference=reference(case.reference),
    )
    wrong, offset, left = {}, 0, case.received
    for point in sorted(case.checkpoints, key=lambda point: point.as_of):
        while left and left[0].received_at <= point.as_of:
            upload = left.pop(0)
            offset += 1
            valid = upload.signature_valid
            core.apply([Event(upload.datum, upload.received_at, 0, offset, valid)])
        core.advance(point.as_of)
        findings = [finding_object(finding, history=True) for finding in core.findings()]
        if faults := differences(point, findings):
            wrong[point.as_of] = faults
    assert not wrong


# -- the catalogue of cases ------------------------------------------------------------------------


def test_every_event_of_every_case_keeps_the_contract() -> None:
    for case in CASES:
        for upload in case.uploads:
            validate(upload.datum)


def test_names_are_unique_and_say_the_rule() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.name.startswith(case.rule.lower().replace("-", "") + "-")


def test_a_file_holds_one_family_of_rules() -> None:
    families: defaultdict[str, set[str]] = defaultdict(set)
    for case in CASES:
        families[case.file].add(case.rule.partition("-")[0])
    assert all(len(family) == 1 for family in families.values())


def test_every_example_of_the_rules_is_a_case() -> None:
    assert rule_examples().keys() == set(CLAUSES) == {rule.id for rule in RULES}
    shown: defaultdict[str, set[int]] = defaultdict(set)
    for case in CASES:
        assert bool(case.sources) == (case.kind == "example"), case.name
        shown[case.rule].update(case.sources)
    for rule, lines in rule_examples().items():
        assert all(isinstance(line, str) for line in lines), f"{rule}: quote lines with ': '"
        assert shown[rule] == set(range(1, len(lines) + 1)), rule


def clauses() -> list[tuple[str, str | None]]:
    """Every rule and clause; where a rulebook gives a rule without clauses some, those as well."""
    listed = {(rule, letter or None) for rule, letters in CLAUSES.items() for letter in letters}
    listed |= {(rule, None) for rule, letters in CLAUSES.items() if not letters}
    return sorted(listed | {("IDV-01", "a"), ("IDV-01", "b")}, key=lambda p: (p[0], p[1] or ""))


@pytest.mark.parametrize(("rule", "clause"), clauses())
def test_each_clause_fires_stays_quiet_has_a_limit_and_any_order(
    rule: str, clause: str | None
) -> None:
    kinds = {
        case.kind for case in CASES if case.rule == rule and (clause or case.clause) == case.clause
    }
    assert {"fires", "quiet", "limit", "out_of_order"} <= kinds
    assert rule == "SEC-03" or _fires(rule, clause)


def test_each_item_of_the_infrastructure_fires() -> None:
    assert [field for field in (*INFRASTRUCTURE, None) if not _fires("SEC-03", field)] == []


def _fires(rule: str, clause: str | None) -> bool:
    return any(
        (expected.rule_id, expected.clause) == (rule, clause)
        for case in CASES
        if case.kind == "fires" and case.rule == rule
        for point in case.checkpoints
        for expected in point.findings
    )


@pytest.mark.parametrize("family", sorted(ADMIN))
def test_a_completed_rectification_resolves_in_each_family(family: str) -> None:
    resolved = {
        expected.rule_id
        for case in CASES
        if any(upload.flat["event_type"] == "RectificationReported" for upload in case.uploads)
        for expected in case.checkpoints[-1].findings
        if expected.state == "RESOLVED"
    }
    assert resolved & set(ADMIN[family])


@pytest.mark.parametrize("rule", sorted(STAR_RULES))
def test_each_rule_has_cases_of_every_kind(rule: str) -> None:
    kinds = {case.kind for case in CASES if case.rule == rule}
    assert {"example", "fires", "quiet", "limit", "out_of_order", "duplicate", "as_of"} <= kinds
    assert "correction" in kinds
    if rule not in ("UPL-01", "UPL-06"):  # established on receipt: no later evidence clears them
        assert "late_evidence" in kinds


def test_each_rule_fires_in_every_rulebook_that_has_it() -> None:
    fired = {
        (expected.rule_id, expected.rulebook)
        for case in CASES
        for point in case.checkpoints
        for expected in point.findings
    }
    books = library(()).books
    on = {(rule, name) for rule in CLAUSES for name in RULEBOOKS if books[name].rule(rule)}
    assert sorted(on - fired) == []


def test_a_case_is_of_the_kind_it_says() -> None:
    for case in CASES:
        last = [e for e in case.checkpoints[-1].findings if e.rule_id == case.rule]
        ever = [e for p in case.checkpoints for e in p.findings if e.rule_id == case.rule]
        if case.kind == "fires":
            assert ever, case.name
        if case.kind == "quiet":
            held = [e for e in last if e.state != "CLEARED" and e.rulebook == case.rulebook]
            assert not [e for e in held if case.clause in (None, e.clause)], case.name


def test_a_difference_is_seen() -> None:
    """The comparison itself can fail: in the state, the flags, the facts, one more, one less."""
    (case,) = [case for case in CASES if case.name == "idv01-suspected-and-confirmed-to-the-ms"]
    point = case.checkpoints[-1]
    found: dict[str, Any] = {
        "rule_id": "IDV-01",
        "clause": None,
        "rulebook": "guangxi",
        "institution_id": case.institution_id,
        "subject_type": "session",
        "subject_id": "s1",
        "state": "CONFIRMED",
        "flags": {},
        "history": [
            {"state": "SUSPECTED", "at": "2026-03-02T10:05:07.123+08:00"},
            {"state": "CONFIRMED", "at": "2026-03-03T10:10:00.000+08:00"},
        ],
    }
    assert not differences(point, [found])
    assert differences(point, [])
    assert differences(point, [found, {**found, "subject_id": "s2"}])
    assert differences(Checkpoint(point.as_of, ()), [found])
    for change in (
        {"state": "SUSPECTED"},
        {"rulebook": "sichuan"},
        {"flags": {"corrected": True}},
        {"history": found["history"][:1]},
        {"clause": "a"},
        {"subject_id": "s2"},
    ):
        assert differences(point, [{**found, **change}]), change
    other = {**found, "rule_id": "LIC-01"}
    assert not differences(point, [found, other]), "only rules that the case names are compared"
    named = Checkpoint(point.as_of, point.findings, point.rules | {"LIC-01"})
    assert differences(named, [found, other])
