"""The experiments of docs/trust.md, each a function of a cluster; see `tests.support.trust`.

Every result says what is lost (committed, but no life finished it) and what was repeated.
"""

import dataclasses
import time
from contextlib import ExitStack, closing

from tests.support.trust import Bench, Cluster, Worker, wait_for


@dataclasses.dataclass(frozen=True)
class Result:
    """What an experiment counted; records, unless said otherwise."""

    produced: int
    lost: int  # committed over, never finished
    uncommitted: int  # at the end, although finished and quiet for 3 s
    repeated: int  # finished more than once
    over: int = 0  # counted too often in the table
    under: int = 0  # missing from the table
    unacknowledged: int = 0  # at most, changelog entries below an offset when it was committed
    violations: int = 0  # samples in which a commit was ahead of what was finished
    samples: int = 0


def first_batch_of_one(cluster: Cluster, *, stock: bool, records: int = 12_000) -> Result:
    """A and B: one record alone on a fresh partition, then many in batches of 500."""
    with closing(Bench(cluster, 1, stock=stock)) as bench:
        with bench.worker(max_poll_records=500) as worker:
            bench.wait_ready(worker)
            bench.produce(1)
            bench.wait_finished(worker)
            bench.produce(records)
            bench.wait_finished(worker)
            uncommitted = bench.wait_committed(worker)
            worker.stop()
        over, under = bench.table_errors()
        return _result(bench, uncommitted, over=over, under=under)


def out_of_order(cluster: Cluster, *, stock: bool) -> Result:
    """H: two agents on one partition, the first record is held, the others are acked; kill -9."""
    with closing(Bench(cluster, 1, stock=stock)) as bench:
        with bench.worker(concurrency=2, hold=60.0, max_poll_records=100) as worker:
            bench.wait_ready(worker)
            bench.produce(1_000, at_once=100)
            wait_for(lambda: len(bench.finished()[0]) >= 900, worker)
            time.sleep(4 * worker.plan.commit_interval)
            worker.kill()
        with bench.worker() as worker:
            bench.wait_ready(worker, lives=2)
            bench.produce(10)
            wait_for(lambda: bench.produced - 1 in bench.finished()[0], worker)
            uncommitted = bench.wait_committed(worker)
        return _result(bench, uncommitted)


def failing_agent(cluster: Cluster, *, stock: bool) -> Result:
    """D: the agent raises on the first record; the worker is started again if it ends."""
    with closing(Bench(cluster, 1, stock=stock)) as bench:
        with bench.worker(fail=True, max_poll_records=100) as worker:
            bench.wait_ready(worker)
            bench.produce(500, at_once=100)
            deadline = time.monotonic() + 4.0
            while worker.running and time.monotonic() < deadline:
                time.sleep(0.1)
            worker.kill()
        with bench.worker() as worker:
            bench.wait_ready(worker, lives=2)
            bench.produce(10)
            wait_for(lambda: bench.produced - 1 in bench.finished()[0], worker)
            uncommitted = bench.wait_committed(worker)
        return _result(bench, uncommitted)


def slow_recovery(
    cluster: Cluster,
    *,
    stock: bool,
    partitions: int = 64,
    round_trip: float = 0.04,
    rests: int = 500,
) -> Result:
    """K and L: a new worker recovers a table from many partitions of a slow broker.

    It rests for 5 ms over each of the first `rests` records, so that queues fill.
    """
    with closing(Bench(cluster, partitions, stock=stock)) as bench:
        with bench.worker() as worker:
            bench.wait_ready(worker)
            bench.produce(10 * partitions)
            bench.wait_finished(worker)
            bench.wait_committed(worker)
            worker.stop()
        bench.produce(115 * partitions)
        cluster.set_round_trip(round_trip)
        try:
            with bench.worker(max_poll_records=100, rest_first=rests, rest=0.005) as worker:
                bench.wait_ready(worker, lives=2)
                _drain(bench, worker, 6.0)
                bench.produce(5 * partitions)
                _drain(bench, worker)
                uncommitted = bench.wait_committed(worker)
        finally:
            cluster.set_round_trip(0.0)
        over, under = bench.table_errors()
        return _result(bench, uncommitted, over=over, under=under)


def slow_acknowledgement(
    cluster: Cluster, *, stock: bool, round_trip: float = 0.3, records: int = 6_000
) -> Result:
    """F: commits while the broker takes its time to acknowledge the changelog."""
    with closing(Bench(cluster, 2, stock=stock)) as bench:
        try:
            with bench.worker(max_poll_records=200) as worker:
                bench.wait_ready(worker)
                cluster.set_round_trip(round_trip)
                bench.produce(records, pause=0.1)
                bench.wait_finished(worker)
                uncommitted = bench.wait_committed(worker)
        finally:
            cluster.set_round_trip(0.0)
        return _result(bench, uncommitted)


def kills(
    cluster: Cluster, *, stock: bool, times: int = 3, wipe: bool = True, records: int = 4_000
) -> Result:
    """E: kill -9 in mid flow, the disk wiped each time, so that only the changelog is left."""
    with closing(Bench(cluster, 4, stock=stock)) as bench, ExitStack() as lives:
        for life in range(1, times + 1):
            worker = lives.enter_context(
                bench.worker(store="rocksdb", same_disk=not wipe, max_poll_records=200)
            )
            bench.wait_ready(worker, lives=life)
            bench.produce(records // 2, at_once=100, pause=0.02)
            # In mid flow: what was just appended is fetched, folded and committed by now in parts.
            bench.produce(records // 2, at_once=100)
            time.sleep(0.05 * life)
            worker.kill()
        with bench.worker(store="rocksdb", same_disk=not wipe) as worker:
            bench.wait_ready(worker, lives=times + 1)
            bench.produce(40)
            _drain(bench, worker)
            uncommitted = bench.wait_committed(worker)
            worker.stop()
        over, under = bench.table_errors()
        return _result(bench, uncommitted, over=over, under=under)


def rebalances(cluster: Cluster, *, stock: bool, crash: bool, partitions: int = 16) -> Result:
    """G and N: a second worker joins and leaves while records flow; `crash`: it is killed."""
    with closing(Bench(cluster, partitions, stock=stock)) as bench, ExitStack() as workers:
        violations = samples = 0

        def flow(seconds: float) -> None:
            nonlocal violations, samples
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                bench.produce(6 * partitions, at_once=100)
                violations += bench.skipped() > 0
                samples += partitions
                time.sleep(0.1)

        first = workers.enter_context(bench.worker(rest_first=10**9, rest=0.0005))
        bench.wait_ready(first)
        flow(1.0)
        second = workers.enter_context(bench.worker(rest_first=10**9, rest=0.0005))
        _settle(bench, [first, second], flow, lives=3)
        if crash:
            bench.produce(60 * partitions)
            wait_for(lambda: bench.produced - bench.finished_count() < 30 * partitions, second)
            second.kill()
        else:
            second.stop()
        _settle(bench, [first], flow, lives=4)
        _drain(bench, first)
        uncommitted = bench.wait_committed(first)
        first.stop()
        over, under = bench.table_errors()
        result = _result(bench, uncommitted, over=over, under=under)
        return dataclasses.replace(result, violations=violations, samples=samples)


def _drain(bench: Bench, worker: Worker, pause: float = 3.0) -> None:
    """Wait until all is finished; of stock Faust only until nothing moves for so many seconds."""
    wait_for(lambda: bench.complete or (bench.stock and bench.quiet(pause)), worker)


def _settle(bench: Bench, workers: list[Worker], flow: object, lives: int) -> None:
    """Let records flow until a rebalance has made so many workers ready in all."""
    assert callable(flow)
    deadline = time.monotonic() + 60
    while len(bench.said("ready")) < lives:
        assert time.monotonic() < deadline, "no rebalance"
        assert all(worker.running for worker in workers), workers[-1].output()
        flow(0.2)
    flow(1.0)


def _result(bench: Bench, uncommitted: int, *, over: int = 0, under: int = 0) -> Result:
    return Result(
        produced=bench.produced,
        lost=bench.skipped(),
        uncommitted=uncommitted,
        repeated=bench.repeated(),
        over=over,
        under=under,
        unacknowledged=max(map(int, bench.said("commit")), default=0),
    )
