"""Who rests on what: which case files are judged again when evidence comes to a topic.

A million open sessions watch ten topics each: the ledger's on licence, staff and departments, their
patient's. What is kept of a watch is therefore no more than the case file's name and two numbers.
"""

from __future__ import annotations

from array import array
from itertools import chain

from streams.cases.base import Name, Span

REPLACED = "acts/#"
"""With the rule at its end: a topic of its own for each rule that rests on acts of some span."""
_BASE = REPLACED.removesuffix("#")
_ROOM = 8


class Watches:
    """Watching case files by institution and topic, with the span of occurrence that matters.

    Spans only grow, but those of topics that begin with ``REPLACED`` are replaced.
    """

    def __init__(self) -> None:
        self._topics: dict[str, dict[str, _Only | _Many]] = {}
        self._replaceable: dict[str, dict[Name, dict[str, Span]]] = {}

    def add(self, name: Name, topic: str, span: Span) -> None:
        """Note that a case file watches a topic; the span holds all it has watched before."""
        if topic.startswith(REPLACED):
            watching = self._replaceable.setdefault(name[0], {})
            watching.setdefault(name, {})[topic] = span
            return
        topics = self._topics.setdefault(name[0], {})
        known = topics.get(topic)
        if isinstance(known, _Many):
            known.add(name, *span)
        elif known is None or known[0] == name:
            topics[topic] = (name, *span)
        else:
            topics[topic] = both = _Many()
            both.add(*known)
            both.add(name, *span)

    def remove(self, name: Name, topic: str) -> None:
        """Forget that a case file watches a replaceable topic."""
        watching = self._replaceable.get(name[0], {})
        if name in watching:
            watching[name].pop(topic, None)
            if not watching[name]:
                del watching[name]

    def of(self, institution_id: str, topic: str, instant: int | None) -> set[Name]:
        """Case files that rest on a topic as of an instant; on any part of it for None."""
        topics = self._topics.get(institution_id)
        known = None if topics is None else topics.get(topic)
        found: set[Name] = set()
        if isinstance(known, _Many):
            found = known.at(instant)
        elif known is not None and (instant is None or known[1] <= instant <= known[2]):
            found.add(known[0])
        if topic == _BASE:
            for name, spans in self._replaceable.get(institution_id, {}).items():
                if instant is None or any(s[0] <= instant <= s[1] for s in spans.values()):
                    found.add(name)
        return found


_Only = tuple[Name, int, int]
"""The one case file that watches a topic, and its span."""


class _Many:
    """The watches of one topic; a later one of a case file holds its earlier ones."""

    __slots__ = ("_crowded", "_names", "_spans")

    def __init__(self) -> None:
        self._names: list[Name] = []
        self._spans = array("q")
        self._crowded = _ROOM

    def add(self, name: Name, first: int, last: int) -> None:
        self._names.append(name)
        self._spans.append(first)
        self._spans.append(last)
        if len(self._names) >= self._crowded:
            self._tidy()

    def at(self, instant: int | None) -> set[Name]:
        """Who watches what occurs at an instant; everybody for None."""
        if instant is None:
            return set(self._names)
        spans = self._spans
        return {
            name
            for name, first, last in zip(self._names, spans[::2], spans[1::2], strict=True)
            if first <= instant <= last
        }

    def _tidy(self) -> None:
        """Keep the last watch of each, which holds the others."""
        bounds = zip(self._spans[::2], self._spans[1::2], strict=True)
        last = dict(zip(self._names, bounds, strict=True))
        self._names = list(last)
        self._spans = array("q", chain.from_iterable(last.values()))
        self._crowded = 2 * len(last) + _ROOM
