"""From what is held about a case file to the transitions of its findings (RULES 1.6)."""

from __future__ import annotations

from collections.abc import Collection

from streams.cases.base import CaseFile
from streams.findings import (
    STANDING,
    Finding,
    Flag,
    State,
    Step,
    Transition,
    open_finding,
    path,
    restate,
)
from streams.sitting import Held, Sitting

_NOTICE = (State.CONFIRMED, State.RESOLVED, State.WITHDRAWN)


def live_on(
    case: CaseFile,
    sitting: Sitting,
    judged: set[str],
    corrected: bool,
    given_up: Collection[tuple[str, str]] = (),
) -> list[Transition]:
    """Lead the findings of the rules that judged to what is now held about their subjects.

    ``given_up`` names rulebook and rule of those retired: their findings stay as they were.
    """
    found: list[Transition] = []
    now = sitting.now
    known = {f.key: f for f in case.findings if f.rule_id in judged}
    for key, held in sitting.held.items():
        finding = known.get(key)
        if finding is None:
            finding = open_finding(
                held.verdict, held.settings, held.book.name, key[4], held.subject_id
            )
            _take_over(case, finding)
            case.findings.append(finding)
        found += _advance(finding, held, now)
    for key, finding in known.items():
        since = sitting.since.get(finding.rule_id, 0)
        past = finding.start is not None and finding.start < since
        retired = (finding.rulebook, finding.rule_id) in given_up
        if key not in sitting.held and not past and not retired:
            found += _end(finding, now, corrected)
    return found


def _take_over(case: CaseFile, finding: Finding) -> None:
    """Go on counting the versions of a finding that was published before judging anew."""
    retired = case.retired.pop(finding.id, None)
    if retired is not None:
        finding.version = retired.version


def _advance(finding: Finding, held: Held, now: int) -> list[Transition]:
    current = finding.state if finding.history else None
    steps = path(current, held.verdict.state)
    before = finding.content()
    restate(finding, held.verdict, held.settings, held.book.name)
    flags = {*finding.flags} & {Flag.FEED_GAP}
    if steps and held.flags:
        flags |= held.flags
    flags |= held.flags & {Flag.DISPUTED}
    flags |= held.verdict.flags
    if held.settings.shadow:
        flags.add(Flag.SHADOW)
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
        elif state is State.WITHDRAWN and now >= finding.lawful_until:
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


def withdraw_retired(case: CaseFile) -> list[Transition]:
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
    """Whether on-call people are told: established violations and what becomes of them.

    Never of a rule in shadow. What stands when a rule goes live is told with its next state.
    """
    finding, previous = transition.finding, transition.previous
    if Flag.SHADOW in finding.flags:
        return False
    return finding.state in _NOTICE and finding.state is not previous
