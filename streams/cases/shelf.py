"""The shelf: all case files of one partition, loaded on demand and saved once a batch.

The shelf never writes: ``drain`` hands the changed case files to the caller, who stores them after
everything they led to has been published (invariant 4). ``load`` reads a stored one by its key.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from streams.cases.accuracy import Sequence
from streams.cases.base import FOREVER, CaseFile, Corrections, Effective, decode, effective, encode
from streams.cases.feeds import Manifest, Silence
from streams.cases.uploads import Lateness, Stream, Window
from streams.events import Evidence

Load = Callable[[str], bytes | None]
Name = tuple[str, str, str]
"""Institution, kind and id of a case file."""
Span = tuple[int, int]
REPLACED = "acts/#"
"""With the rule at its end: a topic of its own for each rule that rests on acts of some span."""
SHARED = ""
"""The institution of case files in which facts of several institutions meet."""


class RosterFile(CaseFile):
    """Findings about duty; ``touched`` is the earliest occurrence of evidence not judged yet."""

    touched: int = 0


LOOKED_UP = frozenset(
    {
        "ledger",
        "logins",
        "enrolments",
        "duty",
        "shifts",
        "acts",
        "acts-of",
        "patient",
        "named",
        "told",
        "corrections",
    }
)
"""Kinds that no rule judges."""

KINDS: dict[str, type[CaseFile]] = {
    **dict.fromkeys(
        (
            "session",
            "prescription",
            "supply",
            "record",
            "fee",
            "refund",
            "complaint",
            "notice",
            "incident",
            "breach",
            "event",
            "shift",
            "institution",
            "department",
            "person",
            "conduct",
            "ratings",
            "practice",
            "host",
            *sorted(LOOKED_UP),
        ),
        CaseFile,
    ),
    "roster": RosterFile,
    "lateness": Lateness,
    "window": Window,
    "stream": Stream,
    "sequence": Sequence,
    "manifest": Manifest,
    "silence": Silence,
}
_LATER = frozenset({"conduct", "ratings", "practice", "host"})
"""Kinds that rest on facts told by the others, and are judged after them."""
_SEPARATOR = "\x1f"


def key_of(name: Name) -> str:
    return _SEPARATOR.join(name)


def name_of(key: str) -> Name:
    institution_id, kind, case_id = key.split(_SEPARATOR, 2)
    return institution_id, kind, case_id


def topics_of(kind: str, case_id: str) -> tuple[str, ...]:
    """What those watch who rest on a case file: the file, and its part before the last slash."""
    topic = f"{kind}/{case_id}"
    head, slash, _ = topic.rpartition("/")
    return (topic, head + slash)


def _base_and_rule(topic: str) -> tuple[str, str]:
    """What is watched, and the rule whose span it is; ids of hospitals may hold any character."""
    if topic.startswith(REPLACED):
        return REPLACED[:-1], topic[len(REPLACED) :]
    return topic, ""


def is_shared(key: str) -> bool:
    """Whether a stored case file is one in which facts of several institutions meet."""
    return name_of(key)[0] == SHARED


class Shelf:
    """Case files by name, with an index by institution and kind, and the next instants to judge.

    ``limit`` bounds how many decoded case files are kept between batches; None keeps all, for a
    run that stores nothing.
    """

    def __init__(self, load: Load | None = None, limit: int | None = None) -> None:
        self._load = load
        self._limit = limit
        self._open: dict[Name, CaseFile] = {}
        self._changed: set[Name] = set()
        self._index: dict[str, dict[str, set[str]]] = {}
        self._due: list[tuple[int, Name]] = []
        self._due_later: list[tuple[int, Name]] = []
        self._watchers: dict[tuple[str, str], dict[Name, dict[str, Span]]] = {}
        self._views: dict[Name, tuple[int, Effective]] = {}
        self._restored: list[tuple[int, Name]] = []

    def restore(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild index, due instants and watches from every stored case file."""
        for key, data in stored:
            name = name_of(key)
            case: CaseFile = decode(KINDS[name[1]], data)
            self._enter(name)
            self.schedule(name, case)
            for topic, span in case.watches.items():
                self._register(name, topic, span)
            self._restored.append((case.applied, name))

    def resume(self, offset: int) -> list[tuple[Name, CaseFile]]:
        """Have saved again what is newer than the log from ``offset`` on, which comes again.

        A crash may have left it on the disk and out of the changelog, and no record might touch it.
        """
        newer = [(name, self.open(name)) for applied, name in self._restored if applied >= offset]
        self._restored.clear()
        return newer

    def find(self, name: Name) -> CaseFile | None:
        """The case file, or None if there is none yet."""
        case = self._open.get(name)
        if case is None and self._load is not None and name[2] in self.ids(name[0], name[1]):
            data = self._load(key_of(name))
            if data is not None:
                case = self._open[name] = decode(KINDS[name[1]], data)
        return case

    def open(self, name: Name) -> CaseFile:
        """The case file, begun empty if there is none; counts as changed."""
        self._changed.add(name)
        case = self.find(name)
        if case is None:
            case = self._open[name] = KINDS[name[1]]()
            self._enter(name)
        return case

    def fold(self, name: Name, item: Evidence) -> CaseFile:
        """Take evidence into a case file."""
        case = self.open(name)
        case.fold(item)
        self._views.pop(name, None)
        return case

    def stale(self, name: Name) -> None:
        """Forget what a case file showed: something but its evidence has changed."""
        self._views.pop(name, None)

    def effective(self, name: Name, case: CaseFile, corrections: Corrections) -> Effective:
        """Evidence in force at ``corrections.now``; notes which corrections mattered."""
        now = corrections.now
        if corrections.honour_late:
            view = effective(case, now, corrections.window, honour_late=True)
            corrections.note(view)
            return view
        known = self._views.get(name)
        if known is not None and known[0] <= now < known[1].until:
            view = known[1]
        else:
            view = effective(case, now, corrections.window)
            self._views[name] = (now, view)
        corrections.note(view)
        return view

    def ids(self, institution_id: str, kind: str) -> set[str]:
        """Ids of all case files of a kind (do not change)."""
        return self._index.get(institution_id, {}).get(kind, set())

    def institutions(self) -> Iterator[str]:
        return iter(self._index)

    def kinds(self, institution_id: str) -> Iterator[str]:
        """Kinds of which an institution has case files."""
        return iter(self._index.get(institution_id, {}))

    def schedule(self, name: Name, case: CaseFile) -> None:
        """Note when the case file must be judged next."""
        instant = case.next_due
        if instant != FOREVER:
            heapq.heappush(self._due_later if name[1] in _LATER else self._due, (instant, name))

    def due(self, upto: int) -> list[Name]:
        """Case files with something to judge by ``upto`` (inclusive), each once, in fixed order.

        Those that rest on facts told by others come only when no other is due.
        """
        for heap in (self._due, self._due_later):
            found: set[Name] = set()
            while heap and heap[0][0] <= upto:
                found.add(heapq.heappop(heap)[1])
            if found:
                return sorted(found)
        return []

    def next_due(self) -> int | None:
        """The earliest instant at which something is to be judged."""
        return min((heap[0][0] for heap in (self._due, self._due_later) if heap), default=None)

    def watch(self, name: Name, case: CaseFile, topic: str, span: Span) -> None:
        """Have a case file judged again when evidence that occurred in ``span`` comes to a topic.

        Spans only grow, but those of topics that begin with ``REPLACED`` are replaced.
        """
        known = case.watches.get(topic)
        if known == span:
            return
        if known is not None and not topic.startswith(REPLACED):
            if known[0] <= span[0] and span[1] <= known[1]:
                return
            span = (min(known[0], span[0]), max(known[1], span[1]))
        case.watches[topic] = span
        self._register(name, topic, span)

    def unwatch(self, name: Name, case: CaseFile, topic: str) -> None:
        """Watch a replaceable topic no more."""
        if case.watches.pop(topic, None) is not None:
            base, rule = _base_and_rule(topic)
            self._watchers.get((name[0], base), {}).get(name, {}).pop(rule, None)

    def watchers(self, institution_id: str, topic: str, instant: int | None) -> list[Name]:
        """Case files that rest on a topic as of an instant; on any part of it for None."""
        found = self._watchers.get((institution_id, topic))
        if not found:
            return []
        if instant is None:
            return sorted(found)
        return sorted(
            name
            for name, spans in found.items()
            if any(first <= instant <= last for first, last in spans.values())
        )

    def applied(self, offset: int) -> None:
        """Note in what changed that the log is applied up to and including ``offset``."""
        for name in self._changed:
            case = self._open[name]
            case.applied = max(case.applied, offset)

    def drain(self) -> dict[str, bytes]:
        """Encode what changed since the last call, and let go of case files over the limit.

        Facts come first: whatever told them is stored only when they are.
        """
        order = sorted(self._changed, key=lambda name: (name[1] != "told", name))
        changed = {key_of(name): encode(self._open[name]) for name in order}
        self.forget_changes()
        return changed

    def forget_changes(self) -> None:
        """Consider everything saved; used alone where nothing is stored."""
        surplus = 0 if self._limit is None or self._load is None else len(self._open) - self._limit
        if surplus > 0:
            for name in self._changed:  # what was needed last is let go of last
                self._open[name] = self._open.pop(name)
            for name in list(islice(self._open, surplus)):
                del self._open[name]
                self._views.pop(name, None)
        self._changed.clear()

    def _register(self, name: Name, topic: str, span: Span) -> None:
        base, rule = _base_and_rule(topic)
        self._watchers.setdefault((name[0], base), {}).setdefault(name, {})[rule] = span

    def _enter(self, name: Name) -> None:
        self._index.setdefault(name[0], {}).setdefault(name[1], set()).add(name[2])
