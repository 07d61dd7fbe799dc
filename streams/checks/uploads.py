"""UPL: whether a hospital's data arrive in time, complete and right (数据上传)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cases.uploads import Episode, Run, Window, slot_end, slot_of
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import format_duration, format_instant


def latency_basis(revision: int, occurred_at: int, recorded_at: int) -> int:
    """From when an upload's latency counts: the act, or the entry of a correction (UPL-01)."""
    return occurred_at if revision == 0 else recorded_at


def uploaded_late(late: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    """UPL-01: clinical data are uploaded within ``max_latency`` of the act (GX 6).

    Judged on receipt and ended in the same step, because the data is now there.
    """
    longest = ctx.settings.millis("max_latency")
    for item in late:
        basis = latency_basis(item.revision, item.t, item["recorded_at"])
        if item.r - basis > longest:
            yield Verdict(
                "event",
                item.id,
                State.RESOLVED,
                start=basis + longest,
                end=item.r,
                evidence=(item.id,),
                facts={
                    "event_type": item.type,
                    "latency": format_duration(item.r - basis),
                    "late_by": format_duration(item.r - basis - longest),
                },
            )


class Receipts:
    """One institution's receipts by slot, with the runs of missing numbers of its streams."""

    def __init__(self, case: Window, runs: list[Run], slide: int, confirm_after: int) -> None:
        self.case = case
        self._slide = slide
        self._missing = [(run, run.noticed + confirm_after) for run in runs]

    def counted(self, end: int, window: int) -> tuple[int, int, list[str]]:
        """Events judged, how many of them late, and ids of late ones, in ``(end - window, end]``.

        Each number confirmed missing counts as one late event in the window of its confirmation.
        """
        last = slot_of(end, self._slide)
        judged = late = 0
        ids: list[str] = []
        for number in range(last - window // self._slide + 1, last + 1):
            slot = self.case.slots.get(number)
            if slot is not None:
                judged, late = judged + slot.judged, late + slot.late
                ids += slot.late_ids
        for run, confirmed_at in self._missing:
            if end - window < confirmed_at <= end:
                judged += run.missing(confirmed_at)
                late += run.missing(confirmed_at)
        return judged, late, ids

    def next_activity(self, now: int, window: int) -> int:
        """The next window end at which anything can be late; 0 when there is none."""
        following = slot_of(now + 1, self._slide)
        held = next_late(self.case, now, self._slide, window)
        ends = [held] if held else []
        for _, confirmed_at in self._missing:
            if confirmed_at + window > now:
                ends.append(max(following, slot_of(confirmed_at, self._slide)))
        return slot_end(min(ends), self._slide) if ends else 0


def next_late(case: Window, now: int, slide: int, window: int) -> int:
    """The number of the first slot ending after ``now`` whose window holds anything late, or 0."""
    first = slot_of(now + 1, slide)
    held = (n for n, slot in case.slots.items() if slot.late and n + window // slide > first)
    return min((max(first, n) for n in held), default=0)


def late_rate_exceeded(receipts: Receipts, ctx: Context) -> Iterator[Verdict]:
    """UPL-06: of the clinical events received in a sliding window few are late.

    Windows end at whole ``slide`` steps of the Shanghai clock (D35); their facts are final when
    they end. Violating windows that follow each other extend one finding; it is resolved after a
    whole ``window`` without another.
    """
    window, slide = ctx.settings.millis("window"), ctx.settings.millis("slide")
    case = receipts.case
    end = slot_end(slot_of(ctx.now, slide), slide)
    if end == ctx.now and case.judged_until < end:
        _judge_window(receipts, end, window, ctx)
        case.judged_until = end
    upcoming = receipts.next_activity(ctx.now, window)
    episode = case.episode
    if episode is not None and case.judged_until < episode.last_end + window:
        following = slot_end(slot_of(ctx.now + 1, slide), slide)
        upcoming = min(upcoming, following) if upcoming else following
    if upcoming:
        ctx.wake(upcoming)
    if episode is not None:
        over = case.judged_until >= episode.last_end + window
        ctx.since = episode.first_end - window
        yield Verdict(
            "window",
            format_instant(episode.first_end),
            State.RESOLVED if over else State.CONFIRMED,
            start=episode.first_end - window,
            end=episode.last_end,
            evidence=tuple(episode.evidence),
            facts={"received": str(episode.judged), "late": str(episode.late)},
        )


def _judge_window(receipts: Receipts, end: int, window: int, ctx: Context) -> None:
    judged, late, ids = receipts.counted(end, window)
    if (
        judged < ctx.settings.count("min_events")
        or late <= ctx.settings.number("max_rate") * judged
    ):
        return
    case = receipts.case
    episode = case.episode
    if episode is None or end - episode.last_end > window:
        case.episode = Episode(end, end, judged, late, sorted(set(ids)))
        return
    if late * episode.judged > episode.late * judged:
        episode.judged, episode.late = judged, late
    episode.last_end = end


RULES = (
    Rule(
        id="UPL-01",
        reads={},
        auto=ALL,
        judges={"lateness": uploaded_late},
    ),
    Rule(
        id="UPL-06",
        reads={},
        auto=ALL,
        judges={"window": late_rate_exceeded},
    ),
)
