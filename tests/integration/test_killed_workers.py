"""Invariant 4 on real Kafka: workers are killed and join while events flow, and nothing shows it.

Final findings are those of `ihwatch check` over the same events, no version of a finding is
published twice with different content, case files are those of an undisturbed run, and every
record has its receipt. `test_crash_points.py` tries every point of a crash, without Kafka.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from schemas.topics import is_tick
from streams.simulator import Simulation, SimulationConfig, simulate
from tests.support.kafka import RealKafka
from tests.support.replay import checked, differences, differences_from_check, replay
from tests.support.trust import Cluster, RealCluster
from tests.support.worker import PATIENCE, Deployment, WorkerProcess

HOUR = 3_600_000
KILLS = 6


def hospitals(each: int, rate: float) -> Simulation:
    """A day of hospitals in all jurisdictions in which much goes wrong."""
    books = ("national", "guangxi", "chongqing", "sichuan", "yinchuan")
    return simulate(
        SimulationConfig(
            seed=11, institutions=dict.fromkeys(books, each), rate=rate, violations=0.2,
            look_alikes=0.2, late=0.05, duplicates=0.05, shuffle=0.1, corrections=0.2,
        )
    )  # fmt: skip


@contextmanager
def flowing(deployment: Deployment, simulation: Simulation, per_second: int) -> Iterator[None]:
    """Publish the simulation evenly while the block runs, and the rest as fast as it goes."""
    hurry = threading.Event()
    failures: list[BaseException] = []

    def publish() -> None:
        try:
            next_tick = simulation.start
            for number, upload in enumerate(simulation.uploads):
                while next_tick < upload.received_at:
                    deployment.tick(next_tick)
                    next_tick += 6 * HOUR
                deployment.publish(upload.datum, upload.received_at)
                if number % 20 == 0:
                    hurry.wait(20 / per_second)
            deployment.tick(simulation.end + 1)
            deployment.flush()
        except BaseException as failure:  # noqa: BLE001 - it is raised again below
            failures.append(failure)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        hurry.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def assert_nothing_shows(deployment: Deployment) -> None:
    log, found = deployment.log(), deployment.results()
    sent = sum(map(len, log.values()))
    assert sent == deployment.delivered
    assert not differences(replay(log, deployment.rules), found)
    assert not differences_from_check(checked(log, deployment.rules), found)
    records = {
        (record.partition, record.offset)
        for part in log.values()
        for record in part
        if not is_tick(record.headers, record.value)
    }
    assert found.receipts.keys() == records
    assert len(found.findings) > 30


@pytest.mark.kafka
def test_workers_killed_at_random_moments(kafka: Cluster) -> None:
    kill_at_random(kafka, KILLS, Random(4), hospitals(each=2, rate=25.0))


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(3))
def test_workers_killed_at_more_moments(kafka: Cluster, seed: int) -> None:
    kill_at_random(kafka, 2 * KILLS, Random(seed), hospitals(each=4, rate=40.0))


def beyond(deployment: Deployment, before: int) -> Callable[[], bool]:
    """Whether more is committed than before."""
    return lambda: sum(deployment.committed().values()) > before


def kill_at_random(kafka: Cluster, kills: int, dice: Random, simulation: Simulation) -> None:
    """Every third time the disk is lost as well, and now and then one dies while it recovers."""
    behind = before = 0
    with Deployment(kafka, simulation.directory) as deployment:
        with flowing(deployment, simulation, per_second=250):
            for life in range(kills):
                with deployment.worker() as worker:
                    if life % 4 == 3:
                        worker.until(beyond(deployment, before))
                    elif dice.random() < 0.8:
                        worker.wait_ready()
                        time.sleep(dice.uniform(0.0, 1.5))
                    else:
                        time.sleep(dice.uniform(0.5, 3.0))
                    behind += not deployment.finished
                    worker.kill()
                now = sum(deployment.committed().values())
                assert now >= before
                before = now
                if life % 3 == 2:
                    deployment.wipe()
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        assert behind >= kills // 2, "the kills came when there was nothing to do"
        assert before > 0, "no life got anywhere"
        assert_nothing_shows(deployment)


@pytest.mark.outage
@pytest.mark.kafka
def test_a_broker_that_dies_and_comes_back(real_kafka: RealKafka) -> None:
    """The worker waits for it and goes on."""
    simulation = hospitals(each=2, rate=20.0)
    with Deployment(RealCluster(real_kafka), simulation.directory) as deployment:
        with deployment.worker() as worker:
            with flowing(deployment, simulation, per_second=250):
                worker.until(lambda: sum(deployment.committed().values()) > 0)
                real_kafka.kill()
                time.sleep(3.0)
                real_kafka.start()
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        assert_nothing_shows(deployment)


def test_a_killed_worker_is_followed_by_another(embedded: Cluster) -> None:
    """Case files in memory only: the changelog has to bring them back."""
    simulation = hospitals(each=1, rate=8.0)
    with Deployment(embedded, simulation.directory, table_store="memory") as deployment:
        with flowing(deployment, simulation, per_second=1_000), deployment.worker() as worker:
            worker.until(lambda: sum(deployment.committed().values()) > 0)
            worker.kill()
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        assert_nothing_shows(deployment)


def partitions_of(worker: WorkerProcess) -> set[int]:
    """The partitions a worker has processed since it was given them."""
    page = worker.get("/metrics")
    pattern = r'ihwatch_partition_clock_seconds\{partition="(\d+)"\}'
    return set() if page is None else set(map(int, re.findall(pattern, page.text)))


@pytest.mark.kafka
def test_two_workers_take_over_from_each_other(kafka: Cluster) -> None:
    simulation = hospitals(each=2, rate=20.0)
    everything = {0, 1, 2, 3}
    with Deployment(kafka, simulation.directory) as deployment:
        with (
            flowing(deployment, simulation, per_second=250),
            deployment.worker("disk-1") as first,
        ):
            first.until(lambda: partitions_of(first) == everything)
            with deployment.worker("disk-2") as second:
                second.until(lambda: len(partitions_of(second)) == 2)
                first.until(lambda: partitions_of(first) == everything - partitions_of(second))
                first.kill()
                second.until(lambda: partitions_of(second) == everything)
                with deployment.worker("disk-1") as third:
                    third.until(lambda: len(partitions_of(third)) == 2)
                    second.until(lambda: partitions_of(second) == everything - partitions_of(third))
                    assert second.stop() == 0
                    third.until(lambda: partitions_of(third) == everything)
                    third.kill()
        with deployment.worker("disk-1") as last:
            last.until(lambda: deployment.finished)
            assert last.stop() == 0
        assert_nothing_shows(deployment)
