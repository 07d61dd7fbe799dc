"""No article of the five documents is missing from the coverage, and no rule from the articles."""

from __future__ import annotations

import re

import pytest

from streams.rule_docs import Article, coverage, coverage_page, entries, rule_of
from streams.rulebook import RULEBOOKS, Library, clauses_of
from tests.house.source import ROOT

TEXTS = ROOT / "tests" / "fixtures" / "regulations"
CODES = {"national": "CN", "guangxi": "GX", "chongqing": "CQ", "sichuan": "SC", "yinchuan": "YC"}
ANNEX = [
    "CQ-A1 lead", "CQ-A1 一", "CQ-A1 二", *(f"CQ-A1 三({n})" for n in "一二三四"),
    *(f"CQ-A1 四({n})" for n in "一二三四五六"), "CQ-A1 五", "CQ-A2", "CQ-A3", "CQ-A4",
]  # fmt: skip
ALL = [article for articles in coverage().values() for article in articles]
_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九", start=1)}


def numbers(name: str) -> list[int]:
    """The number of every heading 第N条 of a text, in its order."""
    content = (TEXTS / f"{name}.txt").read_text(encoding="utf-8")
    return [
        number(found) for found in re.findall(r"(?m)^[\s　]*第([一二三四五六七八九十]+)条", content)
    ]


def number(numeral: str) -> int:
    tens, ten, ones = numeral.rpartition("十")
    if not ten:
        return _DIGITS[numeral]
    return 10 * (_DIGITS[tens] if tens else 1) + (_DIGITS[ones] if ones else 0)


def test_chinese_numerals_are_read() -> None:
    assert [number(text) for text in ("三", "十", "十二", "二十", "四十四")] == [3, 10, 12, 20, 44]


@pytest.mark.parametrize("name", RULEBOOKS)
def test_no_article_is_missing(name: str) -> None:
    found = numbers(name)
    wanted = [f"{CODES[name]} {n}" for n in found]
    if name == "guangxi":  # the document uses one number twice (RULES Q24)
        assert found.count(44) == 2
        first = wanted.index("GX 44")
        wanted[first], wanted[first + 1] = "GX 44a", "GX 44b"
    if name == "chongqing":
        wanted += ANNEX
    assert [article.id for article in coverage()[name]] == wanted


def test_the_annex_of_chongqing_is_divided_as_its_text() -> None:
    content = (TEXTS / "chongqing.txt").read_text(encoding="utf-8")
    annex = re.split(r"(?m)^附录1", content)[1].split("附录2")[0]
    items: list[str] = []
    part = ""
    for line in annex.splitlines():
        if match := re.match(r"([一二三四五])、", line):
            part = match[1]
            items.append(f"CQ-A1 {part}")
        elif (match := re.match(r"（([一二三四五六])）", line)) and part:
            items.append(f"CQ-A1 {part}({match[1]})")
    parents = {item[: item.index("(")] for item in items if "(" in item}
    assert [item for item in items if item not in parents] == ANNEX[1:-3]


def test_there_are_as_many_rows_as_the_specification_counts() -> None:
    assert {name: len(rows) for name, rows in coverage().items()} == {
        "national": 32, "guangxi": 46, "chongqing": 58, "sichuan": 40, "yinchuan": 29,
    }  # fmt: skip
    assert len({article.id for article in ALL}) == len(ALL) == 205


@pytest.mark.parametrize("article", ALL, ids=lambda article: article.id)
def test_an_article_says_what_becomes_of_it(article: Article) -> None:
    assert article.disposition in {"R", "F", "H", "RF", "RH", "FH", "RFH"}
    assert bool(article.filed) == ("F" in article.disposition)
    assert bool(article.human) == ("H" in article.disposition)
    # CQ 38 chooses the rulebook; no single rule checks it.
    assert bool(article.checked or article.signals) == (
        "R" in article.disposition and article.id != "CQ 38"
    )
    assert all(article.gist.values())
    for words in (article.human, article.note):
        assert words is None or (set(words) == {"zh", "en"} and all(words.values()))


def test_every_rule_named_exists_with_its_clauses() -> None:
    known = entries()
    for article in ALL:
        for item in (*article.checked, *article.signals, *article.filed):
            rule_id, clauses = rule_of(item)
            assert rule_id in known, (article.id, item)
            assert set(clauses) <= set(clauses_of(rule_id)), (article.id, item)


def test_every_rule_is_named_by_some_article() -> None:
    named = {rule_id for article in ALL for rule_id in article.rules}
    assert named == set(entries())
    assert len(named) == 60


def test_a_rule_that_an_article_names_is_judged_in_that_document() -> None:
    """Sichuan and Yinchuan may say so of what is inherited; nobody of what is off."""
    library = Library.load()
    off = {
        (article.id, rule_id)
        for name, articles in coverage().items()
        for article in articles
        for rule_id in article.rules
        if not library.books[name].rules[rule_id].enabled
    }
    assert not off


def test_a_rule_of_its_own_rests_on_an_article_that_names_it() -> None:
    """A citation and the coverage must not disagree about who checks an article.

    RULES does so five times: section 3 cites the article, section 4 does not name the rule. The
    coverage is section 4 as it stands.
    """
    library = Library.load()
    missing = set()
    for name, articles in coverage().items():
        named = {article.id: article.rules for article in articles}
        for rule_id, settings in library.books[name].rules.items():
            for citation in settings.citations:
                place = citation.partition(" 「")[0]
                code, rest = place.split(" ", 1)
                article = place if place in named else f"{code} {rest.partition('(')[0]}"
                if code.startswith(CODES[name]) and rule_id not in named.get(article, ()):
                    missing.add((place, rule_id))
    assert missing == {
        ("CN 24", "RX-08"), ("CQ 20(二)", "LIC-02"), ("CQ 33", "REC-04"), ("CQ 38", "SES-06"),
        ("YC 13(七)", "IDV-04"),
    }  # fmt: skip


def test_the_page_shows_every_row() -> None:
    page = coverage_page()
    assert all(f"| {article.id} |" in page for article in ALL)
