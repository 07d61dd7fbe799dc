"""Invariant 4 without Kafka: a worker that dies at any point, again and again, changes nothing.

What survives a crash is modelled as Faust and RocksDB leave it: effects are a prefix of what was
published, the disk holds newer case files than the offset, some of them overwritten by older ones
from the changelog, and the changelog ends anywhere. `test_killed_workers.py` does it for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.effects import Processed
from streams.simulator import SimulationConfig, simulate
from tests.support.replay import (
    Log,
    Logged,
    Results,
    Rules,
    Sender,
    Written,
    checked,
    differences,
    differences_from_check,
    process,
    replay,
)

HOUR = 3_600_000
# A tenth of what the profile allows: each example is a dozen lives of two partitions.
EXAMPLES = settings().max_examples // 10


@cache
def lived() -> tuple[Rules, Log, Results]:
    """A day of five hospitals with much that goes wrong, in a log of two partitions, and what
    follows from it.
    """
    simulation = simulate(
        SimulationConfig(
            seed=4, rate=10.0, violations=0.3, look_alikes=0.3, late=0.1, duplicates=0.05,
            shuffle=0.2, corrections=0.3,
        )
    )  # fmt: skip
    rules = Rules(simulation.directory)
    written = Written(Sender(simulation.directory), partitions=2)
    next_tick = simulation.start
    for upload in simulation.uploads:
        while next_tick < upload.received_at:
            written.tick(next_tick)
            next_tick += 6 * HOUR
        written.event(upload.datum, upload.received_at)
    written.tick(simulation.end + 1)
    return rules, written.log, replay(written.log, rules)


class Storage:
    """What outlives the worker of one partition: its disk, the changelog and the committed offset.

    `unsent` is on the disk and not yet in the changelog; `known` is how far into the changelog the
    disk says it is.
    """

    def __init__(self) -> None:
        self.disk: dict[str, bytes] = {}
        self.changelog: list[tuple[str, bytes]] = []
        self.unsent: list[tuple[str, bytes]] = []
        self.known = 0
        self.committed = 0

    def save(self, saves: Sequence[tuple[str, bytes]]) -> None:
        self.disk.update(saves)
        self.unsent += saves

    def send(self, count: int) -> None:
        self.changelog += self.unsent[:count]
        del self.unsent[:count]

    def commit(self, offset: int) -> None:
        """Everything is acknowledged first."""
        self.send(len(self.unsent))
        self.committed = offset

    def recover(self, wiped: bool) -> None:
        """Take up the changelog from where the disk says it is, over what the disk holds."""
        if wiped:
            self.disk, self.known = {}, 0
        self.disk.update(self.changelog[self.known :])
        self.unsent.clear()


def live_and_die(
    rules: Rules, records: Sequence[Logged], storage: Storage, results: Results, dice: Random
) -> bool:
    """Work until the dice say die; True when the log was finished first."""
    storage.recover(wiped=dice.random() < 0.5)
    processor = rules.processor(records[0].partition, storage.disk, dice.choice((None, 20)))
    longest = dice.choice((3, 30, 300))
    left = records[storage.committed :]
    for end, processed in process(processor, left, lambda: dice.randint(1, longest)):
        if dice.random() < 0.1:
            die_in(processed, storage, results, dice)
            return False
        results.take_all(processed.effects)
        storage.save(list(processed.saves.items()))
        storage.send(dice.randint(0, len(storage.unsent)))
        if dice.random() < 0.3:
            storage.commit(end)
    storage.commit(len(records))
    return True


def die_in(processed: Processed, storage: Storage, results: Results, dice: Random) -> None:
    """Get somewhere with a batch: with its effects, or with its case files as well."""
    published = dice.randint(0, len(processed.effects))
    results.take_all(processed.effects[:published])
    if dice.random() < 0.7:
        results.take_all(processed.effects[published:])
        saves = list(processed.saves.items())
        storage.save(saves[: dice.randint(0, len(saves))])
    storage.send(dice.randint(0, len(storage.unsent)))
    storage.known = dice.randint(storage.known, len(storage.changelog))


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 1 << 32))
@example(seed=12)  # a disk that is ahead of the changelog, and is lost later
def test_crashes_at_any_point_change_nothing(seed: int) -> None:
    rules, log, wanted = lived()
    dice, found = Random(seed), Results(rules.topics)
    for records in log.values():
        storage = Storage()
        for _ in range(40):
            if live_and_die(rules, records, storage, found, dice):
                break
        else:
            storage.recover(wiped=True)
            processor = rules.processor(records[0].partition, storage.disk)
            for _, processed in process(processor, records[storage.committed :], lambda: 500):
                found.take_all(processed.effects)
                storage.save(list(processed.saves.items()))
            storage.commit(len(records))
        found.table |= storage.disk
        assert dict(storage.changelog) == storage.disk
    assert not differences(wanted, found)


@settings(max_examples=5)
@given(size=st.integers(1, 3000), limit=st.sampled_from([None, 5]))
def test_batches_of_any_size_change_nothing(size: int, limit: int | None) -> None:
    rules, log, wanted = lived()
    assert not differences(wanted, replay(log, rules, size, limit))


def test_the_log_leads_to_the_findings_of_check() -> None:
    rules, log, wanted = lived()
    assert len(wanted.findings) > 50
    assert not differences_from_check(checked(log, rules), wanted)
