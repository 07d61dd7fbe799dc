"""``ihwatch rules``: the catalogue of rules, one rule whole, and what becomes of every article.

It prints what ``docs/rules.md`` and ``docs/coverage.md`` hold, for one rulebook if wanted, and with
the parameters as ``--set`` would have them.
"""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.texts import LANGS, Lang, text
from streams import rule_docs
from streams.rule_docs import Entry
from streams.rulebook import RULEBOOKS, Library, ParameterError, Status

_WIDTH = 160
"""Columns when nobody is looking: a table in a file must not be cut to 80."""

_lang = click.option(
    "--lang", type=click.Choice([*LANGS, "both"]), default="both", show_default=True
)
_rulebook = click.option("--rulebook", type=click.Choice(RULEBOOKS), help="Only this jurisdiction.")
_set = click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="As in check.")


@click.group(help="Show the rules, one rule, or what becomes of every article.")
def rules() -> None:
    """Everything is read from what ships with the product; no Kafka, no settings."""


@rules.command("list", help="List the rules: title, severity, how far each rulebook goes.")
@_rulebook
@_set
@_lang
def list_command(rulebook: str | None, overrides: tuple[str, ...], lang: str) -> None:
    """One line a rule; with --rulebook only those it judges by."""
    languages = _langs(lang)
    books = RULEBOOKS if rulebook is None else (rulebook,)
    heads = ["rule", "title", "severity", *([] if rulebook else books), "clauses", "status"]
    if rulebook:
        heads.insert(3, "mode")
    table = Table(box=None, header_style="bold")
    for head in heads:
        name = head if head in RULEBOOKS else _head(head, languages)
        table.add_column(name, no_wrap=head in ("rule", *RULEBOOKS), overflow="fold")
    count = 0
    for entry in _entries(overrides).values():
        if rulebook and not entry.books[rulebook].enabled:
            continue
        count += 1
        titles = "\n".join(entry.title(one) for one in languages)
        judged = entry.books[rulebook].clauses if rulebook else entry.clauses
        clauses = " ".join(judged) if max(map(len, judged), default=0) == 1 else ""
        clauses = clauses or (str(len(judged)) if judged else "")
        shown = [entry.id, titles, entry.worst(books)]
        shown += [entry.books[name].mode.value for name in books]
        table.add_row(*map(escape, (*shown, clauses, _status(entry, books))))
    console = _console()
    console.print(table)
    click.echo("\n".join(text("rules.count", one, count=count) for one in languages), err=True)


@rules.command(help="Show all that is known of one rule.")
@click.argument("rule_id", metavar="ID")
@_rulebook
@_set
@_lang
def show(rule_id: str, rulebook: str | None, overrides: tuple[str, ...], lang: str) -> None:
    """Titles, modes, severities, clauses, parameters, citations, events read, blind spots."""
    known = _entries(overrides)
    entry = known.get(rule_id.upper())
    if entry is None:
        near = difflib.get_close_matches(rule_id.upper(), known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; see ihwatch rules list"
        raise click.UsageError(f"there is no rule {rule_id}{hint}")
    languages = _langs(lang)
    books = RULEBOOKS if rulebook is None else (rulebook,)
    console = _console()
    titles = " · ".join(entry.title(one) for one in languages)
    console.print(f"[bold]{entry.id}[/bold]  {escape(titles)}")
    console.print(_modes(entry, books, languages))
    _section(
        console,
        "parameters",
        languages,
        [
            f"{name}: "
            + "; ".join(
                value if len(values) == 1 else f"{', '.join(names)} {value}"
                for value, names in values.items()
            )
            for name, values in entry.parameters(books).items()
        ],
    )
    _section(
        console,
        "basis",
        languages,
        [
            citation if rulebook else f"{citation}  ({', '.join(names)})"
            for citation, names in entry.citations(books).items()
        ],
    )
    _section(console, "findings", languages, _findings(entry, languages))
    _section(
        console,
        "reads",
        languages,
        [f"{event_type}: {', '.join(names) or '–'}" for event_type, names in entry.reads.items()],
    )
    missed = (entry.misses(one) for one in languages)
    _section(console, "misses", languages, [words for words in missed if words])
    if entry.rule is None:
        console.print(" ".join(text("rules.unbuilt", one) for one in languages))


@rules.command(help="Show every article of the documents and what becomes of it.")
@_rulebook
@_lang
def coverage(rulebook: str | None, lang: str) -> None:
    """A table for each document, and how many articles are checked, filed, left to a human."""
    languages = _langs(lang)
    console = _console()
    documents = rule_docs.coverage()
    for name in RULEBOOKS if rulebook is None else (rulebook,):
        titles = dict(zip(LANGS, rule_docs.DOCUMENTS[name], strict=True))
        heading = " · ".join(titles[one] for one in languages)
        table = Table(title=f"{name}: {heading}", title_justify="left", box=None)
        for head in ("article", "gist", "disposition"):
            table.add_column(_head(head, languages), no_wrap=head == "article", overflow="fold")
        for article in documents[name]:
            gists = "\n".join(article.gist[one] for one in languages)
            what = rule_docs.disposition(article, languages, linked=False)
            table.add_row(article.id, escape(gists), escape(what))
        console.print(table)
        marks = Counter(mark for article in documents[name] for mark in article.disposition)
        for one in languages:
            said = {mark: marks[mark] for mark in "RFH"}
            console.print(text("rules.covered", one, count=len(documents[name]), **said))


def _modes(entry: Entry, books: Sequence[str], languages: Sequence[Lang]) -> Table:
    """How each rulebook applies the rule: mode, status, severity, clauses judged."""
    table = Table(box=None, header_style="bold")
    heads = ("rulebook", "mode", "status", "severity", "clauses")
    for head in heads if entry.clauses else heads[:-1]:
        table.add_column(_head(head, languages))
    for name in books:
        settings = entry.books[name]
        row = [name, settings.mode.value, settings.status.value]
        row.append(rule_docs.severities(entry, name))
        table.add_row(*row, *([rule_docs.judged(settings)] if entry.clauses else []))
    return table


def _findings(entry: Entry, languages: Sequence[Lang]) -> list[str]:
    """For each clause how it ends, and what is said of it."""
    found = []
    each: tuple[str | None, ...] = entry.clauses or (None,)
    for clause in each:
        head = " ".join(filter(None, (clause and f"({clause})", entry.resolution(clause))))
        said = [words for one in languages if (words := entry.says(clause, one))]
        found.append("\n    ".join(filter(None, (head, *said))))
    return [item for item in found if item]


def _section(console: Console, name: str, languages: Sequence[Lang], items: Sequence[str]) -> None:
    if items:
        console.print(f"\n[bold]{_head(name, languages)}[/bold]")
        for item in items:
            console.print(f"  {escape(item)}", highlight=False)


def _status(entry: Entry, books: Sequence[str]) -> str:
    """Live, or where it is not."""
    other = {n: s for n in books if (s := entry.books[n].status) is not Status.LIVE}
    if not other:
        return Status.LIVE.value
    if len(set(other.values())) == 1 and len(other) == len(books):
        return next(iter(other.values())).value
    return ", ".join(f"{name} {status}" for name, status in other.items())


def _entries(overrides: tuple[str, ...]) -> dict[str, Entry]:
    try:
        return rule_docs.entries(Library.load(overrides))
    except ParameterError as error:
        raise click.UsageError(str(error)) from error


def _head(name: str, languages: Sequence[Lang]) -> str:
    return " ".join(text(f"rules.{name}", one) for one in languages)


def _langs(lang: str) -> tuple[Lang, ...]:
    return LANGS if lang == "both" else tuple(one for one in LANGS if one == lang)


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH)
