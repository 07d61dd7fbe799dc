"""``ihwatch reference``: install the authority's lists, and show which codes are in force.

``load`` checks every file before it writes any, keeps what was installed before, and dates what
changes: rules judge an act by the lists of its own day. A list that is installed for the first time
counts from the beginning unless ``--valid-from`` says otherwise.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from schemas.settings import Settings
from schemas.texts import LANGS, Lang, text
from streams.reference import (
    ALWAYS_FROM,
    ALWAYS_TO,
    LISTS,
    DataError,
    ListSpec,
    Row,
    header,
    read_list,
    source,
)
from streams.timeline import day_of, format_day, parse_day

_WIDTH = 160
"""Columns when nobody is looking: a table in a file must not be cut to 80."""


class _Day(click.ParamType):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_day(str(value))
        except ValueError:
            self.fail(f"{value!r}: a date such as 2026-03-02", param, ctx)


@dataclass(slots=True)
class Merge:
    """What loading a list does to the rows installed: the rows afterwards, and what changed."""

    rows: list[Row] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def anything(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def governing(rows: Sequence[Row], day: int) -> dict[tuple[str, ...], Row]:
    """For each code the row that governs on a day, be it one that ends the code."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        best = found.get(row.key)
        if row.since <= day and (best is None or row.since >= best.since):
            found[row.key] = row
    return found


def in_force(rows: Sequence[Row], day: int) -> dict[tuple[str, ...], Row]:
    """The codes in force on a day."""
    rulers = governing(rows, day)
    return {key: row for key, row in rulers.items() if day <= row.until and not row.removed}


def merge(
    spec: ListSpec, installed: Sequence[Row], loaded: Sequence[Row], since: int, keep: bool = False
) -> Merge:
    """The installed rows with the loaded ones in force from the day ``since``.

    Rows that carry their own ``valid_from`` keep it. A code that the loaded file does not name ends
    on ``since``, unless the list is never complete (the calendar) or ``keep`` is set. A row with
    the code and start of an installed one takes its place.
    """
    dated = [
        replace(row, since=since) if row.since == ALWAYS_FROM and spec.closed else row
        for row in loaded
    ]
    named = {row.key for row in dated}
    blank = ("",) * (len(spec.required) + len(spec.optional))
    gone = [
        Row(0, key, blank, since, removed=True)
        for key in in_force(installed, since)
        if spec.closed and not keep and key not in named
    ]
    after: dict[tuple[str, ...], list[Row]] = {}
    for row in installed:
        after.setdefault(row.key, []).append(row)
    result = Merge()
    for row in sorted((*dated, *gone), key=lambda row: row.since):
        known = after.setdefault(row.key, [])
        ruler = governing(known, row.since).get(row.key)
        alive = ruler is not None and not ruler.removed and row.since <= ruler.until
        if (ruler is not None and ruler.same_content(row)) or (row.removed and not alive):
            continue
        known[:] = [*(other for other in known if other.since != row.since), row]
        if row.removed:
            result.removed += 1
        elif alive:
            result.changed += 1
        else:
            result.added += 1
    result.rows = [row for rows in after.values() for row in rows]
    return result


def written(spec: ListSpec, rows: Sequence[Row]) -> str:
    """The text of a list's file, as ``read_list`` reads it."""
    dated = any(row.since != ALWAYS_FROM or row.until != ALWAYS_TO for row in rows)
    ended = any(row.removed for row in rows)
    tail = (("valid_from", "valid_to") if dated else ()) + (("removed",) if ended else ())
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*spec.columns, *tail))
    for row in rows:
        key = [format_day(int(row.key[0]))] if spec.keys == ("date",) else row.key
        dates = (
            "" if row.since == ALWAYS_FROM else format_day(row.since),
            "" if row.until == ALWAYS_TO else format_day(row.until),
        )
        ends = ("true" if row.removed else "",)
        writer.writerow((*key, *row.cells, *(dates if dated else ()), *(ends if ended else ())))
    return out.getvalue()


@click.group(help="Install the authority's lists of codes, or show which are in force.")
def reference() -> None:
    """Drug catalogue, departments, scopes, ICD-10, working days and the optional lists."""


_into = click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder the worker reads; default: IHWATCH_REFERENCE_DIR.",
)
_lang = click.option(
    "--lang", type=click.Choice([*LANGS, "both"]), default="both", show_default=True
)


@reference.command(help="Check the lists in FOLDER and install them, dating what changes.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_into
@click.option("--valid-from", "since", type=_Day(), help="First day of the change; default: today.")
@click.option("--keep", is_flag=True, help="A code that a file does not name stays in force.")
@_lang
def load(folder: Path, into: Path | None, since: int | None, keep: bool, lang: str) -> None:
    """Read everything, then write each changed list at once and say what changed."""
    target = _target(into)
    if target.exists() and target.samefile(folder):
        raise click.UsageError("FOLDER is the folder to install into")
    given = {name: folder / spec.file for name, spec in LISTS.items()}
    given = {name: path for name, path in given.items() if path.exists()}
    for stranger in sorted(set(folder.glob("*.csv")) - set(given.values())):
        click.echo(f"warning: {stranger.name} is no list of ours and is left out", err=True)
    if not given:
        files = ", ".join(spec.file for spec in LISTS.values())
        raise DataError(f"{folder}: holds no reference data; it may hold {files}")
    merges = {name: _merged(LISTS[name], path, target, since, keep) for name, path in given.items()}
    target.mkdir(parents=True, exist_ok=True)
    for name, (merged, start) in merges.items():
        own = target / LISTS[name].file
        if merged.anything or not own.exists():
            _replace(own, written(LISTS[name], merged.rows))
        _say(
            "reference.loaded" if merged.anything else "reference.unchanged",
            lang,
            {
                "list": LISTS[name].file,
                "added": merged.added,
                "changed": merged.changed,
                "removed": merged.removed,
                "since": _since(start, lang),
            },
        )


@reference.command(help="Show how many codes of each list are in force, or as CSV those of one.")
@click.argument("name", type=click.Choice(list(LISTS)), required=False)
@_into
@click.option("--day", type=_Day(), help="As of this day; default: today.")
@_lang
def show(name: str | None, into: Path | None, day: int | None, lang: str) -> None:
    """A line for each list: where it is read from, codes in force, the next change."""
    from rich.console import Console
    from rich.table import Table

    day = _today() if day is None else day
    folder = into or Settings.from_env(os.environ).reference_dir
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of reference data")
    languages = _langs(lang)
    if name is not None:
        spec, path = LISTS[name], source(folder, LISTS[name])
        rows = [] if path is None else read_list(path, spec)
        click.echo(written(spec, list(in_force(rows, day).values())), nl=False)
        return
    heads = ("list", "in_force", "next", "source")
    table = Table()
    for head in heads:
        said = " ".join(text(f"reference.{head}", one) for one in languages)
        table.add_column(said, overflow="fold")
    for key, spec in LISTS.items():
        path = source(folder, spec)
        rows = [] if path is None else read_list(path, spec)
        coming = min((row.since for row in rows if row.since > day), default=None)
        where = _place(path, folder, languages)
        table.add_row(
            key, str(len(in_force(rows, day))), "" if coming is None else format_day(coming), where
        )
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _merged(
    spec: ListSpec, path: Path, target: Path, since: int | None, keep: bool
) -> tuple[Merge, int]:
    """What a file changes, and from which day; the shipped list is what was in force before."""
    loaded = read_list(path, spec)
    unknown = [name for name in header(path) if name and name not in spec.known]
    for name in unknown:
        near = difflib.get_close_matches(name, spec.known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        click.echo(f"warning: {path.name}: column {name} is left out{hint}", err=True)
    own, shipped = target / spec.file, source(None, spec)
    before = own if own.exists() else shipped
    if not spec.closed:
        start = ALWAYS_FROM  # each day of a calendar is its own date
    elif since is None:
        start = _today() if own.exists() else ALWAYS_FROM
        before = before if own.exists() else None
    else:
        start = since
    installed = [] if before is None else read_list(before, spec)
    return merge(spec, installed, loaded, start, keep), start


def _target(into: Path | None) -> Path:
    target = into or Settings.from_env(os.environ).reference_dir
    if target is None:
        raise click.UsageError("say where the worker reads: --into or IHWATCH_REFERENCE_DIR")
    return target


def _replace(path: Path, content: str) -> None:
    """Write a file whole or not at all, since a worker may start at any moment."""
    draft = path.with_suffix(".csv.new")
    draft.write_text(content, encoding="utf-8", newline="")
    draft.replace(path)


def _place(path: Path | None, folder: Path | None, languages: Sequence[Lang]) -> str:
    if path is None:
        return " ".join(text("reference.absent", lang) for lang in languages)
    if folder is not None and path.parent == folder:
        return str(path)
    return " ".join(text("reference.shipped", lang) for lang in languages)


def _since(start: int, lang: str) -> Mapping[Lang, str]:
    return {
        one: text("reference.always", one) if start == ALWAYS_FROM else format_day(start)
        for one in _langs(lang)
    }


def _say(key: str, lang: str, values: Mapping[str, Any]) -> None:
    for one in _langs(lang):
        filled = {k: v[one] if isinstance(v, Mapping) else v for k, v in values.items()}
        click.echo(text(key, one, **filled))


def _langs(lang: str) -> tuple[Lang, ...]:
    return LANGS if lang == "both" else tuple(one for one in LANGS if one == lang)


def _today() -> int:
    return day_of(time.time_ns() // 1_000_000)
