"""The commit floor of one partition, record by record and against a plain model."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.transport_progress import Batch, LogRewoundError, Progress, Record, records


@dataclasses.dataclass
class FakeRecord:
    offset: int
    topic: str = "events"
    partition: int = 3
    timestamp: int = 0
    timestamp_type: int = 1
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def found(first: int, last: int) -> list[Record]:
    return [FakeRecord(offset) for offset in range(first, last + 1)]


def test_the_floor_moves_over_a_batch_when_it_is_done() -> None:
    progress = Progress(5)
    batch = progress.deliver(found(5, 9))
    assert progress.floor() is None
    batch.done()
    assert progress.floor() == 10


def test_a_batch_finished_early_waits_for_the_one_before_it() -> None:
    progress = Progress(0)
    first, second, third = (progress.deliver(found(n, n + 9)) for n in (0, 10, 20))
    second.done()
    assert progress.floor() is None
    third.done()
    assert progress.floor() is None
    first.done()
    assert progress.floor() == 30


def test_the_floor_of_a_first_batch_of_one_record_moves_on_with_the_next() -> None:
    progress = Progress(0)
    progress.deliver(found(0, 0)).done()
    assert progress.floor() == 1
    progress.deliver(found(1, 1_000)).done()
    assert progress.floor() == 1_001


def test_a_late_word_about_a_batch_from_before_a_rewind_commits_nothing() -> None:
    before = Progress(0).deliver(found(0, 9))
    after = Progress(0)
    again = after.deliver(found(0, 99))
    before.done()
    assert after.floor() is None
    assert not after.in_flight(before)
    assert after.in_flight(again)


def test_a_hole_is_fetched_once_more_and_believed_the_second_time() -> None:
    progress = Progress(10)
    assert progress.refetch_from(15) == 10
    assert progress.refetch_from(15) is None
    progress.deliver(found(15, 19)).done()
    assert progress.floor() == 20


def test_a_hole_that_looks_different_the_second_time_is_fetched_again() -> None:
    progress = Progress(10)
    assert progress.refetch_from(15) == 10
    assert progress.refetch_from(12) == 10
    assert progress.refetch_from(10) is None
    progress.deliver(found(10, 14))
    assert progress.refetch_from(20) == 15


def test_a_log_that_restarts_below_what_was_processed_stops_the_worker() -> None:
    with pytest.raises(LogRewoundError, match="expected offset 10, the log gave 3"):
        Progress(10).refetch_from(3)


def test_a_batch_knows_where_it_is_from() -> None:
    batch = Progress(0).deliver(found(0, 2))
    assert (batch.topic, batch.partition, len(batch)) == ("events", 3, 3)
    assert records(batch) is batch


def test_a_value_that_is_no_batch_is_named() -> None:
    with pytest.raises(TypeError, match="not a batch but bytes"):
        records(b"one record")


@given(st.data())
def test_the_floor_never_passes_an_unfinished_record(data: st.DataObject) -> None:
    """Any sizes, any order of finishing, rewinds at any time, words about old batches included."""
    finished: set[int] = set()
    progress, committed = Progress(0), 0
    open_batches: list[Batch] = []
    for _ in range(data.draw(st.integers(1, 30))):
        step = data.draw(st.sampled_from(["deliver", "finish", "commit", "rewind"]))
        if step == "deliver":
            size = data.draw(st.integers(1, 5))
            open_batches.append(
                progress.deliver(found(progress.expected, progress.expected + size - 1))
            )
        elif step == "finish" and open_batches:
            batch = open_batches.pop(data.draw(st.integers(0, len(open_batches) - 1)))
            finished.update(record.offset for record in batch)
            batch.done()
        elif step == "rewind":
            progress = Progress(committed)
        floor = progress.floor()
        if floor is not None:
            assert floor >= committed
            assert finished.issuperset(range(floor))
            committed = floor if step == "commit" else committed
