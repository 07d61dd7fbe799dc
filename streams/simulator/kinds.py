"""What a kind of violation is, and how the modules of injectors name theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from streams.simulator import scope
from streams.simulator.config import FILING_TAIL

Injector = Callable[[Any], bool]
"""Takes a ``Scene`` (a ``House`` for kinds per house); False when there is no place for it."""


class Per(StrEnum):
    """How often a kind is drawn: per ordinary session; per open day, or once per house.

    The last two have ten times the share; a house has at most one kind of each ``area``.
    """

    SESSION = "session"
    DAY = "day"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: the rule it aims at, where it can happen, and its injector.

    ``lawful`` kinds must end in no finding or a CLEARED one. ``due`` is how many days after the day
    of the injection (for a house: the first lived day) everything it leads to has become final.
    """

    name: str
    rule_id: str
    rulebooks: frozenset[str]
    per: Per
    inject: Injector
    lawful: bool = False
    clause: str | None = None
    due: int = FILING_TAIL
    area: str = ""

    @property
    def summary(self) -> str:
        """What is injected, in one line."""
        return (self.inject.__doc__ or "").strip().splitlines()[0]


class Family(list[Kind]):
    """The kinds of one module; each is named as its function."""

    def violation(
        self, rule_id: str, clause: str | None = None, **options: Any
    ) -> Callable[[Injector], Injector]:
        """Name the function below as a kind that breaks a clause of a rule."""
        return self._add(rule_id, clause, False, **options)

    def lawful(
        self, rule_id: str, clause: str | None = None, **options: Any
    ) -> Callable[[Injector], Injector]:
        """Name the function below as a kind that only looks as if it broke the rule."""
        return self._add(rule_id, clause, True, **options)

    def _add(
        self,
        rule_id: str,
        clause: str | None,
        lawful: bool,
        *,
        on: str = "",
        per: Per = Per.SESSION,
        due: int = FILING_TAIL,
        area: str = "",
    ) -> Callable[[Injector], Injector]:
        """``on`` names some of the rulebooks in which the rule is on; empty is all of them."""
        books = scope.where(rule_id, clause)
        if on:
            books = frozenset(on.split()) & books

        def name(inject: Injector) -> Injector:
            kind_name = str(getattr(inject, "__name__", ""))
            self.append(Kind(kind_name, rule_id, books, per, inject, lawful, clause, due, area))
            return inject

        return name
