"""The boards as committed: what is sent to Grafana and what the preview draws, without the SDK."""

import json
from pathlib import Path
from typing import Any

from schemas.texts import Lang

FOLDER = Path(__file__).parent / "json"
KINDS = ("overview", "institution")


def board(kind: str, lang: Lang) -> dict[str, Any]:
    """Return one board in Grafana's classic form."""
    content: dict[str, Any] = json.loads(
        (FOLDER / lang / f"{kind}.json").read_text(encoding="utf-8")
    )
    return content


def uid(kind: str, lang: Lang) -> str:
    """Return the fixed uid of a board."""
    return f"ih-{kind}-{lang}"


def folder_uid(lang: Lang) -> str:
    """Return the fixed uid of the folder that holds the boards of a language."""
    return f"ihwatch-{lang}"
