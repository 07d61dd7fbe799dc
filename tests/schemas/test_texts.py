"""Every reject code is explained in both languages, and the catalogue is consistent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas import texts
from schemas.errors import ContractError, IhwatchError, Reason

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    for key in (f"error.{reason}", f"error.{reason}.action"):
        assert CHINESE.search(texts.text(key, "zh"))
        assert not CHINESE.search(texts.text(key, "en"))


def test_no_error_text_is_left_over() -> None:
    keys = {key for key in texts.catalogue() if key.startswith("error.")}
    wanted = {f"error.{reason}{part}" for reason in Reason for part in ("", ".action")}
    assert keys == wanted


def test_both_languages_have_the_same_placeholders() -> None:
    placeholder = re.compile(r"\{(\w*)")
    for key, entry in texts.catalogue().items():
        assert set(placeholder.findall(entry["zh"])) == set(placeholder.findall(entry["en"])), key


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(texts, "FOLDER", tmp_path)
    texts.catalogue.cache_clear()
    monkeypatch.setattr(texts, "catalogue", texts.catalogue.__wrapped__)
    return tmp_path


def test_placeholders_are_filled(folder: Path) -> None:
    (folder / "a.toml").write_text('["k"]\nzh = "{n} 条"\nen = "{n} records"', encoding="utf-8")
    assert texts.text("k", "zh", n=3) == "3 条"
    assert texts.text("k", "en", n=3) == "3 records"
    assert texts.has("k")
    assert not texts.has("other")


def test_a_text_missing_or_said_twice_or_in_one_language_is_refused(folder: Path) -> None:
    (folder / "a.toml").write_text('["k"]\nzh = "一"\nen = "one"', encoding="utf-8")
    with pytest.raises(texts.MissingText):
        texts.text("other")
    (folder / "b.toml").write_text('["k"]\nzh = "二"\nen = "two"', encoding="utf-8")
    with pytest.raises(texts.MissingText, match="twice"):
        texts.text("k")
    (folder / "b.toml").write_text('["l"]\nzh = "二"', encoding="utf-8")
    with pytest.raises(texts.MissingText, match="exactly zh and en"):
        texts.text("k")


def test_errors_say_where_and_whether_waiting_helps() -> None:
    error = ContractError(Reason.TRUNCATED, "score", "the bytes end")
    assert str(error) == "TRUNCATED at score: the bytes end"
    assert str(ContractError(Reason.EMPTY)) == "EMPTY"
    assert isinstance(error, IhwatchError)
    assert not error.retriable
