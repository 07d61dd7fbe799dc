"""The invariants of the core, whatever hospitals publish and however the log is cut."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas import catalogue
from schemas.errors import ContractError
from schemas.validate import validate
from streams.events import Event
from streams.findings import Finding
from streams.rulebook import Library
from streams.supervisor import Change, Outcome, Supervisor, Tick
from tests.support.data import data_of
from tests.support.scenarios import (
    CANDIDATES,
    DAY,
    MONDAY,
    OVERRIDES,
    Published,
    horizon,
    in_order,
    log,
    scenarios,
    shifted,
)

LIBRARY = Library.load(OVERRIDES)
SIZES = st.lists(st.sampled_from([1, 2, 3, 7, 50]), min_size=1, max_size=5)
Facts = dict[str, dict[str, Any]]
# Not shrunk: that takes longer than a test may, and its end would leave no example to read.
SOME = settings(max_examples=50, phases=(Phase.explicit, Phase.generate))


def supervisor(store: dict[str, bytes] | None = None, limit: int | None = None) -> Supervisor:
    """A supervisor of all scenario institutions, at where its store stands."""
    if store is None:
        return Supervisor(LIBRARY, CANDIDATES)
    core = Supervisor(LIBRARY, CANDIDATES, load=store.get, limit=limit)
    core.restore(list(store.items()))
    return core


def facts(findings: Iterable[Finding]) -> Facts:
    """What findings say, without how often it was said."""
    found: Facts = {}
    for finding in findings:
        stated = content(finding)
        del stated["version"]
        assert finding.id not in found
        found[finding.id] = stated
    return found


def content(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__struct_fields__}


def cut(records: list[Event], sizes: list[int]) -> Iterable[list[Event]]:
    """The records in batches, their sizes taken in turn."""
    start = turn = 0
    while start < len(records):
        size = sizes[turn % len(sizes)]
        yield records[start : start + size]
        start, turn = start + size, turn + 1


def held(published: list[Published], sizes: list[int], upto: int) -> Facts:
    """The findings over events that a log took in this order, in batches of these sizes."""
    core = supervisor()
    for batch in cut(log(published), sizes):
        core.apply(batch)
    core.advance(upto)
    return facts(core.findings())


# -- 1: order does not matter ----------------------------------------------------------------------


@SOME
@given(scenarios(), SIZES)
def test_batches_do_not_matter(published: list[Published], sizes: list[int]) -> None:
    received, upto = in_order(published), horizon(published)
    assert held(received, sizes, upto) == held(received, [1], upto)


@SOME
@given(scenarios(), st.data())
def test_a_resend_changes_nothing(published: list[Published], data: st.DataObject) -> None:
    """Of one event_id the first receipt counts, however often and late it comes again."""
    received, upto = in_order(published), horizon(published)
    resent = data.draw(st.lists(st.sampled_from(received), max_size=8))
    delays = data.draw(st.lists(st.integers(0, 3 * DAY), min_size=8, max_size=8))
    again = [
        Published(i.datum, i.received_at + late) for i, late in zip(resent, delays, strict=False)
    ]
    assert held(in_order(received + again), [3], upto) == held(received, [3], upto)


@SOME
@given(scenarios(sequence=False), st.data(), SIZES)
def test_order_does_not_matter(
    published: list[Published], data: st.DataObject, sizes: list[int]
) -> None:
    """Any order of the log, each event with its receipt, ends in the same findings.

    But for what counts receipts themselves (UPL-06, sequence numbers): the receipts in a log only
    grow, and these rely on it.
    """
    upto = horizon(published)
    shuffled = data.draw(st.permutations(published))
    straight = held(in_order(published), [1], upto)
    got = held(shuffled, sizes, upto)
    assert _without_counting(got) == _without_counting(straight)


def _without_counting(findings: Facts) -> Facts:
    return {key: said for key, said in findings.items() if said["rule_id"] != "UPL-06"}


# -- 1 and 2: what is stored, crashes --------------------------------------------------------------


@SOME
@given(scenarios(), SIZES, st.sampled_from([None, 1, 4]), st.data())
def test_a_restart_between_batches_changes_nothing(
    published: list[Published], sizes: list[int], limit: int | None, data: st.DataObject
) -> None:
    """Stored case files are all there is: the same transitions follow, in the same order."""
    received, upto = in_order(published), horizon(published)
    batches = list(cut(log(received), sizes))
    restarts = data.draw(st.sets(st.integers(0, len(batches))))
    straight, store = supervisor(), dict[str, bytes]()
    core = supervisor(store, limit)
    for number, batch in enumerate(batches):
        if number in restarts:
            core = supervisor(store, limit)
        outcome = core.apply(batch)
        store |= outcome.saves
        assert said(outcome) == said(straight.apply(batch))
    core = supervisor(store, limit)
    outcome = core.advance(upto)
    store |= outcome.saves
    assert said(outcome) == said(straight.advance(upto))
    assert facts(core.findings()) == facts(straight.findings())


def said(outcome: Outcome) -> list[tuple[dict[str, Any], Change]]:
    return [(content(change.transition.finding), change) for change in outcome.changes]


@SOME
@given(scenarios(), st.data())
def test_crashes_repeat_work_and_lose_none(published: list[Published], data: st.DataObject) -> None:
    """A worker may die after publishing, with none, some or all case files stored, and before its
    offset moved: what it publishes then agrees with what it had published, version by version.
    """
    records, upto = log(in_order(published)), horizon(published)
    store: dict[str, bytes] = {}
    versions: dict[tuple[str, int], dict[str, Any]] = {}
    core, position, committed = supervisor(store), 0, 0
    crashes = data.draw(st.integers(0, 5), label="crashes")
    while position < len(records):
        size = data.draw(st.sampled_from([1, 2, 3, 7, 50]), label="batch")
        outcome = core.apply(records[position : position + size])
        position += size
        _publish(outcome, versions)
        dies = crashes > 0 and data.draw(st.booleans(), label="dies")
        if not dies:
            store |= outcome.saves
            if data.draw(st.booleans(), label="commits"):
                committed = position
            continue
        crashes -= 1
        stored = data.draw(st.sampled_from(["none", "some", "all"]), label="stored")
        for key in sorted(outcome.saves):
            if stored == "all" or (stored == "some" and data.draw(st.booleans(), label=key)):
                store[key] = outcome.saves[key]
        core, position = supervisor(store), committed
    outcome = core.advance(upto)
    store |= outcome.saves
    _publish(outcome, versions)
    received = in_order(published)
    assert facts(core.findings()) == held(received, [1], upto)
    for finding in core.findings():
        last = max(version for key, version in versions if key == finding.id)
        assert last == finding.version
        assert versions[finding.id, last] == content(finding)


def _publish(outcome: Outcome, versions: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Publish as a sink sees it: one content for each version of a finding."""
    for change in outcome.changes:
        finding = change.transition.finding
        stated = content(finding)
        assert versions.setdefault((finding.id, finding.version), stated) == stated


@SOME
@given(scenarios(), SIZES, st.data())
def test_what_was_applied_and_stored_says_nothing_new(
    published: list[Published], sizes: list[int], data: st.DataObject
) -> None:
    """Records that come again after everything was stored are known: no transition follows."""
    records, upto = log(in_order(published)), horizon(published)
    store: dict[str, bytes] = {}
    core = supervisor(store)
    for batch in cut(records, sizes):
        store |= core.apply(batch).saves
    first = data.draw(st.integers(0, len(records)))
    again = supervisor(store)
    for batch in cut(records[first:], data.draw(SIZES)):
        assert not again.apply(batch).changes
    again.advance(upto)
    core.advance(upto)
    assert [content(f) for f in again.findings()] == [content(f) for f in core.findings()]


# -- 3: time is data -------------------------------------------------------------------------------


@SOME
@given(scenarios(), st.integers(-200, 200))
def test_the_same_days_in_another_week_give_the_same_findings(
    published: list[Published], weeks: int
) -> None:
    received, upto = in_order(published), horizon(published)
    moved = [shifted(item, weeks * 7) for item in received]
    here = held(received, [7], upto)
    there = held(moved, [7], upto + weeks * 7 * DAY)
    assert sorted(map(_steps, here.values())) == sorted(
        (*rest, [(state, at - weeks * 7 * DAY) for state, at in history])
        for *rest, history in map(_steps, there.values())
    )


def _steps(said: dict[str, Any]) -> tuple[Any, ...]:
    history = [(step.state.value, step.at) for step in said["history"]]
    return said["rule_id"], said["clause"] or "", said["state"].value, said["flags"], history


@settings(max_examples=10)
@given(scenarios())
def test_no_clock_of_the_machine_is_read(published: list[Published]) -> None:
    def stopped(*_: object) -> float:
        raise AssertionError("the core read the clock of the machine")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "localtime", "gmtime"):
            patch.setattr(time, name, stopped)
        outcome = held(in_order(published), [7], horizon(published))
    assert outcome == held(in_order(published), [7], horizon(published))


# -- 4: an outcome is data -------------------------------------------------------------------------


@SOME
@given(scenarios(), SIZES)
def test_the_same_batch_on_the_same_store_gives_the_same_outcome(
    published: list[Published], sizes: list[int]
) -> None:
    """Nothing counts as done before it is stored: a batch whose saves were lost is simply redone,
    with equal transitions, aggregates and saves.
    """
    store: dict[str, bytes] = {}
    for batch in cut(log(in_order(published)), sizes):
        lost = supervisor(store).apply(batch)
        outcome = supervisor(store).apply(batch)
        assert said(outcome) == said(lost)
        assert outcome.aggregates == lost.aggregates
        assert outcome.saves == lost.saves
        store |= outcome.saves


# -- 5: nothing valid stops it ---------------------------------------------------------------------


@settings(max_examples=100, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(data_of(catalogue.EVENT_TYPES), min_size=1, max_size=8), st.data())
def test_any_valid_event_is_taken(data: list[dict[str, Any]], draw: st.DataObject) -> None:
    valid = []
    for datum in data:
        try:
            validate(datum)
        except ContractError:
            continue
        valid.append(datum)
    core = supervisor({})
    now = MONDAY * DAY
    for offset, datum in enumerate(valid):
        now += draw.draw(st.sampled_from([0, 1, 60_000, DAY]))
        core.apply([Event(datum, now, 0, offset)])
    core.apply([Tick(now + 10 * DAY, len(valid))])
    for finding in core.findings():
        assert finding.history


@pytest.mark.parametrize("event_type", catalogue.EVENT_TYPES)
def test_the_generator_makes_every_type_valid(event_type: str) -> None:
    """Else the property above would hold for want of events."""
    found = []

    @settings(max_examples=5, phases=[Phase.generate], database=None)
    @given(data_of([event_type]))
    def once(datum: dict[str, Any]) -> None:
        validate(datum)
        found.append(datum)

    once()
    assert found
    assert {d["event_type"] for d in found} == {event_type}


def test_monday_is_a_monday() -> None:
    assert dt.date(1970, 1, 1) + dt.timedelta(days=MONDAY) == dt.date(2026, 3, 2)
