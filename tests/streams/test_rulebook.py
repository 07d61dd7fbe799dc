"""The rulebooks say what RULES 3.1 and the entries of the star rules say, and take overrides.

The other entries are in test_rulebook_values.py, the citations in test_citations.py.
"""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction

import pytest

from streams import rulebook
from streams.checks import RULES
from streams.rulebook import RULEBOOKS, Library, Mode, ParameterError, Rulebook, Status
from streams.timeline import DAY, HOUR, MINUTE, Period

LIBRARY = Library.load()
N, G, C, S, Y = RULEBOOKS

# RULES 3.1, columns N G C S Y.
MODES = {
    "UPL-01": "off own off own own",
    "UPL-02": "off own own own own",
    "UPL-03": "own own own own inherit",
    "UPL-04": "own own own own own",
    "UPL-05": "own own own own inherit",
    "UPL-06": "off own off own own",
    "LIC-01": "own own own own own",
    "LIC-02": "own own own own inherit",
    "LIC-03": "off off own own off",
    "LIC-04": "off own own own off",
    "LIC-05": "own own own inherit inherit",
    "LIC-06": "own own own own own",
    "LIC-07": "off off own off off",
    "STF-01": "own own own own own",
    "STF-02": "own own own own own",
    "STF-03": "own own own own inherit",
    "STF-04": "off off own off off",
    "STF-05": "off off own off off",
    "STF-06": "off off own off off",
    "IDV-01": "own own own own own",
    "IDV-02": "off own off off off",
    "IDV-03": "own own own own own",
    "IDV-04": "signal own own own signal",
    "IDV-05": "off own own own off",
    "SES-01": "own own own own own",
    "SES-02": "own own own inherit own",
    "SES-03": "own inherit inherit inherit inherit",
    "SES-04": "own own own own own",
    "SES-05": "own own own own inherit",
    "SES-06": "own own own own own",
    "SES-07": "off own signal own off",
    "SES-08": "own own own own inherit",
    "RX-01": "off own own off off",
    "RX-02": "own own own own own",
    "RX-03": "own own own own inherit",
    "RX-04": "off own own off off",
    "RX-05": "own own own own inherit",
    "RX-06": "own own own own inherit",
    "RX-07": "off own own own off",
    "RX-08": "signal own own signal signal",
    "RX-09": "off own own own off",
    "PHA-01": "off off own off off",
    "PHA-02": "own own own own own",
    "PHA-03": "off off own off off",
    "REC-01": "own own own own own",
    "REC-02": "off off own own off",
    "REC-03": "off own own off own",
    "REC-04": "own own own own inherit",
    "SEC-01": "own own own inherit own",
    "SEC-02": "own own own own inherit",
    "SEC-03": "off off own own own",
    "DIS-01": "off own own own own",
    "FEE-01": "off off off own off",
    "FEE-02": "off own own own own",
    "INC-01": "off signal own own off",
    "INC-02": "off own own off own",
    "QLT-01": "off own own own off",
    "QLT-02": "off signal off signal signal",
    "QLT-03": "off own own off off",
    "QLT-04": "off own own own own",
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


def test_every_rulebook_has_the_sixty_rules() -> None:
    assert len(MODES) == 60
    for name in RULEBOOKS:
        assert LIBRARY.books[name].rules.keys() == MODES.keys()
    assert {rule.id for rule in RULES} <= MODES.keys()


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
    assert [b.name for b in LIBRARY.candidates(C, own_doctors=False)] == [C]
    assert [b.name for b in LIBRARY.candidates("guangxi")] == ["guangxi"]


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


def test_an_override_may_hold_in_one_rulebook() -> None:
    library = Library.load(["guangxi.upl06.min_events=3", "yinchuan.ses01.enabled=false"])
    found = {name: library.books[name].rules["UPL-06"].count("min_events") for name in RULEBOOKS}
    assert found == {N: 50, G: 3, C: 50, S: 50, Y: 50}
    assert [name for name in RULEBOOKS if library.books[name].rule("SES-01") is None] == [Y]


def test_values_that_may_be_none() -> None:
    assert book(G, "sec01.interval=none").rules["SEC-01"].period("interval") is None
    assert book(N, "sec01.interval=6M").rules["SEC-01"].period("interval") == Period(6)
    assert book(N, "rec03.emr_years=15").rules["REC-03"].count_or_none("emr_years") == 15
    assert book(N, "rec03.emr_years=15Y").rules["REC-03"].count_or_none("emr_years") == 15
    assert book(Y, "idv05.max_age=90d").rules["IDV-05"].millis_or_none("max_age") == 90 * DAY
    staff_item = book(S, "dis01.staff_item=STAFF_E_LICENCE").rules["DIS-01"]
    assert staff_item.text_or_none("staff_item") == "STAFF_E_LICENCE"
    with pytest.raises(ParameterError):
        LIBRARY.books[G].rules["IDV-01"].period("pre_max_age")


@pytest.mark.parametrize("text", ["{}", "", "none", "[]"])
def test_a_list_may_be_emptied(text: str) -> None:
    assert (
        book(G, f"lic06.required_documents={text}").rules["LIC-06"].listed("required_documents")
        == ()
    )


def test_counts_of_days_and_months_take_their_unit() -> None:
    assert book(G, "upl02.window_days=10d").rules["UPL-02"].count("window_days") == 10
    assert book(G, "lic04.apply_months=2M").rules["LIC-04"].count("apply_months") == 2
    assert book(G, "rx08.delivery_days=20").rules["RX-08"].millis("delivery_days") == 20 * DAY


def test_an_interval_may_be_named_as_in_the_rules() -> None:
    for override in ("qlt04.interval[DR_DRILL]=6M", "qlt04.dr_drill=6M"):
        assert book(S, override).rules["QLT-04"].period("dr_drill") == Period(6)
    assert book(S, "sichuan.qlt04.interval[dr_drill]=none").rules["QLT-04"].values["dr_drill"] == (
        "none"
    )


def test_the_duty_of_a_reviewer_follows_that_of_the_department_unless_told() -> None:
    assert book(C, "pha01.heartbeat_timeout=20m").rules["PHA-03"].millis("heartbeat_timeout") == (
        20 * MINUTE
    )
    told = book(C, "pha01.heartbeat_timeout=20m", "pha03.heartbeat_timeout=5m").rules["PHA-03"]
    assert told.millis("heartbeat_timeout") == 5 * MINUTE


# -- clauses, severities and the life of a rule ----------------------------------------------------


def test_clauses_and_severities_may_be_overridden() -> None:
    settings = book(C, "lic04.clauses=a,b", "lic04.severity=minor").rules["LIC-04"]
    assert [settings.judges(clause) for clause in ("a", "b", "c", None)] == [
        True,
        True,
        False,
        True,
    ]
    assert {settings.severity(clause) for clause in ("a", None)} == {"minor"}
    assert "clauses" not in settings.stated()
    assert "severity" not in settings.stated()


def test_a_rule_on_trial_is_judged_and_a_retired_one_is_not() -> None:
    library = Library.load(["guangxi.lic05.status=shadow", "sichuan.lic05.status=retired"])
    shadow, live = library.books[G].rule("LIC-05"), library.books[C].rule("LIC-05")
    assert shadow is not None
    assert shadow.shadow
    assert live is not None
    assert not live.shadow
    assert library.books[S].rule("LIC-05") is None
    assert library.books[S].rules["LIC-05"].millis("wind_down") == 30 * MINUTE
    assert "status" not in shadow.stated()


def test_every_rule_is_live_as_delivered() -> None:
    for name in RULEBOOKS:
        assert {s.status for s in LIBRARY.books[name].rules.values()} == {Status.LIVE}


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"XYZ-01": {"mode": "own"}}, "unknown rule 'XYZ-01'"),
        ({"LIC-04": {"aply_months": 3}}, "LIC-04 has no parameter ['aply_months']"),
        ({"LIC-04": {"clauses": ["d"]}}, "LIC-04.clauses: ['d']"),
        ({"LIC-04": {"signal_clauses": ["d"]}}, "LIC-04.signal_clauses: ['d']"),
        ({"LIC-04": {"mode": "on"}}, "LIC-04.mode: ['on']"),
        ({"LIC-04": {"status": "dead"}}, "LIC-04.status: ['dead']"),
        ({"LIC-04": {"severity": {"": "major", "z": "minor"}}}, "LIC-04.severity of: ['z']"),
        ({"SES-05": {"scope": "WEEK"}}, "SES-05.scope: ['WEEK']"),
    ],
)
def test_a_rulebook_that_says_what_is_not_there_is_refused(
    values: dict[str, dict[str, object]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rulebook._file
    rulebook._build.cache_clear()
    monkeypatch.setattr(rulebook, "_file", lambda name: values if name == "sichuan" else read(name))
    with pytest.raises(ParameterError, match=re.escape(said)):
        Library.load()


# -- orders of overrides ---------------------------------------------------------------------------


def test_the_last_override_counts() -> None:
    assert (
        book(G, "upl06.min_events=3", "upl06.min_events=4").rules["UPL-06"].count("min_events") == 4
    )


def test_an_override_of_an_override_is_held_to_the_same_kind() -> None:
    with pytest.raises(ParameterError, match="not a value of the right kind"):
        book(G, "upl06.max_rate=2%", "upl06.max_rate=many")
    with pytest.raises(ParameterError, match="expected a period"):
        book(G, "sec01.interval=none", "sec01.interval=often")


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
        ("sec01.interval=365d", "expected a period"),
        ("idv05.max_age=1Y", "expected a duration"),
        ("rec03.emr_years=for ever", "not a value of the right kind"),
        ("upl02.window_days=1w", "not a value of the right kind"),
        ("idv01.pre_max_age=none", "expected a duration"),
        ("idv01.signal_clauses=a", "unknown parameter 'idv01.signal_clauses'"),
        ("lic04.clauses=a,z", "LIC-04.clauses: ['z']; allowed are a, b, c"),
        ("lic04.clauses={}", "LIC-04.clauses: none"),
        ("stf03.clauses=a", "STF-03.clauses: ['a']"),
        ("lic04.status=asleep", "LIC-04.status: ['asleep']; allowed are shadow, live, retired"),
        ("lic04.severity=grave", "LIC-04.severity: ['grave']"),
        ("lic06.required_documents=EMERGENCY", "LIC-06.required_documents: ['EMERGENCY']"),
        ("dis01.staff_item=LICENCE", "DIS-01.staff_item: ['LICENCE']"),
        ("stf02.multi_site_allowed=maybe", "STF-02.multi_site_allowed: ['maybe']"),
        ("qlt04.interval[fire_drill]=1Y", "unknown parameter 'qlt04.fire_drill'"),
        ("guangxi.idv01.pre_max_agee=15m", "did you mean idv01.pre_max_age?"),
        ("hunan.idv01.pre_max_age=15m", "unknown parameter 'hunan.idv01.pre_max_age'"),
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
        "upl06.max_rate=-1%",
        "idv01.scope=WEEKLY",
        "idv01.methods=FACES",
        "pha01.business_time=ALWAYS",
    ],
)
def test_a_value_that_no_rule_can_use_is_refused_before_judging(override: str) -> None:
    """Else it would end the worker at the first event, or be taken for something else."""
    with pytest.raises(ParameterError):
        Library.load([override])
