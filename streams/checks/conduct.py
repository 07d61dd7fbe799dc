"""SES-07(b): signs in a doctor's sessions that one person cannot have conducted them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from streams.cases.session import LIVE_MODES, Dossier
from streams.cases.uploads import slot_end, slot_of
from streams.checks.base import Context
from streams.findings import State, Verdict
from streams.timeline import HOUR, day_of

WINDOW = HOUR
READS: dict[str, tuple[str, ...]] = {"Told": ()}
"""What the case files of sessions tell of a doctor (``checks/telling.py``)."""


_Told = dict[str, Any]
"""What a session told: a fact's body."""


class _Stretch(NamedTuple):
    """A session from its opening until its end, or until ``end`` while it is open."""

    start: int
    end: int
    is_open: bool


class _Pattern(NamedTuple):
    """A sign, from the first to the last violating instant; ``end`` is None while it goes on."""

    name: str
    start: int
    end: int | None


def replaced_by_pattern(doctor: Dossier, ctx: Context) -> Iterator[Verdict]:
    """SES-07(b): a doctor's sessions leave room for doubt who conducts them (GX 19, SC 16, CQ 23).

    Three signs, of each doctor in one institution: two voice or video sessions overlap; too many
    sessions have their first act within an hour (windows ``(end - 60 min, end]`` at whole steps of
    ``slide`` on the Shanghai clock, held as soon as one is too full); too many text sessions are
    open at one instant, those that open or close at it included (RULES 1.5). Never more than
    suspected, and cleared ``clear_after`` after the end of the last violating window (D18). The
    clock stands for the closing of an open session, after the usual wait for closings that are on
    their way and up to SES-08's ``max_session``: what is never closed is a matter of SES-08.
    Sessions in which another rulebook was in force do not count.
    """
    after = ctx.settings.millis("clear_after")
    longest = ctx.book.rules["SES-08"].millis("max_session")
    forgotten = ctx.now - after
    days = range(day_of(forgotten - longest), day_of(ctx.now + HOUR) + 1)
    told = [
        fact.body
        for day in days
        for fact in ctx.records.facts(f"sessions/{doctor.id}/{day}")
        if fact.body["rulebook"] == ctx.book.name
    ]
    patterns = [
        pattern
        for pattern in (*_rushes(told, ctx), *_simultaneous(told, longest, ctx))
        if pattern.end is None or pattern.end > forgotten
    ]
    if not patterns:
        return
    # A suspicion that is kept up keeps its start, though what began it is not looked at any more.
    starts = [pattern.start for pattern in patterns]
    for finding in ctx.findings:
        if finding.state is State.SUSPECTED and finding.start is not None:
            starts += [finding.start] if finding.start < forgotten else []
    ends = [pattern.end for pattern in patterns if pattern.end is not None]
    end = max(ends) if len(ends) == len(patterns) else None
    if end is not None:
        ctx.wake(end + after)
    yield Verdict(
        "staff",
        doctor.id,
        State.SUSPECTED,
        "b",
        start=min(starts),
        end=end,
        evidence=tuple(_shown(told, patterns, ctx.now)),
        facts={"pattern": ",".join(sorted({pattern.name for pattern in patterns}))},
    )


def _shown(told: list[_Told], patterns: list[_Pattern], now: int) -> dict[str, None]:
    """The openings and closings of the sessions that show a pattern, in their order."""
    spans = {name: _merged(patterns, name, now) for name in ("RATE", "OVERLAP", "OPEN_TEXT")}
    return {
        event_id: None for fact in told if _shows(fact, spans, now) for event_id in fact["evidence"]
    }


def _merged(patterns: list[_Pattern], name: str, now: int) -> list[tuple[int, int]]:
    """When a sign lasted, apart and in order: a busy doctor shows one with every session."""
    merged: list[tuple[int, int]] = []
    lasted = ((p.start, now if p.end is None else p.end) for p in patterns if p.name == name)
    for start, end in sorted(lasted):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _shows(fact: _Told, spans: Mapping[str, list[tuple[int, int]]], now: int) -> bool:
    """Whether a session's first act lies in a window ``(start, end]``, or it lasted into a sign."""
    act = fact["first_act"]
    if act is not None and _meets(spans["RATE"], act, act - 1):
        return True
    closed = now if fact["closed"] is None else fact["closed"]
    sign = "OVERLAP" if fact["mode"] in LIVE_MODES else "OPEN_TEXT"
    return _meets(spans[sign], fact["opened"], closed)


def _meets(spans: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether some span begins by ``last`` and ends no earlier than ``first``."""
    place = bisect_right(spans, last, key=itemgetter(0))
    return place > 0 and spans[place - 1][1] >= first


def _rushes(told: list[_Told], ctx: Context) -> Iterator[_Pattern]:
    """Windows in which more sessions than one doctor can conduct had their first act."""
    most = ctx.settings.count("max_sessions_per_hour")
    if len(told) <= most:
        return
    slide = ctx.settings.millis("slide")
    acts = sorted(fact["first_act"] for fact in told if fact["first_act"] is not None)
    for earliest, latest in zip(acts, acts[most:], strict=False):
        first = slot_end(slot_of(latest, slide), slide)
        if first < earliest + WINDOW:
            last = slot_end(slot_of(earliest + WINDOW, slide) - 1, slide)
            yield _Pattern("RATE", first - WINDOW, last)


def _simultaneous(told: list[_Told], longest: int, ctx: Context) -> Iterator[_Pattern]:
    """Sessions at one time: closed ones, and with open ones those known for the usual wait.

    Only then a closing that is missing may have been uploaded by now, were there one.
    """
    tolerance = ctx.settings.millis("overlap_tolerance")
    most = ctx.settings.count("max_open_text_sessions")
    wait = ctx.book.deadlines.wait
    live = [fact for fact in told if fact["mode"] in LIVE_MODES]
    texts = [fact for fact in told if fact["mode"] not in LIVE_MODES]
    for until in (None, ctx.now - wait):
        if len(live) > 1:
            yield from _overlaps(_stretches(live, longest, until), tolerance)
        if len(texts) > most:
            yield from _crowds(_stretches(texts, longest, until), most)
    _wake_for_open(live, 1, longest, tolerance + 1, ctx)
    _wake_for_open(texts, most, longest, 0, ctx)


def _stretches(told: list[_Told], longest: int, until: int | None) -> list[_Stretch]:
    """Sessions in the order of their openings: closed ones, or all that were known at ``until``."""
    found = []
    for fact in told:
        start, end = fact["opened"], fact["closed"]
        is_open = False
        if until is not None:
            if fact["received"] > until:
                continue
            if end is None:
                end = min(until, start + longest)
                is_open = end == until
        if end is not None and start <= end:
            found.append(_Stretch(start, end, is_open))
    return found


def _overlaps(live: list[_Stretch], tolerance: int) -> Iterator[_Pattern]:
    """Voice and video sessions that overlap by more than the tolerance.

    Each is held against the one before that lasted longest.
    """
    before: _Stretch | None = None
    for stretch in live:
        if before is not None:
            end = min(before.end, stretch.end)
            if end - stretch.start > tolerance:
                both_open = before.is_open and stretch.is_open
                yield _Pattern("OVERLAP", stretch.start, None if both_open else end)
        if before is None or (stretch.end, stretch.is_open) > (before.end, before.is_open):
            before = stretch


def _crowds(texts: list[_Stretch], most: int) -> Iterator[_Pattern]:
    """Times at which more text sessions were open than one doctor can follow."""
    steps = [(stretch.start, 0, 1) for stretch in texts]
    steps += [(stretch.end, 1, -1) for stretch in texts if not stretch.is_open]
    count, since = 0, 0
    for instant, _, change in sorted(steps):
        if change > 0 and count == most:
            since = instant
        elif change < 0 and count == most + 1:
            yield _Pattern("OPEN_TEXT", since, instant)
        count += change
    if count > most:
        yield _Pattern("OPEN_TEXT", since, None)


def _wake_for_open(told: list[_Told], most: int, longest: int, lasting: int, ctx: Context) -> None:
    """Look again when open sessions come to count beside others, and when they should be closed."""
    opened = [fact for fact in told if fact["closed"] is None]
    if not opened:
        return
    first, wait = min(fact["opened"] for fact in opened), ctx.book.deadlines.wait
    beside = [fact for fact in told if fact["closed"] is None or fact["closed"] >= first]
    if len(beside) <= most:
        return
    for fact in beside:
        ctx.wake(max(fact["opened"] + lasting, fact["received"]) + wait)
    for fact in opened:
        ctx.wake(fact["opened"] + longest + wait)
