"""What the figures for size rest on: multiplied hospitals are as the core would have made them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.population import Population, clone, populations, renamed
from bench.scale import retired
from bench.scale_core import Input, measure, write
from streams.cases.base import decode
from streams.cases.kinds import KINDS
from streams.cases.shelf import name_of
from streams.events import Event
from streams.rulebook import RULEBOOKS, Library
from streams.supervisor import Supervisor


@pytest.fixture(scope="module")
def population() -> Population:
    return populations({"some": (3, 4)}, rate=120.0)["some"]


def test_every_hospital_has_its_own_case_files(population: Population) -> None:
    stored = dict(population.stored())
    sessions = Counter(
        name_of(key.decode())[0] for key in stored if name_of(key.decode())[1] == "session"
    )
    assert sessions == dict.fromkeys(population.names, 4)
    assert Counter(population.names.values()) == dict.fromkeys(RULEBOOKS, 3)
    assert set(population.directory.institutions) == set(population.names)
    for key, value in stored.items():
        institution_id, kind, _ = name_of(key.decode())
        decode(KINDS[kind].file, value)
        others = {name for name in population.names if name[:5] == institution_id[:5]}
        assert not any(other.encode() in value for other in others - {institution_id})


def test_a_multiplied_hospital_is_led_on_as_the_one_it_was_made_of(population: Population) -> None:
    """Renaming what the core stores after an hour is what it stores for the renamed hospital."""
    seed = population.seeds[0]
    alone = Population([seed], 2, population.begins)
    names = [clone(seed.institution_id, number) for number in range(2)]
    tables: list[dict[str, bytes]] = []
    for old, new in ((names[0], names[0]), (names[0], names[1])):
        stored = dict(alone.stored())
        table = {key.decode(): value for key, value in stored.items() if new.encode() in key}
        supervisor = Supervisor(Library.load(()), alone.names, load=table.get, alone=False)
        supervisor.restore(list(table.items()))
        events = [event for event in alone.feed(6) if event.institution_id == names[0]]
        assert len(events) > 20
        for number, event in enumerate(events):
            body = renamed(event.body, old, new)
            events[number] = Event(body, event.received_at, 0, event.offset)
        table |= supervisor.apply(events).saves
        tables.append(table)
    first, second = tables
    old_id, new_id = (name.encode() for name in names)
    again = {
        key.replace(names[0], names[1]): value.replace(old_id, new_id)
        for key, value in first.items()
    }
    assert again.keys() == second.keys()
    for key, value in again.items():
        if name_of(key)[1] != "lateness":  # those keep hashes of what was uploaded
            assert second[key] == value, key


def test_streams_go_on_without_a_gap(population: Population) -> None:
    used: dict[tuple[str, str], int] = {
        (clone(seed.institution_id, number), stream): last
        for seed in population.seeds
        for number in range(population.each)
        for stream, last in seed.sequences.items()
    }
    events = population.feed(5)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        if event.body["stream_seq"] is not None:
            place = event.institution_id, event.body["stream_id"]
            used[place] = used.get(place, 0) + 1
            assert event.body["stream_seq"] == used[place]


def test_a_core_is_restored_and_fed(population: Population, tmp_path: Path) -> None:
    files, size = write(tmp_path / "database", population.stored())
    found = measure(tmp_path / "database", Input(population.names, (), population.feed(5)))
    assert (found["files"], found["bytes"]) == (files, size)
    assert found["first"]["events"] > 0
    assert found["memory"]["restored"] > 0


def test_overrides_retire_rules_in_every_rulebook() -> None:
    library = Library.load(retired({"IDV-01", "UPL-06"}))
    for book in library.books.values():
        assert book.rule("IDV-01") is None
        assert book.rule("UPL-06") is None
        assert book.rule("SES-08") is not None
