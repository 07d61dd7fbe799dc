"""Findings and their life cycle (RULES 1.6).

A rule states what it holds at an instant (a ``Verdict``); this module turns the sequence of
verdicts about one subject into the states of a ``Finding``. Only the transitions of RULES 1.6 can
happen. A finding's id is a hash of its identity (1.6.7), so replaying events yields the same ids;
``version`` counts what was published about it, so every sink can order and repeat safely.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from streams.rulebook import RuleSettings
from streams.timeline import format_instant


class State(StrEnum):
    SUSPECTED = "SUSPECTED"
    CONFIRMED = "CONFIRMED"
    CLEARED = "CLEARED"
    WITHDRAWN = "WITHDRAWN"
    RESOLVED = "RESOLVED"


SHOWN_EVIDENCE = 200
"""How many events a finding names at most; the others are found by its subject."""

OPEN = frozenset({State.SUSPECTED, State.CONFIRMED})
STANDING = frozenset({State.SUSPECTED, State.CONFIRMED, State.RESOLVED})


class Flag(StrEnum):
    """Facts about a finding that a human must know to weigh it."""

    LATE_EVIDENCE = "late_evidence"
    CORRECTED = "corrected"
    DISPUTED = "disputed"
    FEED_GAP = "feed_gap"
    STOPPED_BY_REVIEW = "stopped_by_review"
    SHADOW = "shadow"


class Verdict(msgspec.Struct, frozen=True):
    """What a rule holds about one subject at one instant.

    ``state`` is SUSPECTED, CONFIRMED, or RESOLVED for an established violation that has ended.
    ``start``/``end`` bound the violation in event time; ``due`` is the instant D by which a missing
    act had to happen, against which gaps of the feed are held (1.6.3). ``lawful_until`` is for hard
    contradictions: evidence received before it undoes the finding without being late (1.6.1);
    ``flags`` say what a human must know besides; ``graded`` names the severity where it does not go
    by the clause. A later, separate violation of an ``episodic`` subject is a finding of its own,
    named after the subject and its start. ``institution_id`` is given where several institutions
    share a case file.
    """

    subject_type: str
    subject_id: str
    state: State
    clause: str | None = None
    start: int | None = None
    end: int | None = None
    evidence: tuple[str, ...] = ()
    facts: dict[str, str] = {}
    due: int | None = None
    flags: frozenset[Flag] = frozenset()
    graded: str | None = None
    lawful_until: int = 0
    episodic: bool = False
    institution_id: str | None = None


Key = tuple[str, str | None, str, str, str]
"""Rule, clause, type and id of the subject, institution: what tells findings apart (1.6.7)."""


class Step(msgspec.Struct, array_like=True, frozen=True):
    """One entry of a finding's history."""

    state: State
    at: int


class Finding(msgspec.Struct, array_like=True):
    """One violation, suspected or established, of one rule by one subject."""

    rule_id: str
    clause: str | None
    rulebook: str
    institution_id: str
    subject_type: str
    subject_id: str
    severity: str
    state: State
    version: int
    start: int | None
    end: int | None
    evidence: list[str]
    params: dict[str, str]
    citations: list[str]
    flags: list[str]
    history: list[Step]
    lawful_until: int = 0

    @property
    def id(self) -> str:
        """Hash of the identity: equal for the same violation in every run and replay."""
        return finding_id(self.key)

    @property
    def key(self) -> Key:
        return self.rule_id, self.clause, self.subject_type, self.subject_id, self.institution_id

    def content(self) -> tuple[object, ...]:
        """All that readers see but version and history; two equal contents need no publication."""
        return (
            self.rulebook,
            self.severity,
            self.state,
            self.start,
            self.end,
            tuple(self.evidence),
            tuple(sorted(self.params.items())),
            tuple(self.flags),
        )


def finding_id(key: Key) -> str:
    """The id of the finding of an identity."""
    rule_id, clause, subject_type, subject_id, institution_id = key
    parts = (rule_id, institution_id, subject_type, subject_id, clause or "")
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


class Transition(msgspec.Struct, frozen=True):
    """One version of a finding, to be published; ``at`` is the platform clock of the change."""

    finding: Finding
    previous: State | None
    at: int


_ONWARD: dict[State | None, dict[State | None, tuple[State, ...]]] = {
    None: {
        State.SUSPECTED: (State.SUSPECTED,),
        State.CONFIRMED: (State.CONFIRMED,),
        State.RESOLVED: (State.CONFIRMED, State.RESOLVED),
    },
    State.SUSPECTED: {
        None: (State.CLEARED,),
        State.CONFIRMED: (State.CONFIRMED,),
        State.RESOLVED: (State.CONFIRMED, State.RESOLVED),
    },
    State.CONFIRMED: {None: (State.WITHDRAWN,), State.RESOLVED: (State.RESOLVED,)},
    State.RESOLVED: {None: (State.WITHDRAWN,)},
}
_ONWARD[State.CLEARED] = _ONWARD[State.WITHDRAWN] = _ONWARD[None]


def path(current: State | None, target: State | None) -> tuple[State, ...]:
    """The states a finding passes from ``current`` when a rule holds ``target`` (None: nothing).

    An established violation is never weakened to a suspicion, and an ended one not re-opened.
    """
    return _ONWARD[current].get(target, ())


def open_finding(
    verdict: Verdict,
    settings: RuleSettings,
    rulebook: str,
    institution_id: str,
    subject_id: str = "",
) -> Finding:
    """A finding not yet in any state, for the first verdict about its subject."""
    return Finding(
        rule_id=settings.rule_id,
        clause=verdict.clause,
        rulebook=rulebook,
        institution_id=institution_id,
        subject_type=verdict.subject_type,
        subject_id=subject_id or verdict.subject_id,
        severity=settings.severity(verdict.graded or verdict.clause),
        state=State.SUSPECTED,
        version=0,
        start=None,
        end=None,
        evidence=[],
        params={},
        citations=list(settings.citations),
        flags=[],
        history=[],
    )


def restate(finding: Finding, verdict: Verdict, settings: RuleSettings, rulebook: str) -> None:
    """Bring the facts of a finding up to the verdict; its states are not touched."""
    finding.rulebook = rulebook
    finding.severity = settings.severity(verdict.graded or verdict.clause)
    finding.citations = list(settings.citations)
    finding.start, finding.end = verdict.start, verdict.end
    finding.lawful_until = verdict.lawful_until
    finding.evidence = list(verdict.evidence[:SHOWN_EVIDENCE])
    due = {} if verdict.due is None else {"due": format_instant(verdict.due)}
    finding.params = settings.stated() | due | verdict.facts
