"""The rulebooks say what RULES 3.1 and the entries of the star rules say, and take overrides."""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction

import pytest

from streams.checks import RULES
from streams.rulebook import RULEBOOKS, Library, Mode, ParameterError, Rulebook
from streams.timeline import HOUR, MINUTE

LIBRARY = Library.load()
N, G, C, S, Y = RULEBOOKS

# RULES 3.1, columns N G C S Y.
MODES = {
    "UPL-01": "off own off own own",
    "UPL-03": "own own own own inherit",
    "UPL-06": "off own off own own",
    "LIC-05": "own own own inherit inherit",
    "IDV-01": "own own own own own",
    "IDV-02": "off own off off off",
    "PHA-01": "off off own off off",
}
BIO = frozenset({"FINGERPRINT", "FACE", "IRIS", "VOICEPRINT"})
ELECTRONIC = BIO | {"DIGITAL_CERT", "REAL_NAME_OTP"}


def book(name: str, *overrides: str) -> Rulebook:
    return Library.load(overrides).books[name]


def day(text: str) -> int:
    return (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days


@pytest.mark.parametrize("rule_id", MODES)
def test_each_rule_is_on_where_the_table_says(rule_id: str) -> None:
    modes = [LIBRARY.books[name].rules[rule_id].mode.value for name in RULEBOOKS]
    assert modes == MODES[rule_id].split()


@pytest.mark.parametrize("name", RULEBOOKS)
def test_a_rule_that_is_off_is_not_given(name: str) -> None:
    for rule_id, modes in MODES.items():
        off = modes.split()[RULEBOOKS.index(name)] == "off"
        assert (LIBRARY.books[name].rule(rule_id) is None) == off
    assert LIBRARY.books[name].rule("XYZ-99") is None


def test_every_rule_that_is_coded_is_in_every_rulebook() -> None:
    for name in RULEBOOKS:
        assert {rule.id for rule in RULES} <= LIBRARY.books[name].rules.keys()


@pytest.mark.parametrize("name", RULEBOOKS)
def test_every_rule_that_is_on_cites_the_document_word_for_word(name: str) -> None:
    code = {N: "CN", G: "GX", C: "CQ", S: "SC", Y: "YC"}[name]
    for rule in RULES:
        settings = LIBRARY.books[name].rule(rule.id)
        if settings is None:
            continue
        assert settings.citations
        for citation in settings.citations:
            assert re.fullmatch(r"[A-Z]{2}(-A1)? \S+ 「.+」", citation), citation
        if settings.mode is Mode.OWN:
            assert any(citation.startswith(code) for citation in settings.citations)


def test_severities() -> None:
    """RULES IDV-01: critical in guangxi and sichuan, major in the others."""
    idv01 = {name: LIBRARY.books[name].rules["IDV-01"].severity(None) for name in RULEBOOKS}
    assert idv01 == {N: "major", G: "critical", C: "major", S: "critical", Y: "major"}
    assert LIBRARY.books[Y].rules["IDV-01"].severity("b") == "major"
    assert LIBRARY.books[G].rules["IDV-02"].severity("a") == "critical"
    assert LIBRARY.books[C].rules["PHA-01"].severity(None) == "major"
    assert LIBRARY.books[G].rules["UPL-01"].severity(None) == "major"
    assert LIBRARY.books[G].rules["UPL-06"].severity(None) == "major"


@pytest.mark.parametrize("name", RULEBOOKS)
def test_global_parameters(name: str) -> None:
    """RULES 3.2."""
    times = LIBRARY.books[name].deadlines
    assert times.clinical == 24 * HOUR
    assert times.file_days == 7
    assert times.grace == 10 * MINUTE
    assert times.wait == 5 * MINUTE
    assert times.correction == 24 * HOUR
    assert LIBRARY.books[name].immediate == HOUR
    assert not LIBRARY.books[name].overlay


def test_parameters_of_the_star_rules() -> None:
    books = LIBRARY.books
    assert books[G].rules["UPL-01"].millis("max_latency") == 24 * HOUR
    rate = books[S].rules["UPL-06"]
    assert (rate.millis("window"), rate.millis("slide")) == (24 * HOUR, HOUR)
    assert (rate.count("min_events"), rate.number("max_rate")) == (50, Fraction(1, 100))
    scopes = {name: books[name].rules["IDV-01"].text("scope") for name in RULEBOOKS}
    assert scopes == {N: "ENROLMENT", G: "SESSION", C: "LOGIN", S: "LOGIN", Y: "ENROLMENT"}
    for name in RULEBOOKS:
        methods = books[name].rules["IDV-01"].names("methods")
        assert methods == (BIO if name == G else ELECTRONIC)
        assert books[name].rules["IDV-01"].flag("video_or_signature") == (name == Y)
    assert books[G].rules["IDV-01"].millis("pre_max_age") == 10 * MINUTE
    assert books[C].rules["IDV-01"].millis("login_max_age") == 12 * HOUR
    live = books[G].rules["IDV-02"]
    assert (live.millis("max_gap"), live.count("min_checks")) == (10 * MINUTE, 1)
    duty = books[C].rules["PHA-01"]
    assert duty.count("min_on_duty") == 1
    assert duty.millis("gap_tolerance") == 5 * MINUTE
    assert duty.millis("heartbeat_timeout") == 10 * MINUTE
    assert duty.flag("heartbeat_required")
    assert duty.text("business_time") == "DECLARED_PLUS_SESSIONS"
    stops = {name: books[name].rules["LIC-05"] for name in RULEBOOKS}
    assert [name for name in RULEBOOKS if stops[name].flag("mlps_stop")] == [G]
    assert [name for name in RULEBOOKS if stops[name].flag("adverse_stop")] == [C]


# -- which rulebook (1.2, D1) ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["SECOND_NAME_INTERNET_HOSPITAL", "INDEPENDENT_INTERNET_HOSPITAL", None]
)
@pytest.mark.parametrize("name", RULEBOOKS)
def test_internet_hospitals_are_judged_where_they_are_registered(
    name: str, form: str | None
) -> None:
    assert LIBRARY.applied(name, form, day("2026-03-02")).name == name


@pytest.mark.parametrize(("name", "applied"), [(N, N), (G, G), (C, N), (S, S), (Y, N)])
def test_a_service_by_own_doctors(name: str, applied: str) -> None:
    assert LIBRARY.applied(name, "OWN_DOCTOR_SERVICE", day("2026-03-02")).name == applied


def test_a_rulebook_is_in_force_on_its_first_and_last_day() -> None:
    library = Library.load(
        ["rulebook.effective_from=2026-03-02", "rulebook.effective_to=2026-03-04"]
    )
    found = [library.applied(G, None, day(f"2026-03-0{n}")).name for n in range(1, 6)]
    assert found == [N, G, G, G, N]


def test_all_rulebooks_that_acts_of_a_candidate_may_be_judged_by() -> None:
    assert [b.name for b in LIBRARY.candidates(N)] == [N]
    assert [b.name for b in LIBRARY.candidates(C)] == [C, N]


# -- overrides -------------------------------------------------------------------------------------


def test_an_override_holds_in_every_rulebook_and_is_stated() -> None:
    library = Library.load(["idv01.pre_max_age=15m", "IDV01.scope=SESSION"])
    for name in RULEBOOKS:
        settings = library.books[name].rules["IDV-01"]
        assert settings.millis("pre_max_age") == 15 * MINUTE
        assert settings.stated()["pre_max_age"] == "15m"
        assert settings.text("scope") == "SESSION"


def test_an_override_leaves_the_next_library_alone() -> None:
    Library.load(["idv01.pre_max_age=15m", "pha01.enabled=true"])
    assert LIBRARY.books[G].rules["IDV-01"].millis("pre_max_age") == 10 * MINUTE
    assert Library.load().books[G].rule("PHA-01") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("2%", Fraction(1, 50)), ("0.02", Fraction(1, 50)), ("1/50", Fraction(1, 50))],
)
def test_rates_are_exact(text: str, value: Fraction) -> None:
    assert book(G, f"upl06.max_rate={text}").rules["UPL-06"].number("max_rate") == value


@pytest.mark.parametrize("text", ["FACE,IRIS", "{FACE, IRIS}", "[FACE,IRIS]"])
def test_lists(text: str) -> None:
    found = book(G, f"idv01.methods={text}").rules["IDV-01"].names("methods")
    assert found == {"FACE", "IRIS"}


def test_switching_rules_on_and_off() -> None:
    assert book(N, "upl01.enabled=true").rule("UPL-01") is not None
    assert book(G, "upl01.enabled=false").rule("UPL-01") is None
    assert book(Y, "lic05.enabled=true").rules["LIC-05"].mode is Mode.INHERIT


def test_the_last_override_counts() -> None:
    assert (
        book(G, "upl06.min_events=3", "upl06.min_events=4").rules["UPL-06"].count("min_events") == 4
    )


def test_the_overlay_of_yinchuan_is_one_of_yinchuan() -> None:
    library = Library.load(["yinchuan.national_overlay=true"])
    assert [name for name in RULEBOOKS if library.books[name].overlay] == [Y]


def test_an_effective_date_can_be_taken_back() -> None:
    assert book(G, "rulebook.effective_from=none").in_effect(day("1999-01-01"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("idv01.pre_max_agee=15m", "did you mean idv01.pre_max_age?"),
        ("idv1.pre_max_age=15m", "did you mean idv01.pre_max_age?"),
        ("global.u_clinical=1h", "did you mean global.u_clin?"),
        ("nothing.like=it", "unknown parameter 'nothing.like'"),
        ("idv01.mode=off", "unknown parameter 'idv01.mode'"),
        ("idv01.citations=x", "unknown parameter 'idv01.citations'"),
        ("idv01", "expected NAME.PARAMETER=VALUE"),
        ("idv01.pre_max_age", "expected NAME.PARAMETER=VALUE"),
        ("idv01.pre_max_age=quarter", "expected a duration"),
        ("idv01.pre_max_age=", "expected a duration"),
        ("idv02.min_checks=one", "not a value of the right kind"),
        ("upl06.max_rate=many", "not a value of the right kind"),
        ("upl06.max_rate=1/0", "not a value of the right kind"),
        ("pha01.heartbeat_required=perhaps", "expected true or false"),
        ("upl01.enabled=1", "expected true or false"),
        ("rulebook.effective_from=soon", "not a value of the right kind"),
        ("rulebook.effective_from=2026-02-30", "not a value of the right kind"),
    ],
)
def test_a_wrong_override_is_refused_with_a_hint(override: str, said: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(said)):
        Library.load([override])


@pytest.mark.parametrize(
    "override",
    [
        "idv01.pre_max_age=1M",
        "global.u_clin=1M",
        "global.provisional_wait=1Y",
        "upl06.slide=0s",
        "upl06.window=90m",
        "upl06.min_events=-1",
        "idv01.scope=WEEKLY",
        "idv01.methods=FACES",
        "pha01.business_time=ALWAYS",
    ],
)
def test_a_value_that_no_rule_can_use_is_refused_before_judging(override: str) -> None:
    """Else it would end the worker at the first event, or be taken for something else."""
    with pytest.raises(ParameterError):
        Library.load([override])
