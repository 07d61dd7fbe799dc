"""One catalogue of everything said to people, in Chinese and English, so that both languages always
agree.

The files in `schemas/texts/` are read when a text is first asked for. A placeholder is written
`{name}`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")
FOLDER = Path(__file__).parent / "texts"


class MissingText(KeyError):
    """The catalogue has no such text: a fault of ours, found by a test."""


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All texts by key; one said twice, or in one language only, is refused."""
    texts: dict[str, dict[str, str]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if key in texts:
                raise MissingText(f"{key} is said twice, the second time in {path.name}")
            if set(entry) != set(LANGS):
                raise MissingText(f"{key} in {path.name} must have exactly zh and en")
            texts[key] = entry
    return texts


def text(key: str, lang: Lang = "zh", /, **values: object) -> str:
    """The text for `key` with its placeholders filled; MissingText when there is none."""
    entry = catalogue().get(key)
    if entry is None:
        raise MissingText(key)
    return entry[lang].format(**values) if values else entry[lang]


def has(key: str) -> bool:
    """Whether the catalogue has a text for `key`."""
    return key in catalogue()
