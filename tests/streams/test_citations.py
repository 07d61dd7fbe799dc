"""Every citation of every rulebook is word for word in the article it names."""

from __future__ import annotations

import re

import pytest

from streams.rulebook import NATIONAL, RULEBOOKS, Library, Mode
from tests.support.regulations import CODES, articles, passage, squeezed

LIBRARY = Library.load()
OVERLAID = Library.load(["yinchuan.national_overlay=true"])
CITATION = re.compile(r"((CN|GX|CQ|SC|YC)(?:-A1)? \S+) 「(.+)」")
NAMES = {code: name for name, code in CODES.items()}
CITED = sorted(
    {
        (name, rule_id, citation)
        for library in (LIBRARY, OVERLAID)
        for name, book in library.books.items()
        for rule_id, settings in book.rules.items()
        for citation in settings.citations
    }
)


@pytest.mark.parametrize(
    ("name", "count"),
    [("national", 32), ("guangxi", 46), ("chongqing", 41 + 5), ("sichuan", 40), ("yinchuan", 29)],
)
def test_the_documents_have_all_their_articles(name: str, count: int) -> None:
    assert len(articles(name)) == count
    assert all(articles(name).values())


def test_every_citation_is_word_for_word_in_its_article() -> None:
    wrong = []
    for name, rule_id, citation in CITED:
        match = CITATION.fullmatch(citation)
        text = passage(NAMES[match[2]], match[1]) if match else None
        if match is None or text is None or squeezed(match[3]) not in text:
            wrong.append((name, rule_id, citation))
    assert not wrong
    assert len(CITED) > 250


def test_a_quotation_of_another_article_would_be_noticed() -> None:
    text = passage("guangxi", "GX 19")
    assert text is not None
    assert "并在诊疗过程中接受动态监管，确保由本人提供诊疗服务" in text
    assert "互联网诊疗实行实名制" not in text
    assert passage("guangxi", "GX 47") is None
    assert passage("sichuan", "SC 22(四)") is None
    assert (
        passage("yinchuan", "YC 17(二)") == "普通常见病、多发病患者诊治（先试点皮肤病网上诊疗）；"
    )


@pytest.mark.parametrize("name", RULEBOOKS)
def test_a_rulebook_rests_on_its_own_document_and_the_national_one(name: str) -> None:
    allowed = {CODES[name], CODES[NATIONAL]}
    for rule_id, settings in LIBRARY.books[name].rules.items():
        codes = {citation[:2] for citation in settings.citations}
        assert codes <= allowed, rule_id
        assert len(set(settings.citations)) == len(settings.citations), rule_id
        if settings.mode is Mode.OFF:
            assert not codes, rule_id
        elif settings.mode is Mode.OWN:
            assert CODES[name] in codes, rule_id
        elif settings.mode is Mode.INHERIT:
            assert codes == {CODES[NATIONAL]}, rule_id
        else:
            assert codes, rule_id


def test_national_variants_rest_on_the_national_document() -> None:
    for rule_id in ("LIC-01", "SES-01", "SES-04", "SES-06"):
        for citation in OVERLAID.books["yinchuan"].rules[rule_id].citations:
            assert citation.startswith("CN "), rule_id
