"""What one institution's case files show at one instant: the views that rules are given.

Everything here answers for ``now``, an instant of receipt: evidence received later is not seen,
corrections are applied as they stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from streams.cases.base import FOREVER, CaseFile, Corrections, Effective, effective
from streams.cases.feeds import Manifest
from streams.cases.ledger import Ledger
from streams.cases.roster import Hour, hour_of
from streams.cases.session import REMOTE_MEDICINE, Dossier, Session, dossier_of, session_of
from streams.cases.shelf import REPLACED, Shelf
from streams.cases.uploads import Run, Stream
from streams.events import ANY, Evidence, mask_of
from streams.places import SLICE
from streams.reference import ReferenceData
from streams.rulebook import Rulebook
from streams.timeline import day_of, end_of_day

FEED_GAP_AFTER = "reorder_wait"
_OPENING = mask_of("SessionOpened")


class Asking(Protocol):
    """Whoever looks something up, and may have to look again."""

    def wake(self, instant: int) -> None: ...


class _Shown(msgspec.Struct):
    """A case file as looked up: what it shows, and up to which occurrence that is watched."""

    case: CaseFile | None
    view: Effective | None
    watched: int = -1


class InstitutionRecords:
    """Lookups of one institution for one judging; also notes which corrections mattered.

    While a rule judges (``asking``) every lookup is noted: what was looked up is watched by the
    rule's case file, and what was folded but not received yet has the rule judge again then.
    """

    def __init__(
        self,
        institution_id: str,
        shelf: Shelf,
        corrections: Corrections,
        reference: ReferenceData,
    ) -> None:
        self.institution_id = institution_id
        self.reference = reference
        self.now = corrections.now
        self.on_trial = corrections.honour_late
        self.until = FOREVER
        self.watched: dict[str, tuple[int, int]] = {}
        self._shelf = shelf
        self._corrections = corrections
        self._asking: Asking | None = None
        self._rule = ""
        self._reads = ANY
        self._shown: dict[tuple[str, str], _Shown] = {}
        self.told_under: set[tuple[str, str]] = set()

    def asking(self, context: Asking | None, rule: str = "", reads: int = ANY) -> None:
        """Note the lookups that follow for a rule, which nothing but what it ``reads`` can change;
        for none, they are not noted.
        """
        self._asking, self._rule, self._reads = context, rule, reads

    def evidence(self, kind: str, case_id: str, upto: int = FOREVER) -> list[Evidence]:
        """Evidence of a case file in force, oldest first; none if there is no such file.

        ``upto`` is the last instant of occurrence that the answer can rest on.
        """
        view = self._looked_up(kind, case_id, upto)
        return [] if view is None else view.items

    def _looked_up(self, kind: str, case_id: str, upto: int = FOREVER) -> Effective | None:
        """What a case file shows, and that the answer rests on what occurred by ``upto``."""
        shown = self._shown.get((kind, case_id)) or self._show(kind, case_id)
        if upto > shown.watched and self._asking is not None:
            shown.watched = upto
            self.watch(f"{kind}/{case_id}", 0, upto)
        view = shown.view
        if view is not None and view.until != FOREVER:
            self._await(shown.case, view, upto)
        return view

    def _read(self, kind: str, case_id: str, upto: int) -> list[Evidence]:
        """Evidence of a case file in force, without watching it."""
        shown = self._shown.get((kind, case_id)) or self._show(kind, case_id)
        view = shown.view
        if view is None:
            return []
        if view.until != FOREVER:
            self._await(shown.case, view, upto)
        return view.items

    def _show(self, kind: str, case_id: str) -> _Shown:
        name = (self.institution_id, kind, case_id)
        case = self._shelf.find(name)
        view = None if case is None else self._shelf.effective(name, case, self._corrections)
        shown = self._shown[kind, case_id] = _Shown(case, view)
        return shown

    def _await(self, case: CaseFile | None, view: Effective, upto: int) -> None:
        """Have whoever asks look again when the next is received of what is folded already."""
        if self._asking is None:
            self.until = min(self.until, view.until)
        elif case is not None and view.later & self._reads:
            self._asking.wake(_next_receipt(case, view.until, self.now, upto))

    def watch(self, topic: str, first: int, last: int) -> None:
        """Note that the answer rests on what occurred in ``[first, last]`` of a topic."""
        known = self.watched.get(topic)
        if known is not None:
            first, last = min(first, known[0]), max(last, known[1])
        self.watched[topic] = (first, last)

    def ids(self, kind: str, prefix: str = "") -> list[str]:
        """Ids of case files of a kind that begin with ``prefix``, without it, known by now or not.

        ``prefix`` is empty or ends with a slash.
        """
        if self._asking is not None:
            self.watch(f"{kind}/{prefix}", 0, FOREVER)
        found = self._shelf.ids(self.institution_id, kind)
        return sorted(case_id[len(prefix) :] for case_id in found if case_id.startswith(prefix))

    @property
    def ledger(self) -> Ledger:
        """What the institution has filed, as known now."""
        return Ledger(self._entity, self._below)

    def _entity(self, entity: str, upto: int = FOREVER) -> list[Evidence]:
        return self.evidence("ledger", entity, upto)

    def _below(self, prefix: str) -> list[str]:
        return self.ids("ledger", f"{prefix}/")

    def logins(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        """Passed real-name checks of a person in ``[start, end]``, any phase."""
        days = range(day_of(start), day_of(end) + 1)
        found = [i for day in days for i in self.evidence("logins", f"{staff_id}/{day}", end)]
        return [item for item in found if start <= item.t <= end]

    def enrolments(self, staff_id: str, upto: int = FOREVER) -> list[Evidence]:
        """The earliest passed real-name checks of a person, any phase."""
        return self.evidence("enrolments", staff_id, upto)

    def session(self, session_id: str) -> Session:
        """A session as known now; empty (``opened`` None) if nothing of it was received."""
        view = self._looked_up("session", session_id)
        return Session(session_id, ()) if view is None else session_of(session_id, view)

    def opening(self, session_id: str | None) -> Evidence | None:
        """The opening of a session as known now; nothing else of it has the rule judge again."""
        if session_id is None:
            return None
        reads = self._reads
        self._reads = reads & _OPENING
        opened = self.session(session_id).opened
        self._reads = reads
        return opened

    def dossier(self, kind: str, case_id: str) -> Dossier:
        """Any other case file with evidence: ``prescription``, ``record``, ``patient`` ..."""
        view = self._looked_up(kind, case_id)
        return Dossier(case_id, ()) if view is None else dossier_of(case_id, view)

    def duty(self, kind: str, hour: int) -> Hour:
        """Evidence of duty of one kind of case file (``KEPT_AS``) that occurred in an hour."""
        case_id = str(hour)
        if case_id not in self._shelf.ids(self.institution_id, kind):
            return Hour({}, {})
        view = self._looked_up(kind, case_id)
        return Hour({}, {}) if view is None else hour_of(view)

    def acts(self, start: int, end: int, followed: bool = True) -> list[Evidence]:
        """Openings, prescriptions and reviews that occurred in ``[start, end)``, oldest first, each
        with the fields of ``ACT_FIELDS`` only.

        Those not ``followed`` are read as they stand, and do not have the rule judge again.
        """
        asking = self._asking
        if asking is not None and followed:
            self.watch(REPLACED + self._rule, start, end - 1)
        slices = range(start // SLICE, (end - 1) // SLICE + 1) if start < end else range(0)
        known = self._shelf.ids(self.institution_id, "acts")
        if len(slices) > len(known):
            chosen = sorted(int(number) for number in known if int(number) in slices)
        else:
            chosen = [number for number in slices if str(number) in known]
        self._asking = asking if followed else None
        found = [item for n in chosen for item in self._read("acts", str(n), FOREVER)]
        self._asking = asking
        return [item for item in found if start <= item.t < end]

    def first_session(self, before: int | None) -> Evidence | None:
        """The earliest opening in scope (RULES 1.2), or the earliest that occurred before an
        instant; acts after it do not have the rule judge again.
        """
        end = FOREVER if before is None else before
        found = next((act for act in self._openings(end) if act.t < end), None)
        if self._asking is not None:
            self.watch(REPLACED + self._rule, 0, end - 1 if found is None else found.t)
        return found

    def _openings(self, end: int) -> Iterator[Evidence]:
        """Openings in scope of the slices that begin before an instant, oldest first."""
        for number in sorted(map(int, self._shelf.ids(self.institution_id, "acts"))):
            if number * SLICE >= end:
                return
            for act in self._read("acts", str(number), end - 1):
                if act.type == "SessionOpened" and act["service_kind"] != REMOTE_MEDICINE:
                    yield act

    def acts_of(self, staff_id: str, start: int, end: int) -> list[Evidence]:
        """Those of one person, as doctor, assistant, prescriber or reviewer, as in ``acts``."""
        if self._asking is not None:
            self.watch(f"acts-of/{staff_id}/", start, end - 1)
        known = self._shelf.ids(self.institution_id, "acts-of")
        days = range(day_of(start), day_of(end - 1) + 1) if start < end else range(0)
        if len(days) > len(known):
            head = f"{staff_id}/"
            mine = (int(i[len(head) :]) for i in known if i.startswith(head))
            chosen = sorted(day for day in mine if day in days)
        else:
            chosen = [day for day in days if f"{staff_id}/{day}" in known]
        read = (self._read("acts-of", f"{staff_id}/{day}", FOREVER) for day in chosen)
        return [item for items in read for item in items if start <= item.t < end]

    def shifts(self, staff_id: str, instant: int, upto: int = FOREVER) -> list[Evidence]:
        """Review-duty events of a person from two days before an instant until a day after."""
        days = range(day_of(instant) - 2, day_of(instant) + 2)
        return [i for day in days for i in self.evidence("shifts", f"{staff_id}/{day}", upto)]

    def facts(self, place: str) -> list[Evidence]:
        """What other case files tell now under a place: the last version of each source.

        It is not watched: whoever tells has those that must know judged.
        """
        shown = self._shown.get(("told", place))
        if shown is None:
            shown = self._show("told", place)
            if shown.view is not None and not self.institution_id:
                self._shared(_last_told(shown.view))
        if shown.view is None:
            return []
        if shown.view.until != FOREVER:
            self._await(shown.case, shown.view, FOREVER)
        return _last_told(shown.view)

    def _shared(self, found: list[Evidence]) -> None:
        """Learn from facts of several institutions who told them, and what a correction changed."""
        self.told_under |= {(str(i.get("institution_id")), str(i.get("rulebook"))) for i in found}
        if any(i.get("corrected_at") == self.now for i in found):
            self._corrections.applied_now = True

    def may_name(self, book: Rulebook) -> bool:
        """Whether facts of several institutions name a rulebook, as far as any were looked up.

        That is enough while one rule judges each kind of case file in which they meet.
        """
        return not self.told_under or any(name == book.name for _, name in self.told_under)

    def rectified(self, finding_id: str) -> bool:
        """Whether a completed rectification answers a notice that names the finding (1.6.6)."""
        found = False
        for named in self.evidence("named", finding_id):
            answers = self.evidence("notice", named["notice_id"])
            found |= any(
                a.type == "RectificationReported" and a["status"] == "COMPLETED" for a in answers
            )
        return found

    def runs(self) -> list[Run]:
        """Runs of missing numbers of all streams."""
        found: list[Run] = []
        for _, stream in self._streams():
            found += [run for run in stream.runs if run.noticed <= self.now]
        return found

    def streams_in_use(self) -> list[str]:
        """Streams with an event received by now."""
        return [stream_id for stream_id, stream in self._streams() if stream.begun_by(self.now)]

    def _streams(self) -> Iterator[tuple[str, Stream]]:
        for stream_id in sorted(self._shelf.ids(self.institution_id, "stream")):
            stream = self._shelf.find((self.institution_id, "stream", stream_id))
            if isinstance(stream, Stream):
                yield stream_id, stream

    def feed_gap(self, instant: int, book: Rulebook) -> bool:
        """Whether the feed is open around an instant of occurrence (RULES 1.6.3): numbers are
        missing (UPL-03), or the day is not reconciled (UPL-04).
        """
        settings = book.rule("UPL-03")
        if settings is not None:
            wait = settings.millis(FEED_GAP_AFTER)
            for run in self.runs():
                known = run.low <= instant <= run.high and run.noticed + wait <= self.now
                if known and run.missing(self.now) > 0:
                    return True
        settings = book.rule("UPL-04")
        if settings is None:
            return False
        day = day_of(instant)
        expected = self.now >= end_of_day(day) + settings.millis("manifest_expected")
        tolerance = settings.count("count_tolerance")
        for stream_id, stream in self._streams():
            if stream.first_day(self.now) <= day:
                if stream.manifests.get(day, FOREVER) > self.now:
                    if expected:
                        return True
                elif self._unreconciled(f"{stream_id}/{day}", tolerance):
                    return True
        return False

    def _unreconciled(self, case_id: str, tolerance: int) -> bool:
        case = self._shelf.find((self.institution_id, "manifest", case_id))
        if not isinstance(case, Manifest):
            return False
        shown = effective(case, self.now, self._corrections.window).items
        return bool(shown) and bool(case.differences(shown[-1]["counts"], self.now, tolerance))


def _last_told(view: Effective) -> list[Evidence]:
    """The last version of what each source told, if it was not taken back; made once."""
    if view.dossier is None:
        last: dict[str, Evidence] = {}
        for item in view.items:
            source = item.id.rpartition("\x1f")[0]
            known = last.get(source)
            if known is None or known.r <= item.r:
                last[source] = item
        view.dossier = sorted((i for i in last.values() if i.body), key=lambda i: (i.t, i.id))
    found: list[Evidence] = view.dossier
    return found


def _next_receipt(case: CaseFile, until: int, now: int, upto: int) -> int:
    """The first receipt after ``now`` of something that occurred by ``upto`` or of a correction."""
    if upto >= FOREVER or case.replaced or case.targets:
        return until
    later = (
        item.r
        for item in case.evidence.values()
        if item.r > now and (item.t <= upto or item.supersedes is not None)
    )
    return min(later, default=0)
