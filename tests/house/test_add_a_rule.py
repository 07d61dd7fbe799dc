"""docs/add-a-rule.md works as it is written: its blocks, put where it says, are a whole rule."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from streams.rule_docs import entries
from tests.house.source import ROOT, tracked
from tests.support.cases import Case, differences, read_cases
from tests.support.regulations import passage, squeezed

PAGE = ROOT / "docs" / "add-a-rule.md"
RULE = "QLT-99"
CHECK = "streams/checks/quality.py"
CASES = "tests/cases/quality.yaml"
_STEP = re.compile(
    r"^`(?P<path>[^`\n]+)`, (?P<how>append|before|after|in place of)(?: `(?P<line>[^`\n]+)`)?:\n\n"
    r"```(?:toml|python|yaml)\n(?P<block>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """A block of the page, and where it goes: to the end of a file, or at one line of it."""

    path: str
    how: str
    line: str | None
    block: str

    def applied(self, text: str) -> str:
        """The file with the block; the line must be there exactly once."""
        if self.line is None:
            return text + self.block
        assert text.count(f"\n{self.line}\n") == 1, f"{self.path}: {self.line}"
        before, after = text.split(f"\n{self.line}\n")
        kept = f"{self.line}\n"
        parts = {
            "before": self.block + kept,
            "after": kept + self.block,
            "in place of": self.block,
        }
        return f"{before}\n{parts[self.how]}{after}"


STEPS = [Step(**found.groupdict()) for found in _STEP.finditer(PAGE.read_text(encoding="utf-8"))]
PATHS = list(dict.fromkeys(step.path for step in STEPS))


class Ran(NamedTuple):
    """What a command left: exit code, output, talk."""

    code: int
    out: str
    err: str


_RUN = """
import contextlib, io, json, sys
from streams import cli
for arguments in map(json.loads, sys.argv[1:]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.run(arguments)
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


class Copy:
    """A copy of the packages that judge, in which steps of the page are taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in tracked():
            if path.parts[0] in ("schemas", "streams") or path.as_posix() == CASES:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, target)
        (folder / "docs").mkdir()

    def take(self, steps: Iterable[Step]) -> None:
        """Put every file of the page back as it is here, then take these steps."""
        texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in PATHS}
        for step in steps:
            texts[step.path] = step.applied(texts[step.path])
        for path, text in texts.items():
            (self.folder / path).write_text(text, encoding="utf-8")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy, which is found before the code under test."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each run compiles all anew
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def cases(self) -> list[Case]:
        """The cases of the rule in the copy."""
        return [case for case in read_cases(self.folder / CASES) if case.rule == RULE]

    def ihwatch(self, *commands: list[str]) -> list[Ran]:
        """Run `ihwatch` for each command, one after the other in one process."""
        done = self.python("-c", _RUN, *map(json.dumps, commands))
        if done.returncode:
            return [Ran(done.returncode, "", done.stderr)]
        return [Ran(*json.loads(line)) for line in done.stdout.splitlines()]

    def faults(self, *cases: Case) -> dict[str, list[str]]:
        """What `ihwatch check` finds otherwise than the cases say, by case and instant."""
        files = {case.name: case.write(self.folder / f"{case.name}.jsonl") for case in cases}
        points = [(case, point) for case in cases for point in case.checkpoints]
        ran = self.ihwatch(*(case.arguments(files[case.name], p.as_of) for case, p in points))
        if len(ran) < len(points):
            return {"check": [ran[0].err]}
        wrong: dict[str, list[str]] = {}
        for (case, point), (code, out, err) in zip(points, ran, strict=True):
            faults = differences(point, map(json.loads, out.splitlines()))
            if code not in (0, 3):
                faults.append(err)
            if faults:
                wrong.setdefault(case.name, []).extend(faults)
        return wrong


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("rule"))


def test_every_block_of_code_is_a_step() -> None:
    blocks = re.findall(r"^```\w+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(STEPS) == len(blocks) > 0
    assert all((ROOT / path).is_file() for path in PATHS)


def test_the_example_is_no_rule_of_ours() -> None:
    assert RULE not in entries()


def test_its_citation_is_word_for_word_in_the_article() -> None:
    (block,) = [step.block for step in STEPS if step.path == "streams/rulebooks/guangxi.toml"]
    found = re.search(r'"(GX \d+) 「(.+)」"', block)
    assert found
    assert squeezed(found[2]) in (passage("guangxi", found[1]) or "")


def test_exactly_what_the_cases_say_is_found(copy: Copy) -> None:
    copy.take(STEPS)
    found = copy.python("-c", "import streams, schemas; print(streams.__file__, schemas.__file__)")
    assert all(place.startswith(str(copy.folder)) for place in found.stdout.split())
    cases = copy.cases()
    assert {case.kind for case in cases} == {"fires", "quiet", "limit", "out_of_order"}
    assert copy.faults(*cases) == {}


def test_the_rule_is_shown_and_documented(copy: Copy) -> None:
    copy.take(STEPS)
    (shown,) = copy.ihwatch(["rules", "show", RULE])
    assert shown.code == 0, shown.err
    for part in ("Session not rated (example)", "GX 31 「", "guangxi 48h", "ServiceRated", "AUTO"):
        assert part in shown.out
    done = copy.python("-m", "streams.rule_docs")
    assert done.returncode == 0, done.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in copy.folder.glob("docs/*.md")}
    assert f"\n## {RULE}\n" in pages["rules.md"]
    assert re.search(rf"^\| GX 31 \|.*\[{RULE}\]", pages["coverage.md"], re.MULTILINE)


MISSED = {
    CHECK: "missing QLT-99",
    "streams/rulebooks/national.toml": "unknown rule 'QLT-99'",
    "streams/rulebooks/guangxi.toml": "missing QLT-99",
    "schemas/texts/rules_quality.toml": "rule.QLT-99.title",
}
"""What is said when the steps in a file are left out."""


@pytest.mark.parametrize("path", MISSED)
def test_without_any_of_its_parts_the_rule_fails(path: str, copy: Copy) -> None:
    copy.take(step for step in STEPS if step.path != path)
    (case,) = [case for case in copy.cases() if case.kind == "fires"]
    said = [fault for faults in copy.faults(case).values() for fault in faults]
    assert any(MISSED[path] in fault for fault in said), said


def test_with_another_deadline_the_rule_fails(copy: Copy) -> None:
    """The comparison sees a millisecond: a case at the limit can fail."""
    copy.take(STEPS)
    book = copy.folder / "streams/rulebooks/guangxi.toml"
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace('rate_within = "48h"', 'rate_within = "172799999ms"'), "utf-8")
    (case,) = [case for case in copy.cases() if case.name == "qlt99-rated-at-the-last-instant"]
    assert list(copy.faults(case)) == [case.name]
