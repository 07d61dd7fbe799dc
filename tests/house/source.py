"""What the tests of this folder read: the tracked files, and what each module imports."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("schemas", "streams", "sinks", "dashboards")


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository, relative to it: committed, or about to be (not ignored)."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (Path(name) for name in names.split("\0") if name)
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def modules(*folders: str) -> list[Path]:
    """The Python files in these top-level folders."""
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in folders]


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that the file imports anywhere, inside functions too, with its line.

    `from streams import cases` counts as streams.cases: the name may be a module.
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module in PRODUCT:
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno
            else:
                yield module, node.lineno


def within(module: str, *packages: str) -> bool:
    """Whether `module` is one of the packages or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)
