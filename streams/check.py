"""``ihwatch check``: the core without Kafka, over a file of events.

It is how a hospital tries its data before publishing and how outsiders judge the rules, so it
imports neither Faust nor a database. Contract: README and ``--help``; findings go to stdout, talk
to stderr. Exit 0: nothing open; 3: findings suspected or confirmed; 5: bad events; 2: usage.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import click

from schemas.errors import ContractError, Reason
from schemas.flat import from_flat, parse, signature_valid
from schemas.texts import LANGS, Lang, text
from schemas.validate import check_values
from streams.events import Event
from streams.findings import OPEN, Finding
from streams.publication import finding_object, message, title
from streams.reference import ReferenceData
from streams.rulebook import NATIONAL, RULEBOOKS, Library, ParameterError
from streams.supervisor import Supervisor

BATCH = 2_000
NOTHING_OPEN, OPEN_FINDINGS, BAD_EVENTS = 0, 3, 5
_CONTAINER_MAGIC = b"Obj\x01"


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An input record that is no event: its line (or record number), field and reason."""

    line: int
    reason: str
    field: str | None
    detail: str

    def __str__(self) -> str:
        where = f", field {self.field}" if self.field else ""
        return f"line {self.line}{where}: {self.reason}: {self.detail}"


@dataclass(slots=True)
class Reading:
    """What a file of events held."""

    events: list[Event] = field(default_factory=list)
    bad: list[BadEvent] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_events(file: IO[bytes]) -> Reading:
    """Read flat JSON lines or an Avro container; every bad record is named and left out."""
    head = file.read(len(_CONTAINER_MAGIC))
    rest = _Joined(head, file)
    records = _container(rest) if head == _CONTAINER_MAGIC else _json_lines(rest)
    found = Reading()
    for line, record in records:
        if isinstance(record, ContractError):
            found.bad.append(BadEvent(line, record.reason, record.field, record.detail))
            continue
        try:
            datum, received_at, warnings = from_flat(record)
            if received_at is None:
                raise ContractError(Reason.MISSING_FIELD, "received_at", "is required in files")
            check_values(datum)
            signed = signature_valid(record)
        except ContractError as error:
            found.bad.append(BadEvent(line, error.reason, error.field, error.detail))
            continue
        found.warnings += [f"line {line}: {warning}" for warning in warnings]
        found.events.append(Event(datum, received_at, 0, line, signed))
    return found


def judge(
    events: Iterable[Event], supervisor: Supervisor, as_of: int | None = None
) -> list[Finding]:
    """Findings over a set of events as the platform would hold them at ``as_of``.

    Events received later are unknown by then; without ``as_of`` the last receipt is taken.
    """
    known = sorted(events, key=lambda e: (e.received_at, e.offset))
    if as_of is not None:
        known = [event for event in known if event.received_at <= as_of]
    clock = as_of if as_of is not None else (known[-1].received_at if known else 0)
    ranked = [
        Event(event.body, event.received_at, 0, rank, event.signature_valid)
        for rank, event in enumerate(known)
    ]
    for start in range(0, len(ranked), BATCH):
        supervisor.apply(ranked[start : start + BATCH])
    supervisor.advance(clock)
    return supervisor.findings()


def parse_instant(written: str) -> int:
    """Read RFC 3339 with offset, or epoch milliseconds; ValueError for anything else."""
    if written.isdigit():
        return int(written)
    moment = dt.datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset such as +08:00")
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return delta // dt.timedelta(milliseconds=1)


class _Instant(click.ParamType):
    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_instant(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command(help="Judge a file of events by a rulebook; no Kafka needed.")
@click.argument("events", type=click.File("rb"), metavar="EVENTS")
@click.option("--rulebook", type=click.Choice(RULEBOOKS), default=NATIONAL, show_default=True)
@click.option("--as-of", type=_Instant(), help="Where the platform clock stops.")
@click.option(
    "--reference",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of reference data (drug_catalogue.csv, icd10.csv, ...).",
)
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Set a parameter.")
@click.option(
    "--directory",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Institutions directory: each is judged by its own rulebook.",
)
@click.option("--history", is_flag=True, help="Add the history of states to each finding.")
@click.option("--format", "output", type=click.Choice(["jsonl", "table"]), default="jsonl")
def check(
    events: IO[bytes],
    rulebook: str,
    as_of: int | None,
    reference: Path | None,
    overrides: tuple[str, ...],
    directory: Path | None,
    history: bool,
    output: str,
) -> None:
    """Read, judge, print; the exit code tells what was found."""
    try:
        library = Library.load(overrides)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error
    lists = ReferenceData.load(reference)
    with _nothing_collected():
        reading = read_events(events)
        supervisor = Supervisor(library, _candidates(directory), rulebook, reference=lists)
        findings = judge(reading.events, supervisor, as_of)
    for warning in reading.warnings:
        click.echo(f"warning: {warning}", err=True)
    for bad in reading.bad:
        click.echo(f"bad event: {bad}", err=True)
    if output == "table":
        _table(findings)
    else:
        for finding in findings:
            click.echo(json.dumps(finding_object(finding, history), ensure_ascii=False))
    is_open = sum(finding.state in OPEN for finding in findings)
    click.echo(
        f"{len(reading.events)} events, {len(reading.bad)} bad,"
        f" {len(findings)} findings, {is_open} open",
        err=True,
    )
    if reading.bad:
        sys.exit(BAD_EVENTS)
    sys.exit(OPEN_FINDINGS if is_open else NOTHING_OPEN)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Spare the garbage collector millions of objects that stay: judging leaves no cycles."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _candidates(directory: Path | None) -> dict[str, str]:
    if directory is None:
        return {}
    from schemas.directory import Directory

    institutions = Directory.load(directory).institutions
    return {name: institution.rulebook for name, institution in institutions.items()}


def _json_lines(file: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, parse(line)
            except ContractError as error:
                yield number, error


def _container(file: Any) -> Iterator[tuple[int, Any]]:
    """Records of an Avro container file; a record without ``received_at`` came when recorded."""
    import fastavro

    number = 0
    try:
        for number, record in enumerate(fastavro.reader(file), start=1):
            flat = _plain(record)
            flat.setdefault("received_at", flat.get("recorded_at"))
            yield number, flat
    except (ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError) as error:
        detail = f"the container cannot be read any further ({type(error).__name__})"
        yield number + 1, ContractError(Reason.MALFORMED, None, detail)


def _plain(value: Any) -> Any:
    """Logical types as fastavro returns them, in the form of flat JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


class _Joined:
    """The bytes already read put back before the rest of a stream that cannot seek."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        if size < 0:
            return head + self._rest.read()
        if len(head) > size:
            head, self._head = head[:size], head[size:]
            return head
        return head + self._rest.read(size - len(head))

    def __iter__(self) -> Iterator[bytes]:
        head, self._head = self._head, b""
        lines = (head + self._rest.readline()).splitlines(keepends=True)
        yield from lines
        yield from self._rest


def _table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*("rule", "state", "severity", "institution", "subject", "title", "message"))
    for finding in findings:
        rule = finding.rule_id + (f" ({finding.clause})" if finding.clause else "")
        titles = f"{title(finding, 'zh')}\n{title(finding, 'en')}"
        said = "\n".join(_said(finding, lang) for lang in LANGS)
        cells = (
            rule,
            finding.state,
            finding.severity,
            finding.institution_id,
            f"{finding.subject_type} {finding.subject_id}",
            titles,
            said,
        )
        table.add_row(*map(Text, cells))  # brackets in the names hospitals give are no markup
    Console(file=sys.stdout).print(table)


def _said(finding: Finding, lang: Lang) -> str:
    """The message, and what a human must know besides."""
    flags = [f"[{text(f'flag.{flag}', lang)}]" for flag in finding.flags]
    return " ".join([message(finding, lang), *flags])
