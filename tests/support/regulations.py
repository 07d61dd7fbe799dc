"""The five documents by article, to hold quotations against."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "fixtures" / "regulations"
CODES = {
    "national": "CN",
    "guangxi": "GX",
    "chongqing": "CQ",
    "sichuan": "SC",
    "yinchuan": "YC",
}
_DIGITS = "零一二三四五六七八九"
_ARTICLE = re.compile(r"(?m)^[\s\u3000]*第([一二三四五六七八九十]+)条")
_CHAPTER = re.compile(r"(?m)^[\s\u3000]*第[一二三四五六七八九十]+章.*$")
_ANNEX = "重庆市互联网医院基本标准（试行）"
_ITEM = re.compile(r"[（(]([一二三四五六七八九十]+)[）)]")


def squeezed(text: str) -> str:
    """The text without the line breaks and spaces of its conversion."""
    return re.sub(r"[\s\u3000]+", "", text)


@cache
def articles(name: str) -> dict[str, str]:
    """Text of each article by its citation (``GX 6``), squeezed; of Chongqing's annex 1 as well.

    Guangxi's number 44 is used twice: ``GX 44a`` and ``GX 44b`` (RULES 1.1).
    """
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    if name == "chongqing":
        text, annexes = re.split(r"(?m)^附录1$", text)
        found |= _annex(annexes.split("附录2")[0].replace(_ANNEX, ""))
    pieces = _ARTICLE.split(_CHAPTER.sub("", text))[1:]
    for numeral, body in zip(pieces[::2], pieces[1::2], strict=True):
        key = f"{CODES[name]} {_number(numeral)}"
        if f"{key}a" in found or key in found:
            found[f"{key}a"], key = found.pop(key), f"{key}b"
        found[key] = squeezed(body)
    return found


def _annex(text: str) -> dict[str, str]:
    pieces = re.split(r"(?m)^([一二三四五六七八九十])、", text)[1:]
    return {
        f"CQ-A1 {numeral}": squeezed(body)
        for numeral, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def passage(name: str, reference: str) -> str | None:
    """The text a citation points to, of an item only that item; None if there is no such place."""
    place = re.fullmatch(r"([^()（）]+)(?:\((.+)\))?", reference)
    article = articles(name).get(place[1]) if place else None
    if place is None or article is None or place[2] is None:
        return article
    items = _ITEM.split(article)[1:]
    bodies = dict(zip(items[::2], items[1::2], strict=True))
    return bodies.get(place[2])


def _number(numeral: str) -> int:
    tens, ten, ones = numeral.rpartition("十")
    unit = _DIGITS.index(ones) if ones else 0
    return unit if not ten else (_DIGITS.index(tens) if tens else 1) * 10 + unit
