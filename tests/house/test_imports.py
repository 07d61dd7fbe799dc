"""The walls of the house (docs: ARCHITECTURE sections 1 and 2), as far as imports show them."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, imports, modules, tree, within

# Which of our own modules each folder may import.
OURS = {
    "schemas": ("schemas",),
    "streams": ("schemas", "streams"),
    "sinks": ("schemas", "sinks"),
    "dashboards": ("dashboards", "schemas.texts", "schemas.settings", "schemas.errors"),
}
# The one place where everything is wired into one process.
WIRING = ("streams/demo.py", "streams/demo/")
# The imperative shell of streams/; every other module there is pure core unless it is added here.
SHELL = (
    *WIRING,
    "streams/admin.py",
    "streams/agents.py",
    "streams/app.py",
    "streams/check.py",
    "streams/cli.py",
    "streams/embedded.py",
    "streams/metrics.py",
    "streams/reference_cli.py",
    "streams/rule_docs.py",
    "streams/rules_cli.py",
    "streams/score.py",
    "streams/simulator/",
    "streams/transport",
    "streams/worker",
)
FAUST = ("streams/app.py", "streams/agents.py", "streams/transport", "streams/worker")
DATABASES = ("clickhouse_connect", "chdb")
HTTP = ("aiohttp", "grafana_api", "http", "httpx", "requests", "urllib.request", "urllib3")
# Reading a rulebook is reading data that ships with the product; the core does no other I/O.
READS_FILES = ("streams/rulebook.py", "streams/reference.py")
PURE = {
    "__future__", "abc", "array", "bisect", "calendar", "collections", "dataclasses", "datetime",
    "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "math",
    "operator", "re", "types", "typing", "msgspec", "schemas", "streams",
}  # fmt: skip
CLOCKS = {"time", "time_ns", "now", "utcnow", "today", "monotonic", "monotonic_ns", "perf_counter"}


def starts(path: Path, *prefixes: str) -> bool:
    """Whether the file is one of these, or in one of these folders (written with a slash)."""
    return path.as_posix().startswith(prefixes)


CORE = [path for path in modules("streams") if not starts(path, *SHELL)]


def wrong_imports(path: Path, *forbidden: str) -> list[str]:
    """The lines of `path` that import one of the forbidden packages."""
    return [f"{path}:{line} {name}" for name, line in imports(path) if within(name, *forbidden)]


def test_no_folder_imports_more_of_ours_than_it_may() -> None:
    wrong = [
        f"{path}:{line} imports {name}"
        for path in modules(*PRODUCT)
        if not starts(path, *WIRING)
        for name, line in imports(path)
        if within(name, *PRODUCT) and not within(name, *OURS[path.parts[0]])
    ]
    assert not wrong


def test_the_product_never_imports_its_tests() -> None:
    assert not [bad for path in modules(*PRODUCT) for bad in wrong_imports(path, "tests", "bench")]


def test_only_the_worker_side_of_streams_imports_faust() -> None:
    free = [path for path in modules(*PRODUCT) if not starts(path, *FAUST)]
    assert not [bad for path in free for bad in wrong_imports(path, "faust", "mode", "aiokafka")]


def test_only_sinks_and_boards_open_a_database() -> None:
    free = [p for p in modules(*PRODUCT) if not starts(p, "sinks/", "dashboards/", *WIRING)]
    assert not [bad for path in free for bad in wrong_imports(path, *DATABASES)]


def test_only_sinks_boards_and_the_shell_speak_http() -> None:
    # The client of the schema registry is the contract's one way out, on the standard library.
    contract = [path for path in modules("schemas") if path.name != "registry.py"]
    assert not [bad for p in (*contract, *CORE) for bad in wrong_imports(p, *HTTP)]


@pytest.mark.parametrize("path", CORE, ids=str)
def test_the_core_does_no_io(path: Path) -> None:
    allowed = PURE | ({"pathlib", "tomllib", "csv"} if starts(path, *READS_FILES) else set())
    wrong = [
        f"{path}:{at} {name}" for name, at in imports(path) if name.split(".")[0] not in allowed
    ]
    assert not wrong
    assert not list(_calls(path, "open", "print", "input"))


def test_the_core_knows_nothing_of_the_shell() -> None:
    shell = [path for path in modules("streams") if path not in CORE]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in shell]
    assert not [bad for path in CORE for bad in wrong_imports(path, *names)]


@pytest.mark.parametrize("path", CORE, ids=str)
def test_the_core_reads_no_wall_clock(path: Path) -> None:
    assert not [f"{path}:{line}" for line in _clock_reads(path)]


def test_the_core_is_found_at_all() -> None:
    names = {path.as_posix() for path in CORE}
    assert {"streams/supervisor.py", "streams/checks/identity.py"} <= names
    assert len(names) > 10


def test_a_clock_and_an_import_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "def f():\n    from faust import App\n    import time\n    return time.time()\n"
    )
    assert [name for name, _ in imports(file)] == ["faust", "time"]
    assert list(_clock_reads(file)) == [4]


def test_only_the_standard_library_and_the_lock_file_are_imported() -> None:
    """A package that is installed only because another needs it must not be leant on."""
    declared = {
        "aiohttp", "aiokafka", "chdb", "click", "clickhouse_connect", "confluent_kafka", "fastavro",
        "faust", "grafana_api", "grafana_foundation_sdk", "intervaltree", "mode", "msgspec",
        "plotly", "prometheus_client", "rich", "rocksdict", "standardwebhooks", "yarl",
    }  # fmt: skip
    known = declared | set(sys.stdlib_module_names) | set(PRODUCT)
    wrong = [
        f"{path}:{line} {name}"
        for path in modules(*PRODUCT)
        for name, line in imports(path)
        if name.split(".")[0] not in known
    ]
    assert not wrong


def _clock_reads(path: Path) -> Iterator[int]:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in CLOCKS and _is_clock_owner(node.func.value):
            yield node.lineno


def _is_clock_owner(node: ast.expr) -> bool:
    """`time.time()`, `datetime.now()`, `datetime.datetime.now()`; not `clock.now()` of ours."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in {"time", "datetime", "date"}


def _calls(path: Path, *names: str) -> Iterator[int]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
            yield node.lineno
