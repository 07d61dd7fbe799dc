"""Cases: named event sequences and what the platform must hold about them (`tests/cases/*.yaml`).

A case says which events a hospital published and when they were received, and for one or more
instants exactly which findings of its rule exist then. It knows nothing of how they are judged, so
the same cases run through `ihwatch check` and through Kafka. How to write one:
`tests/cases/README.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from schemas.flat import rfc3339
from tests.support.case_model import STAR_RULES, Case, Checkpoint, Expected, Upload
from tests.support.case_writer import Writer

__all__ = [
    "FOLDER", "STAR_RULES", "Case", "Checkpoint", "Expected", "Upload", "all_cases", "differences",
    "held_at", "read_cases", "rule_examples",
]  # fmt: skip

FOLDER = Path(__file__).parents[1] / "cases"


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case of every file, in their order."""
    return tuple(case for path in sorted(FOLDER.glob("*.yaml")) for case in read_cases(path))


@cache
def rule_examples() -> Mapping[str, tuple[str, ...]]:
    """The examples of each rule as RULES words them; a case's `source` counts from 1."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        found |= {rule: tuple(lines) for rule, lines in _load(path)["examples"].items()}
    return found


def read_cases(path: Path) -> list[Case]:
    """The cases of one file; a case for several rulebooks is one case of each."""
    loaded = _load(path)
    found = []
    for raw in loaded["cases"]:
        books = raw["rulebook"]
        if isinstance(books, str):
            found.append(Writer(path.stem, raw, loaded).case())
            continue
        for book in books:
            own = {**raw, "name": f"{raw['name']}-{book}", "rulebook": book}
            found.append(Writer(path.stem, own, loaded).case())
    return found


def differences(checkpoint: Checkpoint, findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the findings printed for a checkpoint; empty when all is exactly right."""
    wanted = {expected.key: expected for expected in checkpoint.findings}
    wrong: list[str] = []
    for found in findings:
        if found["rule_id"] not in checkpoint.rules:
            continue
        key = (
            found["rule_id"],
            found["institution_id"],
            found["subject_id"],
            found["clause"] or "",
        )
        expected = wanted.pop(key, None)
        if expected is None:
            wrong.append(f"unexpected {_shown(found)}")
            continue
        wrong += _compare(expected, found)
    return wrong + [f"missing {' '.join(key)} {e.state}" for key, e in wanted.items()]


def held_at(alerts: Iterable[Mapping[str, Any]], as_of: int) -> list[dict[str, Any]]:
    """The findings that published alerts state at an instant, in the form of `ihwatch check`."""
    latest: dict[str, Mapping[str, Any]] = {}
    for alert in alerts:
        known = latest.get(alert["finding_id"])
        if alert["changed_at"] <= as_of and (known is None or known["version"] < alert["version"]):
            latest[alert["finding_id"]] = alert
    return [_as_printed(alert) for alert in latest.values()]


class _Loader(yaml.CSafeLoader):
    """YAML without its sexagesimal numbers and dates, so that `10:00` and `2026-03-02` are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"(?:true|false)\Z", list("tf")),
    ("null", r"(?:null)?\Z", ["n", ""]),
    ("merge", r"<<\Z", ["<"]),
    ("int", r"(?:0|[1-9]\d*)\Z", list("0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@cache
def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    assert isinstance(loaded, dict)
    return loaded


def _compare(expected: Expected, found: Mapping[str, Any]) -> list[str]:
    seen: dict[str, Any] = {
        "subject_type": (expected.subject_type or found["subject_type"], found["subject_type"]),
        "state": (expected.state, found["state"]),
        "rulebook": (expected.rulebook, found["rulebook"]),
        "flags": (set(expected.flags), {name for name, on in found["flags"].items() if on}),
    }
    for name, wanted in expected.facts.items():
        seen[name] = (wanted, _printed(name, wanted, found))
    where = " ".join(expected.key)
    return [f"{where}: {name} is {b!r}, not {a!r}" for name, (a, b) in seen.items() if a != b]


def _printed(name: str, wanted: Any, found: Mapping[str, Any]) -> Any:
    match name:
        case "start" | "end":
            return found[f"violation_{name}"]
        case "params":
            return {key: found["params"].get(key) for key in wanted}
        case "history":
            return [(step["state"], step["at"]) for step in found["history"]]
        case "evidence":
            return sorted(found["evidence"])
    return found[name]


def _shown(found: Mapping[str, Any]) -> str:
    clause = f"/{found['clause']}" if found["clause"] else ""
    flags = " ".join(f"+{name}" for name in found["flags"])
    return f"{found['rule_id']}{clause} {found['state']} {found['subject_id']} {flags}".strip()


def _as_printed(alert: Mapping[str, Any]) -> dict[str, Any]:
    printed = dict(alert)
    for name in ("violation_start", "violation_end"):
        printed[name] = None if alert[name] is None else rfc3339(alert[name])
    printed["flags"] = dict.fromkeys(alert["flags"], True)
    printed["history"] = [
        {"state": step["state"], "at": rfc3339(step["at"])} for step in alert["history"]
    ]
    return printed
