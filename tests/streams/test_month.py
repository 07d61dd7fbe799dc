"""Fifty institutions for a month, as a user runs them: `simulate`, `check --directory`, `score`.

Lawful traffic leads to no finding in any state but CLEARED; of all kinds of violations each is
found, and nothing else is. Uploads are late, repeated and out of order, as RULES allow.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from streams import cli
from streams.rulebook import NATIONAL, RULEBOOKS, Library
from streams.simulator import SimulationConfig, simulate
from streams.simulator.violations import KINDS
from streams.timeline import format_instant

MONTH, INSTITUTIONS, TAIL = 30, 10, 24
ROUGH: dict[str, Any] = {"late": 0.05, "duplicates": 0.02, "shuffle": 0.3}
SEED = 1


class Run:
    """A simulation written to files, and what the platform finds in them at its end."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], **sizes: Any) -> None:
        self.config = SimulationConfig(**ROUGH, **sizes)
        self._capsys = capsys
        self._files = {name: str(folder / name) for name in ("events", "truth", "found", "houses")}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in (ROUGH | sizes).items()]
        counts = ",".join(f"{book}={n}" for book, n in self.config.institutions.items())
        options = [option for option in options if not option.startswith("--institutions")]
        files = ("--out", self._files["events"], "--truth", self._files["truth"])
        directory = ("--directory", self._files["houses"])
        code, _ = self._run("simulate", f"--institutions={counts}", *options, *files, *directory)
        assert code == 0
        as_of = format_instant(self.config.end)
        self.exit_code, found = self._run(
            "check", self._files["events"], *directory, "--as-of", as_of
        )
        Path(self._files["found"]).write_text(found, encoding="utf-8")
        self.found = [json.loads(line) for line in found.splitlines()]

    def score(self) -> tuple[int, dict[str, Any]]:
        """Exit code of `ihwatch score`, and its row for every rule and for all of them."""
        code, said = self._run(
            "score", self._files["found"], self._files["truth"], "--format", "json"
        )
        scores = json.loads(said)
        return code, {row["rule_id"]: row for row in (*scores["rules"], scores["all"])}

    def _run(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            sys.exit(cli.run(list(arguments)))
        return int(ended.value.code or 0), self._capsys.readouterr().out


def assert_lawful(run: Run) -> None:
    assert [found for found in run.found if found["state"] != "CLEARED"] == []
    assert run.exit_code == 0
    code, rows = run.score()
    assert (code, rows["all"]["matched"]) == (0, 0)


def assert_exact(run: Run, at_least: int) -> dict[str, Any]:
    code, rows = run.score()
    imperfect = {
        rule_id: row
        for rule_id, row in rows.items()
        if row["precision"] not in (None, 1.0) or row["recall"] not in (None, 1.0)
    }
    assert imperfect == {}
    assert code == 0
    assert rows["all"]["matched"] >= at_least
    assert (run.exit_code, len(rows)) == (3, len(Library.load().books[NATIONAL].rules) + 1)
    return rows


def test_lawful_days_lead_to_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    houses = dict.fromkeys(RULEBOOKS, 1)
    sizes = {"seed": SEED, "days": 3, "rate": 4, "institutions": houses, "violations": 0.0}
    assert_lawful(Run(tmp_path, capsys, **sizes))


def test_days_full_of_violations_are_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    houses = dict.fromkeys(RULEBOOKS, 1)
    sizes = {"seed": SEED, "days": 3, "rate": 3, "institutions": houses, "violations": 0.7}
    assert_exact(Run(tmp_path, capsys, **sizes), at_least=50)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_lawful_month_leads_to_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    houses = dict.fromkeys(RULEBOOKS, INSTITUTIONS)
    sizes = {"seed": SEED, "days": MONTH, "rate": 1, "institutions": houses, "violations": 0.0}
    assert_lawful(Run(tmp_path, capsys, **sizes))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_kind_of_violation_is_found_in_a_month(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes: dict[str, Any] = {
        "seed": SEED,
        "days": MONTH,
        "rate": 1.5,
        "institutions": dict.fromkeys(RULEBOOKS, INSTITUTIONS),
        "violations": 0.7,
        "tail_days": TAIL,
    }
    run = Run(tmp_path, capsys, **sizes)
    rows = assert_exact(run, at_least=3_000)
    # Every rule had something to find, so none of the scores is there for want of a violation.
    assert [rule_id for rule_id, row in rows.items() if row["recall"] != 1.0] == []
    again = simulate(run.config)
    assert sum(1 for _ in again.uploads) > 100_000
    assert {kind.name for kind in KINDS if not kind.lawful} <= again.drawn
