"""Cases: named event sequences and what the platform must hold about them (`tests/cases/*.yaml`).

A case says which events a hospital published and when they were received, and for one or more
instants exactly which findings exist then. It knows nothing of how they are judged, so the same
cases run through `ihwatch check` and through Kafka. How a case is written: `tests/cases/README.md`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from schemas.codec import Datum
from schemas.flat import from_flat, rfc3339
from tests.support.case_words import WORDS, span_of_day, weekly

FOLDER = Path(__file__).parents[1] / "cases"
EXAMPLES = Path(__file__).parents[1] / "fixtures" / "events"
EXACT_RULES = frozenset({"UPL-01", "UPL-06", "PHA-01", "IDV-01", "IDV-02"})
"""A case lists every finding of these rules. A rule joins once all cases are written for it."""

KINDS = frozenset({"example", "fires", "quiet", "limit", "as_of", "out_of_order", "duplicate"})
KINDS |= {"correction", "late_evidence"}

_SHANGHAI = dt.timezone(dt.timedelta(hours=8))
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_INSTANT = re.compile(r"(?:(\d\d)-(\d\d)[ T])?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?")
_SPAN = re.compile(r"(\d+)(ms|s|m|h|d)")
_RANGE = re.compile(r"([a-z]+)(\d+)\.\.(\d+)")
_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_STATES = frozenset({"SUSPECTED", "CONFIRMED", "CLEARED", "WITHDRAWN", "RESOLVED"})
_INSTANT_FIELDS = frozenset({"coverage_start", "coverage_end", "discovered_at", "doctor_signed_at"})
_PLAIN = {"stream_id": None, "stream_seq": None, "signer_cert": None}


class CaseError(ValueError):
    """A case is not written as `tests/cases/README.md` says."""


@dataclass(frozen=True)
class Upload:
    """One event as published, in flat JSON, and when the platform received it (epoch ms)."""

    flat: Mapping[str, Any]
    received_at: int

    @property
    def line(self) -> str:
        """The event as one line of a file for `ihwatch check`."""
        return json.dumps(
            {**self.flat, "received_at": rfc3339(self.received_at)}, ensure_ascii=False
        )

    @property
    def datum(self) -> Datum:
        """The event as raw datum, to be encoded or given to the core."""
        return from_flat(dict(self.flat))[0]


@dataclass(frozen=True)
class Expected:
    """One finding that must exist; `facts` are further fields of it that must be so."""

    rule_id: str
    clause: str | None
    rulebook: str
    institution_id: str
    subject_id: str
    state: str
    flags: frozenset[str]
    facts: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.rule_id, self.institution_id, self.subject_id, self.clause or ""


@dataclass(frozen=True)
class Checkpoint:
    """Exactly which findings exist when the platform clock stops at `as_of` (epoch ms)."""

    as_of: int
    findings: tuple[Expected, ...]


@dataclass(frozen=True)
class Case:
    """One named case; `sources` are the numbers of the rule's examples in RULES that it shows."""

    name: str
    file: str
    rule: str
    clause: str | None
    kind: str
    sources: tuple[int, ...]
    rulebook: str
    overrides: tuple[str, ...]
    uploads: tuple[Upload, ...] = field(repr=False)
    checkpoints: tuple[Checkpoint, ...] = field(repr=False)

    @property
    def institution_id(self) -> str:
        return self.name

    @property
    def received(self) -> list[Upload]:
        """The uploads in the order in which a log holds them."""
        return sorted(self.uploads, key=lambda upload: upload.received_at)

    def arguments(self, file: Path | str, as_of: int) -> list[str]:
        """The arguments of `ihwatch` that judge this case, written to `file`, at an instant."""
        chosen = [word for item in self.overrides for word in ("--set", item)]
        return ["check", str(file), "--rulebook", self.rulebook, "--as-of", rfc3339(as_of), *chosen]

    def write(self, path: Path) -> Path:
        """Write the events to a file for `ihwatch check`, in the order of the case."""
        path.write_text("".join(f"{upload.line}\n" for upload in self.uploads), encoding="utf-8")
        return path


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
            found.append(_Writer(path.stem, raw, loaded["given"]).case())
            continue
        for book in books:
            own = {**raw, "name": f"{raw['name']}-{book}", "rulebook": book}
            found.append(_Writer(path.stem, own, loaded["given"]).case())
    return found


def differences(checkpoint: Checkpoint, findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the findings printed for a checkpoint; empty when all is exactly right."""
    wanted = {expected.key: expected for expected in checkpoint.findings}
    wrong: list[str] = []
    for found in findings:
        if found["rule_id"] not in EXACT_RULES:
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


def instant(text: str) -> int:
    """Epoch ms of `[MM-DD ]HH:MM[:SS[.mmm]]`, Shanghai time in 2026, on 03-02 unless said."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise CaseError(f"not an instant: {text!r}")
    month, day, hour, minute, second, millis = (int(part or 0) for part in match.groups())
    # 24:00 is the end of a day, as in business hours.
    midnight = dt.datetime(2026, month or 3, day or 2, tzinfo=_SHANGHAI)
    moment = midnight + dt.timedelta(
        hours=hour, minutes=minute, seconds=second, milliseconds=millis
    )
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def span(text: str) -> int:
    """Milliseconds of a sum of durations such as `24h1ms`."""
    parts = _SPAN.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise CaseError(f"not a duration: {text!r}")
    return sum(int(number) * _UNIT[unit] for number, unit in parts)


class _Loader(yaml.SafeLoader):
    """YAML without its sexagesimal numbers and dates, so that `10:00` and `2026-03-02` are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"(?:true|false)\Z", list("tf")),
    ("null", r"(?:null)?\Z", ["n", ""]),
    ("int", r"(?:0|[1-9]\d*)\Z", list("0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@cache
def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    assert isinstance(loaded, dict)
    return loaded


@cache
def _example(event_type: str) -> Mapping[str, Any]:
    flat: dict[str, Any] = json.loads((EXAMPLES / f"{event_type}.json").read_text(encoding="utf-8"))
    del flat["received_at"]
    return flat


class _Writer:
    """Turns one case as written into events and expectations."""

    def __init__(self, file: str, raw: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self.file, self.raw, self.given = file, raw, given
        self.name = str(raw["name"])
        self.uploads: dict[str, Upload] = {}
        self.order: list[Upload] = []
        self.counts: dict[str, int] = {}

    def case(self) -> Case:
        raw = self.raw
        known = {"name", "rule", "clause", "kind", "source", "rulebook", "set", "given", "events",
                 "expect"}  # fmt: skip
        if unknown := set(raw) - known:
            raise CaseError(f"{self.name}: unknown {sorted(unknown)}")
        if raw["kind"] not in KINDS:
            raise CaseError(f"{self.name}: unknown kind {raw['kind']!r}")
        written = [*(e for name in raw.get("given", []) for e in self.given[name])]
        for entry in [*written, *raw["events"]]:
            ((word, said),) = entry.items()
            self._event(word, dict(said or {}))
        source = raw.get("source", [])
        return Case(
            name=self.name,
            file=self.file,
            rule=raw["rule"],
            clause=raw.get("clause"),
            kind=raw["kind"],
            sources=tuple(source if isinstance(source, list) else [source]),
            rulebook=raw["rulebook"],
            overrides=tuple(raw.get("set", [])),
            uploads=tuple(self.order),
            checkpoints=tuple(self._checkpoint(*item) for item in raw["expect"].items()),
        )

    # -- events ----------------------------------------------------------------------------------

    def _event(self, word: str, said: dict[str, Any]) -> None:
        if word == "shift":
            self._shift(said)
        elif word == "again":
            self._again(said)
        elif word == "correct":
            self._correct(said)
        else:
            event_type, usual = WORDS.get(word, (word, {}))
            repeat, every = int(said.pop("repeat", 1)), span(said.pop("every", "1s"))
            first, received = instant(said.pop("t", "00:00")), said.pop("r", "+1s")
            named = said.pop("id", None)
            for index in range(repeat):
                at = first + index * every
                short = named if named and repeat == 1 else self._next(named or word)
                plain = _plain(said)
                fields = {**usual, **self._usual(word, plain, at), **plain}
                self._add(short, event_type, at, _received(received, at), fields)

    def _next(self, word: str) -> str:
        self.counts[word] = self.counts.get(word, 0) + 1
        return f"{word}{self.counts[word]}"

    def _usual(self, word: str, said: Mapping[str, Any], at: int) -> dict[str, Any]:
        """What a word says by itself, where that depends on the event."""
        match word:
            case "on" | "beat" | "off":
                return {"shift_id": f"{said.get('staff_id', 'p1')}-1"}
            case "prescribe":
                return {"prescription_id": self._next("rx")}
            case "adverse":
                return {"discovered_at": rfc3339(at)}
        return {}

    def _add(
        self, short: str, event_type: str, at: int, received_at: int, fields: Mapping[str, Any]
    ) -> None:
        flat = {**_example(event_type), **_PLAIN, "recorded_at": rfc3339(at), **fields}
        flat |= {"event_id": f"{self.name}:{short}", "occurred_at": rfc3339(at)}
        flat.setdefault("revision", 0)
        flat["institution_id"] = fields.get("institution_id", self.name)
        if flat.get("employer_id") == "$self":
            flat["employer_id"] = flat["institution_id"]
        if unknown := [name for name in fields if name not in _fields(event_type)]:
            raise CaseError(f"{self.name}: {event_type} has no {unknown}")
        self._keep(short, Upload(flat, received_at))

    def _keep(self, short: str, upload: Upload) -> None:
        if short in self.uploads:
            raise CaseError(f"{self.name}: two events are called {short}")
        self.uploads[short] = upload
        self.order.append(upload)

    def _shift(self, said: dict[str, Any]) -> None:
        """A shift as it should be: sign-on, a heartbeat every 5 minutes, sign-off."""
        staff = said.pop("staff", "p1")
        start, end = instant(said.pop("from")), instant(said.pop("to"))
        received, every = said.pop("r", "+1s"), span(said.pop("every", "5m"))
        named = said.pop("shift_id", f"{staff}-{rfc3339(start)}")
        points = [("on", start), *(("beat", t) for t in range(start + every, end, every))]
        if said.pop("signed_off", True):
            points.append(("off", end))
        if said:
            raise CaseError(f"{self.name}: a shift has no {sorted(said)}")
        for word, at in points:
            event_type, usual = WORDS[word]
            fields = {**usual, "staff_id": staff, "shift_id": named}
            self._add(
                self._next(f"{staff}-{word}"), event_type, at, _received(received, at), fields
            )

    def _again(self, said: dict[str, Any]) -> None:
        """The same event_id sent once more, as it was or (a fault) with other content."""
        of, received = said.pop("of"), said.pop("r")
        known = self.uploads[of]
        flat = dict(known.flat)
        if "t" in said:
            flat["occurred_at"] = flat["recorded_at"] = rfc3339(instant(said.pop("t")))
        self.order.append(Upload(flat | _plain(said), instant(received)))

    def _correct(self, said: dict[str, Any]) -> None:
        """A correction: the corrected event whole, one revision on."""
        of, received = said.pop("of"), instant(said.pop("r"))
        short = said.pop("id", f"{of}c")
        flat = dict(self.uploads[of].flat)
        superseded = flat["event_id"]
        flat |= {"revision": flat["revision"] + 1, "supersedes_event_id": superseded}
        flat |= {"event_id": f"{self.name}:{short}", "recorded_at": rfc3339(received - 1000)}
        if "t" in said:
            flat["occurred_at"] = rfc3339(instant(said.pop("t")))
        self._keep(short, Upload(flat | _plain(said), received))

    # -- expectations ----------------------------------------------------------------------------

    def _checkpoint(self, at: str, said: Any) -> Checkpoint:
        listed: Sequence[Any] = [] if said == "none" else said if isinstance(said, list) else [said]
        return Checkpoint(
            instant(at), tuple(self._expected(one) for item in listed for one in _each(item))
        )

    def _expected(self, said: str | Mapping[str, Any]) -> Expected:
        """`[RULE[/clause] ]STATE subject[ +flag]...`, or a mapping with that under `finding`."""
        facts = {} if isinstance(said, str) else {k: v for k, v in said.items() if k != "finding"}
        words = (said if isinstance(said, str) else str(said["finding"])).split()
        rule, clause = self.raw["rule"], self.raw.get("clause")
        if words[0] not in _STATES:
            rule, _, letter = words.pop(0).partition("/")
            clause = letter or None
        state, flags = words.pop(0), [word[1:] for word in words if word[0] == "+"]
        subject = " ".join(word for word in words if word[0] != "+")
        if state not in _STATES or not subject:
            raise CaseError(f"{self.name}: cannot read {said!r}")
        return Expected(
            rule_id=rule,
            clause=clause,
            rulebook=str(facts.pop("rulebook", self.raw["rulebook"])),
            institution_id=str(facts.pop("institution", self.name)),
            subject_id=self._subject(rule, subject),
            state=state,
            flags=frozenset(flags),
            facts={name: self._fact(name, value) for name, value in facts.items()},
        )

    def _subject(self, rule: str, subject: str) -> str:
        if rule == "UPL-01":
            return f"{self.name}:{subject}"
        return rfc3339(instant(subject)) if rule in ("UPL-06", "PHA-01") else subject

    def _fact(self, name: str, value: Any) -> Any:
        match name:
            case "start" | "end":
                return None if value is None else rfc3339(instant(value))
            case "severity" | "params":
                return value
            case "evidence":
                return sorted(f"{self.name}:{short}" for short in value)
            case "history":
                steps = [item.split(" ", 1) for item in value]
                return [(state, rfc3339(instant(at))) for state, at in steps]
        raise CaseError(f"{self.name}: a finding has no {name!r}")


@cache
def _fields(event_type: str) -> frozenset[str]:
    from schemas.catalogue import ENVELOPE, payload_fields

    return frozenset((*ENVELOPE, *payload_fields(event_type)))


def _each(said: Any) -> Iterable[Any]:
    """`UPL-01 RESOLVED late1..3` stands for three findings."""
    match = _RANGE.search(said) if isinstance(said, str) else None
    if match is None:
        return [said]
    numbers = range(int(match[2]), int(match[3]) + 1)
    return [_RANGE.sub(rf"\g<1>{number}", said) for number in numbers]


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a case may say shorter than the event does, in the event's own words."""
    plain = dict(said)
    if "weekly" in plain:
        plain["weekly"] = [part for line in plain["weekly"] for part in weekly(line)]
    if "exceptions" in plain:
        plain["exceptions"] = [
            {"date": day, "intervals": [span_of_day(hours) for hours in intervals]}
            for day, intervals in plain["exceptions"].items()
        ]
    for name in _INSTANT_FIELDS & plain.keys():
        plain[name] = rfc3339(instant(plain[name]))
    if "seq" in plain:
        plain["stream_id"], plain["stream_seq"] = plain.pop("stream", "his"), plain.pop("seq")
    if "recorded" in plain:
        plain["recorded_at"] = rfc3339(instant(plain.pop("recorded")))
    if "staff" in plain:
        plain["staff_id"] = plain.pop("staff")
    return plain


def _received(text: str, at: int) -> int:
    return at + span(text[1:]) if text.startswith("+") else instant(text)


def _compare(expected: Expected, found: Mapping[str, Any]) -> list[str]:
    seen: dict[str, Any] = {
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
