"""Judging: from case files that changed or fell due to transitions of findings.

Every case file is judged at each instant at which something about it was received or a deadline
fell, in order of time, seeing only what had been received by then. Receipts at one instant come
before deadlines (D37), so an instant is judged only once nothing more can be received at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from streams.calling import FORM, Callers
from streams.cases.base import FOREVER, CaseFile, Corrections, effective
from streams.cases.kinds import ABOUT_AN_ACT, CREATED_BY, OF_A_SESSION, SHARED_KINDS, TIMELESS
from streams.cases.roster import RosterFile
from streams.cases.session import (
    REMOTE_MEDICINE,
    CaseView,
    Session,
    dossier_of,
    session_of,
)
from streams.cases.shelf import Name, Shelf
from streams.cases.uploads import Window, slot_end
from streams.checks import Judged
from streams.checks.base import Context, Fact, Resolution, Teller
from streams.checks.uploads import Receipts, next_late
from streams.events import Evidence, mask_of
from streams.findings import (
    OPEN,
    Flag,
    State,
    Transition,
    Verdict,
    finding_id,
)
from streams.lifecycle import live_on, withdraw_retired
from streams.records import InstitutionRecords
from streams.reference import ReferenceData
from streams.rosters import RosterDays
from streams.rulebook import (
    NATIONAL,
    OWN_DOCTORS,
    REFINED,
    Library,
    Mode,
    Rulebook,
    RuleSettings,
    Status,
)
from streams.sitting import Held, Sitting
from streams.timeline import day_of

_NO_RULE = RuleSettings("", Mode.OFF, (), {"": "info"}, {})
_SCOPE = FORM | mask_of("SessionOpened")
"""What decides whether an act is judged, and by which rulebook."""
_SLOTS = "slots"
"""Who asks to be woken when a slot of receipts ends."""
_UNOPENED = frozenset({"UPL-05"})
"""Rules that judge sessions never opened (D24)."""


class Settled(NamedTuple):
    """What judging a case file led to: transitions, and facts told with the instant of each."""

    transitions: list[Transition]
    facts: list[tuple[int, Fact]]


class Bench:
    """Judges the case files of one shelf under a library of rulebooks."""

    def __init__(self, library: Library, shelf: Shelf, reference: ReferenceData) -> None:
        self._library = library
        self._shelf = shelf
        self._reference = reference
        self._rosters: dict[str, RosterDays] = {}
        self.callers = Callers(library)
        self._on = {
            book.name: {rule: settings for rule in book.rules if (settings := book.rule(rule))}
            for book in library.books.values()
        }
        self._given_up = frozenset(
            (book.name, rule)
            for book in library.books.values()
            for rule, settings in book.rules.items()
            if settings.status is Status.RETIRED
        )

    def roster_days(self, institution_id: str, candidate: str) -> RosterDays:
        """The days of an institution, whose local rulebook's name is ``candidate``."""
        days = self._rosters.get(institution_id)
        if days is None:
            window = self._window(candidate)
            days = RosterDays(institution_id, window, self._shelf, self._reference)
            self._rosters[institution_id] = days
        return days

    def _window(self, candidate: str) -> int:
        """How long after its occurrence an event may be corrected, in ms."""
        return self._library.books[candidate].deadlines.correction

    def settle(self, name: Name, candidate: str, upto: int) -> Settled:
        """Judge a case file at every instant that is due by ``upto`` (inclusive)."""
        found = Settled([], [])
        case = self._shelf.find(name)
        if case is None:
            return found
        now = case.next_due
        if now > upto:
            self._shelf.schedule(name, now)
            return found
        self._shelf.open(name)
        while now <= upto:
            mask = case.pending.pop(now, 0)
            self._judge(name, candidate, case, now, mask, found)
            case.settled, now = now, case.next_due
        found.transitions.extend(withdraw_retired(case))
        self._shelf.schedule(name, now)
        return found

    def _judge(
        self, name: Name, candidate: str, case: CaseFile, now: int, mask: int, found: Settled
    ) -> None:
        due, tellers = self.callers.called(candidate, case, name[1], mask, now)
        if not due and not tellers:
            case.wakes = {rule: at for rule, at in case.wakes.items() if at > now}
            if isinstance(case, Window):
                _wake_at_slot_end(case, self._library.books[candidate].rules["UPL-06"], now)
            return
        corrections = Corrections(now, self._window(candidate))
        sitting = self._sit(name, candidate, case, corrections, due)
        if corrections.late and not isinstance(case, Window):
            self._dispute(name, candidate, case, sitting, corrections, due)
        for teller in tellers:
            self._tell(name, candidate, case, teller, sitting, found)
        self._keep_watch(name, case, sitting, due)
        if isinstance(case, Window):
            _wake_for_windows(case, self._library.books[candidate].rules["UPL-06"], now)
        if isinstance(case, RosterFile):
            # A gap known only now ripens after the wait, however long ago it was.
            wait = self._library.books[candidate].deadlines.wait
            ripening = 0 < case.wake <= now + wait
            if not ripening and not any(p > now for p in case.pending):
                case.touched = 0
        if isinstance(case, Window):
            # What a window held when it ended is final; nothing known later takes it back.
            sitting.since = {judged.rule.id: FOREVER for judged in due}
        if sitting.held or case.findings:
            judged_rules = {judged.rule.id for judged in due}
            found.transitions.extend(
                live_on(case, sitting, judged_rules, corrections.applied_now, self._given_up)
            )

    def _keep_watch(
        self, name: Name, case: CaseFile, sitting: Sitting, due: Sequence[Judged]
    ) -> None:
        """Note what the verdicts rest on, and when they may change by themselves."""
        case.wakes |= sitting.wakes
        watched = sitting.records.watched
        for judged in due:
            if judged.acts in case.watches and judged.acts not in watched:
                self._shelf.unwatch(name, case, judged.acts)
        for topic, span in watched.items():
            if not topic.startswith("told/"):  # whoever tells has the case file judged anyway
                self._shelf.watch(name, case, topic, span)

    def _dispute(
        self,
        name: Name,
        candidate: str,
        case: CaseFile,
        sitting: Sitting,
        corrections: Corrections,
        due: Sequence[Judged],
    ) -> None:
        """Mark verdicts that rest on what a too late correction contests, or would fall by it."""
        trial = Corrections(corrections.now, corrections.window, honour_late=True)
        otherwise = self._sit(name, candidate, case, trial, due)
        for key, mine in sitting.held.items():
            if key not in otherwise.held or corrections.late & set(mine.verdict.evidence):
                mine.flags.add(Flag.DISPUTED)
        for rule, instant in otherwise.wakes.items():
            sitting.wake(rule, instant)
        for topic, (first, last) in otherwise.records.watched.items():
            sitting.records.watch(topic, first, last)

    def _sit(
        self,
        name: Name,
        candidate: str,
        case: CaseFile,
        corrections: Corrections,
        due: Sequence[Judged],
    ) -> Sitting:
        """Have the rules that are due judge a case file; nothing of it is changed."""
        institution_id, kind, _ = name
        now = corrections.now
        records = InstitutionRecords(institution_id, self._shelf, corrections, self._reference)
        base = Context(now, self._library.books[candidate], _NO_RULE, records)
        records.asking(base, reads=_SCOPE)
        views = self._subjects(name, case, records, candidate, corrections)
        sitting = Sitting(now, base.book, records, views)
        told = isinstance(case, RosterFile)  # what concerns it; it does not have to ask
        for book, view in views:
            if kind in SHARED_KINDS and not records.may_name(book):
                continue
            on = self._on[book.name]
            unopened = kind == "session" and view.opened is None
            for judged in due:
                rule = judged.rule
                settings = on.get(rule.id)
                if settings is None or (unopened and rule.id not in _UNOPENED):
                    continue
                mine = [f for f in case.findings if f.rule_id == rule.id] if case.findings else []
                context = Context(now, book, settings, records, mine)
                if not told:
                    records.asking(context, rule.id, judged.mask | FORM)
                for verdict in judged.judge(view, context):
                    if not settings.judges(verdict.clause):
                        continue
                    if kind in TIMELESS and not self._ruled(candidate, records, book, verdict):
                        continue
                    under = (verdict.institution_id or "", book.name)
                    if kind in SHARED_KINDS and under not in records.told_under:
                        continue
                    sitting.hold(Held(_capped(verdict, settings), judged, settings, book), case)
                if context.since:
                    sitting.since[rule.id] = max(sitting.since.get(rule.id, 0), context.since)
                if context.next_wake:
                    sitting.wake(rule.id, context.next_wake)
        sitting.scope_wake = base.next_wake
        for judged in due if base.next_wake else ():
            sitting.wake(judged.rule.id, base.next_wake)
        self._weigh(case, sitting)
        records.asking(None)
        return sitting

    def _weigh(self, case: CaseFile, sitting: Sitting) -> None:
        """Add what a human must know, and let rectified findings end (1.6.3, 1.6.6)."""
        records = sitting.records
        for key, held in sitting.held.items():
            verdict = held.verdict
            if verdict.due is not None and records.feed_gap(verdict.due, held.book):
                held.flags.add(Flag.FEED_GAP)
            if verdict.state is not State.CONFIRMED or verdict.institution_id is not None:
                continue
            if held.judged.rule.resolution(verdict.clause) is Resolution.ADMIN:
                context = Context(sitting.now, held.book, held.settings, records)
                records.asking(context)
                if records.rectified(finding_id(key)):
                    held.verdict = msgspec.structs.replace(verdict, state=State.RESOLVED)
                sitting.wake(held.judged.rule.id, context.next_wake)

    def _tell(
        self,
        name: Name,
        candidate: str,
        case: CaseFile,
        teller: Teller,
        sitting: Sitting,
        found: Settled,
    ) -> None:
        """Give out facts that are new or have changed, and take back those told no more.

        What is judged under several rulebooks tells each fact under the one in force at its time.
        """
        now, timeless = sitting.now, name[1] in TIMELESS
        told: dict[str, Fact] = {}
        for book, view in sitting.views:
            if getattr(view, "opened", view) is None:
                continue
            context = Context(now, book, _NO_RULE, sitting.records)
            sitting.records.asking(context)
            for fact in teller.tell(view, context):
                if timeless and self._book(candidate, sitting.records, fact.t) is not book:
                    continue
                told[f"{teller.id} {fact.shared:d} {fact.place} {fact.source}"] = fact
            sitting.wake(teller.id, context.next_wake)
        sitting.wake(teller.id, sitting.scope_wake)
        sitting.records.asking(None)
        for key, stored in list(case.told.items()):
            holds = stored["body"] or stored.get("again") == now
            if key.startswith(f"{teller.id} ") and key not in told and holds:
                shared, place, source = key.split(" ", 3)[1:]
                kind, case_id = stored["begins"]
                found.facts.append(
                    (now, Fact(place, source, stored["t"], {}, (kind, case_id), shared == "1"))
                )
                case.told[key] = {**stored, "body": {}, "at": now}
        for key, fact in told.items():
            stored = {"t": fact.t, "body": dict(fact.body), "begins": list(fact.begins)}
            known = case.told.get(key, {})
            changed = any(known.get(part) != stored[part] for part in stored)
            if changed or known.get("again") == now:
                case.told[key] = {**known, **stored, "at": now}
                found.facts.append((now, fact))

    def _subjects(
        self,
        name: Name,
        case: CaseFile,
        records: InstitutionRecords,
        candidate: str,
        corrections: Corrections,
    ) -> list[tuple[Rulebook, Any]]:
        """The views of a case file to be judged, each with the rulebook in force for its act."""
        kind = name[1]
        now = corrections.now
        if kind in ABOUT_AN_ACT:
            return self._act(name, case, records, candidate, corrections)
        if kind == "lateness":
            by_book: dict[str, tuple[Rulebook, list[Evidence]]] = {}
            trial = corrections.honour_late
            shown = effective(case, now, corrections.window, trial, as_uploads=True)
            corrections.note(shown)
            for item in shown.items:
                book = self._book(candidate, records, item.t)
                by_book.setdefault(book.name, (book, []))[1].append(item)
            return list(by_book.values())
        if isinstance(case, Window):
            # An episode is followed to its end under the rulebook that found it.
            begun = next((f.rulebook for f in case.findings if f.state in OPEN), None)
            book = self._library.books[begun] if begun else self._book(candidate, records, now)
            settings, gaps = book.rules["UPL-06"], book.deadlines
            after = gaps.clinical + gaps.grace
            runs = records.runs() if book.rule("UPL-03") is not None else []
            return [(book, Receipts(case, runs, settings.millis("slide"), after))]
        if isinstance(case, RosterFile):
            records.asking(None)
            days = self.roster_days(records.institution_id, candidate)
            applied = partial(self._library.applied, candidate)
            return [
                (book, days.judged(records, book, applied, _first_day(case, book, now)))
                for book in self._candidates(candidate, records, case)
                if book.rule("PHA-01") is not None
            ]
        view = self._view(name, case, corrections)
        if kind in SHARED_KINDS:
            # Each institution is judged by its own rulebook, which its facts name; the facts that
            # a case file is about are looked up under any, so the first tried says which these are.
            return [(book, view) for book in self._library.books.values()]
        return [(book, view) for book in self._candidates(candidate, records, case)]

    def _candidates(
        self, candidate: str, records: InstitutionRecords, case: CaseFile
    ) -> tuple[Rulebook, ...]:
        """The rulebooks in force for an institution at any time, by what it has filed so far or
        what was found by what it had filed before.
        """
        own_doctors = candidate in REFINED and (
            bool(records.ledger.spans(OWN_DOCTORS))
            or any(finding.rulebook == NATIONAL for finding in case.findings)
        )
        return self._library.candidates(candidate, own_doctors)

    def _view(self, name: Name, case: CaseFile, corrections: Corrections) -> Any:
        view = self._shelf.effective(name, case, corrections)
        if type(case) is CaseFile:
            return dossier_of(name[2], view)
        return CaseView(name[2], view.items, case)

    def _act(
        self,
        name: Name,
        case: CaseFile,
        records: InstitutionRecords,
        candidate: str,
        corrections: Corrections,
    ) -> list[tuple[Rulebook, Any]]:
        """A case file about one act, under the rulebook in force then; none for telemedicine."""
        _, kind, case_id = name
        known = self._shelf.effective(name, case, corrections)
        items = known.items
        if not items:
            return []
        make = session_of if kind == "session" else dossier_of
        view = make(case_id, known)
        created = view.first(CREATED_BY.get(kind, ""))
        leading = created or items[0]
        opened = view.opened if isinstance(view, Session) else leading
        if kind in OF_A_SESSION:
            named = items if created is None else [created]
            session_id = next((i.get("session_id") for i in named if i.get("session_id")), None)
            opened = records.opening(session_id)
        book = self._book(candidate, records, leading.t)
        remote = opened is not None and opened.get("service_kind") == REMOTE_MEDICINE
        transcribed = book.name == "yinchuan" and not book.overlay
        return [] if remote and not transcribed else [(book, view)]

    def _ruled(
        self, candidate: str, records: InstitutionRecords, book: Rulebook, verdict: Verdict
    ) -> bool:
        """Whether the rulebook is the one in force at the instant a verdict is about."""
        about = verdict.start if verdict.start is not None else verdict.due
        return self._book(candidate, records, records.now if about is None else about) is book

    def _book(self, candidate: str, records: InstitutionRecords, instant: int) -> Rulebook:
        form = records.ledger.form(instant) if candidate in REFINED else None
        return self._library.applied(candidate, form, day_of(instant))


def _first_day(case: RosterFile, book: Rulebook, now: int) -> int:
    """The first day to judge a roster from: all that new evidence or time can still change."""
    days = [day_of(now) - book.deadlines.file_days - 3]
    if case.touched:
        days.append(day_of(case.touched))
    days += [day_of(f.start) for f in case.findings if f.state in OPEN and f.start is not None]
    return min(days)


def _wake_for_windows(case: Window, settings: RuleSettings, now: int) -> None:
    """Look again when a slot ends; and while UPL-06 does not ask for it, but may from then on
    because form or rulebook change, as long as a window would hold anything late.
    """
    _wake_at_slot_end(case, settings, now)
    if settings.enabled and "UPL-06" not in case.wakes:
        slide = settings.millis("slide")
        held = next_late(case, now, slide, settings.millis("window"))
        if held:
            case.wakes["UPL-06"] = slot_end(held, slide)


def _wake_at_slot_end(case: Window, settings: RuleSettings, now: int) -> None:
    """Have the counts of a slot given out when it ends; no rule judges for that."""
    slide = settings.millis("slide")
    ends = (slot_end(number, slide) for number in case.slots)
    following = min((end for end in ends if end > now), default=0)
    case.wakes.pop(_SLOTS, None)
    if following:
        case.wakes[_SLOTS] = following


def _capped(verdict: Verdict, settings: RuleSettings) -> Verdict:
    """Where a rule is only a signal it never establishes a violation (RULES 1.3)."""
    if not settings.signals(verdict.clause) or verdict.state is State.SUSPECTED:
        return verdict
    return msgspec.structs.replace(verdict, state=State.SUSPECTED)
