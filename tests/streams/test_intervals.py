"""The algebra of intervals, against the plain meaning: sets of instants."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.intervals import IntervalSet, at_least, clip, intersect, subtract, union

PAIRS = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=8)
SETS = PAIRS.map(union)


def instants(intervals: list[tuple[int, int]]) -> set[int]:
    return {instant for start, end in intervals for instant in range(start, end)}


def assert_proper(intervals: IntervalSet) -> None:
    """Sorted, disjoint, not touching, not empty."""
    assert all(start < end for start, end in intervals)
    assert all(a[1] < b[0] for a, b in pairwise(intervals))


@given(PAIRS)
def test_union(pairs: list[tuple[int, int]]) -> None:
    assert_proper(union(pairs))
    assert instants(union(pairs)) == instants(pairs)


@given(PAIRS)
def test_union_is_the_same_in_any_order_and_twice(pairs: list[tuple[int, int]]) -> None:
    assert union(reversed(pairs)) == union(pairs) == union(union(pairs))


@given(SETS, SETS)
def test_intersect(left: IntervalSet, right: IntervalSet) -> None:
    assert_proper(intersect(left, right))
    assert instants(intersect(left, right)) == instants(left) & instants(right)


@given(SETS, SETS)
def test_subtract(left: IntervalSet, right: IntervalSet) -> None:
    assert_proper(subtract(left, right))
    assert instants(subtract(left, right)) == instants(left) - instants(right)


@given(SETS, st.integers(0, 24), st.integers(0, 24))
def test_clip(intervals: IntervalSet, start: int, end: int) -> None:
    assert_proper(clip(intervals, start, end))
    assert instants(clip(intervals, start, end)) == instants(intervals) & set(range(start, end))


@given(st.lists(SETS, max_size=5), st.integers(1, 4))
def test_at_least(sets: list[IntervalSet], count: int) -> None:
    found = at_least(sets, count)
    assert_proper(found)
    covered = [instants(intervals) for intervals in sets]
    for instant in range(25):
        depth = sum(instant in one for one in covered)
        assert (instant in instants(found)) == (depth >= count)


def test_intervals_that_touch_are_one() -> None:
    """A handover without a gap is no gap."""
    assert union([(0, 5), (5, 9)]) == [(0, 9)]
    assert subtract([(0, 9)], [(0, 5), (5, 9)]) == []
    assert at_least([[(0, 5)], [(5, 9)], [(0, 9)]], 2) == [(0, 9)]
