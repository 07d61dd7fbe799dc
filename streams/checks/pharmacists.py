"""PHA: a pharmacist reviews prescriptions, is qualified, and is there (药师)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streams.cases.roster import DUTY_FIELDS, Shortfall
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import STANDING, Finding, State, Verdict
from streams.intervals import IntervalSet, clip
from streams.timeline import format_duration, format_instant


def pharmacist_on_duty(shortfall: Shortfall, ctx: Context) -> Iterator[Verdict]:
    """PHA-01: in business time at least ``min_on_duty`` eligible pharmacists are on duty.

    A gap longer than ``gap_tolerance`` is suspected once the companion wait has passed and
    confirmed when no lawful late duty event can shorten it any more; where somebody was present
    whose filing may still be in transit, that part waits for the filing window (D30). Source:
    CQ-A1 三(三).
    """
    ctx.since = shortfall.since
    if shortfall.horizon is not None:
        ctx.wake(shortfall.horizon)
    tolerance = ctx.settings.millis("gap_tolerance")
    taken: set[str] = set()
    for start, end in shortfall.gaps:
        if end - start <= tolerance:
            continue
        gap = _Gap(start, end, _known_since(shortfall, start), tolerance, ctx)
        state, shown_start, shown_end = gap.judge(clip(shortfall.certain, start, end))
        known = _standing(ctx.findings, start, end, taken, ctx.now)
        if state is None:
            if known is None:
                continue
            # A wait that begins anew (a later declaration, an earlier start) shows no innocence.
            state = State.SUSPECTED
        subject = known or format_instant(start)
        taken.add(subject)
        yield Verdict(
            "gap",
            subject,
            state,
            start=shown_start,
            end=shown_end,
            evidence=_nearby(shortfall.duty(start, end), start, end),
            facts={} if shown_end is None else {"gap": format_duration(shown_end - shown_start)},
            due=start + tolerance,
        )


class _Gap(NamedTuple):
    start: int
    end: int
    trigger: int
    tolerance: int
    ctx: Context

    def judge(self, certain: IntervalSet) -> tuple[State | None, int, int | None]:
        """State of the gap now, with the bounds of what is suspected or established."""
        ctx, times = self.ctx, self.ctx.book.deadlines
        suspected_at = max(self.start + self.tolerance, self.trigger) + times.wait
        whole_at = (
            self._confirmed_at(self.start)
            if certain == [(self.start, self.end)]
            else max(times.filing_confirmed(self.start), self.trigger + times.wait)
        )
        parts = [(s, e) for s, e in certain if e - s > self.tolerance]
        due = {part: self._confirmed_at(part[0]) for part in parts}
        for instant in (suspected_at, whole_at, self.end, *due.values()):
            ctx.wake(instant)
        over = self.end <= ctx.now
        if ctx.now < suspected_at:
            return None, self.start, self.end if over else None
        established = [part for part in parts if ctx.now >= due[part]]
        if ctx.now >= whole_at:
            start, end = self.start, self.end
        elif established:
            start, end = established[0][0], established[-1][1]
        else:
            return State.SUSPECTED, self.start, self.end if over else None
        # What is established may end before the gap; nobody eligible has come back by then.
        return (State.RESOLVED if over else State.CONFIRMED), start, end if over else None

    def _confirmed_at(self, start: int) -> int:
        times = self.ctx.book.deadlines
        confirmed = times.clinical_confirmed(start + self.tolerance)
        return max(confirmed, self.trigger + times.wait)


def _known_since(shortfall: Shortfall, instant: int) -> int:
    return min((r for s, e, r in shortfall.sources if s <= instant < e), default=0)


def _standing(
    findings: list[Finding], start: int, end: int, taken: set[str], now: int
) -> str | None:
    """The name of the standing finding that a gap continues because it overlaps it."""
    for finding in findings:
        began = finding.start if finding.start is not None else start
        until = finding.end if finding.end is not None else now
        overlaps = began < end and until > start
        if finding.state in STANDING and overlaps and finding.subject_id not in taken:
            return finding.subject_id
    return None


def _nearby(duty: list[Evidence], start: int, end: int) -> tuple[str, ...]:
    """The last duty event before the gap, those inside it, and the first one after."""
    before = [item.id for item in duty if item.t < start][-1:]
    inside = [item.id for item in duty if start <= item.t <= end][:20]
    after = [item.id for item in duty if item.t > end][:1]
    return tuple(dict.fromkeys((*before, *inside, *after)))


RULES = (
    Rule(
        id="PHA-01",
        reads=DUTY_FIELDS,
        auto=ALL,
        judges={"roster": pharmacist_on_duty},
    ),
)
