"""UPL-02, UPL-03, UPL-04: whether filings come in time and the feed comes whole (数据上传)."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.catalogue import EVENT_TYPES, UploadClass, upload_class
from streams.cases.base import FOREVER
from streams.cases.feeds import MANIFEST, Manifest, Silence
from streams.cases.session import CaseView, Dossier
from streams.cases.uploads import Run, Stream
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.intervals import IntervalSet, subtract
from streams.timeline import DAY, day_of, end_of_day, format_day, format_instant, start_of_day

_FILINGS = tuple(name for name in EVENT_TYPES if upload_class(name) is UploadClass.FILING)
_FARTHEST = 400
"""How many days back a stream is asked for its manifests, in case its first event is misdated."""
_SILENT_FOR = 31 * DAY
_AHEAD = 2 * DAY


def filed_late(event: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-02 (a): a filing is uploaded before ``F`` of the day it was completed (GX 6, CQ 33).

    Judged on receipt and ended in the same step, because the filing is now there. Corrections are
    not judged (revision 0 only); one in time may set the day of completion right.
    """
    window = ctx.settings.count("window_days")
    for item in event.everything():
        completed = item.get("change_completed_on")
        if completed is None or item.revision or not item.get("doubted"):
            continue
        deadline = start_of_day(completed + window + 1)
        if item.r >= deadline:
            yield Verdict(
                "event",
                item.id,
                State.RESOLVED,
                "a",
                start=deadline,
                end=item.r,
                evidence=(item.id,),
                facts={"event_type": item.type, "completed_on": format_day(completed)},
            )


def change_not_filed(person: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-02 (b): what a register shows changed on day d was filed before ``F(d)`` (GX 20).

    Suspected when the register check is received; confirmed at ``F(d) + G``, or a wait after a
    check received later. A filing received before ``F(d)`` of a change completed on d or later
    clears it, a later one resolves it (D42); when its state takes effect does not matter. Nobody
    is a member of staff without a filing (that is STF-01) or after an exit filed before d.
    One finding a person: of several changes not filed, the worst, then the earliest, is told.
    """
    ledger, times = ctx.records.ledger, ctx.book.deadlines
    changes: dict[int, Evidence] = {}
    for check in ledger.registry_checks(person.id):
        day = check["registry_change_on"]
        if day is not None and not check["matches_filing"]:
            known = changes.get(day)
            if known is None or check.r < known.r:
                changes[day] = check
    filings = ledger.staff_filings(person.id) if changes else []
    held: list[tuple[int, int, Verdict]] = []
    window = ctx.settings.count("window_days")
    for day, check in changes.items():
        before = [f for f in filings if f.t < start_of_day(day)]
        if not filings or (before and before[-1]["status"] == "EXITED"):
            continue
        deadline = start_of_day(day + window + 1)
        updates = [f for f in filings if f["change_completed_on"] >= day]
        filed = min((f.r for f in updates), default=None)
        if filed is not None and filed < deadline:
            continue
        state = ctx.ripen(check.r, max(deadline + times.grace, check.r + times.wait))
        if state is State.CONFIRMED and filed is not None:
            state = State.RESOLVED
        assert state is not None
        verdict = Verdict(
            "staff",
            person.id,
            state,
            "b",
            start=start_of_day(day),
            end=filed,
            evidence=(check.id, *(f.id for f in updates)),
            facts={"changed_on": format_day(day)},
            due=deadline,
        )
        held.append((_ORDER.index(state), day, verdict))
    if held:
        yield min(held, key=lambda found: found[:2])[2]


_ORDER = (State.CONFIRMED, State.SUSPECTED, State.RESOLVED)


def _settled_before(ctx: Context) -> int:
    """What began before that no longer changes by itself in a stream; only arrivals change it."""
    times, settings = ctx.book.deadlines, ctx.book.rules["UPL-04"]
    longest = max(times.clinical, settings.millis("manifest_due"))
    return ctx.now - longest - times.grace - 2 * DAY


def numbers_missing(stream: CaseView, ctx: Context) -> Iterator[Verdict]:
    """UPL-03: every number of a stream arrives (CN 24, GX 31, CQ 33, SC 34).

    A run of missing numbers is noticed by the receipt of a higher one or of a manifest that states
    one; it is a finding when still incomplete after ``reorder_wait``, named after the first number
    missing when noticed, and stays one as it shrinks, also in the middle. It ends when all of it
    has arrived. The violation begins with the notice: nothing else dates what never came.
    """
    case: Stream = stream.case
    times, wait = ctx.book.deadlines, ctx.settings.millis("reorder_wait")
    since = _settled_before(ctx)
    ctx.since = since
    for run in case.runs:
        if run.noticed > ctx.now:
            break
        if run.noticed < since and not any(at > since for _, _, at in run.filled):
            continue
        confirmed_at = run.noticed + times.clinical + times.grace
        gaps = run.gaps(ctx.now)
        state: State | None
        if gaps:
            state = ctx.ripen(run.noticed + wait, confirmed_at)
        else:
            state = State.RESOLVED if run.missing(confirmed_at) else None
        if state is not None:
            yield _missing(stream.id, run, gaps, state, ctx.now)


def _missing(
    stream_id: str, run: Run, gaps: list[tuple[int, int]], state: State, now: int
) -> Verdict:
    shown = gaps or [(run.first, run.last)]
    ranges = [f"{a}-{b}" if b > a else str(a) for a, b in shown[:_SHOWN_RANGES]]
    return Verdict(
        "gap",
        f"{stream_id}:{run.first}",
        state,
        start=run.noticed,
        end=None if gaps else max(at for _, _, at in run.filled if at <= now),
        facts={
            "stream_id": stream_id,
            "missing": ",".join([*ranges, "..."] if len(shown) > _SHOWN_RANGES else ranges),
            "count": str(sum(b - a + 1 for a, b in shown)),
        },
    )


_SHOWN_RANGES = 20


def manifest_missing(stream: CaseView, ctx: Context) -> Iterator[Verdict]:
    """UPL-04 (a): a stream in use has its manifest of every day by ``manifest_due`` after it.

    In use from the day of its first event on (D34), for a filing the day of its receipt, because
    its time may lie years before. One received too late is an absence remedied: suspected until
    the confirmation, then confirmed and ended. Any first manifest of the day counts here, also one
    that is corrected later.
    """
    case: Stream = stream.case
    settings, grace = ctx.settings, ctx.book.deadlines.grace
    expected, due = settings.millis("manifest_expected"), settings.millis("manifest_due")
    since = _settled_before(ctx)
    ctx.since = since
    first, today = case.first_day(ctx.now), day_of(ctx.now)
    if first > today:
        if first < FOREVER:
            ctx.wake(end_of_day(first) + expected)
        return
    fresh = any(since < at <= ctx.now for at in case.begun.values())
    oldest = max(first, today - _FARTHEST)
    days = set(range(oldest if fresh else max(oldest, day_of(since)), today + 1))
    days |= {d for d, at in case.manifests.items() if since < at <= ctx.now and oldest <= d < today}
    for day in sorted(days):
        ends = end_of_day(day)
        came = case.manifests.get(day)
        if came is not None and came <= ctx.now and came <= ends + due:
            continue
        state = ctx.ripen(ends + expected, ends + due + grace)
        if state is None:
            continue
        late = came is not None and came <= ctx.now
        yield Verdict(
            "manifest",
            f"{stream.id}:{format_day(day)}",
            State.RESOLVED if late and state is State.CONFIRMED else state,
            "a",
            start=start_of_day(day),
            end=came if late else None,
            facts={"stream_id": stream.id, "business_date": format_day(day)},
            due=ends + due,
        )


def counts_differ(day_file: CaseView, ctx: Context) -> Iterator[Verdict]:
    """UPL-04 (b): as many events of a day were received as its manifest declares (SC 35 完整).

    Suspected from the receipt of the manifest, not before the day has ended; established when they
    still differ at ``eod(d) + U_clin + G`` or when the manifest comes after that. Counts that agree
    later end it. The manifest in force counts: where by a correction in time it agrees with what
    had been received, there was no violation (D3). Both too few and too many are wrong.
    """
    case: Manifest = day_file.case
    manifests = day_file.events(MANIFEST)
    if not manifests:
        return
    stream_id, _, number = day_file.id.rpartition("/")
    day = int(number)
    if ctx.now < end_of_day(day):
        ctx.wake(end_of_day(day))
        return
    following = case.next_receipt(ctx.now)
    if following < FOREVER:
        ctx.wake(following)
    manifest, tolerance = manifests[-1], ctx.settings.count("count_tolerance")
    declared = manifest["counts"]
    confirmed_at = max(ctx.book.deadlines.clinical_confirmed(end_of_day(day)), manifest.r)
    differ = case.differences(declared, ctx.now, tolerance)
    state = State.CONFIRMED
    if ctx.now < confirmed_at:
        ctx.wake(confirmed_at)
        state = State.SUSPECTED
    elif not differ:
        differ = case.differences(declared, confirmed_at, tolerance)
        state = State.RESOLVED
    if differ:
        shown = [f"{name} {came}/{said}" for name, (came, said) in differ.items()]
        yield Verdict(
            "manifest",
            f"{stream_id}:{format_day(day)}",
            state,
            "b",
            start=start_of_day(day),
            end=ctx.now if state is State.RESOLVED else None,
            evidence=(manifest.id,),
            facts={
                "stream_id": stream_id,
                "business_date": format_day(day),
                "differences": ",".join(shown),
            },
        )


def silent(feed: CaseView, ctx: Context) -> Iterator[Verdict]:
    """UPL-04 (c): in business time something is received at least every ``silence_limit``.

    Business time are the declared hours (the evidence named are declarations and stops) without
    stops; each of its intervals is judged for itself, from the last receipt or its own begin. The
    rulebook caps it to a suspicion, which the next event clears. Only institutions with a stream in
    use are judged (D34); a receipt outside any stream breaks a silence too.
    """
    case: Silence = feed.case
    heard = case.last_receipt(ctx.now)
    if heard is None or not ctx.records.streams_in_use():
        return
    limit = ctx.settings.millis("silence_limit")
    if ctx.now - heard <= limit:  # whatever the business time, it is not silent yet
        ctx.wake(heard + limit + 1)
        return
    since = max(heard, ctx.now - _SILENT_FOR)
    if since > heard:
        ctx.since = since
    found = False
    for begins, ends in _business(since, ctx.now + _AHEAD, ctx):
        if min(ends, ctx.now) - begins > limit:
            found = True
            yield Verdict(
                "silence",
                format_instant(begins),
                State.SUSPECTED,
                "c",
                start=begins,
                end=ends if ends <= ctx.now else None,
            )
        elif ends - begins > limit:
            ctx.wake(begins + limit + 1)
    following = case.next_receipt(ctx.now) if found else FOREVER
    ctx.wake(min(following, ctx.now + DAY))


def _business(start: int, end: int, ctx: Context) -> IntervalSet:
    """Declared hours without stops in ``[start, end)``."""
    ledger = ctx.records.ledger
    declared = [(opens, closes) for opens, closes, _ in ledger.business_hours(start, end)]
    return subtract(declared, ledger.stops(ctx.book)) if declared else []


RULES = (
    Rule(
        id="UPL-02",
        reads={
            **dict.fromkeys(_FILINGS, ("change_completed_on",)),
            "StaffFiled": ("change_completed_on", "status"),
            "StaffRegistryChecked": ("matches_filing", "registry_change_on"),
        },
        auto=ALL,
        judges={"event": filed_late, "person": change_not_filed},
    ),
    Rule(id="UPL-03", reads={}, auto=ALL, judges={"stream": numbers_missing}),
    Rule(
        id="UPL-04",
        reads={
            MANIFEST: ("business_date", "counts"),
            "BusinessHoursDeclared": ("weekly", "exceptions"),
            "ServiceStatusChanged": ("scope", "scope_id", "status"),
            "InstitutionFiled": ("filing_kind", "institution_form"),
            "AssessmentCompleted": ("assessment_type", "result"),
            "AdverseEventReported": ("stage", "discovered_at", "affected_scope"),
        },
        auto=ALL,
        judges={"stream": manifest_missing, "manifest": counts_differ, "silence": silent},
    ),
)
