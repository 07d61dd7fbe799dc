"""``ihwatch score ALERTS TRUTH``: how well the findings match what was injected, rule by rule.

ALERTS are JSON lines: findings as ``ihwatch check`` prints them, or versions of alerts, of which
the highest of each finding counts. TRUTH is the file that ``ihwatch simulate --truth`` writes. A
finding is right only in its expected state; one that ended CLEARED or WITHDRAWN is no finding.
Exit 0 if precision and recall are 1.0 wherever they can be told, 3 if not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import IO, Any, NamedTuple

import click

from streams.reference import DataError
from streams.rulebook import NATIONAL, Library, clauses_of
from streams.simulator.truth import Comparison, Expected, Key, compare

IDENTITY = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")
NO_FINDING = frozenset({"CLEARED", "WITHDRAWN"})
STATES = frozenset({"SUSPECTED", "CONFIRMED", "RESOLVED"}) | NO_FINDING
_NULLABLE = {"clause"}


class Part(NamedTuple):
    """What is scored on its own: a rule, or one clause of it."""

    rule_id: str
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One rule (or clause) held against the truth; None where there is nothing to tell from."""

    part: Part
    comparison: Comparison

    @property
    def expected(self) -> int:
        c = self.comparison
        return c.matched + len(c.missing) + len(c.wrong)

    @property
    def found(self) -> int:
        c = self.comparison
        return c.matched + len(c.unexpected) + len(c.wrong)

    @property
    def precision(self) -> float | None:
        return self.comparison.precision if self.found else None

    @property
    def recall(self) -> float | None:
        return self.comparison.recall if self.expected else None


def score(
    truth: Iterable[Expected], findings: Iterable[Mapping[str, Any]], by_clause: bool = False
) -> list[Score]:
    """A score for every rule of the catalogue, or for every clause, in the catalogue's order."""
    expected = list(truth)
    awaited = {(one.key, one.state) for one in expected}
    held = [
        finding
        for finding in findings
        if finding["state"] not in NO_FINDING or (key_of(finding), finding["state"]) in awaited
    ]

    def part(rule_id: str, clause: str | None) -> Part:
        return Part(rule_id, clause if by_clause else None)

    wanted: dict[Part, list[Expected]] = {}
    seen: dict[Part, list[Mapping[str, Any]]] = {}
    for one in expected:
        wanted.setdefault(part(one.rule_id, one.clause), []).append(one)
    for finding in held:
        seen.setdefault(part(finding["rule_id"], finding["clause"]), []).append(finding)
    used = dict.fromkeys((*wanted, *seen))
    parts = dict.fromkeys((*_catalogue(by_clause, used), *used))
    return [Score(p, compare(wanted.get(p, ()), seen.get(p, ()))) for p in parts]


def perfect(scores: Iterable[Score]) -> bool:
    """Whether nothing is missing, unexpected or in a wrong state."""
    return all(one.comparison.exact for one in scores)


def total(scores: Iterable[Score]) -> Score:
    """All of them as one."""
    matched, missing, unexpected, wrong = 0, [], [], []
    for one in scores:
        matched += one.comparison.matched
        missing += one.comparison.missing
        unexpected += one.comparison.unexpected
        wrong += one.comparison.wrong
    return Score(Part("all"), Comparison(matched, missing, unexpected, wrong))


def key_of(finding: Mapping[str, Any]) -> Key:
    """The identity of a finding (RULES 1.6.7)."""
    rule_id, clause, institution_id, subject_type, subject_id = (finding[n] for n in IDENTITY)
    return rule_id, clause, institution_id, subject_type, subject_id


def _catalogue(by_clause: bool, used: Container[Part]) -> Iterator[Part]:
    for rule_id in Library.load().books[NATIONAL].rules:
        clauses = clauses_of(rule_id) if by_clause else ()
        # A rule may have findings without a clause in some rulebooks only (IDV-01, D40).
        if not clauses or Part(rule_id) in used:
            yield Part(rule_id)
        for clause in clauses:
            yield Part(rule_id, clause)


# -- reading ---------------------------------------------------------------------------------------


def read_findings(file: IO[bytes]) -> list[dict[str, Any]]:
    """The findings of a file, of several versions of one the highest; DataError for a bad line."""
    found: dict[Key, dict[str, Any]] = {}
    for place, line in _objects(file):
        _require(place, line, (*IDENTITY, "state"))
        version = line.get("version", 0)
        if not isinstance(version, int):
            raise DataError(f"{place}, field version: must be a whole number")
        known = found.get(key_of(line))
        if known is None or version >= known.get("version", 0):
            found[key_of(line)] = line
    return list(found.values())


def read_truth(file: IO[bytes]) -> list[Expected]:
    """The expectations of a truth file; DataError for a bad line."""
    needed = (*IDENTITY, "state")
    # Of an expectation only its identity and state are compared; older files may lack the rest.
    rest = [field.name for field in fields(Expected) if field.name not in (*needed, "optional")]
    found = []
    for place, line in _objects(file):
        _require(place, line, needed)
        optional = line.get("optional", False)
        if not isinstance(optional, bool):
            raise DataError(f"{place}, field optional: must be true or false")
        values = {name: line[name] for name in needed} | {name: line.get(name) for name in rest}
        found.append(Expected(**values, optional=optional))
    return found


def _objects(file: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = getattr(file, "name", "-")
    for number, raw in enumerate(file, start=1):
        if not raw.strip():
            continue
        place = f"{name}, line {number}"
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise DataError(f"{place}: is no JSON") from error
        if not isinstance(line, dict):
            raise DataError(f"{place}: must be a JSON object")
        yield place, line


def _require(place: str, line: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = line.get(name)
        if not isinstance(value, str) and not (name in _NULLABLE and value is None):
            raise DataError(f"{place}, field {name}: must be a text")
    if line["state"] not in STATES:
        raise DataError(f"{place}, field state: must be one of {', '.join(sorted(STATES))}")


# -- showing ---------------------------------------------------------------------------------------


@click.command(name="score", help="Hold findings against the truth: precision and recall a rule.")
@click.argument("alerts", type=click.File("rb"))
@click.argument("truth", type=click.File("rb"))
@click.option("--by", type=click.Choice(["rule", "clause"]), default="rule", show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("-v", "--verbose", is_flag=True, help="Name what is missing, unexpected or wrong.")
def command(alerts: IO[bytes], truth: IO[bytes], by: str, form: str, verbose: bool) -> int:
    """Read both files, score, print; the exit code tells whether all is 1.0."""
    scores = score(read_truth(truth), read_findings(alerts), by == "clause")
    everything = total(scores)
    if form == "json":
        rows = [_object(one, by == "clause") for one in scores]
        click.echo(json.dumps({"rules": rows, "all": _object(everything, False)}, indent=1))
    else:
        _table([*scores, everything], by == "clause")
    if verbose:
        for line in _differences(everything.comparison):
            click.echo(line, err=True)
    return 0 if perfect(scores) else 3


def _object(one: Score, by_clause: bool) -> dict[str, Any]:
    comparison = one.comparison
    named: dict[str, Any] = {"rule_id": one.part.rule_id}
    if by_clause:
        named["clause"] = one.part.clause
    return named | {
        "precision": one.precision,
        "recall": one.recall,
        "matched": comparison.matched,
        "missing": len(comparison.missing),
        "unexpected": len(comparison.unexpected),
        "wrong_state": len(comparison.wrong),
    }


def _table(scores: Iterable[Score], by_clause: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for head in ("rule", *(("clause",) if by_clause else ())):
        table.add_column(head)
    for head in ("precision", "recall", "matched", "missing", "unexpected", "wrong state"):
        table.add_column(head, justify="right")
    for one in scores:
        comparison = one.comparison
        counts = (comparison.matched, len(comparison.missing), len(comparison.unexpected))
        row = [one.part.rule_id, *((one.part.clause or "",) if by_clause else ())]
        row += [_share(one.precision), _share(one.recall)]
        row += [str(count or "") for count in (*counts, len(comparison.wrong))]
        style = None if comparison.exact else "red"
        table.add_row(*row, style=style)
    Console(file=sys.stdout).print(table)


def _share(value: float | None) -> str:
    """Never rounded up to 1: that would say that all is well."""
    if value is None:
        return "–"
    return "1.0" if value == 1 else f"{min(value, 0.9999):.4f}"


def _differences(comparison: Comparison) -> Iterator[str]:
    for one in comparison.missing:
        yield f"missing: {_named(one.key)} {one.state} ({one.kind})"
    for finding in comparison.unexpected:
        yield f"unexpected: {_named(key_of(finding))} {finding['state']}"
    for one, state in comparison.wrong:
        yield f"wrong state: {_named(one.key)} {state}, expected {one.state} ({one.kind})"


def _named(key: Key) -> str:
    rule_id, clause, institution_id, subject_type, subject_id = key
    bracket = f" ({clause})" if clause else ""
    return f"{rule_id}{bracket} {institution_id} {subject_type}:{subject_id}"
