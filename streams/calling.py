"""Who is called to judge a case file: by what was received, or because they asked to be woken."""

from __future__ import annotations

from typing import NamedTuple

from streams.cases.base import CaseFile
from streams.cases.kinds import CREATED_BY, KEEPS_MORE, KINDS, SHARED_KINDS
from streams.checks import BY_KIND, TELLERS_OF, Judged
from streams.checks.base import Teller
from streams.events import SIGN_OF_LIFE, mask_of
from streams.rulebook import REFINED, Library

FORM = mask_of("InstitutionFiled")
"""What may change by which rulebook an institution is judged."""


class Called(NamedTuple):
    """The rules that judge, and the tellers that tell."""

    rules: tuple[Judged, ...]
    tellers: tuple[Teller, ...]


class Callers:
    """Knows for every kind of case file, under a library of rulebooks, who reads what."""

    def __init__(self, library: Library) -> None:
        self._library = library
        keys = [(candidate, kind) for candidate in library.books for kind in KINDS]
        self._asked = {key: self._asked_of(*key) for key in keys}
        self._tells = {key: self._tellers_of(*key) for key in keys}
        self._read_by: dict[tuple[str, str, int], tuple[Called, Called]] = {}

    def judges(self, kind: str, candidate: str) -> bool:
        """Whether a kind of case file is judged or tells facts under a candidate rulebook."""
        return bool(self._asked[candidate, kind]) or bool(self._tells[candidate, kind])

    def called(self, candidate: str, case: CaseFile, kind: str, mask: int, now: int) -> Called:
        """Who judges now and who tells: by what was received, or because they asked to be woken."""
        key = candidate, kind, mask
        found, at_rest = self._read_by.get(key) or self._readers(*key)
        if at_rest is not found and _at_rest(case, kind, now):
            found = at_rest
        wakes = case.wakes
        if not wakes:
            return found
        woken = {name for name, at in wakes.items() if at <= now}
        if woken:
            names = {judged.rule.id for judged in found.rules} | {t.id for t in found.tellers}
            if not woken <= names:
                found = self._named(candidate, kind, names | woken)
        for judged in found.rules:
            wakes.pop(judged.rule.id, None)
        for teller in found.tellers:
            wakes.pop(teller.id, None)
        return found

    def _named(self, candidate: str, kind: str, names: set[str]) -> Called:
        """The rules and the tellers of a kind of case file that bear these names."""
        asked, tells = self._asked[candidate, kind], self._tells[candidate, kind]
        return Called(
            tuple(judged for judged in asked if judged.rule.id in names),
            tuple(teller for teller, _ in tells if teller.id in names),
        )

    def _readers(self, candidate: str, kind: str, mask: int) -> tuple[Called, Called]:
        """Who is called when evidence of some types was received: at any time, and at rest."""
        whole = bool(kind in KEEPS_MORE or (mask & FORM and candidate in REFINED))
        asked = self._asked[candidate, kind]
        due = tuple(judged for judged in asked if whole or judged.mask & mask)
        tells = self._tells[candidate, kind]
        tellers = tuple(teller for teller, reads in tells if whole or reads & mask)
        found = at_rest = Called(due, tellers)
        fewer = tuple(judged for judged in due if judged.at_rest & mask)
        if mask == SIGN_OF_LIFE or (len(fewer) < len(due) and not whole):
            at_rest = Called(fewer, tellers)
        self._read_by[candidate, kind, mask] = found, at_rest
        return found, at_rest

    def _asked_of(self, candidate: str, kind: str) -> tuple[Judged, ...]:
        """The rules that may judge a kind of case file under some rulebook of a candidate."""
        books = self._library.candidates(candidate)
        return tuple(
            judged
            for judged in BY_KIND.get(kind, ())
            if kind in SHARED_KINDS or any(book.rule(judged.rule.id) for book in books)
        )

    def _tellers_of(self, candidate: str, kind: str) -> tuple[tuple[Teller, int], ...]:
        """Who tells facts of a kind of case file that some rule under a candidate wants."""
        books = self._library.candidates(candidate)
        return tuple(
            (teller, mask)
            for teller, mask in TELLERS_OF.get(kind, ())
            if any(book.rule(rule) for book in books for rule in teller.rules)
        )


def _at_rest(case: CaseFile, kind: str, now: int) -> bool:
    """Whether nothing was ever found about a case file that was judged before, and what it is about
    was created by an event that nothing corrects; a roster is created by nothing.
    """
    if not case.settled or case.findings or case.retired or case.replaced or case.targets:
        return False
    created = kind == "roster"
    for item in case.evidence.values():
        if item.supersedes is not None:
            return False
        created = created or (item.type == CREATED_BY.get(kind) and item.r <= now)
    return created
