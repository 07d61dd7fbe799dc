"""The indexes of the shelf: deadlines and watches as plain ones would keep them, and restoring."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.cases.agenda import Agenda
from streams.cases.base import FOREVER, CaseFile, Glance, Name, encode, glance
from streams.cases.kinds import KINDS
from streams.cases.shelf import Shelf
from streams.cases.watches import REPLACED, Watches
from streams.timeline import HOUR

NAMES: list[Name] = [("inst", "session", f"s{number}") for number in range(4)]
names = st.sampled_from(NAMES)
instants = st.integers(0, 6 * HOUR)
# An id may hold the sign that marks the topics of rules.
TOPICS = ("acts/7", "session/a#b", "acts/", REPLACED + "LIC-01", REPLACED + "RX-03")


@given(st.lists(st.tuples(names, instants | st.none()), max_size=40))
def test_everything_comes_back_when_it_is_due(steps: list[tuple[Name, int | None]]) -> None:
    """None moves the clock by an hour; what comes early is put down again, as the shelf does."""
    agenda, wanted, clock = Agenda(), dict[Name, int](), 0
    for name, instant in [*steps, *((NAMES[0], None) for _ in range(7))]:
        if instant is not None:
            agenda.add(instant, name)
            wanted[name] = instant
            continue
        clock += HOUR
        early = agenda.take(clock)
        due = {one for one, at in wanted.items() if at <= clock}
        assert due <= early
        for one in early & wanted.keys() - due:
            agenda.add(wanted[one], one)
        for one in due:
            del wanted[one]
        first = agenda.first()
        assert not wanted or (first is not None and first <= min(wanted.values()))
    assert not wanted
    assert not agenda.take(FOREVER)
    assert agenda.first() is None


def test_what_is_kept_for_each_instant_does_not_hide_what_is_due_before() -> None:
    agenda = Agenda()
    agenda.add_each(5 * HOUR, NAMES[0])
    agenda.add(3 * HOUR, NAMES[1])
    agenda.add(4 * HOUR, NAMES[2])
    agenda.add(3 * HOUR + 5, NAMES[1])
    assert agenda.first() == 3 * HOUR
    assert agenda.take(4 * HOUR) == {NAMES[1], NAMES[2]}
    assert agenda.first() == 5 * HOUR


@given(
    st.lists(
        st.tuples(names, st.sampled_from(TOPICS), instants, instants, st.booleans()),
        max_size=60,
    ),
    instants | st.none(),
)
def test_watches_are_those_of_a_plain_index(
    steps: list[tuple[Name, str, int, int, bool]], instant: int | None
) -> None:
    watches, plain = Watches(), dict[tuple[Name, str], tuple[int, int]]()
    for name, topic, one, other, ends in steps:
        first, last = sorted((one, other))
        known = plain.get((name, topic))
        if ends and topic.startswith(REPLACED):
            watches.remove(name, topic)
            plain.pop((name, topic), None)
            continue
        if known is not None and not topic.startswith(REPLACED):
            first, last = min(first, known[0]), max(last, known[1])
        plain[name, topic] = first, last
        watches.add(name, topic, (first, last))
    for asked in ("acts/", "acts/7", "session/a#b"):
        found = {
            name
            for (name, topic), (first, last) in plain.items()
            if (topic == asked or (asked == "acts/" and topic.startswith(REPLACED)))
            and (instant is None or first <= instant <= last)
        }
        assert watches.of("inst", asked, instant) == found
    assert watches.of("inst", "session/a", instant) == set()
    assert watches.of("other", "acts/7", instant) == set()


def test_a_glance_reads_every_kind_of_case_file_where_its_fields_stand() -> None:
    fields = [field.name for field in msgspec.structs.fields(CaseFile)]
    glanced = [field.name for field in msgspec.structs.fields(Glance)]
    assert glanced == fields[: len(glanced)]
    for file in {kind.file for kind in KINDS.values()}:
        case = file()
        case.wakes, case.pending, case.applied = {"SES-08": 7}, {9: 1}, 41
        case.watches = {"ledger/stops": (0, 7)}
        seen = glance(encode(case))
        assert (seen.next_due, seen.applied, seen.watches) == (7, 41, case.watches)


def test_a_restored_shelf_knows_what_the_one_before_it_knew() -> None:
    stored: dict[str, bytes] = {}
    before = Shelf(stored.get)
    patient: Any = ("inst", "patient", "p1")
    for number, name in enumerate([*NAMES, patient]):
        case = before.open(name)
        if name != patient:
            case.wakes["SES-08"] = number * HOUR
            before.schedule(name, case.next_due)
            before.watch(name, case, "ledger/stops", (0, number))
    before.applied(3)
    stored |= before.drain()
    after = Shelf(stored.get)
    after.restore(stored.items())
    for shelf in (before, after):
        assert shelf.ids("inst", "session") == {"s0", "s1", "s2", "s3"}
        assert shelf.ids("inst", "patient") == {"p1"}
        assert shelf.next_due() == 0
        assert shelf.watchers("inst", "ledger/stops", 2) == NAMES[2:]
        assert shelf.watchers("inst", "ledger/stops", None) == NAMES
    assert {name for name, _ in after.resume(3)} == {*NAMES, patient}
    assert after.resume(3) == []
    for shelf in (before, after):
        assert shelf.due(2 * HOUR) == NAMES[:3]


def test_spans_grow_but_those_of_a_rules_own_topic_are_replaced() -> None:
    shelf, name, own = Shelf(), ("h1", "prescription", "p1"), REPLACED + "LIC-01"
    case = shelf.open(name)
    for topic in ("session/a#b", own):
        shelf.watch(name, case, topic, (5, 10))
        shelf.watch(name, case, topic, (20, 30))
        shelf.watch(name, case, topic, (21, 29))
    assert case.watches == {"session/a#b": (5, 30), own: (21, 29)}
    assert shelf.watchers("h1", "acts/", 25) == [name]
    shelf.unwatch(name, case, own)
    assert shelf.watchers("h1", "acts/", 25) == []
