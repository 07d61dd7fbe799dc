"""Render the boards over what is stored in ClickHouse into a folder of self-contained pages."""

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clickhouse_connect.driver.client import Client

from dashboards.preview.model import Board, Link, Range, Table, Variables, ask, fill_in
from dashboards.preview.page import Answer, Page, document, footer, period, render
from dashboards.preview.values import local
from schemas.errors import IhwatchError
from schemas.texts import LANGS, Lang, text

_HOUR = timedelta(hours=1)
_EXTENT = """SELECT min(at), max(at) FROM (
  SELECT window_start AS at FROM aggregates
  UNION ALL SELECT window_end FROM aggregates
  UNION ALL SELECT opened_at FROM alerts
  UNION ALL SELECT changed_at FROM alerts
  UNION ALL SELECT received_at FROM rejects
)"""


class NothingToShow(IhwatchError):
    """The database holds nothing in the chosen range, or not the institution asked for."""

    exit_code = 5


def render_preview(
    client: Client,
    out_dir: Path,
    *,
    langs: Sequence[Lang] = LANGS,
    start: datetime | None = None,
    end: datetime | None = None,
    rulebooks: Sequence[str] = (),
    institutions: Sequence[str] = (),
) -> list[Path]:
    """Write the pages into `out_dir` and return them, `index.html` first.

    The client's default database is the one that `ihwatch migrate` made. Without `start` and `end`
    the pages cover everything stored, in whole hours; without `institutions`, those that the
    overview lists as the ones to look at first. Raises NothingToShow. A page is about 5 MB, since
    each holds plotly itself.
    """
    range_ = _range(client, start, end)
    generated = local(ask(client, "SELECT now64(3, 'UTC')").rows[0][0])
    out_dir.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    contents = []
    source = _Source(client)
    for lang in langs:
        edition = _Edition(source, lang, tuple(langs), range_, tuple(rulebooks), generated)
        answers, names = edition.ask_overview(institutions)
        for file, page in edition.pages(answers, names):
            (out_dir / file).write_text(page, encoding="utf-8")
            written.append(out_dir / file)
        contents.append(_contents(lang, range_, names))
    index = out_dir / "index.html"
    index.write_text(_index(langs, contents), encoding="utf-8")
    return [index, *written]


def _range(client: Client, start: datetime | None, end: datetime | None) -> Range:
    """Return the range asked for; an end that is left open comes from the data."""
    if start is None or end is None:
        first, last = ask(client, _EXTENT).rows[0]
        if last == datetime(1970, 1, 1, tzinfo=UTC):  # what min and max give over no rows
            raise NothingToShow("nothing is stored yet")
        start = start or first.replace(minute=0, second=0, microsecond=0)
        whole = last.replace(minute=0, second=0, microsecond=0)
        end = end or (whole if whole == last else whole + _HOUR)
    if start >= end:
        raise NothingToShow("the range is empty: its start is not before its end")
    return Range(start, end)


class _Source:
    """Asks each query once: both languages show the same figures, though data goes on arriving."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked: dict[str, Table] = {}

    def ask(self, sql: str) -> Table:
        """Return the answer to a query, from the first time it was asked."""
        if sql not in self._asked:
            self._asked[sql] = ask(self._client, sql)
        return self._asked[sql]


@dataclass(frozen=True, slots=True)
class _Edition:
    """The pages in one language."""

    source: _Source
    lang: Lang
    langs: tuple[Lang, ...]
    range: Range
    rulebooks: tuple[str, ...]
    generated: str

    def ask_overview(self, wanted: Sequence[str]) -> tuple[list[Answer], dict[str, str]]:
        """Return the overview's answers, and id and name of each institution that gets a page."""
        overview, detail = Board.load("overview", self.lang), Board.load("institution", self.lang)
        variables = self._variables(overview)
        answers = self._answers(overview, variables)
        known = self._choices(detail, "institution", variables)
        if missing := [one for one in wanted if one not in known]:
            raise NothingToShow(f"nothing is stored of institution {', '.join(missing)}")
        listed = _with("institution_id", answers).column("institution_id")
        return answers, {one: known[one] for one in wanted or listed if one in known}

    def pages(self, answers: list[Answer], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield file name and text of each page."""
        facts = self._facts(answers)
        yield _file("overview", self.lang), self._overview(answers, names, facts)
        detail = Board.load("institution", self.lang)
        for institution, name in names.items():
            file = _institution_file(institution, self.lang)
            yield file, self._institution(detail, institution, name, facts)

    def _overview(
        self, answers: list[Answer], names: Mapping[str, str], facts: list[tuple[str, str]]
    ) -> str:
        board = Board.load("overview", self.lang)

        def route(link: Link) -> str | None:
            institution = link.sets.get("institution", "")
            return _institution_file(institution, self.lang) if institution in names else None

        kicker = text("boards.preview.index.title", self.lang)
        ways = [(kicker, "index.html")]
        ways += [(label, _file("overview", lang)) for label, lang in self._others()]
        page = Page(board, kicker, board.title, facts, ways, self.range)
        return render(page, answers, route)

    def _institution(
        self, board: Board, institution: str, name: str, facts: list[tuple[str, str]]
    ) -> str:
        """Return the drill-down of one institution, with the evidence of all listed findings."""
        variables = {**self._variables(board), "institution": [institution]}
        variables["rule"] = list(self._choices(board, "rule", variables))
        variables["finding"] = list(self._choices(board, "finding", variables))
        answers = self._answers(board, variables)

        def route(link: Link) -> str | None:
            finding = link.sets.get("finding")
            return f"#finding={finding}" if finding in variables["finding"] else None

        ways = [(text("boards.preview.back", self.lang), _file("overview", self.lang))]
        ways += [(label, _institution_file(institution, lang)) for label, lang in self._others()]
        return render(Page(board, board.title, name, facts, ways, self.range), answers, route)

    def _variables(self, board: Board) -> dict[str, Sequence[str]]:
        """Return the values of the filters, All where nothing was chosen."""
        rulebooks = self.rulebooks or tuple(board.choices("rulebook"))
        return {"rulebook": rulebooks, "severity": tuple(board.choices("severity"))}

    def _answers(self, board: Board, variables: Variables) -> list[Answer]:
        """Run every panel's query."""
        found = []
        for panel in board.panels:
            if panel.sql is None:
                found.append(Answer(panel, None, None))
                continue
            sql = self.range.interpolate(fill_in(panel.sql, variables))
            found.append(Answer(panel, self.source.ask(sql), sql))
        return found

    def _choices(self, board: Board, variable: str, variables: Variables) -> dict[str, str]:
        """Return value and label of each choice that a variable's query finds."""
        rows = self.source.ask(fill_in(board.variable_sql(variable), variables)).rows
        return {str(row[0]): str(row[-1]) for row in rows}

    def _facts(self, answers: list[Answer]) -> list[tuple[str, str]]:
        """Return the lines under a heading: period and zone, freshness, filter, time of making."""
        names = Board.load("overview", self.lang).choices("rulebook")
        chosen = ", ".join(names[one] for one in self.rulebooks)
        as_of = _with("as_of", answers).column("as_of")[0]
        facts = {
            "preview.range": period(self.range),
            "preview.zone_label": text("boards.preview.zone", self.lang),
            "preview.as_of": text("boards.nothing", self.lang) if as_of is None else local(as_of),
            "variable.rulebook": chosen or text("boards.preview.all", self.lang),
            "preview.generated": self.generated,
        }
        return [(text(f"boards.{key}", self.lang), value) for key, value in facts.items()]

    def _others(self) -> list[tuple[str, Lang]]:
        """Return how this language names each other one that is rendered."""
        label = text("boards.language", self.lang)
        return [(label, lang) for lang in self.langs if lang != self.lang]


def _with(column: str, answers: list[Answer]) -> Table:
    """Return the first answer that has the column."""
    return next(one.data for one in answers if one.data and column in one.data.columns)


def _institution_file(institution: str, lang: Lang) -> str:
    return f"institution-{_file(institution, lang)}"


def _file(stem: str, lang: Lang) -> str:
    """Return a file name that is safe, and still told apart, whatever the registration number."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", stem)
    if safe != stem:
        safe += "-" + hashlib.sha256(stem.encode()).hexdigest()[:8]
    return f"{safe}-{lang}.html"


def _index(langs: Sequence[Lang], contents: list[str]) -> str:
    title = " · ".join(text("boards.preview.index.title", lang) for lang in langs)
    body = (
        f'<header><div class="top"><h1>{html.escape(title)}</h1></div></header>'
        f"<main>{''.join(contents)}</main>{footer(langs[0])}"
    )
    return document(langs[0], title, body, kind="index", with_charts=False)


def _contents(lang: Lang, range_: Range, names: Mapping[str, str]) -> str:
    """Return the list of pages in one language."""
    institutions = "".join(
        f'<li><a href="{_institution_file(one, lang)}">{html.escape(name)}</a></li>'
        for one, name in names.items()
    )
    zone = text("boards.preview.zone", lang)
    return f"""<section class="panel" lang="{lang}">
<h2><a href="{_file("overview", lang)}">{text("boards.overview.title", lang)}</a></h2>
<p class="about">{text("boards.preview.range", lang)}: {period(range_)}, {zone}</p>
<h3>{text("boards.preview.index.institutions", lang)}</h3>
<ul>{institutions}</ul>
</section>
"""
