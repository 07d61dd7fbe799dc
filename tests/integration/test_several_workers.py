"""What several workers say together is what one supervisor of all hospitals finds.

One doctor receives patients by video at two hospitals at once. The hospitals lie in different
partitions, taken by different workers, so the facts have to meet in `ih.practice`, even if a worker
dies in between. The same holds for a month in which everything happens that can.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from schemas import wire
from streams.check import judge
from streams.events import Event
from streams.findings import Transition
from streams.publication import alert
from streams.rulebook import NATIONAL, RULEBOOKS, Library
from streams.simulator import Simulation, SimulationConfig, simulate
from streams.simulator.simulation import Upload
from streams.supervisor import Change, Supervisor
from tests.support.replay import SHARED_CLAUSES, unequal
from tests.support.trust import Cluster
from tests.support.worker import Deployment

IDENTITY = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")
SAID = (
    "rulebook", "state", "severity", "violation_start", "violation_end", "evidence", "flags",
    "params", "message_zh", "message_en",
)  # fmt: skip
SEED = 5
KINDS = frozenset(
    {
        "idv04_two_places", "idv04_a_minute", "idv04_dedicated_pharmacist",
        "lic07_second_independent", "lic07_two_forms",
    }
)  # fmt: skip


def meetings(days: int) -> tuple[Simulation, list[Upload]]:
    """Days on which persons and hosts of several hospitals meet as they must not."""
    simulation = simulate(
        SimulationConfig(
            seed=SEED, days=days, institutions={"guangxi": 2, "chongqing": 8, "sichuan": 2},
            rate=4.0, violations=1.0, look_alikes=0.9, late=0.05, duplicates=0.02, shuffle=0.1,
            kinds=KINDS,
        )
    )  # fmt: skip
    return simulation, list(simulation.uploads)


def month() -> tuple[Simulation, list[Upload]]:
    """All kinds of violations in a month of fifty hospitals."""
    simulation = simulate(
        SimulationConfig(
            seed=SEED, days=30, institutions=dict.fromkeys(RULEBOOKS, 10), rate=1.0,
            violations=0.7, late=0.05, duplicates=0.02, shuffle=0.3, tail_days=24,
        )
    )  # fmt: skip
    return simulation, list(simulation.uploads)


def by_identity(alerts: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """What is said last about each finding."""
    found: dict[Any, dict[str, Any]] = {}
    for one in sorted(alerts, key=lambda datum: datum["version"]):
        found[tuple(one[name] for name in IDENTITY)] = {name: one[name] for name in SAID}
    return found


def shared(found: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """The findings about what institutions share."""
    return {key: said for key, said in found.items() if key[:2] in SHARED_CLAUSES}


def wanted(simulation: Simulation, uploads: list[Upload]) -> dict[Any, dict[str, Any]]:
    """What one supervisor of all hospitals finds."""
    books = {name: one.rulebook for name, one in simulation.directory.institutions.items()}
    events = [
        Event(upload.datum, upload.received_at, 0, number, True)
        for number, upload in enumerate(uploads)
    ]
    findings = judge(events, Supervisor(Library.load(), books), simulation.end)
    return by_identity(alert(Change(Transition(f, None, 0), None), None) for f in findings)


def published(deployment: Deployment) -> dict[Any, dict[str, Any]]:
    """What the workers say in the end."""
    messages = deployment.read(deployment.topics.alerts.name)
    return by_identity(wire.decode_output(message.value() or b"")[1] for message in messages)


def test_one_worker_says_what_check_says(embedded: Cluster) -> None:
    simulation, uploads = meetings(days=1)
    with Deployment(embedded, simulation.directory, partitions=2) as deployment:
        publish(deployment, simulation, uploads)
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        expected = wanted(simulation, uploads)
        assert published(deployment) == expected
        assert shared(expected)


@pytest.mark.kafka
def test_two_workers_of_which_one_dies_say_what_check_says(kafka: Cluster) -> None:
    simulation, uploads = meetings(days=2)
    expected = wanted(simulation, uploads)
    assert {rule for rule, *_ in shared(expected)} == {"IDV-04", "LIC-07"}
    with Deployment(kafka, simulation.directory, partitions=2) as deployment:
        publish(deployment, simulation, uploads)
        with deployment.worker("one") as one:
            with deployment.worker("two") as two:
                two.until(lambda: sum(deployment.committed().values()) > 0)
                two.kill()
            one.until(lambda: sum(deployment.committed().values()) > deployment.delivered // 4)
            with deployment.worker("two") as two:
                one.until(lambda: deployment.finished)
                assert two.running
                assert one.stop() == 0
                two.until(lambda: deployment.finished)
                assert two.stop() == 0
        places = {m.partition() for m in deployment.read(deployment.topics.practice.name)}
        assert places == {0, 1}
        assert published(deployment) == expected


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_a_month_through_two_workers_is_judged_as_check_does(kafka: Cluster) -> None:
    simulation, uploads = month()
    expected = wanted(simulation, uploads)
    assert {rule for rule, *_ in expected} == set(Library.load().books[NATIONAL].rules)
    with Deployment(kafka, simulation.directory, partitions=2) as deployment:
        publish(deployment, simulation, uploads)
        with deployment.worker("one") as one, deployment.worker("two") as two:
            one.until(lambda: deployment.finished, patience=600)
            assert one.stop() == two.stop() == 0
        places = {m.partition() for m in deployment.read(deployment.topics.practice.name)}
        assert places == {0, 1}
        found = published(deployment)
        assert unequal("finding", expected, found) == []


def publish(deployment: Deployment, simulation: Simulation, uploads: list[Upload]) -> None:
    for upload in uploads:
        deployment.publish(upload.datum, upload.received_at)
    deployment.tick(simulation.end + 1)
    deployment.flush()
