"""What a reader may rely on in every file: short, at home anywhere, nothing left for later."""

import re
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, modules, tracked

MAX_LINES = 500
PLACES = re.compile(r"(?<![\w./-])/(?:work|farm|root|opt/wheels)/")
REGISTRIES = re.compile(
    r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|crates)\b"
    r"|--(?:extra-)?index-url|--find-links|--trusted-host"
)
# Put together here, so that a search for such marks does not end at this line.
LOOSE_ENDS = re.compile(rf"\b(?:TO{'DO'}|FIX{'ME'}|XX{'X'}|HA{'CK'}|NotImplemented{'Error'})\b")
SKIPS = re.compile(
    r"\b(?:pytest\.skip|importorskip|mark\.skip(?:if)?|mark\.xfail|unittest\.skip)\b"
)
TEXT = {
    ".avsc", ".cfg", ".css", ".csv", ".in", ".js", ".json", ".jsonl", ".lock", ".md", ".py", ".sh",
    ".sql", ".toml", ".txt", ".xml", ".yaml", ".yml", "",
}  # fmt: skip


def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number} {line.strip()[:80]}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]


TEXTS = [path for path in tracked() if path.suffix in TEXT]
PYTHON = [path for path in tracked() if path.suffix == ".py"]


def test_no_module_is_longer_than_anybody_reads() -> None:
    lengths = {str(path): len(text_of(path).splitlines()) for path in PYTHON}
    assert not {path: length for path, length in lengths.items() if length > MAX_LINES}


def test_no_file_knows_a_place_of_one_machine() -> None:
    assert not lines_with(PLACES, TEXTS)


def test_no_file_names_a_package_registry() -> None:
    # The first tells pip-compile to leave them out; the second is this file.
    allowed = {Path("Makefile"), Path("tests/house/test_tidy.py")}
    assert not lines_with(REGISTRIES, [path for path in TEXTS if path not in allowed])


def test_nothing_is_left_for_later() -> None:
    assert not lines_with(LOOSE_ENDS, PYTHON)


def test_a_test_is_left_out_only_through_require() -> None:
    """A skip that nobody sees is a test that does not exist; `require` fails it in CI."""
    allowed = {Path("tests/support/require.py"), Path("tests/house/test_tidy.py")}
    assert not lines_with(SKIPS, [path for path in modules("tests") if path not in allowed])


def test_every_folder_of_the_product_is_a_package() -> None:
    """Without __init__.py a folder is missing from the installed product."""
    folders = {path.parent for path in modules(*PRODUCT)}
    assert not [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()]


@pytest.mark.parametrize("package", PRODUCT)
def test_the_packages_say_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_each_locked_package_is_pinned_with_its_hashes_and_nothing_else(name: str) -> None:
    body = [line for line in text_of(Path(name)).splitlines() if not line.lstrip().startswith("#")]
    entries = "\n".join(body).replace("\\\n", " ").splitlines()
    assert len(entries) > 30
    whole = re.compile(r"[a-z0-9.-]+==[\w.!+-]+(?: ;[^-]*)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert not [entry[:80] for entry in entries if entry.strip() and not whole.fullmatch(entry)]


def test_both_lock_files_agree() -> None:
    """What is tested is what is shipped."""
    product, dev = (_pins(name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert product.items() <= dev.items()


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([\w.!+-]+)", text_of(Path(name)), re.MULTILINE))
