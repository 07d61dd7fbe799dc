"""The shelf: all case files of one partition, loaded on demand and saved once a batch.

The shelf never writes: ``drain`` hands the changed case files to the caller, who stores them after
everything they led to has been published (invariant 4). ``load`` reads a stored one by its key.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice

from streams.cases.agenda import Agenda
from streams.cases.base import (
    FOREVER,
    CaseFile,
    Corrections,
    Effective,
    Name,
    Span,
    decode,
    effective,
    encode,
    glance,
)
from streams.cases.kinds import KINDS, LATER, LOOKED_UP
from streams.cases.watches import REPLACED, Watches
from streams.events import Evidence

__all__ = [
    "REPLACED",
    "SHARED",
    "SHARED_KEYS",
    "Load",
    "Name",
    "Shelf",
    "is_shared",
    "name_of",
]

Load = Callable[[str], bytes | None]
SHARED = ""
"""The institution of case files in which facts of several institutions meet."""


_SEPARATOR = "\x1f"
SHARED_KEYS = SHARED + _SEPARATOR
"""What keys of shared case files begin with, and no others."""


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


def is_shared(key: str) -> bool:
    """Whether a stored case file is one in which facts of several institutions meet."""
    return key.startswith(SHARED_KEYS)


class Shelf:
    """Case files by name, with an index by institution and kind, and the next instants to judge.

    ``limit`` bounds how many decoded case files are kept between batches; None keeps all, for a
    run that stores nothing.
    """

    def __init__(self, load: Load | None = None, limit: int | None = None) -> None:
        self._load = load
        self._limit = limit
        # Decoded case files: what changed in this batch, and the rest, longest unchanged first.
        self._changed: dict[Name, CaseFile] = {}
        self._open: dict[Name, CaseFile] = {}
        # A million names: each is one tuple of strings that all who hold it share.
        self._index: dict[str, dict[str, dict[str, Name | None]]] = {}
        self._due = Agenda()
        self._due_later = Agenda()
        self._watches = Watches()
        self._views: dict[Name, tuple[int, int, Effective]] = {}
        self._restored: dict[tuple[str, str], tuple[array[int], list[str]]] = {}

    def restore(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild index, due instants and watches from every stored case file.

        Of each only that much is decoded; DecodeError where even this cannot be.
        """
        same: dict[str, str] = {kind: kind for kind in KINDS}
        for key, data in stored:
            institution_id, kind, case_id = name_of(key)
            institution_id, kind = same.setdefault(institution_id, institution_id), same[kind]
            name = institution_id, kind, case_id
            case = glance(data)
            self._enter(name)
            self._put_down(case.next_due, name)
            for topic, span in case.watches.items():
                self._watches.add(name, topic, span)
            applied, case_ids = self._restored.setdefault(name[:2], (array("q"), []))
            applied.append(case.applied)
            case_ids.append(case_id)

    def resume(self, offset: int) -> list[tuple[Name, CaseFile]]:
        """Have saved again what is newer than the log from ``offset`` on, which comes again.

        A crash may have left it on the disk and out of the changelog, and no record might touch it.
        """
        newer = [
            (*kind, case_id)
            for kind, (applied, case_ids) in self._restored.items()
            for last, case_id in zip(applied, case_ids, strict=True)
            if last >= offset
        ]
        self._restored.clear()
        return [(name, self.open(name)) for name in newer]

    def find(self, name: Name) -> CaseFile | None:
        """The case file, or None if there is none yet."""
        case = self._changed.get(name) or self._open.get(name)
        if case is None and (case := self._fetch(name)) is not None:
            self._open[name] = case
        return case

    def open(self, name: Name) -> CaseFile:
        """The case file, begun empty if there is none; counts as changed."""
        case = self._changed.get(name)
        if case is None:
            case = self._open.pop(name, None) or self._fetch(name)
            if case is None:
                case = KINDS[name[1]].file()
                self._enter(name)
            self._changed[name] = case
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
        now, window = corrections.now, corrections.window
        if corrections.honour_late:
            view = effective(case, now, window, honour_late=True)
            corrections.note(view)
            return view
        known = self._views.get(name)
        if known is not None and known[0] == window and known[1] <= now < known[2].until:
            view = known[2]
        else:
            view = effective(case, now, window)
            self._views[name] = (window, now, view)
        corrections.note(view)
        return view

    def ids(self, institution_id: str, kind: str) -> AbstractSet[str]:
        """Ids of all case files of a kind."""
        return self._index.get(institution_id, {}).get(kind, {}).keys()

    def institutions(self) -> Iterator[str]:
        return iter(self._index)

    def kinds(self, institution_id: str) -> Iterator[str]:
        """Kinds of which an institution has case files."""
        return iter(self._index.get(institution_id, {}))

    def schedule(self, name: Name, instant: int) -> None:
        """Have the case file judged at an instant; earlier ones it was scheduled for stand."""
        self._put_down(instant, self._same(name))

    def due(self, upto: int) -> list[Name]:
        """Case files scheduled for instants up to ``upto`` (inclusive), each once, in fixed order.

        Some may have been put off since; whoever takes them schedules each for what is next. Those
        that rest on facts told by others come only when no other is due.
        """
        for agenda in (self._due, self._due_later):
            if found := agenda.take(upto):
                return sorted(found)
        return []

    def next_due(self) -> int | None:
        """The earliest instant at which something is to be judged."""
        firsts = (self._due.first(), self._due_later.first())
        return min((first for first in firsts if first is not None), default=None)

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
        self._watches.add(self._same(name), topic, span)

    def unwatch(self, name: Name, case: CaseFile, topic: str) -> None:
        """Watch a replaceable topic no more."""
        if case.watches.pop(topic, None) is not None:
            self._watches.remove(name, topic)

    def watchers(self, institution_id: str, topic: str, instant: int | None) -> list[Name]:
        """Case files that rest on a topic as of an instant; on any part of it for None."""
        found = self._watches.of(institution_id, topic, instant)
        return sorted(found) if found else []

    def applied(self, offset: int) -> None:
        """Note in what changed that the log is applied up to and including ``offset``."""
        for case in self._changed.values():
            case.applied = max(case.applied, offset)

    def drain(self) -> dict[str, bytes]:
        """Encode what changed since the last call, and let go of case files over the limit.

        Facts come first: whatever told them is stored only when they are.
        """
        facts = {name: case for name, case in self._changed.items() if name[1] == "told"}
        changed = {key_of(name): encode(case) for name, case in (facts | self._changed).items()}
        self.forget_changes()
        return changed

    def forget_changes(self) -> None:
        """Consider everything saved; used alone where nothing is stored."""
        self._open |= self._changed
        self._changed.clear()
        if self._limit is not None and self._load is not None:
            for name in list(islice(self._open, max(0, len(self._open) - self._limit))):
                del self._open[name]
                self._views.pop(name, None)

    def _fetch(self, name: Name) -> CaseFile | None:
        """Read a stored case file; None if there is none."""
        if self._load is None or name[2] not in self.ids(name[0], name[1]):
            return None
        data = self._load(key_of(name))
        if data is None:
            return None
        case: CaseFile = decode(KINDS[name[1]].file, data)
        return case

    def _put_down(self, instant: int, name: Name) -> None:
        if instant == FOREVER:
            return
        if name[1] == "window":  # every instant it ever asked for may have counts given out
            self._due.add_each(instant, name)
        else:
            (self._due_later if name[1] in LATER else self._due).add(instant, name)

    def _enter(self, name: Name) -> None:
        ids = self._index.setdefault(name[0], {}).setdefault(name[1], {})
        ids[name[2]] = None if name[1] in LOOKED_UP else name

    def _same(self, name: Name) -> Name:
        """The one copy of a name that is kept."""
        return self._index[name[0]][name[1]].get(name[2]) or name
