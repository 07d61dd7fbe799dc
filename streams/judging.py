"""Judging: from case files that changed or fell due to transitions of findings.

Every case file is judged at each instant at which something about it was received or a deadline
fell, in order of time, seeing only what had been received by then. Receipts at one instant come
before deadlines (D37), so an instant is judged only once nothing more can be received at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from streams.cases.base import CaseFile, Corrections, effective
from streams.cases.ledger import FOREVER
from streams.cases.session import REMOTE_MEDICINE, Session
from streams.cases.shelf import Name, RosterFile, Shelf
from streams.cases.uploads import Window, slot_end, slot_of
from streams.checks import BY_SUBJECT
from streams.checks.base import Context
from streams.checks.uploads import Receipts
from streams.events import Evidence
from streams.findings import (
    OPEN,
    STANDING,
    Finding,
    Flag,
    State,
    Step,
    Transition,
    Verdict,
    open_finding,
    path,
    restate,
)
from streams.records import InstitutionRecords, RosterDays
from streams.rulebook import Library, Mode, Rulebook, RuleSettings
from streams.timeline import day_of

_NOTICE = (State.CONFIRMED, State.RESOLVED, State.WITHDRAWN)
_REFINED = frozenset({"chongqing", "yinchuan"})
_NO_RULE = RuleSettings("", Mode.OFF, (), {"": "info"}, {})


@dataclass(slots=True)
class _Held:
    """A verdict with the rule and rulebook behind it."""

    verdict: Verdict
    settings: RuleSettings
    book: Rulebook
    flags: set[str]


class Bench:
    """Judges the case files of one shelf under a library of rulebooks."""

    def __init__(self, library: Library, shelf: Shelf) -> None:
        self._library = library
        self._shelf = shelf
        self._rosters: dict[str, RosterDays] = {}

    def roster_days(self, institution_id: str) -> RosterDays:
        days = self._rosters.get(institution_id)
        if days is None:
            days = self._rosters[institution_id] = RosterDays(institution_id, self._shelf)
        return days

    def settle(self, name: Name, candidate: str, upto: int) -> list[Transition]:
        """Judge a case file at every instant that is due by ``upto`` (inclusive)."""
        known = self._shelf.find(name)
        if known is None or not known.due(upto):
            return []
        case = self._shelf.open(name)
        found: list[Transition] = []
        while True:
            instants = [*case.pending, *([case.wake] if case.wake else [])]
            if not instants or min(instants) > upto:
                break
            now = min(instants)
            found += self._judge(name, candidate, case, now)
            case.pending = [instant for instant in case.pending if instant > now]
            case.settled = now
        found += _withdraw_retired(case)
        self._shelf.schedule(name, case)
        return found

    def _judge(self, name: Name, candidate: str, case: CaseFile, now: int) -> list[Transition]:
        window = self._library.books[candidate].deadlines.correction
        corrections = Corrections(now, window)
        verdicts, context = self._verdicts(name, candidate, case, corrections)
        if corrections.late:
            self._dispute(name, candidate, case, now, verdicts, corrections.late)
        self._shelf.unwatch(name, case)
        if isinstance(case, Window):
            _wake_at_slot_ends(case, self._library.books[candidate].rules["UPL-06"], context)
        # What was folded but not received yet at this instant has said what it waits for.
        waits = case.watches if any(p > now for p in case.pending) else ()
        case.wake, case.watches = context.next_wake, sorted({*context.watches, *waits})
        self._shelf.watch(name, case)
        if isinstance(case, RosterFile):
            # A gap known only now ripens after the wait, however long ago it was.
            wait = self._library.books[candidate].deadlines.wait
            ripening = 0 < context.next_wake <= now + wait
            if not ripening and not any(p > now for p in case.pending):
                case.touched = 0
        # What a window held when it ended is final; nothing known later takes it back.
        since = FOREVER if isinstance(case, Window) else context.since
        return _live_on(case, name[0], verdicts, now, since, corrections.applied_now)

    def _dispute(
        self,
        name: Name,
        candidate: str,
        case: CaseFile,
        now: int,
        verdicts: dict[tuple[str, str | None, str], _Held],
        superseded: set[str],
    ) -> None:
        """Mark verdicts that rest on what a too late correction contests, or would fall by it."""
        if isinstance(case, Window):
            return
        window = self._library.books[candidate].deadlines.correction
        trial = Corrections(now, window, honour_late=True)
        otherwise, _ = self._verdicts(name, candidate, case, trial)
        for key, held in verdicts.items():
            if key not in otherwise or superseded & set(held.verdict.evidence):
                held.flags.add(Flag.DISPUTED)

    def _verdicts(
        self, name: Name, candidate: str, case: CaseFile, corrections: Corrections
    ) -> tuple[dict[tuple[str, str | None, str], _Held], Context]:
        institution_id, kind, case_id = name
        records = InstitutionRecords(institution_id, self._shelf, corrections)
        now = corrections.now
        books = self._subjects(kind, case_id, case, records, candidate, corrections)
        found: dict[tuple[str, str | None, str], _Held] = {}
        last = Context(now, self._library.books[candidate], _NO_RULE, records)
        for book, view in books:
            for rule in BY_SUBJECT.get(kind, ()):
                settings = book.rule(rule.id)
                if settings is None:
                    continue
                mine = [f for f in case.findings if f.rule_id == rule.id]
                context = Context(now, book, settings, records, mine)
                for verdict in rule.judge(view, context):
                    verdict = _capped(verdict, settings)
                    flags: set[str] = set()
                    if verdict.due is not None and records.feed_gap(verdict.due, book):
                        flags.add(Flag.FEED_GAP)
                    found[(rule.id, *verdict.key)] = _Held(verdict, settings, book, flags)
                if context.next_wake:
                    last.wake(context.next_wake)
                last.watches |= context.watches
                last.since = max(last.since, context.since)
        return found, last

    def _subjects(
        self,
        kind: str,
        case_id: str,
        case: CaseFile,
        records: InstitutionRecords,
        candidate: str,
        corrections: Corrections,
    ) -> list[tuple[Rulebook, Any]]:
        """The views of a case file to be judged, each with the rulebook in force for its act."""
        now = corrections.now
        if kind == "session":
            session = Session(case_id, effective(case, corrections))
            if session.opened is None:
                return []
            book = self._book(candidate, records, session.opened.t)
            remote = session.opened["service_kind"] == REMOTE_MEDICINE
            transcribed = book.name == "yinchuan" and not book.overlay
            return [] if remote and not transcribed else [(book, session)]
        if kind == "lateness":
            by_book: dict[str, tuple[Rulebook, list[Evidence]]] = {}
            for item in effective(case, corrections, as_uploads=True):
                book = self._book(candidate, records, item.t)
                by_book.setdefault(book.name, (book, []))[1].append(item)
            return list(by_book.values())
        if isinstance(case, Window):
            # An episode is followed to its end under the rulebook that found it.
            begun = next((f.rulebook for f in case.findings if f.state in OPEN), None)
            book = self._library.books[begun] if begun else self._book(candidate, records, now)
            settings, gaps = book.rules["UPL-06"], book.deadlines
            after = gaps.clinical + gaps.grace
            return [(book, Receipts(case, records.runs(), settings.millis("slide"), after))]
        if isinstance(case, RosterFile):
            days = self.roster_days(records.institution_id)
            applied = partial(self._library.applied, candidate)
            return [
                (book, days.judged(records, book, applied, _first_day(case, book, now)))
                for book in self._library.candidates(candidate)
                if book.rule("PHA-01") is not None
            ]
        return []

    def _book(self, candidate: str, records: InstitutionRecords, instant: int) -> Rulebook:
        form = records.ledger.form(instant) if candidate in _REFINED else None
        return self._library.applied(candidate, form, day_of(instant))


def _first_day(case: RosterFile, book: Rulebook, now: int) -> int:
    """The first day to judge a roster from: all that new evidence or time can still change."""
    days = [day_of(now) - book.deadlines.file_days - 3]
    if case.touched:
        days.append(day_of(case.touched))
    days += [day_of(f.start) for f in case.findings if f.state in OPEN and f.start is not None]
    return min(days)


def _wake_at_slot_ends(case: Window, settings: RuleSettings, context: Context) -> None:
    """Look again when a slot ends, to give out its counts; and while no rule asks for it, but one
    may from then on because form or rulebook change, as long as a window would hold anything.
    """
    slide = settings.millis("slide")
    ends = [slot_end(number, slide) for number in case.slots]
    if ends and settings.enabled and not context.next_wake:
        following = slot_end(slot_of(context.now + 1, slide), slide)
        if following < max(ends) + settings.millis("window"):
            context.wake(following)
    context.wake(min((end for end in ends if end > context.now), default=0))


def _capped(verdict: Verdict, settings: RuleSettings) -> Verdict:
    """Where a rule is only a signal it never establishes a violation (RULES 1.3)."""
    if not settings.signal_only or verdict.state is State.SUSPECTED:
        return verdict
    return Verdict(
        verdict.subject_type,
        verdict.subject_id,
        State.SUSPECTED,
        verdict.clause,
        verdict.start,
        verdict.end,
        verdict.evidence,
        verdict.facts,
        verdict.due,
    )


def _live_on(
    case: CaseFile,
    institution_id: str,
    verdicts: dict[tuple[str, str | None, str], _Held],
    now: int,
    since: int,
    corrected: bool,
) -> list[Transition]:
    """Lead every finding of a case file to what is now held about its subject."""
    found: list[Transition] = []
    known = {finding.key: finding for finding in case.findings}
    for key, held in verdicts.items():
        finding = known.get(key)
        if finding is None:
            finding = open_finding(held.verdict, held.settings, held.book.name, institution_id)
            _take_over(case, finding)
            case.findings.append(finding)
        found += _advance(finding, held, now)
    for key, finding in known.items():
        past = finding.start is not None and finding.start < since
        if key not in verdicts and not past:
            found += _end(finding, now, corrected)
    return found


def _take_over(case: CaseFile, finding: Finding) -> None:
    """Go on counting the versions of a finding that was published before judging anew."""
    retired = case.retired.pop(finding.id, None)
    if retired is not None:
        finding.version = retired.version


def _advance(finding: Finding, held: _Held, now: int) -> list[Transition]:
    current = finding.state if finding.history else None
    steps = path(current, held.verdict.state)
    before = finding.content()
    restate(finding, held.verdict, held.settings, held.book.name)
    flags = set(finding.flags) - {Flag.DISPUTED, Flag.LATE_EVIDENCE, Flag.CORRECTED}
    if steps and held.flags:
        flags |= held.flags
    flags |= held.flags & {Flag.DISPUTED}
    finding.flags = sorted(flags)
    if not steps:
        if finding.content() == before:
            return []
        finding.version += 1
        return [_published(finding, finding.state, now)]
    found = []
    for state in steps:
        found.append(_enter(finding, state, current, now))
        current = state
    return found


def _end(finding: Finding, now: int, corrected: bool) -> list[Transition]:
    """Clear or withdraw a finding of which nothing is held any more."""
    steps = path(finding.state, None) if finding.state in STANDING else ()
    found = []
    for state in steps:
        flags = set(finding.flags) - {Flag.DISPUTED}
        if corrected:
            flags.add(Flag.CORRECTED)
        elif state is State.WITHDRAWN:
            flags.add(Flag.LATE_EVIDENCE)
        finding.flags = sorted(flags)
        found.append(_enter(finding, state, finding.state, now))
    return found


def _enter(finding: Finding, state: State, previous: State | None, now: int) -> Transition:
    finding.state = state
    finding.version += 1
    finding.history = [*finding.history, Step(state, now)]
    return _published(finding, previous, now)


def _published(finding: Finding, previous: State | None, now: int) -> Transition:
    copy = Finding(*(getattr(finding, name) for name in finding.__struct_fields__))
    return Transition(copy, previous, now)


def _withdraw_retired(case: CaseFile) -> list[Transition]:
    """Retract what was published before judging anew and is held no more."""
    if case.pending or not case.retired:
        return []
    found = []
    for finding in case.retired.values():
        if finding.state in STANDING:
            ended = State.CLEARED if finding.state is State.SUSPECTED else State.WITHDRAWN
            found.append(_enter(finding, ended, finding.state, case.settled))
    case.retired = {}
    return found


def worth_notice(transition: Transition) -> bool:
    """Whether on-call people are told: established violations and what becomes of them."""
    state, previous = transition.finding.state, transition.previous
    return state in _NOTICE and state is not previous
