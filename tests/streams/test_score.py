"""`ihwatch score`: every way in which findings and truth can differ is counted, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams import cli
from streams.rulebook import NATIONAL, Library, clauses_of

RULES = list(Library.load().books[NATIONAL].rules)


def finding(subject: str, state: str = "CONFIRMED", rule: str = "IDV-02", **more: Any) -> Any:
    base = {
        "rule_id": rule, "clause": "b", "institution_id": "GX-0001", "subject_type": "session",
        "subject_id": subject, "state": state,
    }  # fmt: skip
    return base | more


def expected(subject: str, state: str = "CONFIRMED", rule: str = "IDV-02", **more: Any) -> Any:
    """A line of a truth file as the simulator writes it."""
    rest = {
        "rulebook": "guangxi", "kind": "some_kind", "optional": False,
        "violation_start": "2026-03-02T10:00:00.000+08:00", "violation_end": None,
    }  # fmt: skip
    return finding(subject, state, rule) | rest | more


def ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: Any, truth: Any, *options: str
) -> tuple[int, str, str]:
    files = []
    for name, lines in (("found", found), ("truth", truth)):
        path = tmp_path / f"{name}.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(f"{line}\n" for line in texts), encoding="utf-8")
        files.append(str(path))
    code = cli.run(["score", *files, *options])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: Any, truth: Any, *options: str
) -> tuple[int, dict[Any, Any]]:
    """Exit code, and precision, recall and the four counts by rule (and clause)."""
    code, out, _ = ran(tmp_path, capsys, found, truth, "--format", "json", *options)
    said = json.loads(out)
    numbers = ("precision", "recall", "matched", "missing", "unexpected", "wrong_state")
    rows = {
        (row["rule_id"], row["clause"]) if "clause" in row else row["rule_id"]: tuple(
            row[name] for name in numbers
        )
        for row in (*said["rules"], said["all"])
    }
    return code, rows


NOTHING = (None, None, 0, 0, 0, 0)


def test_what_agrees_is_perfect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = scored(tmp_path, capsys, [finding("s1")], [expected("s1")])
    assert code == 0
    assert rows["IDV-02"] == rows["all"] == (1.0, 1.0, 1, 0, 0, 0)
    assert rows["UPL-01"] == NOTHING
    assert list(rows) == [*RULES, "all"]


def test_every_kind_of_difference_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [finding("s1"), finding("s2"), finding("s4", "RESOLVED"), finding("s1", rule="IDV-01")]
    truth = [expected("s1"), expected("s3"), expected("s4"), expected("s9", rule="UPL-01")]
    code, rows = scored(tmp_path, capsys, found, truth)
    assert code == 3
    assert rows["IDV-02"] == (pytest.approx(1 / 3), pytest.approx(1 / 3), 1, 1, 1, 1)
    assert rows["IDV-01"] == (0.0, None, 0, 0, 1, 0)
    assert rows["UPL-01"] == (None, 0.0, 0, 1, 0, 0)
    assert rows["all"][2:] == (1, 2, 2, 1)


@pytest.mark.parametrize("state", ["CLEARED", "WITHDRAWN"])
def test_what_was_cleared_or_withdrawn_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    code, rows = scored(tmp_path, capsys, [finding("s1"), finding("s2", state)], [expected("s1")])
    assert (code, rows["IDV-02"]) == (0, (1.0, 1.0, 1, 0, 0, 0))
    code, rows = scored(tmp_path, capsys, [finding("s1", state)], [expected("s1")])
    assert (code, rows["IDV-02"]) == (3, (None, 0.0, 0, 1, 0, 0))
    code, rows = scored(tmp_path, capsys, [finding("s1", state)], [expected("s1", state)])
    assert (code, rows["IDV-02"]) == (0, (1.0, 1.0, 1, 0, 0, 0))


def test_optional_ones_never_count_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = [expected("s1", "CLEARED", optional=True), expected("s2", "RESOLVED", optional=True)]
    assert scored(tmp_path, capsys, [], truth)[0] == 0
    found = [finding("s1", "CLEARED"), finding("s2", "RESOLVED")]
    code, rows = scored(tmp_path, capsys, found, truth)
    assert (code, rows["IDV-02"]) == (0, NOTHING)
    assert scored(tmp_path, capsys, [finding("s1")], truth)[0] == 3


def test_of_the_versions_of_an_alert_the_highest_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = [
        finding("s1", "CONFIRMED", version=2, finding_id="f"),
        finding("s1", "RESOLVED", version=3, finding_id="f"),
        finding("s1", "SUSPECTED", version=1, finding_id="f"),
    ]
    assert scored(tmp_path, capsys, versions, [expected("s1", "RESOLVED")])[0] == 0
    assert scored(tmp_path, capsys, versions, [expected("s1", "CONFIRMED")])[0] == 3


def test_clauses_are_scored_on_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [finding("s1"), finding("s1", clause="a"), finding("s1", rule="IDV-01", clause=None)]
    truth = [expected("s1"), expected("s1", rule="IDV-01", clause=None)]
    code, rows = scored(tmp_path, capsys, found, truth, "--by", "clause")
    assert code == 3
    assert rows["IDV-02", "b"] == (1.0, 1.0, 1, 0, 0, 0)
    assert rows["IDV-02", "a"] == (0.0, None, 0, 0, 1, 0)
    assert rows["IDV-01", None] == (1.0, 1.0, 1, 0, 0, 0)
    assert rows["IDV-01", "a"] == NOTHING
    assert ("IDV-02", None) not in rows
    listed = {(rule_id, clause) for rule_id in RULES for clause in clauses_of(rule_id)}
    assert listed <= set(rows)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_held_against_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    clause = (*clauses_of(rule), None)[0]
    found = [finding("s1", rule=rule, clause=clause)]
    code, rows = scored(tmp_path, capsys, found, [expected("s1", rule=rule, clause=clause)])
    assert (code, rows[rule]) == (0, (1.0, 1.0, 1, 0, 0, 0))
    code, rows = scored(tmp_path, capsys, found, [])
    assert (code, rows[rule]) == (3, (0.0, None, 0, 0, 1, 0))


def test_the_table_never_rounds_up_to_perfect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [finding(f"s{n}") for n in range(30_000)]
    code, out, err = ran(tmp_path, capsys, found, [expected(f"s{n}") for n in range(29_999)], "-v")
    assert code == 3
    (row,) = [line.split() for line in out.splitlines() if line.strip().startswith("IDV-02")]
    assert row[:4] == ["IDV-02", "0.9999", "1.0", "29999"]
    (quiet,) = [line.split() for line in out.splitlines() if line.strip().startswith("UPL-01")]
    assert quiet == ["UPL-01", "–", "–"]
    assert err == "unexpected: IDV-02 (b) GX-0001 session:s29999 CONFIRMED\n"


@pytest.mark.parametrize(
    ("found", "truth", "said"),
    [
        (["{"], [], "found.jsonl, line 1: is no JSON"),
        ([finding("s1"), "[]"], [], "found.jsonl, line 2: must be a JSON object"),
        ([{"rule_id": "UPL-01"}], [], "line 1, field institution_id: must be a text"),
        ([finding("s1", "OPEN")], [], "line 1, field state: must be one of"),
        ([finding("s1", version="2")], [], "line 1, field version: must be a whole number"),
        ([], [expected("s1", optional="no")], "truth.jsonl, line 1, field optional"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: Any, truth: Any, said: str
) -> None:
    code, _, err = ran(tmp_path, capsys, found, truth)
    assert code == 5
    assert said in err


def test_a_missing_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["score", "no-such-file", "no-such-file"]) == 2
    assert "no-such-file" in capsys.readouterr().err
