"""Every case of `tests/cases` through `ihwatch check`, and that the cases leave nothing out."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from schemas.validate import validate
from streams import cli
from streams.checks import RULES
from streams.events import Event
from streams.publication import finding_object
from streams.rulebook import RULEBOOKS, Library
from streams.supervisor import Supervisor
from tests.support.cases import (
    EXACT_RULES,
    Case,
    Checkpoint,
    all_cases,
    differences,
    rule_examples,
)

CASES = all_cases()


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
    file = case.write(tmp_path / "events.jsonl")
    wrong = {}
    for point in case.checkpoints:
        findings = checked(case.arguments(file, point.as_of), capsys)
        if faults := differences(point, findings):
            wrong[point.as_of] = faults
    assert not wrong


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_is_found_one_event_at_a_time(case: Case) -> None:
    """As a worker sees it that is never behind; `check` takes the whole file as one batch."""
    point = case.checkpoints[-1]
    core = Supervisor(Library.load(case.overrides), default=case.rulebook)
    for offset, upload in enumerate(case.received):
        if upload.received_at <= point.as_of:
            core.apply([Event(upload.datum, upload.received_at, 0, offset)])
    core.advance(point.as_of)
    findings = [finding_object(finding, history=True) for finding in core.findings()]
    assert not differences(point, findings)


# -- the catalogue of cases ------------------------------------------------------------------------


def test_every_event_of_every_case_keeps_the_contract() -> None:
    for case in CASES:
        for upload in case.uploads:
            validate(upload.datum)


def test_names_are_unique_and_say_the_rule() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.name.startswith(case.rule.lower().replace("-", "") + "-")


def test_a_family_of_rules_has_its_own_file() -> None:
    families: defaultdict[str, set[str]] = defaultdict(set)
    for case in CASES:
        families[case.file].add(case.rule.partition("-")[0])
    assert all(len(family) == 1 for family in families.values())


def test_every_example_of_the_rules_is_a_case() -> None:
    assert rule_examples().keys() == EXACT_RULES <= {rule.id for rule in RULES}
    shown: defaultdict[str, set[int]] = defaultdict(set)
    for case in CASES:
        assert bool(case.sources) == (case.kind == "example"), case.name
        shown[case.rule].update(case.sources)
    for rule, lines in rule_examples().items():
        assert shown[rule] == set(range(1, len(lines) + 1)), rule


def clauses() -> list[tuple[str, str | None]]:
    """Every rule and clause that some case expects a finding of."""
    found = {
        (expected.rule_id, expected.clause)
        for case in CASES
        for point in case.checkpoints
        for expected in point.findings
    }
    return sorted(found, key=lambda pair: (pair[0], pair[1] or ""))


@pytest.mark.parametrize(("rule", "clause"), clauses())
def test_each_clause_fires_stays_quiet_has_a_limit_and_any_order(
    rule: str, clause: str | None
) -> None:
    kinds = {case.kind for case in CASES if (case.rule, case.clause) == (rule, clause)}
    assert {"fires", "quiet", "limit", "out_of_order"} <= kinds | (
        {"fires"} if _fires(rule, clause) else set()
    )


def _fires(rule: str, clause: str | None) -> bool:
    return any(
        (expected.rule_id, expected.clause) == (rule, clause)
        for case in CASES
        if case.kind == "fires" and case.rule == rule
        for point in case.checkpoints
        for expected in point.findings
    )


@pytest.mark.parametrize("rule", sorted(EXACT_RULES))
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
    books = Library.load().books
    on = {(rule, name) for rule in EXACT_RULES for name in RULEBOOKS if books[name].rule(rule)}
    assert on <= fired


def test_a_case_is_of_the_kind_it_says() -> None:
    for case in CASES:
        last = [e for e in case.checkpoints[-1].findings if e.rule_id == case.rule]
        ever = [e for p in case.checkpoints for e in p.findings if e.rule_id == case.rule]
        if case.kind == "fires":
            assert ever, case.name
        if case.kind == "quiet":
            held = [e for e in last if e.state != "CLEARED" and e.rulebook == case.rulebook]
            assert not held, case.name


def test_a_difference_is_seen() -> None:
    """The comparison itself can fail: in the state, the flags, the facts, one more, one less."""
    (case,) = [case for case in CASES if case.name == "idv01-suspected-and-confirmed-to-the-ms"]
    point = case.checkpoints[-1]
    found: dict[str, Any] = {
        "rule_id": "IDV-01",
        "clause": None,
        "rulebook": "guangxi",
        "institution_id": case.institution_id,
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
    ):
        assert differences(point, [{**found, **change}]), change
    other = {**found, "rule_id": "LIC-01"}
    assert not differences(point, [found, other]), "rules without cases are not compared"
