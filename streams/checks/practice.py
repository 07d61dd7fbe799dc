"""IDV-04: nobody serves at two institutions at once (同一人员多机构同时在诊)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.cases.roster import LONGEST_SHIFT
from streams.cases.session import Dossier
from streams.checks.base import Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import DAY, day_of, start_of_day

SHIFTS = "shifts"
_LOOKED_BACK = 10
"""How many days back shifts are looked at: longer than evidence may lawfully be on its way."""


class _Stretch(NamedTuple):
    """A session or shift from its start until ``end``; ``known`` is whether that is its end."""

    start: int
    end: int
    known: bool
    told: Evidence


class _Overlap(NamedTuple):
    """Two stretches at once; ``end`` is None while both may go on."""

    start: int
    end: int | None
    settled: bool
    mine: Evidence
    other: Evidence


def serving_twice(practice: Dossier, ctx: Context) -> Iterator[Verdict]:
    """IDV-04: one person does not serve at two institutions at once (GX 19, SC 13, CQ 23).

    (a) voice and video sessions: case files are kept by doctor and day of opening, and hold the
    findings about what opened that day. Partners that opened before, as far back as a session may
    be open, and after, as long as one is, are looked up. The clock stands for the closing of an
    open session after the usual wait for what is on its way, up to SES-08's ``max_session``. An
    overlap is established once both closings are known. One finding for each session, under the
    rulebook in force for it; of several partners it names an established one, then the first.

    (b) review duty at two institutions, at one of which the person is filed as a full-time
    pharmacist when the shift begins: one finding for each of the two (D39), a signal. One case file
    a person; shifts are looked at for ten days, what was found before stands.
    """
    person, _, day = practice.id.rpartition("/")
    if day != SHIFTS:
        yield from _sessions_at_once(person, int(day), ctx)
    elif ctx.on("b"):
        yield from _shifts_at_once(person, ctx)


def _sessions_at_once(doctor_id: str, day: int, ctx: Context) -> Iterator[Verdict]:
    longest = ctx.book.rules["SES-08"].millis("max_session")
    told = ctx.records.facts(f"practice/{doctor_id}/{day}")
    ours = [fact for fact in told if fact["rulebook"] == ctx.book.name]
    if not ours:
        return
    mine = _stretches(ours, longest, ctx)
    latest = max(s.end if s.known else s.start + longest for s in mine)
    for near in range(day - -(-longest // DAY), day_of(latest) + 1):
        if near != day:
            told = [*told, *ctx.records.facts(f"practice/{doctor_id}/{near}")]
    if len({fact["institution_id"] for fact in told}) < 2:
        return
    others = _stretches(told, longest, ctx)
    for stretch in mine:
        found = min(
            _overlaps(stretch, others, ctx),
            key=lambda o: (not o.settled, o.start, o.other.id),
            default=None,
        )
        if found is not None:
            yield _session_verdict(found, ctx)


def _stretches(told: Iterable[Evidence], longest: int, ctx: Context) -> list[_Stretch]:
    """What was told, as far as it is known to last now, by beginning."""
    until = ctx.now - ctx.book.deadlines.wait
    found = []
    for fact in told:
        start, closed = fact["opened"], fact["closed"]
        end = min(until, start + longest) if closed is None else closed
        found.append(_Stretch(start, end, closed is not None, fact))
    return sorted(found, key=lambda s: (s.start, s.told.id))


def _overlaps(stretch: _Stretch, others: list[_Stretch], ctx: Context) -> Iterator[_Overlap]:
    """Overlaps beyond the tolerance at other institutions, by their beginning.

    Asks to be woken for those that time alone may bring about.
    """
    tolerance, wait = ctx.settings.millis("overlap_tolerance"), ctx.book.deadlines.wait
    here = stretch.told["institution_id"]
    for other in others:
        if other.start >= stretch.end and stretch.known:
            break
        if other.told["institution_id"] == here:
            continue
        start, end = max(stretch.start, other.start), min(stretch.end, other.end)
        if end - start > tolerance:
            ended = any(s.known and s.end == end for s in (stretch, other))
            settled = stretch.known and other.known
            yield _Overlap(start, end if ended else None, settled, stretch.told, other.told)
        elif not (stretch.known and other.known):
            ctx.wake(start + tolerance + wait + 1)


def _session_verdict(found: _Overlap, ctx: Context) -> Verdict:
    mine, other, end = found.mine, found.other, found.end
    return Verdict(
        "session",
        mine["session_id"],
        State.CONFIRMED if found.settled else State.SUSPECTED,
        "a",
        start=found.start,
        end=end,
        evidence=(*mine["evidence"], *other["evidence"]),
        facts={
            "doctor_id": mine["doctor_id"],
            "other_institution": other["institution_id"],
            "other_session": other["session_id"],
        },
        lawful_until=0 if end is None else ctx.book.deadlines.clinical_confirmed(end),
        institution_id=mine["institution_id"],
    )


def _shifts_at_once(staff_id: str, ctx: Context) -> Iterator[Verdict]:
    """The first overlap of shifts at each institution."""
    today = day_of(ctx.now)
    ctx.since = start_of_day(today - _LOOKED_BACK)
    days = range(today - _LOOKED_BACK, today + 2)
    told = [fact for day in days for fact in ctx.records.facts(f"shifts/{staff_id}/{day}")]
    if len({fact["institution_id"] for fact in told}) < 2:
        return
    shifts = _stretches(told, LONGEST_SHIFT, ctx)
    standing = {
        f.institution_id
        for f in ctx.findings
        if f.state is State.SUSPECTED and f.start is not None and f.start < ctx.since
    }
    overlaps: dict[str, list[_Overlap]] = {}
    for shift in shifts:
        institution_id = shift.told["institution_id"]
        if shift.told["rulebook"] == ctx.book.name and institution_id not in standing:
            overlaps.setdefault(institution_id, []).extend(
                found
                for found in _overlaps(shift, shifts, ctx)
                if found.mine["full_time"] or found.other["full_time"]
            )
    for institution_id, found in sorted(overlaps.items()):
        first = min(found, key=lambda o: (o.start, o.other.id), default=None)
        if first is not None:
            yield Verdict(
                "staff",
                staff_id,
                State.SUSPECTED,
                "b",
                start=first.start,
                end=first.end,
                evidence=(*first.mine["evidence"], *first.other["evidence"]),
                facts={"other_institution": first.other["institution_id"]},
                institution_id=institution_id,
            )


RULES = (
    Rule(
        id="IDV-04",
        reads={
            "Told": (),
            "SessionOpened": ("doctor_id", "mode", "service_kind"),
            "SessionClosed": ("outcome",),
            "DutyStatusReported": ("staff_id", "duty_kind", "phase", "shift_id"),
            "StaffFiled": ("role", "full_time"),
        },
        judges={"practice": serving_twice},
    ),
)
