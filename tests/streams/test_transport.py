"""What our transport is trusted to keep, on the embedded and on a real broker (docs/trust.md).

Every worker is a process of its own; kills are SIGKILL. `python -m bench.trust` runs the same
with stock Faust, which fails most of them. The quick half runs always; the rest, and repetitions,
are slow.
"""

import contextlib

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from tests.support import experiments
from tests.support.experiments import Result
from tests.support.kafka import RealKafka
from tests.support.trust import Bench, Cluster, RealCluster, eventually, wait_for

on_embedded = pytest.param("embedded", id="embedded")
on_embedded_slow = pytest.param("embedded", id="embedded", marks=pytest.mark.slow)
on_real = pytest.param("real", id="real", marks=pytest.mark.kafka)
on_real_slow = pytest.param("real", id="real", marks=[pytest.mark.kafka, pytest.mark.slow])


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Cluster:
    found: Cluster = request.getfixturevalue(request.param)
    return found


def assert_nothing_lost(result: Result) -> None:
    assert (result.lost, result.uncommitted) == (0, 0), result
    assert result.unacknowledged == 0, result
    assert result.violations == 0, result


def assert_exact(result: Result) -> None:
    assert_nothing_lost(result)
    assert (result.over, result.under) == (0, 0), result


@pytest.mark.parametrize("cluster", [on_embedded, on_real], indirect=True)
def test_a_first_batch_of_one_record_does_not_freeze_commits(cluster: Cluster) -> None:
    result = experiments.first_batch_of_one(cluster, stock=False)
    assert_exact(result)
    assert result.repeated == 0


@pytest.mark.parametrize("cluster", [on_embedded_slow, on_real], indirect=True)
def test_batches_finished_out_of_order_are_not_committed_over(cluster: Cluster) -> None:
    assert_nothing_lost(experiments.out_of_order(cluster, stock=False))


@pytest.mark.parametrize("cluster", [on_embedded, on_real_slow], indirect=True)
def test_a_batch_that_raises_stops_the_worker_and_comes_again(cluster: Cluster) -> None:
    assert_nothing_lost(experiments.failing_agent(cluster, stock=False))


@pytest.mark.parametrize("cluster", [on_embedded_slow, on_real], indirect=True)
def test_no_offset_is_committed_before_its_changelog_is_acknowledged(cluster: Cluster) -> None:
    result = experiments.slow_acknowledgement(cluster, stock=False, records=3_000)
    assert_nothing_lost(result)


@pytest.mark.parametrize("cluster", [on_embedded, on_real_slow], indirect=True)
def test_recovery_from_64_partitions_of_a_slow_broker_loses_nothing(cluster: Cluster) -> None:
    result = experiments.slow_recovery(cluster, stock=False, rests=100)
    assert_exact(result)
    assert result.repeated == 0


@pytest.mark.parametrize("cluster", [on_embedded_slow, on_real], indirect=True)
def test_kills_with_the_disk_wiped_leave_the_table_exact(cluster: Cluster) -> None:
    assert_exact(experiments.kills(cluster, stock=False, times=2, records=2_000))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("wipe", [True, False])
@pytest.mark.parametrize("cluster", [on_real], indirect=True)
def test_ten_kills_leave_the_table_exact(cluster: Cluster, wipe: bool) -> None:
    assert_exact(experiments.kills(cluster, stock=False, times=10, wipe=wipe))


@pytest.mark.parametrize("cluster", [on_real], indirect=True)
def test_a_worker_that_joins_and_leaves_costs_not_one_repeated_record(cluster: Cluster) -> None:
    """A real broker takes commits while the group rebalances."""
    result = experiments.rebalances(cluster, stock=False, crash=False)
    assert_exact(result)
    assert result.repeated == 0
    assert result.samples > 0


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("cluster", [on_real], indirect=True)
def test_rebalances_never_commit_over_unfinished_records(cluster: Cluster, crash: bool) -> None:
    for _ in range(2):
        assert_exact(experiments.rebalances(cluster, stock=False, crash=crash))


def test_an_idle_worker_on_the_embedded_broker_takes_a_record_up_at_once(embedded: Cluster) -> None:
    with _bench(embedded) as bench, bench.worker() as worker:
        bench.wait_ready(worker)
        bench.produce(1)
        wait_for(lambda: bench.complete, worker, patience=1.2)


@pytest.mark.slow
@pytest.mark.kafka
def test_a_log_that_ends_below_the_committed_offset_stops_the_worker(
    real_kafka: RealKafka,
) -> None:
    """As after a broker that lost the end of its log: stock Faust drops what comes, in silence."""
    with _bench(RealCluster(real_kafka)) as bench:
        bench.produce(20)
        admin = real_kafka.admin()
        ahead = [TopicPartition(bench.topic, 0, 100)]
        group = ConsumerGroupTopicPartitions(bench.app_id, ahead)
        admin.alter_consumer_group_offsets([group])[bench.app_id].result(30)
        with bench.worker() as worker:
            eventually(lambda: not worker.running)
            assert "expected offset 100, the log gave 0" in worker.output()


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_a_broker_that_dies_and_comes_back_costs_no_record(real_kafka: RealKafka) -> None:
    """A worker that ends over it, because its sends fail, is started again by a supervisor."""
    assert real_kafka.address  # present, but not the one to be killed
    with contextlib.ExitStack() as stack:
        kafka = stack.enter_context(RealKafka())
        bench = stack.enter_context(contextlib.closing(Bench(RealCluster(kafka), 4, stock=False)))
        worker = stack.enter_context(bench.worker())
        bench.wait_ready(worker)
        for _ in range(2):
            bench.produce(2_000, at_once=100, pause=0.01)
            kafka.kill()
            kafka.start()

        def complete() -> bool:
            nonlocal worker
            if not worker.running:
                worker = stack.enter_context(bench.worker())
            return bench.complete

        bench.produce(100)
        eventually(complete, 120)
        assert bench.wait_committed(worker) == 0
        assert bench.table_errors() == (0, 0)


@pytest.mark.slow
@pytest.mark.kafka
def test_records_deleted_by_retention_are_reported_and_passed(real_kafka: RealKafka) -> None:
    with _bench(RealCluster(real_kafka)) as bench:
        with bench.worker() as worker:
            bench.wait_ready(worker)
            bench.produce(20)
            bench.wait_finished(worker)
            assert bench.wait_committed(worker) == 0
            worker.stop()
        bench.produce(30)
        deleted = TopicPartition(bench.topic, 0, 40)
        admin = real_kafka.admin()
        admin.delete_records([deleted])[deleted].result(30)
        with bench.worker() as worker:
            wait_for(lambda: max(bench.finished()[0]) == 49, worker)
            assert bench.wait_committed(worker) == 0
            assert bench.skipped() == 20  # 20..39, which nobody can have any more
            assert "records are missing from the log" in worker.output()


def _bench(cluster: Cluster) -> "contextlib.closing[Bench]":
    return contextlib.closing(Bench(cluster, 1, stock=False))
