"""Write the boards and the provisioning files, or check that those committed equal a rebuild.

    python -m dashboards.build            write dashboards/json and dashboards/provisioning
    python -m dashboards.build --check    exit 3 and name the files that differ

Files have sorted keys, fixed uids and fixed panel ids, so a change shows as a small difference.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from dashboards import institution, overview, provisioning
from dashboards.sdk import JSONEncoder, dashboard
from schemas.texts import LANGS, Lang

FOLDER = Path(__file__).parent
BUILDERS: dict[str, Callable[[Lang], dashboard.Dashboard]] = {
    "overview": overview.build,
    "institution": institution.build,
}


def files() -> dict[Path, str]:
    """Return every generated file, by its path within this folder."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    boards = {
        Path("json", lang, f"{kind}.json"): encoder.encode(build(lang).build()) + "\n"
        for kind, build in BUILDERS.items()
        for lang in LANGS
    }
    return boards | provisioning.files()


def differing(folder: Path = FOLDER) -> list[Path]:
    """List the generated files that are missing or differ, and those that nothing generates."""
    wanted = files()
    found = {
        path.relative_to(folder): path.read_text(encoding="utf-8")
        for top in ("json", "provisioning")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }
    return sorted(
        path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)
    )


def main(arguments: list[str]) -> int:
    """Run the command line described above and return its exit code."""
    if arguments == ["--check"]:
        stale = differing()
        for path in stale:
            sys.stderr.write(f"dashboards/{path} differs: run python -m dashboards.build\n")
        return 3 if stale else 0
    if arguments:
        sys.stderr.write("usage: python -m dashboards.build [--check]\n")
        return 2
    wanted = files()
    for path in differing():
        if path in wanted:
            (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / path).write_text(wanted[path], encoding="utf-8")
        else:
            (FOLDER / path).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
