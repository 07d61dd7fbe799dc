"""The preview does with macros, values and links what Grafana does, and its pages stand alone."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from clickhouse_connect.driver.client import Client

from dashboards.committed import KINDS
from dashboards.preview import NothingToShow, render_preview
from dashboards.preview.charts import draw
from dashboards.preview.model import Board, Link, Range, ask, fill_in, follow
from dashboards.preview.values import Shown, duration, show
from schemas.texts import Lang
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from streams.cli import run
from tests.support.board_data import END, HOSPITALS, START

RANGE = Range(START, END)


# --- what Grafana does ---------------------------------------------------------------------------


def test_macros_become_what_the_plugin_makes_of_them() -> None:
    start, end = (
        "fromUnixTimestamp64Milli(1772380800000)",
        "fromUnixTimestamp64Milli(1772726400000)",
    )
    assert (
        RANGE.interpolate("a > $__fromTime_ms AND a < $__toTime_ms") == f"a > {start} AND a < {end}"
    )
    assert RANGE.interpolate("$__timeFilter_ms(t)") == f"t >= {start} AND t <= {end}"


def test_a_macro_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="timeInterval"):
        RANGE.interpolate("SELECT $__timeInterval(t)")


def test_variables_are_quoted_one_by_one() -> None:
    assert fill_in("IN (${v:singlequote})", {"v": ["a", "b'c"]}) == "IN ('a','b\\'c')"
    assert fill_in("IN (${v:singlequote})", {"v": []}) == "IN ()"


def test_a_link_is_resolved_for_its_row() -> None:
    url = "/d/ih-x?var-institution=${__data.fields.id}&${rulebook:queryparam}&${__url_time_range}"
    assert follow(url, {"id": "GX-1"}) == Link("ih-x", {"institution": "GX-1"})


@pytest.mark.parametrize(
    ("value", "look", "text"),
    [
        (1234567, {"unit": "short"}, "1,234,567"),
        (1.5, {"unit": "short"}, "1.50"),
        (2.0, {"unit": "short"}, "2"),
        (0.01234, {"unit": "percentunit", "decimals": 2}, "1.23%"),
        (90010, {"unit": "none"}, "90010"),
        (86_400_000, {"unit": "ms"}, "24 h"),
        (90, {"unit": "s"}, "1.5 min"),
        (1772380800000, {"unit": "dateTimeAsIso"}, "2026-03-02 00:00:00"),
        (datetime(2026, 3, 1, 16, tzinfo=UTC), {}, "2026-03-02 00:00:00"),
        ("as it is", {}, "as it is"),
    ],
)
def test_values_are_shown_in_their_unit(value: Any, look: dict[str, Any], text: str) -> None:
    assert show(value, look).text == text


def test_no_value_and_not_a_number_say_so() -> None:
    look = {"noValue": "n < 30", "unit": "short"}
    assert show(None, look) == show(float("nan"), look) == Shown("n < 30", missing=True)


def test_a_threshold_colours_from_its_value_on() -> None:
    steps = [{"value": None, "color": "plain"}, {"value": 1, "color": "red"}]
    look = {"unit": "short", "color": {"mode": "thresholds"}, "thresholds": {"steps": steps}}
    assert [show(value, look).colour for value in (0, 1, 2)] == ["plain", "red", "red"]


def test_durations_take_the_unit_that_suits() -> None:
    shown = [duration(ms) for ms in (7, 1500, 60_000, 5_400_000, 86_400_000, 259_200_000)]
    assert shown == ["7 ms", "1.5 s", "1 min", "1.5 h", "24 h", "3 d"]


def test_every_figure_is_one_that_plotly_knows(database: Client) -> None:
    """plotly.js ignores what it does not know; plotly's Python objects refuse it."""
    everything = {"institution": ["GX-0001"], "finding": ["x"], "rule": ["UPL-01", "IDV-01"]}
    drawn = 0
    for kind in KINDS:
        board = Board.load(kind, "en")
        chosen = {name: list(board.choices(name)) for name in ("rulebook", "severity")}
        for panel in board.panels:
            if panel.sql and panel.kind not in ("stat", "table"):
                data = ask(database, RANGE.interpolate(fill_in(panel.sql, chosen | everything)))
                figure = draw(panel, data, RANGE)
                assert go.Figure(figure).to_plotly_json()["data"], panel.title
                drawn += 1
    assert drawn == 9


# --- pages ---------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a page refers to, and which panels it has with how many rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.panels: dict[int, int] = {}
        self.findings: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given["href"])
        elif "src" in given or "href" in given:
            self.loads.append(given.get("src") or given["href"])
        if "data-panel" in given:
            self.panels[int(given["data-panel"])] = int(given["data-rows"])
        if "data-row-finding" in given:
            self.findings.add(given["data-row-finding"])


@pytest.fixture(scope="module")
def pages(database: Client, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return render_preview(database, tmp_path_factory.mktemp("pages"), start=START, end=END)


def test_there_is_a_page_for_each_board_institution_and_language(pages: list[Path]) -> None:
    names = [path.name for path in pages]
    assert names[0] == "index.html"
    expected = {f"overview-{lang}.html" for lang in ("zh", "en")} | {
        f"institution-{hospital.id}-{lang}.html" for hospital in HOSPITALS for lang in ("zh", "en")
    }
    assert set(names[1:]) == expected


def test_pages_hold_everything_and_link_only_to_each_other(pages: list[Path]) -> None:
    names = {path.name for path in pages}
    for path in pages:
        page = Reader(path.read_text(encoding="utf-8"))
        assert [one for one in page.loads if not one.startswith("data:")] == []
        for link in page.links:
            name, _, finding = link.partition("#finding=")
            assert name in names | {""}, f"{path.name}: {link}"
            assert not finding or finding in page.findings
        assert "@import" not in path.read_text(encoding="utf-8")[:20_000]


def test_pages_show_every_panel_of_their_board(pages: list[Path]) -> None:
    for path in pages[1:]:
        kind = "overview" if path.name.startswith("overview") else "institution"
        lang: Lang = "zh" if path.name.endswith("-zh.html") else "en"
        page = Reader(path.read_text(encoding="utf-8"))
        assert set(page.panels) == {panel.id for panel in Board.load(kind, lang).panels}


def test_the_overview_leads_to_every_institution_it_lists(pages: list[Path]) -> None:
    page = Reader(next(p for p in pages if p.name == "overview-en.html").read_text("utf-8"))
    assert {f"institution-{hospital.id}-en.html" for hospital in HOSPITALS} <= set(page.links)


def test_one_institution_one_language_one_day(database: Client, tmp_path: Path) -> None:
    written = render_preview(
        database,
        tmp_path,
        langs=["zh"],
        start=START,
        end=START + timedelta(days=1),
        rulebooks=["guangxi"],
        institutions=["GX-0002"],
    )
    names = [path.name for path in written]
    assert names == ["index.html", "overview-zh.html", "institution-GX-0002-zh.html"]
    text = written[1].read_text(encoding="utf-8")
    assert "2026-03-02 00:00 – 2026-03-03 00:00" in text
    assert "重庆" not in re.sub(r"<pre>.*?</pre>", "", text.split("<script>")[0], flags=re.DOTALL)


def test_what_is_not_stored_is_said(database: Client, tmp_path: Path) -> None:
    with pytest.raises(NothingToShow, match="GX-9999"):
        render_preview(database, tmp_path, institutions=["GX-9999"])
    with pytest.raises(NothingToShow, match="before its end"):
        render_preview(database, tmp_path, start=END, end=START)


# --- hostile and empty databases, each its own chDB ----------------------------------------------


@pytest.fixture
def other(database: Client, tmp_path: Path) -> Iterator[Client]:
    """A second, empty database in the same engine."""
    client = connect(f"chdb://{_engine(database)}")
    client.database = "other"
    migrate(client)
    yield client
    client.command("DROP DATABASE other")
    client.close()


def _engine(client: Client) -> str:
    return str(client.path)  # type: ignore[attr-defined]


def test_an_empty_database_is_said(other: Client, tmp_path: Path) -> None:
    with pytest.raises(NothingToShow, match="nothing is stored"):
        render_preview(other, tmp_path)


def test_what_a_hospital_writes_stays_text(other: Client, tmp_path: Path) -> None:
    """Names, ids and payloads come from outside: none may become markup or a script."""
    hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    at = START + timedelta(hours=1)
    hour = {"window_start": START, "window_end": at, "revision": 1, "rulebook": "guangxi"}
    _insert(
        other,
        "aggregates",
        {**hour, "institution_id": hostile, "metric": "events", "value": 5.0},
        {**hour, "institution_id": hostile, "metric": "clinical", "value": 5.0},
        {**hour, "institution_id": hostile, "metric": "latency_p50_ms", "value": 5.0},
    )
    finding = {
        "institution_id": hostile, "finding_id": "f1", "version": 1, "state": "CONFIRMED",
        "rule_id": "IDV-01", "rulebook": "guangxi", "subject_type": "session",
        "subject_id": hostile, "severity": "critical", "notify": True, "opened_at": START,
        "changed_at": START, "evidence": ["e1"], "params": {hostile: hostile},
        "flags": [hostile], "citations": [hostile], "title_zh": hostile, "title_en": hostile,
        "message_zh": hostile, "message_en": hostile, "history": [("CONFIRMED", START)],
    }  # fmt: skip
    _insert(other, "alerts", finding)
    event = {
        "institution_id": hostile, "event_id": "e1", "event_type": hostile,
        "rulebook": "guangxi", "occurred_at": START, "recorded_at": START, "received_at": START,
        "session_id": hostile, "staff_id": hostile, "payload": hostile,
    }  # fmt: skip
    _insert(other, "events", event)
    reject = {"topic": "t", "partition": 0, "offset": 1, "received_at": START, "reason": hostile,
              "field": hostile, "detail": hostile, "institution_id": hostile}  # fmt: skip
    _insert(other, "rejects", reject)
    written = render_preview(other, tmp_path)
    assert len(written) == 5
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "<img" not in text
        assert "<script>alert" not in text
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)


def _insert(client: Client, table: str, *rows: dict[str, Any]) -> None:
    client.insert(table, [list(row.values()) for row in rows], column_names=list(rows[0]))


# --- the command ---------------------------------------------------------------------------------


def test_the_command_renders_from_chdb(database: Client, tmp_path: Path) -> None:
    url = f"chdb://{_engine(database)}"
    command = ["boards", "preview", "--clickhouse-url", url, "--lang", "en", "--out", str(tmp_path)]
    period = ["--from", "2026-03-02", "--to", "2026-03-03T12:00"]
    assert run([*command, *period, "--institution", "CQ-0003"]) == 0
    text = (tmp_path / "institution-CQ-0003-en.html").read_text(encoding="utf-8")
    assert "2026-03-02 00:00 – 2026-03-03 12:00" in text
    assert run([*command, "--institution", "nobody"]) == 5
    assert run([*command, "--rulebook", "atlantis"]) == 2
    assert run([*command, "--from", "yesterday"]) == 2


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)]
    assert run(["boards", "preview", *out]) == 2
    assert run(["boards", "preview", *out, "--clickhouse-url", f"chdb://{tmp_path}/none"]) == 2
    assert run(["boards", "preview", *out, "--clickhouse-url", "ftp://x"]) == 2
