"""Rulebooks: which rules a jurisdiction enables, with which parameters and on what legal basis.

A rulebook is data (``rulebooks/*.toml``). Local rulebooks inherit the national one key by key; a
value stated locally wins (RULES 1.3). Parameters may be overridden by name (``idv01.scope``), in
every rulebook or in one (``guangxi.idv01.scope``), which is how an authority tunes engineering
defaults and how ``ihwatch check --set`` tries a reading. ``rulebooks/parameters.toml`` says what
may be stated; anything else is refused before anything is judged.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from streams.timeline import Deadlines, Period, parse_day, parse_duration

RULEBOOKS = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
NATIONAL = "national"
_FOLDER = Path(__file__).with_name("rulebooks")
_VOCABULARY = "parameters"
_SETTINGS = ("mode", "status", "severity", "clauses", "signal_clauses", "citations")
_TUNABLE_SETTINGS = ("status", "severity", "clauses")
_SECTIONS = ("global", "rulebook", "yinchuan")
_OVERLAY = "overlay"
_SWITCH = "yinchuan.national_overlay"
_SEVERITIES = ("critical", "major", "minor", "info")
_INTERVAL = re.compile(r"(.+)\.interval\[(\w+)\]")
_COUNTED_UNITS = {"_days": "d", "_months": "M", "_years": "Y"}
_duration = cache(parse_duration)
NONE = "none"
OWN_DOCTORS = "OWN_DOCTOR_SERVICE"
REFINED = frozenset({"chongqing", "yinchuan"})
"""Rulebooks for internet hospitals only: the form of the institution decides (CQ 38, YC 2; D1)."""


class ParameterError(ValueError):
    """A rulebook or an override names nothing known or has a value of the wrong kind."""


class Mode(StrEnum):
    """How far a rule may go in a rulebook (RULES 1.3)."""

    OWN = "own"
    INHERIT = "inherit"
    SIGNAL = "signal"
    OFF = "off"


class Status(StrEnum):
    """Where a rule is in its life: on trial, in use, or given up.

    A rule in shadow is judged and recorded but nobody is notified. A retired rule is judged no
    more; its parameters stay, because other rules may read them.
    """

    SHADOW = "shadow"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """One rule as one rulebook applies it.

    ``clauses`` are those judged, empty for a rule without clauses. Accessors convert on reading:
    ``millis`` durations to milliseconds, ``number`` rates to exact fractions, ``names`` lists to
    sets (``listed`` keeps their order). Those that may be ``"none"`` have accessors of their own.
    They raise ``KeyError`` for a parameter that is not in the rulebook and ``ParameterError`` for
    a value of another kind.
    """

    rule_id: str
    mode: Mode
    citations: tuple[str, ...]
    severities: Mapping[str, str]
    values: Mapping[str, Any]
    clauses: tuple[str, ...] = ()
    signal_clauses: frozenset[str] = frozenset()
    status: Status = Status.LIVE

    @property
    def enabled(self) -> bool:
        return self.mode is not Mode.OFF and self.status is not Status.RETIRED

    @property
    def signal_only(self) -> bool:
        return self.mode is Mode.SIGNAL

    @property
    def shadow(self) -> bool:
        """Whether findings are recorded only."""
        return self.status is Status.SHADOW

    def judges(self, clause: str | None) -> bool:
        """Whether this rulebook judges the clause (RULES 3, "Rulebooks" of each entry)."""
        return clause is None or not self.clauses or clause in self.clauses

    def signals(self, clause: str | None) -> bool:
        """Whether the clause may only ever be suspected in this rulebook."""
        return self.signal_only or clause in self.signal_clauses

    def severity(self, clause: str | None) -> str:
        """The severity of a clause; in QLT-04, which has none, of a duty."""
        return self.severities.get(clause or "", self.severities[""])

    def text(self, name: str) -> str:
        return str(self.values[name])

    def text_or_none(self, name: str) -> str | None:
        return None if self.values[name] == NONE else self.text(name)

    def flag(self, name: str) -> bool:
        return bool(self.values[name])

    def count(self, name: str) -> int:
        return int(self.values[name])

    def count_or_none(self, name: str) -> int | None:
        return None if self.values[name] == NONE else self.count(name)

    def names(self, name: str) -> frozenset[str]:
        return frozenset(self.values[name])

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(self.values[name])

    def number(self, name: str) -> Fraction:
        return _fraction(self.values[name])

    def millis(self, name: str) -> int:
        return _millis(self.rule_id, name, self.values[name])

    def millis_or_none(self, name: str) -> int | None:
        return None if self.values[name] == NONE else self.millis(name)

    def period(self, name: str) -> Period | None:
        """Calendar months or years; None where the rulebook sets none."""
        value = self.values[name]
        period = _duration(str(value))
        if isinstance(period, Period):
            return period
        if value == NONE:
            return None
        raise ParameterError(f"{self.rule_id}.{name}: not a period: {value!r}")

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
        """The rule's settings if this rulebook judges by it: neither off nor retired."""
        settings = self.rules.get(rule_id)
        return settings if settings is not None and settings.enabled else None

    @cached_property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            clinical=_millis("global", "u_clin", self.globals["u_clin"]),
            file_days=_millis("global", "u_file", self.globals["u_file"]) // 86_400_000,
            grace=_millis("global", "grace", self.globals["grace"]),
            wait=_millis("global", "provisional_wait", self.globals["provisional_wait"]),
            correction=_millis("global", "correction_window", self.globals["correction_window"]),
        )

    @cached_property
    def immediate(self) -> int:
        """Reading of 立即 for stopping services, in milliseconds."""
        return _millis("global", "immediate", self.globals["immediate"])

    def in_effect(self, day: int) -> bool:
        """Whether the rulebook may be applied to an act of this day (RULES 1.1)."""
        first, last = self._effective
        return (first is None or first <= day) and (last is None or day <= last)

    @cached_property
    def unlimited(self) -> bool:
        """Whether the rulebook is in effect on every day."""
        return self._effective == (None, None)

    @cached_property
    def _effective(self) -> tuple[int | None, int | None]:
        return _day(self.scope["effective_from"]), _day(self.scope["effective_to"])


@dataclass(frozen=True, slots=True)
class Library:
    """All rulebooks under one set of overrides; answers which one judges an act (RULES 1.2)."""

    books: Mapping[str, Rulebook]

    @classmethod
    def load(cls, overrides: Iterable[str] = ()) -> Library:
        """Read the five rulebooks; ``overrides`` are ``name=value`` as given to ``--set``."""
        assignments = tuple(_split(item) for item in overrides)
        return cls({name: _build(name, assignments) for name in RULEBOOKS})

    def candidates(self, name: str, own_doctors: bool = True) -> tuple[Rulebook, ...]:
        """Every rulebook that ``applied`` may answer with under this candidate; ``own_doctors`` is
        whether the institution may have provided services by its own doctors at any time.
        """
        book, national = self.books[name], self.books[NATIONAL]
        if name == NATIONAL or (book.unlimited and not (own_doctors and name in REFINED)):
            return (book,)
        return (book, national)

    def applied(self, candidate: str, form: str | None, day: int) -> Rulebook:
        """The rulebook for an act on ``day`` of an institution of ``form`` (None: not filed yet).

        Chongqing and Yinchuan regulate internet hospitals only; a service by an institution's own
        doctors there is judged by the national measure (CQ 38, YC 2; D1).
        """
        book = self.books[candidate]
        if form == OWN_DOCTORS and candidate in REFINED:
            return self.books[NATIONAL]
        return book if book.in_effect(day) else self.books[NATIONAL]


def clauses_of(rule_id: str) -> tuple[str, ...]:
    """Every clause the rule has in any rulebook, empty where it has none."""
    return tuple(_file(_VOCABULARY)["clauses"].get(rule_id, ()))


@cache
def _file(name: str) -> Mapping[str, Any]:
    with (_FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def _build(name: str, assignments: tuple[tuple[str, str], ...]) -> Rulebook:
    merged = {section: dict(values) for section, values in _file(NATIONAL).items()}
    for section, values in merged.items():
        if section not in _SECTIONS:
            values.setdefault("status", Status.LIVE)
            values.setdefault("clauses", list(clauses_of(section)))
            values.setdefault("signal_clauses", [])
    local = dict(_file(name)) if name != NATIONAL else {}
    overlay = local.pop(_OVERLAY, {})
    _inherit(merged, local, name)
    ours = tuple((_of_book(path, name), text) for path, text in assignments)
    mine = [(path, text) for path, text in ours if path]
    for path, text in mine:
        if path.lower() == _SWITCH:
            _assign(merged, path, text)
    on = name == "yinchuan" and bool(merged["yinchuan"]["national_overlay"])
    if on:
        _inherit(merged, overlay, f"{name} {_OVERLAY}")
    assigned = {_assign(merged, path, text) for path, text in mine}
    _follow(merged, assigned)
    _check(merged)
    rules = {k: _settings(k, v) for k, v in merged.items() if k not in _SECTIONS}
    return Rulebook(name, rules, merged["global"], merged["rulebook"], on)


def _inherit(
    merged: dict[str, dict[str, Any]], local: Mapping[str, Mapping[str, Any]], origin: str
) -> None:
    """Put the values of a local rulebook in place of those it inherits."""
    for section, values in local.items():
        if section not in merged:
            raise ParameterError(f"{origin}: unknown rule {section!r}")
        unknown = values.keys() - merged[section].keys()
        if unknown:
            raise ParameterError(f"{origin}: {section} has no parameter {sorted(unknown)}")
        merged[section].update(values)


def _follow(merged: dict[str, dict[str, Any]], assigned: set[str]) -> None:
    """Let parameters that are defined as another one's value have it."""
    for path, source in _file(_VOCABULARY)["follows"].items():
        if path not in assigned:
            section, _, name = path.partition(".")
            other, _, origin = source.partition(".")
            merged[section][name] = merged[other][origin]


def _settings(rule_id: str, raw: Mapping[str, Any]) -> RuleSettings:
    severity = raw["severity"]
    return RuleSettings(
        rule_id,
        Mode(raw["mode"]),
        tuple(raw["citations"]),
        dict(severity) if isinstance(severity, dict) else {"": severity},
        {key: value for key, value in raw.items() if key not in _SETTINGS},
        tuple(raw["clauses"]),
        frozenset(raw["signal_clauses"]),
        Status(raw["status"]),
    )


def _split(item: str) -> tuple[str, str]:
    path, sign, value = item.partition("=")
    if not sign or "." not in path:
        raise ParameterError(f"expected NAME.PARAMETER=VALUE, got {item!r}")
    path = path.strip()
    if match := _INTERVAL.fullmatch(path):
        path = f"{match[1]}.{match[2].lower()}"
    return path, value.strip()


def _of_book(path: str, name: str) -> str:
    """The path within this rulebook, empty if the override is for another one."""
    book, _, rest = path.partition(".")
    if book.lower() not in RULEBOOKS or "." not in rest:
        return path
    return rest if book.lower() == name else ""


def _assign(merged: dict[str, dict[str, Any]], path: str, text: str) -> str:
    """Apply an override; gives the full name of what it changed."""
    prefix, _, name = path.partition(".")
    sections = {key.lower().replace("-", ""): key for key in merged}
    section = sections.get(prefix.lower(), "")
    known = merged.get(section, {})
    of_rule = bool(section) and section not in _SECTIONS
    if of_rule and name == "enabled":
        off = not _parse(path, True, text)
        if off or known["mode"] == Mode.OFF:
            known["mode"] = Mode.OFF if off else Mode.OWN
        return f"{section}.mode"
    if name not in known or (of_rule and name in _SETTINGS and name not in _TUNABLE_SETTINGS):
        names = [
            f"{low}.{key}"
            for low, full in sections.items()
            for key in merged[full]
            if key not in _SETTINGS or key in _TUNABLE_SETTINGS
        ]
        close = difflib.get_close_matches(path, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ParameterError(f"unknown parameter {path!r}{hint}")
    known[name] = text if name == "severity" else _parse(f"{section}.{name}", known[name], text)
    return f"{section}.{name}"


def _parse(path: str, current: Any, text: str) -> Any:
    """Read an override as the kind of value the rulebook states."""
    if isinstance(current, bool):
        if text.lower() not in ("true", "false"):
            raise ParameterError(f"{path}: expected true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(current, list):
        parts = () if text == NONE else text.strip("{}[]").split(",")
        return [part.strip() for part in parts if part.strip()]
    kind = _file(_VOCABULARY)["nullable"].get(path) or _kind(current)
    if text == NONE and path in _file(_VOCABULARY)["nullable"]:
        return NONE
    unit = next((u for name, u in _COUNTED_UNITS.items() if path.endswith(name)), "")
    try:
        if kind == "count":
            return int(text.removesuffix(unit))
        if kind == "rate":
            return _fraction(text)
        if kind == "day":
            parse_day(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ParameterError(f"{path}: not a value of the right kind: {text!r}") from error
    if kind in ("duration", "period"):
        text += unit if text.isdecimal() else ""
        if _kind(text) != kind:
            example = "duration such as 90s 15m 24h 7d" if kind == "duration" else "period: 3M 1Y"
            raise ParameterError(f"{path}: expected a {example}, got {text!r}")
    return text


def _kind(value: Any) -> str:
    """What a stated value is, as ``[nullable]`` in parameters.toml names it."""
    if isinstance(value, int):
        return "count"
    if isinstance(value, (float, Fraction)):
        return "rate"
    duration = _duration(value)
    if duration is None:
        return "choice"
    return "duration" if isinstance(duration, int) else "period"


def _check(merged: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what no rule could judge by, before anything is judged."""
    vocabulary = _file(_VOCABULARY)
    for path, allowed in vocabulary["choices"].items():
        section, _, name = path.partition(".")
        nullable = (NONE,) if path in vocabulary["nullable"] else ()
        _admit(path, merged[section][name], (*allowed, *nullable))
    for section, values in merged.items():
        for name, value in values.items():
            if isinstance(value, (int, float, Fraction)) and value < 0:
                raise ParameterError(f"{section}.{name}: must not be negative")
        if section not in _SECTIONS:
            _check_settings(section, values)
    window, slide = (_millis("UPL-06", n, merged["UPL-06"][n]) for n in ("window", "slide"))
    if slide == 0 or window == 0 or window % slide:
        raise ParameterError("UPL-06: the window must be whole steps of slide, and neither 0")


def _check_settings(rule_id: str, values: Mapping[str, Any]) -> None:
    """Modes, clauses and severities must be ones that exist."""
    clauses = clauses_of(rule_id)
    _admit(f"{rule_id}.mode", values["mode"], tuple(Mode))
    _admit(f"{rule_id}.status", values["status"], tuple(Status))
    _admit(f"{rule_id}.clauses", values["clauses"], clauses)
    _admit(f"{rule_id}.signal_clauses", values["signal_clauses"], clauses)
    if clauses and not values["clauses"]:
        raise ParameterError(f"{rule_id}.clauses: none; switch the rule off instead")
    severity = values["severity"]
    if isinstance(severity, dict):
        _admit(f"{rule_id}.severity of", list(severity), ("", *clauses, *values))
        severity = list(severity.values())
    _admit(f"{rule_id}.severity", severity, _SEVERITIES)


def _admit(path: str, value: Any, allowed: tuple[str, ...]) -> None:
    unknown = set(value if isinstance(value, list) else [value]) - set(allowed)
    if unknown:
        raise ParameterError(f"{path}: {sorted(unknown)}; allowed are {', '.join(allowed)}")


def _millis(section: str, name: str, value: Any) -> int:
    duration = _duration(str(value))
    if not isinstance(duration, int):
        raise ParameterError(f"{section}.{name}: not a duration: {value!r}")
    return duration


@cache
def _fraction(value: Any) -> Fraction:
    text = str(value).strip()
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)


def _day(value: str) -> int | None:
    if value == NONE:
        return None
    return parse_day(value)


def _state(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)
