"""The shelf: all case files of one partition, loaded on demand and saved once a batch.

The shelf never writes: ``drain`` hands the changed case files to the caller, who stores them after
everything they led to has been published (invariant 4). ``load`` reads a stored one by its key.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from streams.cases.base import CaseFile, decode, encode
from streams.cases.uploads import Lateness, Stream, Window

Load = Callable[[str], bytes | None]
Name = tuple[str, str, str]
"""Institution, kind and id of a case file."""


class RosterFile(CaseFile):
    """Findings about duty; ``touched`` is the earliest occurrence of evidence not judged yet."""

    touched: int = 0


KINDS: dict[str, type[CaseFile]] = {
    "session": CaseFile,
    "ledger": CaseFile,
    "logins": CaseFile,
    "enrolments": CaseFile,
    "duty": CaseFile,
    "corrections": CaseFile,
    "roster": RosterFile,
    "lateness": Lateness,
    "window": Window,
    "stream": Stream,
}
_SEPARATOR = "\x1f"


def key_of(name: Name) -> str:
    return _SEPARATOR.join(name)


def name_of(key: str) -> Name:
    institution_id, kind, case_id = key.split(_SEPARATOR, 2)
    return institution_id, kind, case_id


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
        self._watchers: dict[tuple[str, str], set[Name]] = {}
        self._restored: list[tuple[int, Name]] = []

    def restore(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild index, due instants and watches from every stored case file."""
        for key, data in stored:
            name = name_of(key)
            case: CaseFile = decode(KINDS[name[1]], data)
            self._enter(name)
            self.schedule(name, case)
            self.watch(name, case)
            self._restored.append((case.applied, name))

    def resume(self, offset: int) -> None:
        """Have saved again what is newer than the log from ``offset`` on, which comes again.

        A crash may have left it on the disk and out of the changelog, and no record might touch it.
        """
        for applied, name in self._restored:
            if applied >= offset:
                self.open(name)
        self._restored.clear()

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

    def ids(self, institution_id: str, kind: str) -> set[str]:
        """Ids of all case files of a kind (do not change)."""
        return self._index.get(institution_id, {}).get(kind, set())

    def institutions(self) -> Iterator[str]:
        return iter(self._index)

    def schedule(self, name: Name, case: CaseFile) -> None:
        """Note when the case file must be judged next."""
        instants = [*case.pending, *([case.wake] if case.wake else [])]
        if instants:
            heapq.heappush(self._due, (min(instants), name))

    def due(self, upto: int) -> list[Name]:
        """Case files with something to judge by ``upto`` (inclusive), each once, in fixed order."""
        found: set[Name] = set()
        while self._due and self._due[0][0] <= upto:
            found.add(heapq.heappop(self._due)[1])
        return sorted(found)

    def next_due(self) -> int | None:
        """The earliest instant at which something is to be judged."""
        return self._due[0][0] if self._due else None

    def watch(self, name: Name, case: CaseFile) -> None:
        for topic in case.watches:
            self._watchers.setdefault((name[0], topic), set()).add(name)

    def unwatch(self, name: Name, case: CaseFile) -> None:
        for topic in case.watches:
            self._watchers.get((name[0], topic), set()).discard(name)

    def watchers(self, institution_id: str, topic: str) -> list[Name]:
        return sorted(self._watchers.get((institution_id, topic), ()))

    def applied(self, offset: int) -> None:
        """Note in what changed that the log is applied up to and including ``offset``."""
        for name in self._changed:
            case = self._open[name]
            case.applied = max(case.applied, offset)

    def drain(self) -> dict[str, bytes]:
        """Encode what changed since the last call, and let go of case files over the limit."""
        changed = {key_of(name): encode(self._open[name]) for name in sorted(self._changed)}
        self.forget_changes()
        return changed

    def forget_changes(self) -> None:
        """Consider everything saved; used alone where nothing is stored."""
        self._changed.clear()
        if self._limit is not None and self._load is not None:
            for name in list(self._open)[: max(0, len(self._open) - self._limit)]:
                del self._open[name]

    def _enter(self, name: Name) -> None:
        self._index.setdefault(name[0], {}).setdefault(name[1], set()).add(name[2])
