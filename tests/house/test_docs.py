"""The pages that people write by hand keep to what is there."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sinks.status import Status
from streams.cli import COMMANDS
from streams.metrics import Metrics
from tests.house.source import ROOT, tracked

PAGES = [path for path in tracked() if path.match("README.md") or path.match("docs/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert not [one for one in targets if not (ROOT / page.parent / one).exists()]


def test_operations_explains_exactly_the_metrics_there_are() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    worker = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }
    sinks = set(re.findall(r"# TYPE (\w+)", Status("x").metrics()))
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(ihwatch_[a-z_]+[a-z])`", page, re.MULTILINE)) == worker | sinks


def test_the_readme_names_commands_and_targets_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", readme)) <= targets
    assert set(re.findall(r"ihwatch ([a-z]+) ", readme)) <= {*COMMANDS, "watch"}


def test_make_help_lists_every_target_that_people_need() -> None:
    wanted = {"help", "setup", "demo", "test", "lint", "bench", "dashboards"}
    documented = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted <= set(documented)
