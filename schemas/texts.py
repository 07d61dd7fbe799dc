"""One catalogue of everything said to people, in Chinese and English, so that both languages always
agree.

The files in `schemas/texts/` are read when a text is first asked for. A placeholder is written
`{name}`.
"""

from __future__ import annotations

import re
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


def shown(rule_id: str, name: str, value: str, lang: Lang) -> str:
    """A fact or parameter of a finding as people read it: codes and durations in words.

    The words of a code are `rule.<rule_id>.<name>.<code>`, else `fact.<name>.<code>`, else
    `fact.<code>` (`none`); anything else is shown as it is. The parts of a list are divided by
    commas. Names that end in `id`, `ids`, `code` or `codes` hold no durations.
    """
    known = catalogue()
    parts = []
    for part in value.split(","):
        keys = (f"rule.{rule_id}.{name}.{part}", f"fact.{name}.{part}", f"fact.{part}")
        entry = next((known[key] for key in keys if key in known), None)
        if entry is not None:
            parts.append(entry[lang])
        elif (duration := _DURATION.fullmatch(part)) and not name.endswith(_NAMES_OF_IDS):
            parts.append(_spell(int(duration[1]), duration[2], lang))
        else:
            parts.append(part)
    return known["list.separator"][lang].join(parts)


_DURATION = re.compile(r"(\d+)(ms|[smhdMY])")
_NAMES_OF_IDS = ("id", "ids", "code", "codes")


def _spell(count: int, unit: str, lang: Lang) -> str:
    """`24h` as it stands; milliseconds, which are never round, in hours, minutes and seconds."""
    if unit != "ms":
        return f"{count} {text(f'unit.{unit}', lang)}"
    parts: list[str] = []
    for size, name in ((3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        number, count = divmod(count, size)
        if number or (size == 1 and not parts):
            parts.append(f"{number} {text(f'unit.{name}', lang)}")
    return " ".join(parts)
