"""Rulebooks: which rules a jurisdiction enables, with which parameters and on what legal basis.

A rulebook is data (``rulebooks/*.toml``). Local rulebooks inherit the national one key by key; a
value stated locally wins (RULES 1.3). Parameters may be overridden by name (``idv01.scope``), which
is how an authority tunes engineering defaults and how ``ihwatch check --set`` tries a reading.
"""

from __future__ import annotations

import datetime as dt
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from streams.timeline import Deadlines, parse_duration

RULEBOOKS = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
NATIONAL = "national"
_FOLDER = Path(__file__).with_name("rulebooks")
_SETTINGS = ("mode", "severity", "citations")
_SECTIONS = ("global", "rulebook", "yinchuan")
_CHOICES = "choices"
NONE = "none"


class ParameterError(ValueError):
    """A parameter override names nothing known or has a value of the wrong kind."""


class Mode(StrEnum):
    """How far a rule may go in a rulebook (RULES 1.3)."""

    OWN = "own"
    INHERIT = "inherit"
    SIGNAL = "signal"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """One rule as one rulebook applies it.

    Accessors convert on reading: ``millis`` durations to milliseconds, ``number`` rates to exact
    fractions, ``names`` lists to sets. They raise ``KeyError`` for a parameter that is not in the
    rulebook and ``ParameterError`` for a value of another kind.
    """

    rule_id: str
    mode: Mode
    citations: tuple[str, ...]
    severities: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def enabled(self) -> bool:
        return self.mode is not Mode.OFF

    @property
    def signal_only(self) -> bool:
        return self.mode is Mode.SIGNAL

    def severity(self, clause: str | None) -> str:
        return self.severities.get(clause or "", self.severities[""])

    def text(self, name: str) -> str:
        return str(self.values[name])

    def flag(self, name: str) -> bool:
        return bool(self.values[name])

    def count(self, name: str) -> int:
        return int(self.values[name])

    def names(self, name: str) -> frozenset[str]:
        return frozenset(self.values[name])

    def number(self, name: str) -> Fraction:
        return _fraction(self.values[name])

    def millis(self, name: str) -> int:
        duration = parse_duration(str(self.values[name]))
        if not isinstance(duration, int):
            raise ParameterError(f"{self.rule_id}.{name}: not a duration: {self.values[name]!r}")
        return duration

    def stated(self) -> dict[str, str]:
        """The parameter values in the form findings carry them."""
        return {name: _state(value) for name, value in sorted(self.values.items())}


@dataclass(frozen=True)
class Rulebook:
    """A jurisdiction's rules with all inheritance and overrides applied."""

    name: str
    rules: Mapping[str, RuleSettings]
    globals: Mapping[str, Any]
    scope: Mapping[str, Any]
    overlay: bool

    def rule(self, rule_id: str) -> RuleSettings | None:
        """The rule's settings if this rulebook enables it."""
        settings = self.rules.get(rule_id)
        return settings if settings is not None and settings.enabled else None

    @cached_property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            clinical=_millis("global.u_clin", self.globals["u_clin"]),
            file_days=_millis("global.u_file", self.globals["u_file"]) // 86_400_000,
            grace=_millis("global.grace", self.globals["grace"]),
            wait=_millis("global.provisional_wait", self.globals["provisional_wait"]),
            correction=_millis("global.correction_window", self.globals["correction_window"]),
        )

    @cached_property
    def immediate(self) -> int:
        """Reading of 立即 for stopping services, in milliseconds."""
        return _millis("global.immediate", self.globals["immediate"])

    def in_effect(self, day: int) -> bool:
        """Whether the rulebook may be applied to an act of this day (RULES 1.1)."""
        first, last = (_day(self.scope[key]) for key in ("effective_from", "effective_to"))
        return (first is None or first <= day) and (last is None or day <= last)


@dataclass(frozen=True, slots=True)
class Library:
    """All rulebooks under one set of overrides; answers which one judges an act (RULES 1.2)."""

    books: Mapping[str, Rulebook]

    @classmethod
    def load(cls, overrides: Iterable[str] = ()) -> Library:
        """Read the five rulebooks; ``overrides`` are ``name=value`` as given to ``--set``."""
        assignments = tuple(_split(item) for item in overrides)
        return cls({name: _build(name, assignments) for name in RULEBOOKS})

    def candidates(self, name: str) -> tuple[Rulebook, ...]:
        """Every rulebook that acts under this candidate may be judged by."""
        return (self.books[name],) if name == NATIONAL else (self.books[name], self.books[NATIONAL])

    def applied(self, candidate: str, form: str | None, day: int) -> Rulebook:
        """The rulebook for an act on ``day`` of an institution of ``form`` (None: not filed yet).

        Chongqing and Yinchuan regulate internet hospitals only; a service by an institution's own
        doctors there is judged by the national measure (CQ 38, YC 2; D1).
        """
        book = self.books[candidate]
        if form == "OWN_DOCTOR_SERVICE" and candidate in ("chongqing", "yinchuan"):
            return self.books[NATIONAL]
        return book if book.in_effect(day) else self.books[NATIONAL]


@cache
def _file(name: str) -> Mapping[str, Any]:
    with (_FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def _build(name: str, assignments: tuple[tuple[str, str], ...]) -> Rulebook:
    merged: dict[str, dict[str, Any]] = {k: dict(v) for k, v in _file(NATIONAL).items()}
    if name != NATIONAL:
        for section, values in _file(name).items():
            merged.setdefault(section, {}).update(values)
    choices = merged.pop(_CHOICES)
    for path, text in assignments:
        _assign(merged, path, text)
    _check(merged, choices)
    rules = {k: _settings(k, v) for k, v in merged.items() if k not in _SECTIONS}
    overlay = name == "yinchuan" and bool(merged["yinchuan"]["national_overlay"])
    return Rulebook(name, rules, merged["global"], merged["rulebook"], overlay)


def _settings(rule_id: str, raw: Mapping[str, Any]) -> RuleSettings:
    severity = raw["severity"]
    severities = dict(severity) if isinstance(severity, dict) else {"": severity}
    values = {key: value for key, value in raw.items() if key not in _SETTINGS}
    mode = Mode(raw["mode"])
    return RuleSettings(rule_id, mode, tuple(raw["citations"]), severities, values)


def _split(item: str) -> tuple[str, str]:
    path, sign, value = item.partition("=")
    if not sign or "." not in path:
        raise ParameterError(f"expected NAME.PARAMETER=VALUE, got {item!r}")
    return path.strip(), value.strip()


def _assign(merged: dict[str, dict[str, Any]], path: str, text: str) -> None:
    prefix, _, name = path.partition(".")
    sections = {key.lower().replace("-", ""): key for key in merged}
    section = sections.get(prefix.lower())
    known = dict(merged[section]) if section else {}
    if section and section not in _SECTIONS:
        if name == "enabled":
            off = not _parse(path, True, text)
            if off or merged[section]["mode"] == Mode.OFF:
                merged[section]["mode"] = Mode.OFF if off else Mode.OWN
            return
        known = {key: value for key, value in known.items() if key not in _SETTINGS}
    if section is None or name not in known:
        names = [f"{low}.{key}" for low, full in sections.items() for key in merged[full]]
        close = difflib.get_close_matches(path, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ParameterError(f"unknown parameter {path!r}{hint}")
    merged[section][name] = _parse(path, known[name], text)


def _parse(path: str, current: Any, text: str) -> Any:
    """Read an override as the kind of value the rulebook states."""
    if isinstance(current, bool):
        if text.lower() not in ("true", "false"):
            raise ParameterError(f"{path}: expected true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(current, list):
        return [part.strip() for part in text.strip("{}[]").split(",") if part.strip()]
    try:
        if isinstance(current, int):
            return int(text)
        if isinstance(current, float):
            return str(_fraction(text))
        if path.startswith("rulebook."):
            _day(text)
            return text
    except (ValueError, ZeroDivisionError) as error:
        raise ParameterError(f"{path}: not a value of the right kind: {text!r}") from error
    known, given = parse_duration(current), parse_duration(text)
    if text != NONE and known is not None and type(given) is not type(known):
        kind = "duration such as 90s 15m 24h 7d" if isinstance(known, int) else "period: 3M 1Y"
        raise ParameterError(f"{path}: expected a {kind}, got {text!r}")
    return text


def _check(merged: Mapping[str, Mapping[str, Any]], choices: Mapping[str, list[str]]) -> None:
    """Refuse values that no rule could judge by, before anything is judged."""
    for path, allowed in choices.items():
        section, _, name = path.partition(".")
        value = merged[section][name]
        unknown = set(value if isinstance(value, list) else [value]) - set(allowed)
        if unknown:
            raise ParameterError(f"{path}: {sorted(unknown)}; allowed are {', '.join(allowed)}")
    for section, values in merged.items():
        for name, value in values.items():
            if isinstance(value, int) and not isinstance(value, bool) and value < 0:
                raise ParameterError(f"{section}.{name}: must not be negative")
    window, slide = (_millis(f"UPL-06.{n}", merged["UPL-06"][n]) for n in ("window", "slide"))
    if slide == 0 or window == 0 or window % slide:
        raise ParameterError("UPL-06: the window must be whole steps of slide, and neither 0")


def _millis(path: str, value: Any) -> int:
    duration = parse_duration(str(value))
    if not isinstance(duration, int):
        raise ParameterError(f"{path}: not a duration: {value!r}")
    return duration


def _fraction(value: Any) -> Fraction:
    text = str(value).strip()
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)


def _day(value: Any) -> int | None:
    if value == NONE or value == "":
        return None
    return (dt.date.fromisoformat(str(value)) - dt.date(1970, 1, 1)).days


def _state(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)
