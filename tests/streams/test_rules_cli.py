"""`ihwatch rules`: what it lists, shows and covers, in both languages and for one rulebook."""

from __future__ import annotations

import re

import pytest

from streams import cli
from streams.checks import RULES
from streams.rule_docs import Entry, entries, rules_page
from streams.rulebook import RULEBOOKS, Mode, clauses_of

ENTRIES = entries()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["rules", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def rows(out: str) -> dict[str, list[str]]:
    """The first line of each rule in a list, by its id."""
    lines = (line.split() for line in out.splitlines())
    return {line[0]: line for line in lines if line and re.fullmatch(r"[A-Z]+-\d\d", line[0])}


def test_the_list_has_all_sixty_rules(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "list", "--lang", "zh")
    assert code == 0
    assert list(rows(out)) == list(ENTRIES)
    assert len(ENTRIES) == 60
    assert err == "60 条规则\n"
    assert rows(out)["PHA-01"][2:8] == ["major", "off", "off", "own", "off", "off"]


def test_a_rulebook_lists_what_it_judges_by(capsys: pytest.CaptureFixture[str]) -> None:
    for name in RULEBOOKS:
        _, out, err = said(capsys, "list", "--rulebook", name, "--lang", "en")
        judged = [rule_id for rule_id, e in ENTRIES.items() if e.books[name].enabled]
        assert list(rows(out)) == judged
        assert err == f"{len(judged)} rules\n"


def test_the_list_shows_the_life_of_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "list", "--lang", "en", "--set", "guangxi.idv02.status=shadow")
    assert rows(out)["IDV-02"][-2:] == ["guangxi", "shadow"]
    assert rows(out)["IDV-01"][-1] == "live"
    _, out, _ = said(capsys, "list", "--rulebook", "guangxi", "--set", "idv02.status=retired")
    assert "IDV-02" not in rows(out)


def test_one_rule_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "show", "idv-02")
    assert code == 0
    for part in (
        "诊疗过程动态监管缺失", "No dynamic identity supervision in session",
        "「并在诊疗过程中接受动态监管，确保由本人提供诊疗服务」", "max_gap: 10m",
        "DoctorIdentityVerified: ", "matched_staff_id", "两次核验之间",
    ):  # fmt: skip
        assert part in out
    assert not re.search(r"\{\w+\}", out)


def test_one_language_and_one_rulebook(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "show", "IDV-01", "--lang", "en", "--rulebook", "chongqing")
    assert "接诊前医师身份核验缺失" not in out
    assert "CQ 23 「" in out
    assert "GX 19" not in out
    assert "scope: LOGIN" in out
    _, out, _ = said(
        capsys, "show", "IDV-01", "--rulebook", "chongqing", "--set", "idv01.scope=SESSION"
    )
    assert "scope: SESSION" in out


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.id)
def test_every_rule_can_be_shown(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "show", entry.id)
    assert code == 0
    flat = re.sub(r"\s", "", out)
    for settings in entry.books.values():
        assert all(re.sub(r"\s", "", citation) in flat for citation in settings.citations)
        assert all(f"{name}:" in out for name in settings.values)
    for event_type, fields in entry.reads.items():
        assert event_type in flat
        assert all(field in flat for field in fields)
    assert entry.title("zh") != entry.id


def test_an_unknown_rule_is_a_usage_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "show", "IDV-99")
    assert code == 2
    assert "did you mean IDV-0" in err
    assert said(capsys, "list", "--set", "idv99.scope=SESSION")[0] == 2


def test_coverage_names_each_document(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "coverage", "--lang", "zh")
    assert code == 0
    for place in ("GX 44a", "GX 44b", "CQ-A1 三(三)", "CN 32", "SC 40", "YC 29"):
        assert re.search(rf"(?m)^ *{re.escape(place)} ", out), place
    _, out, _ = said(capsys, "coverage", "--rulebook", "guangxi", "--lang", "en")
    assert "46 articles: R checked by rules 27" in out
    assert "CN 1 " not in out


# -- what the catalogue says of a rule -----------------------------------------------------------


def test_every_check_is_in_the_catalogue_with_its_reads() -> None:
    for rule in RULES:
        assert ENTRIES[rule.id].rule is rule
        assert ENTRIES[rule.id].reads == rule.reads


def test_severities_are_those_of_the_clauses_judged() -> None:
    upl04 = ENTRIES["UPL-04"]
    assert upl04.severity("national") == "major"
    assert upl04.severity("national", "c") == "minor"
    # SES-07 is a signal in Chongqing, off in the national measure.
    assert ENTRIES["SES-07"].worst(RULEBOOKS) == "critical"


def test_parameters_and_citations_are_grouped_by_rulebook() -> None:
    entry = ENTRIES["IDV-01"]
    assert entry.parameters(RULEBOOKS)["scope"] == {
        "ENROLMENT": ["national", "yinchuan"],
        "SESSION": ["guangxi"],
        "LOGIN": ["chongqing", "sichuan"],
    }
    (national,) = [n for c, n in entry.citations(RULEBOOKS).items() if c.startswith("CN 14")]
    assert "national" in national


def test_the_page_has_every_rule_with_every_clause_and_citation() -> None:
    page = rules_page()
    parts = re.split(r"(?m)^## ", page)[1:]
    assert [part.partition("\n")[0] for part in parts] == list(ENTRIES)
    for part, entry in zip(parts, ENTRIES.values(), strict=True):
        for name in RULEBOOKS:
            settings = entry.books[name]
            assert settings.mode in Mode
            assert all(citation in part for citation in settings.citations)
        assert all(f"({clause})" in part for clause in clauses_of(entry.id))
