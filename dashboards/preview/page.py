"""One board as one HTML file: header, panels on the grid, and everything they need inside."""

import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dashboards.preview.charts import Figure, draw
from dashboards.preview.model import Board, Link, Panel, Range, Table, follow
from dashboards.preview.values import Shown, local, show
from schemas.texts import Lang, text

# Columns that hold identifiers: shown small, never as figures.
_IDS = ("_id", "offset", "partition", "stream_seq")
# The column that tells the rows of several findings apart; hidden where the page shows one.
_OWNER = "finding_id"
# Wrapped columns of this width or none (they take what is left) get room on the page, too.
_LONG = 300
_WIDE = 200

# Where a data link leads in this set of pages; None where there is no such page.
Route = Callable[[Link], str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A panel with its rows and the SQL that gave them; a text has neither."""

    panel: Panel
    data: Table | None
    sql: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a page says besides its panels."""

    board: Board
    kicker: str
    heading: str
    facts: list[tuple[str, str]]
    ways: list[tuple[str, str]]
    range: Range


def render(page: Page, answers: list[Answer], route: Route) -> str:
    """Return the page. Every text from the data is escaped; scripts and styles are inside."""
    lang = page.board.lang
    panels = "\n".join(_panel(page, answer, route) for answer in answers)
    return document(
        lang,
        page.heading,
        f"{_header(page)}<main>\n{panels}\n</main>{footer(lang)}",
        with_charts=True,
    )


def document(lang: Lang, title: str, body: str, *, kind: str = "", with_charts: bool) -> str:
    """Return a whole HTML file; with charts, plotly is inside it (about 5 MB)."""
    scripts = (
        f"<script>{_plotly()}</script>\n<script>{_asset('page.js')}</script>" if with_charts else ""
    )
    return f"""<!doctype html>
<html lang="{"zh-CN" if lang == "zh" else "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>{_asset("page.css")}</style>
</head>
<body class="{kind}">
{body}
{scripts}
</body>
</html>
"""


def footer(lang: Lang) -> str:
    """Return the last line of every page."""
    return f"<footer>{html.escape(text('boards.preview.footer', lang))}</footer>"


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _header(page: Page) -> str:
    ways = "".join(f'<a href="{html.escape(to)}">{html.escape(name)}</a>' for name, to in page.ways)
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in page.facts
    )
    return (
        f'<header><p class="kicker">{html.escape(page.kicker)}</p>'
        f'<div class="top"><h1>{html.escape(page.heading)}</h1><nav>{ways}</nav></div>'
        f"<dl>{facts}</dl></header>"
    )


def _panel(page: Page, answer: Answer, route: Route) -> str:
    panel, lang = answer.panel, page.board.lang
    rows = len(answer.data.rows) if answer.data else 0
    return (
        f'<section class="panel" style="grid-column: span {panel.place[2]}" '
        f'data-panel="{panel.id}" data-kind="{panel.kind}" data-rows="{rows}">'
        f"<h2>{html.escape(panel.title)}</h2>"
        f'<p class="about">{html.escape(panel.description)}</p>'
        f"{_body(page, answer, route)}{_tools(panel, answer.sql, lang)}</section>"
    )


def _tools(panel: Panel, sql: str | None, lang: Lang) -> str:
    if sql is None:
        return ""
    csv = (
        f'<button data-csv="panel-{panel.id}.csv">{html.escape(text("boards.preview.csv", lang))}'
        "</button>"
        if panel.kind == "table"
        else ""
    )
    return (
        f'<div class="tools">{csv}<details><summary>'
        f"{html.escape(text('boards.preview.sql', lang))}</summary>"
        f"<pre>{html.escape(sql)}</pre></details></div>"
    )


def _body(page: Page, answer: Answer, route: Route) -> str:
    panel, data = answer.panel, answer.data
    if data is None:
        return f'<div class="markdown">{_markdown(panel)}</div>'
    if not data.rows:
        return f'<div class="nothing">{html.escape(str(panel.look("")["noValue"]))}</div>'
    if panel.kind == "stat":
        return _tiles(panel, data)
    if panel.kind == "table":
        return _table(panel, data, route)
    key = f"figure-{panel.id}"
    figure = draw(panel, data, page.range)
    return (
        f'<div data-figure="{key}" style="height:{figure["layout"]["height"]}px"></div>'
        f'<script type="application/json" id="{key}">{_json(figure)}</script>'
    )


def _markdown(panel: Panel) -> str:
    """Return the paragraphs of a text panel; of Markdown, our texts use only `**strong**`."""
    paragraphs = html.escape(panel.options["content"]).split("\n\n")
    strong = (re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", one) for one in paragraphs)
    return "".join(f"<p>{one}</p>" for one in strong)


def _json(figure: Figure) -> str:
    """Return JSON for a script element, which no text of the data can end."""
    return json.dumps(figure, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _tiles(panel: Panel, data: Table) -> str:
    plain = panel.options["colorMode"] == "none"
    tiles = []
    for name, value in data.records()[-1].items():
        look = panel.look(name)
        shown = show(value, look)
        if not shown.text:
            continue
        style = f' style="color:{shown.colour}"' if shown.colour and not plain else ""
        kind = " when" if look.get("unit") == "dateTimeAsIso" else ""
        kind = " missing" if shown.missing else kind
        tiles.append(
            f'<div class="tile{kind}"><div class="name">{html.escape(look["displayName"])}</div>'
            f'<div class="value"{style}>{html.escape(shown.text)}</div></div>'
        )
    return f'<div class="tiles{" words" if plain else ""}">{"".join(tiles)}</div>'


def _table(panel: Panel, data: Table, route: Route) -> str:
    """Rows of chosen findings carry their finding, so that the page can show one at a time."""
    looks = {name: panel.look(name) for name in data.columns}
    chosen = "${finding:" in (panel.sql or "")
    columns = [name for name in data.columns if not (chosen and name == _OWNER)]
    heads = "".join(
        f"<th{_class(name, data)}>{html.escape(looks[name]['displayName'])}</th>"
        for name in columns
    )
    rows = []
    for row in data.records():
        cells = "".join(_cell(name, row, looks[name], data, route) for name in columns)
        mark = ""
        if _OWNER in row:
            attribute = "data-finding" if chosen else "data-row-finding"
            mark = f' {attribute}="{html.escape(row[_OWNER])}"'
        rows.append(f"<tr{mark}>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _class(name: str, data: Table, *more: str) -> str:
    names = [one for one in more if one]
    if name.endswith(_IDS):
        names.append("id")
    elif any(isinstance(value, (int, float)) for value in data.column(name)):
        names.append("number")
    return f' class="{" ".join(names)}"' if names else ""


def _cell(
    name: str, row: Mapping[str, Any], look: Mapping[str, Any], data: Table, route: Route
) -> str:
    options = look.get("custom.cellOptions", {})
    shown = show(row[name], look)
    inner = html.escape(shown.text)
    if options.get("type") == "json-view" and shown.text:
        inner = _folded(shown.text)
    elif options.get("type") == "color-text" and shown.colour:
        # A code gets a dot, so that its text stays readable; a figure above zero is printed bold.
        if look.get("mappings"):
            inner = f'<span class="dot" style="background:{shown.colour}"></span>{inner}'
        elif row[name]:
            inner = f'<b style="color:{shown.colour}">{inner}</b>'
    for link in look.get("links", ()):
        if to := route(follow(link["url"], row)):
            inner = f'<a href="{html.escape(to)}">{inner}</a>'
    wide = "wrap long" if look.get("custom.width", _LONG) >= _LONG else "wrap"
    wraps = wide if options.get("wrapText") else ""
    return f"<td{_class(name, data, wraps, _missing(shown))}{_room(name, look)}>{inner}</td>"


def _room(name: str, look: Mapping[str, Any]) -> str:
    """Give a long identifier room, as its width in Grafana asks; it may break after that."""
    wide = name.endswith(_IDS) and look.get("custom.width", 0) >= _WIDE
    return ' style="min-width:150px"' if wide else ""


def _missing(shown: Shown) -> str:
    return "missing" if shown.missing else ""


def _folded(payload: str) -> str:
    """Show JSON indented, behind a click; what is no JSON as it is."""
    try:
        pretty = json.dumps(json.loads(payload), ensure_ascii=False, indent=1)
    except ValueError:
        pretty = payload
    brief = html.escape(re.sub(r"\s+", " ", payload)[:40])
    return f"<details><summary>{brief}…</summary><pre>{html.escape(pretty)}</pre></details>"


def period(range_: Range) -> str:
    """Return both ends of a range in Shanghai time, to the minute."""
    return f"{local(range_.start)[:16]} – {local(range_.end)[:16]}"
