"""The life cycle of findings (RULES 1.6): only the transitions it allows, one id a violation."""

from __future__ import annotations

import itertools

import pytest

from streams.findings import State, Verdict, open_finding, path, restate
from streams.rulebook import Library, RuleSettings

ALLOWED: dict[State | None, set[State]] = {
    None: {State.SUSPECTED, State.CONFIRMED},
    State.SUSPECTED: {State.CONFIRMED, State.CLEARED},
    State.CONFIRMED: {State.RESOLVED, State.WITHDRAWN},
    State.RESOLVED: {State.WITHDRAWN},
    State.CLEARED: {State.SUSPECTED, State.CONFIRMED},
    State.WITHDRAWN: {State.SUSPECTED, State.CONFIRMED},
}
HELD = (None, State.SUSPECTED, State.CONFIRMED, State.RESOLVED)


@pytest.mark.parametrize(("current", "target"), list(itertools.product([None, *State], HELD)))
def test_every_path_keeps_to_the_allowed_transitions(
    current: State | None, target: State | None
) -> None:
    for step in path(current, target):
        assert step in ALLOWED[current]
        current = step


@pytest.mark.parametrize("current", [None, State.CLEARED, State.WITHDRAWN])
def test_what_does_not_stand_can_begin_and_need_not_end(current: State | None) -> None:
    assert path(current, None) == ()
    assert path(current, State.SUSPECTED) == (State.SUSPECTED,)
    assert path(current, State.CONFIRMED) == (State.CONFIRMED,)
    assert path(current, State.RESOLVED) == (State.CONFIRMED, State.RESOLVED)


def test_a_suspicion_is_never_resolved_directly() -> None:
    """D2."""
    assert path(State.SUSPECTED, State.RESOLVED) == (State.CONFIRMED, State.RESOLVED)
    assert path(State.SUSPECTED, None) == (State.CLEARED,)


@pytest.mark.parametrize("current", [State.CONFIRMED, State.RESOLVED])
def test_what_is_established_is_not_weakened(current: State) -> None:
    assert path(current, State.SUSPECTED) == ()
    assert path(current, None) == (State.WITHDRAWN,)


def test_an_ended_violation_is_not_opened_again() -> None:
    assert path(State.RESOLVED, State.CONFIRMED) == ()


@pytest.mark.parametrize("state", HELD[1:])
def test_to_hold_what_is_held_changes_nothing(state: State) -> None:
    assert path(state, state) == ()


def settings(rule_id: str = "IDV-01") -> RuleSettings:
    return Library.load().books["guangxi"].rules[rule_id]


def test_an_id_is_the_identity_and_nothing_else() -> None:
    """RULES 1.6.7: rule, institution, subject type, subject id and clause."""

    def made(rule: str, institution: str, kind: str, subject: str, clause: str | None) -> str:
        verdict = Verdict(kind, subject, State.SUSPECTED, clause)
        return open_finding(verdict, settings(rule), "guangxi", institution).id

    first = made("IDV-01", "i", "session", "s", None)
    assert first == made("IDV-01", "i", "session", "s", None)
    others = {
        made("IDV-02", "i", "session", "s", None),
        made("IDV-01", "j", "session", "s", None),
        made("IDV-01", "i", "event", "s", None),
        made("IDV-01", "i", "session", "t", None),
        made("IDV-01", "i", "session", "s", "a"),
        made("IDV-01", "i", "session", "s", "b"),
        made("IDV-01", "is", "ession", "s", None),
    }
    assert len(others) == 7
    assert first not in others


def test_an_id_stays_the_same_while_the_finding_changes() -> None:
    verdict = Verdict("session", "s", State.SUSPECTED, start=1)
    finding = open_finding(verdict, settings(), "guangxi", "i")
    before = finding.id
    restate(
        finding,
        Verdict("session", "s", State.CONFIRMED, start=2, end=3, evidence=("e",)),
        settings(),
        "national",
    )
    assert finding.id == before
    assert (finding.start, finding.end, finding.evidence) == (2, 3, ["e"])
    assert finding.rulebook == "national"


def test_the_id_is_the_one_sinks_have_stored() -> None:
    """A changed hash would give every finding of the past a second life."""
    verdict = Verdict("session", "S-1", State.SUSPECTED, "b")
    finding = open_finding(verdict, settings("IDV-02"), "guangxi", "PDY00000145010011A5182")
    assert finding.id == "c811b1413bc78dea081ef764fe8a4bb8"


def test_a_finding_states_its_parameters_and_the_facts() -> None:
    verdict = Verdict("session", "s", State.CONFIRMED, facts={"gap": "11m"})
    finding = open_finding(verdict, settings("IDV-02"), "guangxi", "i")
    restate(finding, verdict, settings("IDV-02"), "guangxi")
    assert finding.params["gap"] == "11m"
    assert finding.params["max_gap"] == "10m"
    assert finding.params["min_checks"] == "1"
