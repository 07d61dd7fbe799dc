"""Algebra of half-open intervals ``[start, end)`` over instants (epoch milliseconds).

An interval set is a list of ``(start, end)`` pairs, sorted, disjoint, not touching and not empty.
Every function takes such sets and returns such a set; ``union`` also accepts pairs in any order.
"""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
IntervalSet = list[Interval]


def union(pairs: Iterable[Interval]) -> IntervalSet:
    """All instants that lie in some pair; empty pairs vanish and touching ones merge."""
    merged: IntervalSet = []
    for start, end in sorted(pairs):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def intersect(left: IntervalSet, right: IntervalSet) -> IntervalSet:
    """All instants that lie in both sets."""
    found: IntervalSet = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            found.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found


def subtract(left: IntervalSet, right: IntervalSet) -> IntervalSet:
    """All instants of ``left`` that do not lie in ``right``."""
    rest: IntervalSet = []
    j = 0
    for start, end in left:
        while j < len(right) and right[j][1] <= start:
            j += 1
        k = j
        while k < len(right) and right[k][0] < end:
            if right[k][0] > start:
                rest.append((start, right[k][0]))
            start = max(start, right[k][1])
            k += 1
        if start < end:
            rest.append((start, end))
    return rest


def clip(intervals: IntervalSet, start: int, end: int) -> IntervalSet:
    """The part of a set inside ``[start, end)``."""
    return intersect(intervals, [(start, end)]) if start < end else []


def at_least(sets: Iterable[IntervalSet], count: int) -> IntervalSet:
    """All instants that lie in at least ``count`` of the sets."""
    if count == 1:
        return union(pair for intervals in sets for pair in intervals)
    steps = sorted(step for intervals in sets for s, e in intervals for step in ((s, 1), (e, -1)))
    found: IntervalSet = []
    depth = 0
    for position, (instant, step) in enumerate(steps):
        depth += step
        if depth >= count:
            found.append((instant, steps[position + 1][0]))
    return union(found)
