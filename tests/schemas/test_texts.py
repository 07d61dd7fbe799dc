"""Every reject code and every rule is explained in both languages, and the catalogue is
consistent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from schemas import texts
from schemas.contract import EVENTS
from schemas.contract.model import Enum
from schemas.errors import ContractError, IhwatchError, Reason
from streams.findings import Flag, State
from streams.rulebook import Library
from tests.support import catalogue

CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"\{(\w*)")

# The clauses of SEC-03 are fields of InfrastructureFiled, which share one message.
RULES = {**catalogue.CLAUSES, "IDV-01": "ab"}  # which has clauses in one rulebook
CLAUSES = [(rule_id, clause) for rule_id, letters in RULES.items() for clause in letters or (None,)]
# Supplied for every finding, whatever the rule.
GIVEN = {"institution", "subject", "start", "end", "due", "basis", "state"}

# Where a message shows a code of the contract: rule, placeholder, event and field with the codes.
CODES = [
    ("SES-04", "reason", "UnsuitabilityIdentified", "reason"),
    ("SES-04", "referral", "SessionClosed", "referral"),
    ("SES-05", "kind", "ConsentSigned", "consent_kind"),
    ("SES-05", "items", "ConsentSigned", "notice_items"),
    ("SES-06", "service_kind", "SessionOpened", "service_kind"),
    ("STF-01", "role", "StaffFiled", "role"),
    ("PHA-02", "role", "StaffFiled", "role"),
    ("LIC-06", "item", "DocumentFiled", "doc_type"),
    ("LIC-06", "unit", "InstitutionFiled", "management_units"),
    ("LIC-06", "lacking", "DocumentFiled", "clauses"),
    ("LIC-06", "field", "StaffFiled", "scans_filed"),
    ("LIC-07", "detail", "InstitutionFiled", "changed_fields"),
    ("REC-01", "mode", "SessionOpened", "mode"),
    ("REC-02", "missing", "MedicalRecordArchived", "sections_present"),
    ("REC-03", "media", "ProcessRecordArchived", "media"),
    ("SEC-02", "kind", "SecurityIncidentReported", "kind"),
    ("SEC-02", "recipient", "SecurityIncidentReported", "report_recipient"),
    ("SEC-03", "value", "InfrastructureFiled", "remote_functions"),
    ("SEC-03", "value", "InfrastructureFiled", "trust_services"),
    ("DIS-01", "item", "NoticePublished", "item"),
    ("INC-01", "kind", "AdverseEventReported", "kind"),
    ("INC-02", "scope", "AdverseEventReported", "affected_scope"),
    ("QLT-04", "duty", "PeriodicDutyCompleted", "duty_type"),
]


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
    for key, entry in texts.catalogue().items():
        assert placeholders(entry["zh"]) == placeholders(entry["en"]), key


def test_no_text_has_stray_spaces() -> None:
    for key, entry in texts.catalogue().items():
        if key.startswith(("rule.", "fact.", "flag.", "state.", "severity.", "unit.")):
            for lang, words in entry.items():
                assert words == words.strip(), (key, lang)
                assert "  " not in words, (key, lang)
                assert not re.search(r"\s[，。；：、）]|[，。；：、（]\s", words), (key, lang)


def placeholders(words: str) -> set[str]:
    return set(PLACEHOLDER.findall(words))


def message(rule_id: str, clause: str | None, lang: texts.Lang) -> str:
    own = f"rule.{rule_id}.{clause}.message"
    return texts.text(own if texts.has(own) else f"rule.{rule_id}.message", lang)


@cache
def parameters() -> dict[str, set[str]]:
    """The parameters of each rule, as the rulebooks state them."""
    national = Library.load().books["national"]
    return {rule_id: set(settings.values) for rule_id, settings in national.rules.items()}


@cache
def facts() -> dict[tuple[str, str | None], set[str]]:
    """The facts named above each rule's title: by clause, or one line for all."""
    found: dict[tuple[str, str | None], set[str]] = {}
    for path in sorted(texts.FOLDER.glob("rules_*.toml")):
        blocks = re.findall(r'# facts: (.*)\n\["rule\.(\S+)\.title"\]', path.read_text("utf-8"))
        for line, rule_id in blocks:
            for part in line.split("; "):
                lettered = re.fullmatch(r"\(([a-f-])\) (.*)", part)
                clause, names = (lettered[1], lettered[2]) if lettered else (None, part)
                stated = set() if names == "none" else set(names.split(", "))
                found[rule_id, None if clause == "-" else clause] = stated
    return found


def test_the_rules_are_sixty_and_the_texts_speak_of_no_other() -> None:
    assert len(RULES) == 60
    keys = [key for key in texts.catalogue() if key.startswith("rule.")]
    assert {key.split(".")[1] for key in keys} == set(RULES)


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_has_a_title_and_says_what_it_misses(rule_id: str) -> None:
    for part in ("title", "misses"):
        zh, en = (texts.text(f"rule.{rule_id}.{part}", lang) for lang in texts.LANGS)
        assert CHINESE.search(zh)
        assert not placeholders(zh)
        assert re.match("[A-Z]", en)
        if part == "misses":
            assert zh.endswith("。")
            assert en.endswith(".")
            assert not CHINESE.search(en)


@pytest.mark.parametrize(("rule_id", "clause"), CLAUSES)
def test_every_clause_tells_what_happened_and_whose_duty_it_is(
    rule_id: str, clause: str | None
) -> None:
    zh, en = message(rule_id, clause, "zh"), message(rule_id, clause, "en")
    assert CHINESE.search(zh)
    assert not CHINESE.search(en)
    assert zh.endswith("。")
    assert en.endswith(".")
    assert {"institution", "basis"} <= placeholders(zh)
    stated = facts()[rule_id, clause if (rule_id, clause) in facts() else None]
    used = placeholders(zh) - GIVEN - stated
    assert used <= parameters()[rule_id]
    assert stated <= placeholders(zh), "a fact is asked for that is not told"


@pytest.mark.parametrize("rule_id", RULES)
def test_no_message_is_left_over(rule_id: str) -> None:
    prefix = f"rule.{rule_id}."
    known = {"title", "misses", "message", *(f"{clause}.message" for clause in RULES[rule_id])}
    shown = set().union(
        *(placeholders(message(rule_id, clause, "zh")) for clause in RULES[rule_id] or (None,))
    )
    for key in texts.catalogue():
        if key.startswith(prefix) and key.removeprefix(prefix) not in known:
            assert key.split(".")[2] in shown, key


def codes(event_type: str, field: str) -> Iterator[str]:
    event = next(event for event in EVENTS if event.name == event_type)
    enum = next(item.type.of for item in event.fields if item.name == field)
    assert isinstance(enum, Enum)
    return (symbol.name for symbol in enum.symbols if symbol.name != "UNKNOWN")


@pytest.mark.parametrize(("rule_id", "name", "event_type", "field"), CODES)
def test_every_code_that_a_message_shows_has_words(
    rule_id: str, name: str, event_type: str, field: str
) -> None:
    for code in codes(event_type, field):
        assert CHINESE.search(texts.shown(rule_id, name, code, "zh")), code
        assert texts.shown(rule_id, name, code, "en") != code


def test_every_item_of_the_basic_standard_has_words() -> None:
    event = next(event for event in EVENTS if event.name == "InfrastructureFiled")
    for name in [field.name for field in event.fields if field.name != "change_completed_on"]:
        assert texts.has(f"rule.SEC-03.item.{name}")


def test_event_types_are_named_as_in_the_contract() -> None:
    for event in EVENTS:
        assert texts.shown("UPL-01", "event_type", event.name, "zh") == event.zh
        assert texts.shown("UPL-01", "event_type", event.name, "en") == event.en


def test_states_severities_and_flags_are_named_as_on_the_boards() -> None:
    wanted = [f"state.{state}" for state in State] + [f"flag.{flag}" for flag in Flag]
    wanted += [f"severity.{severity}" for severity in ("critical", "major", "minor", "info")]
    for key in wanted:
        board = f"boards.{key}"
        assert texts.has(key)
        if texts.has(board):
            assert texts.catalogue()[key] == texts.catalogue()[board]


def test_every_document_that_a_rulebook_cites_has_a_title() -> None:
    for book in Library.load().books.values():
        for settings in book.rules.values():
            for citation in settings.citations:
                assert texts.has(f"document.{citation.split()[0]}"), citation


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


def test_codes_are_shown_in_words_and_lists_with_separators() -> None:
    assert texts.shown("SES-04", "reason", "CONDITION_CHANGED", "zh") == "病情变化"
    assert texts.shown("LIC-06", "lacking", "PRIVACY,AGREEMENT", "en") == (
        "clause on privacy, an agreement in force"
    )
    assert texts.shown("REC-03", "media", "AUDIO,VIDEO", "zh") == "音频、视频"
    assert texts.shown("RX-01", "session_id", "none", "zh") == "无"
    assert texts.shown("STF-03", "since", "none", "en") == "not on file"
    assert texts.shown("SES-03", "codes", "I10,E11.9", "zh") == "I10、E11.9"


def test_durations_are_shown_in_words() -> None:
    assert texts.shown("UPL-01", "max_latency", "24h", "zh") == "24 小时"
    assert texts.shown("UPL-01", "latency", "86400001ms", "zh") == "24 小时 1 毫秒"
    assert texts.shown("UPL-01", "late_by", "1ms", "en") == "1 ms"
    assert texts.shown("UPL-05", "ahead", "0ms", "en") == "0 ms"
    assert texts.shown("REC-03", "process_period", "3M", "zh") == "3 个月"
    assert texts.shown("UPL-03", "stream_id", "3d", "zh") == "3d"


def test_errors_say_where_and_whether_waiting_helps() -> None:
    error = ContractError(Reason.TRUNCATED, "score", "the bytes end")
    assert str(error) == "TRUNCATED at score: the bytes end"
    assert str(ContractError(Reason.EMPTY)) == "EMPTY"
    assert isinstance(error, IhwatchError)
    assert not error.retriable
