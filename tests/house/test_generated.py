"""Every generated file equals a rebuild, so that nobody edits the copy instead of the source."""

import os
import subprocess
import sys

import pytest

from tests.house.source import ROOT

GENERATORS = ["schemas.settings", "schemas.build", "streams.rule_docs", "dashboards.build"]


@pytest.mark.parametrize("module", GENERATORS)
def test_rebuilding_changes_nothing(module: str) -> None:
    command = [sys.executable, "-m", module, "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
