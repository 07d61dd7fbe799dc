"""`ihwatch check` in this process, over files written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams import cli
from streams.rulebook import Library
from tests.support.cases import FOLDER

OPENED: dict[str, Any] = {
    **json.loads((FOLDER.parent / "fixtures/events/SessionOpened.json").read_text("utf-8")),
    "stream_id": None,
    "stream_seq": None,
    "mode": "TEXT_IMAGE",
}
LATER = "2026-03-04T00:00:00+08:00"


def retired_but(*rules: str) -> tuple[str, ...]:
    """Parameters that retire all rules but these."""
    others = Library.load().books["national"].rules.keys() - {*rules}
    return tuple(f"{rule.lower().replace('-', '')}.status=retired" for rule in sorted(others))


def only(*rules: str) -> list[str]:
    """Arguments that leave a bare event to these rules; the whole rulebook misses the hospital."""
    return [word for parameter in retired_but(*rules) for word in ("--set", parameter)]


IDENTITY = ["--rulebook", "guangxi", *only("IDV-01")]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `ihwatch` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(cli.run(arguments))
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, printed.out, printed.err


def write(path: Path, *events: Any) -> str:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def changed(**fields: Any) -> dict[str, Any]:
    return {**OPENED, **fields}
