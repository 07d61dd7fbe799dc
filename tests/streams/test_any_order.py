"""All rules together: no batch, order, resend or restart changes what is found.

The events are simulated days in all jurisdictions in which every kind of thing goes wrong; the
invariants of single rules are in `test_invariants.py`.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest

from streams.checks import RULES
from streams.events import Event
from streams.rulebook import RULEBOOKS, Library
from streams.simulator import SimulationConfig, simulate
from streams.supervisor import Supervisor

LIBRARY = Library.load()
SEEDS = (3, 4)
Found = dict[str, dict[str, Any]]


@cache
def lived(seed: int, rate: float = 8.0) -> tuple[list[Event], dict[str, str], int]:
    """The log of some days, the rulebooks of its hospitals, and when it ends."""
    simulation = simulate(
        SimulationConfig(
            seed=seed, days=2, institutions=dict.fromkeys(RULEBOOKS, 1), rate=rate,
            violations=0.5, look_alikes=0.2, late=0.05, duplicates=0.02, shuffle=0.1,
            corrections=0.1,
        )
    )  # fmt: skip
    uploads = sorted(simulation.uploads, key=lambda upload: upload.received_at)
    books = {name: one.rulebook for name, one in simulation.directory.institutions.items()}
    return numbered([Event(u.datum, u.received_at, 0, 0, True) for u in uploads]), books, (
        simulation.end
    )  # fmt: skip


def numbered(events: list[Event]) -> list[Event]:
    """A log of events: the same ones with offsets in their order."""
    return [
        Event(event.body, event.received_at, 0, offset, event.signature_valid)
        for offset, event in enumerate(events)
    ]


def unnumbered(events: list[Event]) -> list[Event]:
    """The same without sequence numbers, whose rules rely on receipts that grow."""
    return [
        Event({**e.body, "stream_id": None, "stream_seq": None}, e.received_at, 0, e.offset, True)
        for e in events
        if e.type != "DailyManifestPublished"
    ]


def said(core: Supervisor) -> Found:
    """Everything about every finding but how often it was published."""
    return {
        finding.id: {
            name: getattr(finding, name) for name in finding.__struct_fields__ if name != "version"
        }
        for finding in core.findings()
    }


def held(events: list[Event], books: dict[str, str], end: int, size: int) -> Found:
    core = Supervisor(LIBRARY, books)
    for start in range(0, len(events), size):
        core.apply(events[start : start + size])
    core.advance(end)
    return said(core)


def differences(found: Found, wanted: Found) -> list[Any]:
    return [
        (mine.get("rule_id"), mine.get("clause"), {k for k in mine if mine[k] != other.get(k)})
        for key in sorted(found.keys() | wanted.keys())
        if (mine := found.get(key, wanted.get(key, {}))) != (other := wanted.get(key, {}))
        or key not in found
    ]


def test_many_rules_are_at_work() -> None:
    found = {finding["rule_id"] for seed in SEEDS for finding in held(*lived(seed), 2_000).values()}
    assert len(found) > len(RULES) // 2


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_do_not_matter(seed: int) -> None:
    wanted = held(*lived(seed), 2_000)
    assert differences(held(*lived(seed), 1), wanted) == []
    assert differences(held(*lived(seed), 37), wanted) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_order_does_not_matter(seed: int) -> None:
    """Any order of what is read at a time, the receipts of the log growing from one to the next."""
    events, books, end = lived(seed)
    dice, shuffled = Random(seed), []
    for start in range(0, len(events), 150):
        batch = events[start : start + 150]
        shuffled += dice.sample(batch, len(batch))
    assert differences(held(shuffled, books, end, 150), held(events, books, end, 2_000)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_not_even_an_order_that_no_log_has_matters(seed: int) -> None:
    """Receipts that go back and forth at will; but for what counts by receipts themselves."""
    events, books, end = lived(seed, 3.0)
    straight = unnumbered(events)
    shuffled = numbered(Random(seed).sample(straight, len(straight)))
    wanted = held(numbered(straight), books, end, 500)
    found = held(shuffled, books, end, 500)
    assert differences(timeless(found), timeless(wanted)) == []


COUNTING = frozenset({("UPL-06", None), ("UPL-04", "c"), ("RX-09", "b"), ("SES-07", "b")})
"""Judged by what was received by fixed instants, which are not gone back to."""


def timeless(found: Found) -> Found:
    return {k: v for k, v in found.items() if (v["rule_id"], v["clause"]) not in COUNTING}


@pytest.mark.parametrize("seed", SEEDS)
def test_resends_do_not_matter(seed: int) -> None:
    """Of one event the first receipt counts; only the silence of a feed ends with any receipt."""
    events, books, end = lived(seed)
    dice = Random(seed)
    resent = [
        Event(e.body, e.received_at + dice.randrange(1, 86_400_000), 0, 0, True)
        for e in dice.sample(events, len(events) // 5)
    ]
    log = sorted((*events, *resent), key=lambda event: (event.received_at, event.offset))
    found, wanted = held(numbered(log), books, end, 500), held(events, books, end, 500)
    assert differences(talking(found), talking(wanted)) == []


def talking(found: Found) -> Found:
    return {k: v for k, v in found.items() if (v["rule_id"], v["clause"]) != ("UPL-04", "c")}


@pytest.mark.parametrize("seed", SEEDS)
def test_restarts_do_not_matter(seed: int) -> None:
    """Stored case files are all there is, with few of them decoded at a time."""
    events, books, end = lived(seed)
    table: dict[str, bytes] = {}
    for start in range(0, len(events), 400):
        core = Supervisor(LIBRARY, books, load=table.get, limit=5)
        core.restore(list(table.items()))
        table |= core.apply(events[start : start + 400]).saves
    core = Supervisor(LIBRARY, books, load=table.get)
    core.restore(list(table.items()))
    core.advance(end)
    assert differences(said(core), held(events, books, end, 2_000)) == []
