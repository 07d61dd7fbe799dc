"""Every query runs on the migrated tables and says what the stored findings and hours say."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from dashboards.committed import KINDS
from dashboards.preview.model import Board, Panel, Range, Table, ask, fill_in
from schemas.texts import LANGS, Lang
from tests.support.board_data import END, FEW_UPLOADS, HOUR, NEVER_FILED, START

WHOLE = Range(START, END)
RULEBOOKS = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
ALL: dict[str, Sequence[str]] = {
    "rulebook": RULEBOOKS,
    "severity": ("critical", "major", "minor", "info"),
    "institution": ("GX-0001",),
    "rule": ("UPL-01", "UPL-06", "PHA-01", "IDV-01", "IDV-02"),
    "finding": (f"{26:016x}",),
}
SINGLE = {**ALL, "rulebook": ("guangxi",), "severity": ("critical",), "rule": ("IDV-01",)}
EMPTY: dict[str, Sequence[str]] = dict.fromkeys(ALL, ())
BOARDS = [(kind, lang) for kind in KINDS for lang in LANGS]
NUMBERS = (int, float)


def run(
    database: Client,
    panel: Panel,
    range_: Range = WHOLE,
    **chosen: Sequence[str],
) -> Table:
    assert panel.sql is not None
    return ask(database, range_.interpolate(fill_in(panel.sql, {**ALL, **chosen})))


def panel_of(kind: str, title: str) -> Panel:
    """A panel by its title in English."""
    return next(one for one in Board.load(kind, "en").panels if one.title == title)


def overview(database: Client, title: str, range_: Range = WHOLE, **chosen: Sequence[str]) -> Table:
    return run(database, panel_of("overview", title), range_, **chosen)


def detail(database: Client, title: str, range_: Range = WHOLE, **chosen: Sequence[str]) -> Table:
    return run(database, panel_of("institution", title), range_, **chosen)


def states_at(database: Client, end: datetime) -> list[tuple[Any, ...]]:
    """(rulebook, institution, rule, severity, state) of each finding at an instant, by Python."""
    rows = ask(
        database,
        "SELECT rulebook, institution_id, rule_id, severity, history FROM alerts FINAL",
    ).rows
    found = []
    for *head, history in rows:
        past = [step for step in history if step["at"].replace(tzinfo=UTC) <= end]
        if past:
            found.append((*head, past[-1]["state"]))
    return found


# --- every query ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [ALL, SINGLE, EMPTY], ids=["all", "single", "empty"])
@pytest.mark.parametrize(("kind", "lang"), BOARDS)
def test_every_query_runs_whatever_is_chosen(
    database: Client, kind: str, lang: Lang, chosen: dict[str, Sequence[str]]
) -> None:
    board = Board.load(kind, lang)
    for panel in board.panels:
        if panel.sql:
            data = run(database, panel, WHOLE, **chosen)
            if chosen is ALL:
                assert data.rows, panel.title
    if kind == "institution":
        for name in ("institution", "rule", "finding"):
            sql = fill_in(board.variable_sql(name), chosen)
            assert ask(database, sql).rows or chosen is EMPTY, name


@pytest.mark.parametrize(("kind", "lang"), BOARDS)
def test_every_column_has_a_heading_and_every_number_a_unit(
    database: Client, kind: str, lang: Lang
) -> None:
    for panel in Board.load(kind, lang).panels:
        if not panel.sql:
            continue
        data = run(database, panel)
        for name in data.columns:
            look = panel.look(name)
            if panel.kind == "state-timeline" or name == "time":
                continue
            assert look.get("displayName"), f"{panel.title}: {name}"
            if any(isinstance(value, (*NUMBERS, datetime)) for value in data.column(name)):
                assert look.get("unit"), f"{panel.title}: {name}"


@pytest.mark.parametrize("lang", LANGS)
def test_every_code_that_is_shown_has_a_text(database: Client, lang: Lang) -> None:
    """A column with a mapping never shows a bare code."""
    for kind in KINDS:
        for panel in Board.load(kind, lang).panels:
            if not panel.sql:
                continue
            data = run(database, panel)
            for name in data.columns:
                mappings = panel.look(name).get("mappings")
                if panel.kind == "state-timeline" and name != "state":
                    continue
                if mappings and name != "value":
                    known = set(mappings[0]["options"])
                    assert {str(value) for value in data.column(name)} <= known, panel.title


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_without_data_is_empty_not_wrong(database: Client, kind: str) -> None:
    before = Range(START - timedelta(days=400), START - timedelta(days=399))
    for panel in Board.load(kind, "en").panels:
        if panel.sql and "finding:" not in panel.sql and panel.title != "Institution":
            for row in run(database, panel, before).rows:
                assert not [value for value in row if isinstance(value, NUMBERS) and value], row


def test_a_quote_in_a_choice_stays_a_value(database: Client) -> None:
    hostile = ("x') OR 1=1 --", "back\\slash'")
    assert detail(database, "Findings", institution=hostile).rows == []
    sql = fill_in("SELECT 1 WHERE 'a' IN (${v:singlequote})", {"v": hostile})
    assert ask(database, sql).rows == []


# --- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [END, START + timedelta(hours=30), START + timedelta(hours=9)])
def test_open_findings_are_those_open_at_the_end_of_the_range(
    database: Client, end: datetime
) -> None:
    expected = Counter((severity, state) for *_, severity, state in states_at(database, end))
    (row,) = overview(database, "Open findings", Range(START, end)).records()
    assert row["critical"] == expected["critical", "CONFIRMED"]
    assert row["major"] == expected["major", "CONFIRMED"]
    assert row["suspected"] == sum(n for (_, state), n in expected.items() if state == "SUSPECTED")


def test_a_change_at_the_very_end_of_the_range_counts(database: Client) -> None:
    changed = ask(
        database, "SELECT max(changed_at) FROM alerts FINAL WHERE state = 'CONFIRMED'"
    ).rows[0][0]
    (at,) = overview(database, "Open findings", Range(START, changed)).records()
    before = Range(START, changed - timedelta(milliseconds=1))
    (earlier,) = overview(database, "Open findings", before).records()
    assert sum(at.values()) >= sum(earlier.values())
    assert at["critical"] + at["major"] > earlier["critical"] + earlier["major"]


def test_open_findings_by_rule_agree_with_the_figure_above(database: Client) -> None:
    expected = Counter(
        (rule, severity)
        for _, _, rule, severity, state in states_at(database, END)
        if state == "CONFIRMED"
    )
    rows = overview(database, "Open confirmed findings by rule and severity").records()
    found = {
        (row["rule"][:6], severity): row[severity]
        for row in rows
        for severity in ("critical", "major")
        if row[severity]
    }
    assert found == dict(expected)


def test_only_the_chosen_jurisdiction_is_counted(database: Client) -> None:
    expected = sum(
        book == "guangxi" and severity == "critical" and state == "CONFIRMED"
        for book, _, _, severity, state in states_at(database, END)
    )
    (row,) = overview(database, "Open findings", rulebook=["guangxi"]).records()
    assert row["critical"] == expected > 0
    worst = overview(database, "Institutions to look at first (10)", rulebook=["guangxi"])
    assert set(worst.column("rulebook")) == {"guangxi"}


def test_an_hour_that_was_sent_again_counts_once(database: Client) -> None:
    latest: dict[tuple[Any, ...], tuple[int, float]] = {}
    for key, start, value, revision in ask(
        database,
        "SELECT institution_id, window_start, value, revision FROM aggregates "
        "WHERE metric = 'events'",
    ).rows:
        latest[key, start] = max(latest.get((key, start), (0, 0.0)), (revision, value))
    (row,) = overview(database, "Volume").records()
    assert row["uploads"] == sum(value for _, value in latest.values())
    assert row["rejected"] == ask(database, "SELECT count() FROM rejects FINAL").rows[0][0]


def test_the_rate_of_late_uploads(database: Client) -> None:
    rows = {
        row["rulebook"]: row
        for row in overview(database, "Late uploads of clinical data").records()
    }
    guangxi = rows["guangxi"]
    assert guangxi["rate"] == pytest.approx(guangxi["late"] / guangxi["judged"])
    assert 0 < guangxi["late"] < guangxi["judged"] <= guangxi["uploads"]
    # A rulebook without a limit has uploads, but neither late ones nor a rate.
    for rulebook in ("chongqing", "national"):
        assert rows[rulebook]["uploads"] > 0
        assert rows[rulebook]["late"] is None
        assert rows[rulebook]["rate"] is None
    # What could not be judged stands apart, also where nobody knows who sent it.
    assert guangxi["undecided"] == 18
    assert rows["unidentified"]["undecided"] == 6


def test_the_rate_of_sessions_without_identity_check(database: Client) -> None:
    judged = Counter(
        (book, state) for book, _, rule, _, state in states_at(database, END) if rule == "IDV-01"
    )
    title = "Sessions without prior identity check (IDV-01)"
    for row in overview(database, title).records():
        assert row["violated"] == judged[row["rulebook"], "CONFIRMED"]
        assert row["undecided"] == judged[row["rulebook"], "SUSPECTED"]
        assert row["rate"] == pytest.approx(row["violated"] / row["sessions"])
        assert row["sessions"] >= 30


def test_few_cases_get_no_rate_and_no_rank(database: Client) -> None:
    rows = overview(database, "Institutions to look at first (10)").records()
    by_id = {row["institution_id"]: row for row in rows}
    few = by_id.pop(FEW_UPLOADS)
    assert few["uploads"] == 12
    assert few["critical"] == 1
    assert few["rank"] is few["per_thousand"] is few["late_rate"] is None
    assert rows[-1] == few
    ranked = sorted(by_id.values(), key=lambda row: row["rank"])
    assert [row["rank"] for row in ranked] == list(range(1, len(ranked) + 1))
    rates = [row["per_thousand"] for row in ranked]
    assert rates == sorted(rates, reverse=True)
    title = "Sessions without prior identity check (IDV-01)"
    hour = Range(START + 34 * HOUR, START + 35 * HOUR)
    for row in overview(database, title, hour, rulebook=["yinchuan", "national"]).records():
        assert 0 < row["sessions"] < 30
        assert row["rate"] is None


def test_an_institution_that_fell_silent_is_still_listed(database: Client) -> None:
    night = Range(START + timedelta(days=2, hours=1), START + timedelta(days=2, hours=3))
    rows = overview(database, "Institutions to look at first (10)", night).records()
    assert {row["institution_id"] for row in rows} >= {"GX-0001", "CQ-0003"}
    assert {row["uploads"] for row in rows} == {0}
    assert {row["rank"] for row in rows} == {None}
    assert rows[0]["critical"] == max(row["critical"] for row in rows) > 0


def test_one_that_never_filed_is_shown_by_its_number(database: Client) -> None:
    rows = overview(database, "Institutions to look at first (10)").records()
    assert NEVER_FILED in [row["institution"] for row in rows]
    (header,) = detail(database, "Institution", institution=[NEVER_FILED]).records()
    assert header["institution"] == NEVER_FILED
    assert header["rulebook"] == "sichuan"
    assert header["licence_to"] == ""


def test_days_begin_at_midnight_in_shanghai(database: Client) -> None:
    days = overview(database, "Findings confirmed per day")
    assert {at.hour for at in days.column("time")} == {16}
    confirmed = [
        step["at"].replace(tzinfo=UTC)
        for (history,) in ask(database, "SELECT history FROM alerts FINAL").rows
        for step in history
        if step["state"] == "CONFIRMED"
    ]
    expected = Counter((at - START).days for at in confirmed if START <= at <= END)
    found = {(row[0] - START).days: sum(row[1:]) for row in days.rows}
    assert found == dict(expected)


def test_data_as_of_is_the_newest_sign_of_life(database: Client) -> None:
    (row,) = overview(database, "Data as of, and lag").records()
    newest = datetime.fromtimestamp(row["as_of"] / 1000, UTC)
    changes = ask(database, "SELECT max(changed_at) FROM alerts").rows[0][0]
    assert min(changes, END) - HOUR <= newest <= END
    assert row["lag"] == (END - newest).total_seconds()


def test_a_violation_over_at_once_still_shows_on_the_timeline(database: Client) -> None:
    data = detail(database, "State of each rule over time")
    by_rule: dict[str, set[int]] = {}
    for _, rule, state in data.rows:
        by_rule.setdefault(rule[:6], set()).add(state)
    assert by_rule["UPL-01"] == {0, 2}
    assert by_rule["IDV-01"] >= {1, 2}
    times = data.column("time")
    assert times == sorted(times)
    assert len(set(times)) <= 202


def test_the_evidence_is_that_of_the_chosen_finding(database: Client) -> None:
    for finding, evidence in ask(
        database,
        "SELECT finding_id, evidence FROM alerts FINAL WHERE institution_id = 'GX-0001' LIMIT 5",
    ).rows:
        shown = detail(database, "Evidence of the chosen finding", finding=[finding])
        assert sorted(shown.column("event_id")) == sorted(evidence)
        facts = detail(database, "The chosen finding", finding=[finding]).records()
        assert {"rule", "message", "citations", "state"} <= {row["item"] for row in facts}


def test_uploads_of_one_institution_add_up(database: Client) -> None:
    (row,) = detail(database, "Uploads and receipts").records()
    hours = detail(database, "Uploads per hour").records()
    assert sum(one["on_time"] + one["late"] + one["other"] for one in hours) == row["accepted"]
    assert sum(one["late"] for one in hours) == row["late"]
    reasons = detail(database, "Why records were rejected").records()
    assert sum(one["rejected"] for one in reasons) == row["rejected"] == 18
