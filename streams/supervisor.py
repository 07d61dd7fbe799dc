"""The functional core of the platform: events and a clock in, an ``Outcome`` out.

One ``Supervisor`` supervises the institutions of one partition of ``ih.events``. The same code runs
in the Faust worker, in ``ihwatch check`` and in the tests. It does no I/O: what must be published
and stored is data in the outcome.

The clock of a partition is the largest receipt seen (``Tick`` records move it as events do). An
instant is judged once the clock has passed it, so at one instant all receipts come before any
deadline (D37); ``advance`` judges up to and including its clock, for a run that ends there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from streams.cases.base import FOREVER
from streams.cases.feeds import Clocks
from streams.cases.shelf import SHARED, Load, Shelf
from streams.cases.uploads import Slot, Window, slot_end
from streams.checks.base import Fact
from streams.events import Event
from streams.findings import Finding, Transition
from streams.institution import Institution
from streams.judging import Bench
from streams.reference import ReferenceData
from streams.rulebook import NATIONAL, Library

DECODED_LIMIT = 20_000
"""Case files that a worker keeps decoded between the batches of one partition."""

KEPT_RECEIPTS = 3 * 86_400_000
"""How long before the last one receipts by slot are kept, in ms; a window of UPL-06 fits in."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """A record that only moves the clock of its partition."""

    received_at: int
    offset: int


class Change(msgspec.Struct, frozen=True):
    """A transition to publish, with the log offset whose record moved the clock past it."""

    transition: Transition
    cause: int | None


class Aggregate(msgspec.Struct, frozen=True):
    """Metrics of an institution for a slot of receipts ``(start, end]``; larger revisions win."""

    institution_id: str
    rulebook: str
    window_start: int
    window_end: int
    metrics: dict[str, float]
    revision: int


class Outcome(msgspec.Struct):
    """Everything that applying a batch or advancing the clock led to.

    ``facts`` are told to case files that institutions share, each with its instant. ``duplicates``
    are offsets of events known before; ``saves`` maps keys to encoded case files.
    """

    changes: list[Change] = []
    facts: list[tuple[int, Fact]] = []
    aggregates: list[Aggregate] = []
    duplicates: list[int] = []
    saves: dict[str, bytes] = {}


class Supervisor:
    """Folds events, judges what they and the clock can change, and says what follows.

    ``candidates`` names the local rulebook of each institution (the national one for others);
    ``load`` reads a stored case file and ``limit`` bounds how many stay decoded in memory. One that
    is ``alone`` supervises all institutions there are and judges what they share itself; others
    give such facts out.
    """

    def __init__(
        self,
        library: Library,
        candidates: dict[str, str] | None = None,
        default: str = NATIONAL,
        load: Load | None = None,
        limit: int | None = None,
        reference: ReferenceData | None = None,
        alone: bool = True,
    ) -> None:
        self.clock = 0
        self._library = library
        self._candidates = candidates or {}
        self._default = default
        self._stores = load is not None
        self._shelf = Shelf(load, limit)
        self._reference = reference if reference is not None else ReferenceData.load(None)
        self._bench = Bench(library, self._shelf, self._reference)
        self._alone = alone
        self._institutions: dict[str, Institution] = {}
        self._slides = {
            name: book.rules["UPL-06"].millis("slide") for name, book in library.books.items()
        }

    def restore(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Take up the work where stored case files stand."""
        self._shelf.restore(stored)

    def apply(self, records: Sequence[Event | Tick]) -> Outcome:
        """Fold records of the log, in any order, and judge every instant the clock has passed."""
        outcome = Outcome()
        touched: set[str] = set()
        marks: list[tuple[int, int]] = []
        # What was judged lies before the old clock; evidence of then has case files judged anew.
        judged = self.clock - 1
        if records:
            self._resume(min(record.offset for record in records))
        for record in sorted(records, key=lambda r: (r.received_at, r.offset)):
            if record.received_at > self.clock:
                self.clock = record.received_at
                marks.append((record.received_at, record.offset))
            if isinstance(record, Event):
                institution = self._institution(record.institution_id)
                if institution.receive(record, judged):
                    touched.add(record.institution_id)
                else:
                    outcome.duplicates.append(record.offset)
        applied = max((record.offset for record in records), default=-1)
        return self._finish(outcome, self.clock - 1, touched, marks, applied)

    def hear(
        self,
        facts: Iterable[tuple[int, int, Fact]],
        clocks: Mapping[int, int],
        partitions: int,
        last: int,
    ) -> Outcome:
        """Take in facts that institutions share, and judge what all have told theirs of.

        Each fact comes with its log offset and the instant it was told at. ``clocks`` says of some
        of the ``partitions`` of events before which instant they have told everything; nothing is
        judged that one of them may still speak of. ``last`` is the last offset read.
        """
        outcome = Outcome()
        facts = list(facts)
        self._shelf.resume(min((offset for offset, _, _ in facts), default=last))
        for offset, told_at, fact in facts:
            self._institution(SHARED).hear(fact, told_at, offset)
        known = self._shelf.open((SHARED, "clocks", ""))
        assert isinstance(known, Clocks)
        known.move(clocks)
        self.clock = max(self.clock, known.common(partitions))
        return self._finish(outcome, self.clock - 1, set(), [], last)

    def advance(self, clock: int) -> Outcome:
        """Judge every instant up to and including ``clock``; nothing more is received by then."""
        self.clock = max(self.clock, clock)
        return self._finish(Outcome(), self.clock, set(), [], -1)

    def findings(self) -> list[Finding]:
        """Every finding in its present state, by rule, institution and subject."""
        found = []
        for institution_id in sorted(self._shelf.institutions()):
            for kind in sorted(self._shelf.kinds(institution_id)):
                for case_id in sorted(self._shelf.ids(institution_id, kind)):
                    case = self._shelf.find((institution_id, kind, case_id))
                    found += case.findings if case is not None else []
        return sorted(found, key=_order)

    @property
    def next_due(self) -> int | None:
        """The next instant to be judged; None while nothing is waiting for the clock."""
        return self._shelf.next_due()

    def _resume(self, offset: int) -> None:
        """Go on after a crash: what is newer than the log is stored again, and tells others again.

        What it told them may be lost, or they have not been judged by it.
        """
        for name, case in self._shelf.resume(offset):
            for key, stored in case.told.items():
                _, shared, place, source = key.split(" ", 3)
                if shared == "0":
                    begins = (stored["begins"][0], stored["begins"][1])
                    fact = Fact(place, source, stored["t"], stored["body"], begins)
                    self._institution(name[0]).hear_again(fact, stored["at"])

    def _hear(
        self, institution_id: str, fact: Fact, told_at: int, offset: int, outcome: Outcome
    ) -> None:
        if not fact.shared:
            self._institution(institution_id).hear(fact, told_at, offset)
        elif self._alone:
            self._institution(SHARED).hear(fact, told_at, offset)
        else:
            outcome.facts.append((told_at, fact))

    def _institution(self, institution_id: str) -> Institution:
        institution = self._institutions.get(institution_id)
        if institution is None:
            candidate = self._candidates.get(institution_id, self._default)
            if institution_id == SHARED:
                candidate = NATIONAL
            institution = Institution(
                institution_id, candidate, self._library, self._shelf, self._bench, self._reference
            )
            self._institutions[institution_id] = institution
        return institution

    def _finish(
        self,
        outcome: Outcome,
        upto: int,
        touched: set[str],
        marks: list[tuple[int, int]],
        applied: int,
    ) -> Outcome:
        transitions: list[Transition] = []
        while names := self._shelf.due(upto):
            for name in names:
                candidate = self._institution(name[0]).candidate
                settled = self._bench.settle(name, candidate, upto)
                transitions += settled.transitions
                for told_at, fact in settled.facts:
                    cause = _cause(marks, told_at)
                    offset = cause if cause is not None else (applied if applied >= 0 else FOREVER)
                    self._hear(name[0], fact, told_at, offset, outcome)
                if name[1] == "window":
                    touched.add(name[0])
        transitions.sort(key=lambda t: (t.at, t.finding.id, t.finding.version))
        for transition in transitions:
            outcome.changes.append(Change(transition, _cause(marks, transition.at)))
        for institution_id in sorted(touched):
            outcome.aggregates += self._aggregates(institution_id)
        self._shelf.applied(applied)
        if self._stores:
            outcome.saves = self._shelf.drain()
        else:
            self._shelf.forget_changes()
        return outcome

    def _aggregates(self, institution_id: str) -> list[Aggregate]:
        """Metrics of slots that ended or changed much since they were last given out."""
        window = self._shelf.open((institution_id, "window", ""))
        assert isinstance(window, Window)
        candidate = self._institution(institution_id).candidate
        slide = self._slides[candidate]
        times_lateness = self._library.books[candidate].rule("UPL-01") is not None
        kept_from = slot_end(max(window.slots, default=0), slide) - KEPT_RECEIPTS
        found = []
        for number in sorted(window.slots):
            slot, end = window.slots[number], slot_end(number, slide)
            if slot.owes(end <= self.clock):
                slot.given = slot.events
                found.append(
                    _aggregate(institution_id, candidate, slot, (end - slide, end), times_lateness)
                )
            if end < kept_from:
                del window.slots[number]
        return found


def _cause(marks: list[tuple[int, int]], instant: int) -> int | None:
    """The offset of the record that moved the clock past an instant."""
    position = bisect_right(marks, instant, key=lambda mark: mark[0])
    return marks[position][1] if position < len(marks) else None


def _order(finding: Finding) -> tuple[str, str, str, str]:
    return finding.rule_id, finding.institution_id, finding.subject_id, finding.clause or ""


def _aggregate(
    institution_id: str, rulebook: str, slot: Slot, bounds: tuple[int, int], times_lateness: bool
) -> Aggregate:
    """Metrics of a slot; where lateness is not judged (UPL-01 off) none counts as judged for it."""
    metrics = {
        "events": float(slot.events),
        "clinical": float(slot.clinical),
        "judged": float(slot.judged if times_lateness else 0),
        "late": float(slot.late if times_lateness else 0),
        "latency_p50_ms": slot.quantile(0.5),
        "latency_p95_ms": slot.quantile(0.95),
        "latency_max_ms": float(slot.longest),
        "sessions_opened": float(slot.counts.get("SessionOpened", 0)),
        "prescriptions": float(slot.counts.get("PrescriptionIssued", 0)),
        "identity_checks": float(slot.counts.get("DoctorIdentityVerified", 0)),
    }
    return Aggregate(institution_id, rulebook, *bounds, metrics, slot.events)
