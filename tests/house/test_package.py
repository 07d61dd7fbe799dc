"""The installed product is whole: every file of the four packages is in the wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building writes into the source tree."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        if path.parts[0] in PRODUCT or path.name in ("pyproject.toml", "README.md", "LICENSE"):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / path)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(source / "out"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = (source / "out").glob("*.whl")
    return built


def test_every_tracked_file_of_the_product_is_in_the_wheel(wheel: Path) -> None:
    ours = {path.as_posix() for path in tracked() if path.parts[0] in PRODUCT}
    missing = ours - set(zipfile.ZipFile(wheel).namelist())
    assert len(ours) > 100
    assert sorted(missing) == []


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {*PRODUCT, "ihwatch"}
