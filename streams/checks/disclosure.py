"""DIS: what a hospital makes public, and whether it is true (信息公示)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.cases.base import FOREVER
from streams.cases.ledger import cancellations
from streams.cases.session import Dossier, Session
from streams.checks.base import Context, Rule
from streams.checks.stretches import ended, ending, in_scope
from streams.events import Evidence
from streams.findings import Verdict
from streams.intervals import clip, subtract, union
from streams.timeline import DAY, MINUTE, day_of, end_of_day, start_of_day, weekday

PUBLISHED = "PUBLISHED"
_REACH = 400 * DAY
_AHEAD = 2 * DAY


def not_public(_: Dossier, ctx: Context) -> Iterator[Verdict]:
    """DIS-01 (a), (b): what the public must be told is displayed, where it must be, and up to date.

    (a) a required item is in force at a required position from the day of registration on, and not
    withdrawn or moved to another position on a later day; not judged while the registration is
    cancelled. (b) an item that was displayed when the filing behind it changed is displayed anew
    within ``refresh_within`` (SC 9); one never displayed shows nothing stale. The first filing of
    its kind is no change (D10); of staff every filing counts, for a staff item those of the person.
    """
    ledger = ctx.records.ledger
    filings = ledger.institution_filings()
    if ctx.on("a") and filings:
        for item in ctx.settings.listed("required_items"):
            yield from _missing(item, filings, ledger.notices(item), ctx)
    if ctx.on("b"):
        for item, behind in _BEHIND.items():
            notices = ledger.notices(item)
            if notices:
                yield from _stale(item, notices, behind(ctx), ctx)
        for staff_id in ctx.records.ids("ledger", "notices-of/"):
            for item in _OF_STAFF:
                notices = ledger.notices(item, staff_id)
                if notices:
                    yield from _stale(item, notices, ledger.staff_filings(staff_id), ctx)


def _missing(
    item: str, filings: list[Evidence], notices: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    first = filings[0]
    registered_on = first["change_completed_on"]
    since = start_of_day(registered_on)
    anywhere = item in ctx.settings.names("anywhere_items")
    positions = ctx.settings.names("positions")

    def shown(notice: Evidence) -> bool:
        return bool(notice["state"] == PUBLISHED and (anywhere or notice["position"] in positions))

    bad: list[tuple[int, int, Evidence | None]] = []
    began: int | None = -FOREVER
    trigger: Evidence | None = None
    for notice in notices:
        if shown(notice):
            if began is not None:
                bad.append((began, notice.t, trigger))
            began, trigger = None, None
        elif began is None:
            began, trigger = notice.t, notice
    if began is not None:
        bad.append((began, FOREVER, trigger))
    off = union(cancellations(filings))
    for begin, end, cause_of in bad:
        for start, until in subtract(clip([(begin, end)], since, FOREVER), off):
            day = day_of(start)
            known = cause_of if cause_of is not None and begin >= since else first
            if until < end_of_day(day):
                continue
            state = ctx.filing_absence_on(day, known.r)
            if state is None:
                continue
            during = [n for n in notices if n.t < until]
            last = during[-1] if during else None
            cause = "NOT_PUBLISHED"
            if last is not None:
                cause = "POSITION" if last["state"] == PUBLISHED else "WITHDRAWN"
            yield Verdict(
                "item",
                item,
                ended(state, until, ctx),
                "a",
                start=start,
                end=ending(until),
                evidence=(known.id,) if last is None or last is known else (known.id, last.id),
                facts={"item": item, "cause": cause},
                due=end_of_day(day) - 1,
                episodic=True,
            )


def _stale(
    item: str, notices: list[Evidence], filings: list[Evidence], ctx: Context
) -> Iterator[Verdict]:
    within = ctx.settings.millis("refresh_within")
    for change in filings[1:]:
        before = [notice for notice in notices if notice.t < change.t]
        if not before or before[-1]["state"] != PUBLISHED:
            continue
        anew = next(
            (n for n in notices if n.t >= change.t and n["state"] == PUBLISHED),
            None,
        )
        due = change.t + within
        if anew is not None and anew.t <= due:
            continue
        state = ctx.filing_absence(due, change.r)
        if state is not None:
            yield Verdict(
                "item",
                item,
                ended(state, FOREVER if anew is None else anew.t, ctx),
                "b",
                start=change.t,
                end=None if anew is None else anew.t,
                evidence=(change.id,) if anew is None else (change.id, anew.id),
                facts={"item": item},
                due=due,
                episodic=True,
            )


def _staff_filings(ctx: Context) -> list[Evidence]:
    ledger = ctx.records.ledger
    found = [f for staff_id in ledger.staff_ids() for f in ledger.staff_filings(staff_id)]
    return sorted(found, key=lambda filing: (filing.t, filing.id))


def _department_filings(ctx: Context) -> list[Evidence]:
    ledger = ctx.records.ledger
    found = [f for code in ledger.department_codes() for f in ledger.department_filings(code)]
    return sorted(found, key=lambda filing: (filing.t, filing.id))


_BEHIND: dict[str, Callable[[Context], list[Evidence]]] = {
    "LICENCE": lambda ctx: ctx.records.ledger.institution_filings(),
    "DEPARTMENTS": _department_filings,
    "HOURS": lambda ctx: ctx.records.ledger.declarations(),
    "SERVICE_MODE_DOCTORS": _staff_filings,
}
_OF_STAFF = ("STAFF_E_LICENCE", "STAFF_IDENTITY_MARK")


def staff_not_public(person: Dossier, ctx: Context) -> Iterator[Verdict]:
    """DIS-01 (c): whoever gives service is displayed by then (GX 12, CQ 20(一), YC 11).

    In force is the person's last notice of the item by the act, wherever it stands. One finding a
    person, from the first act without; displayed later it ends. Reviewers where the rulebook asks.
    """
    item = ctx.settings.text_or_none("staff_item")
    if item is None:
        return
    notices = ctx.records.ledger.notices(item, person.id)
    hidden: list[tuple[int, int]] = []
    began: int | None = 0
    for notice in notices:
        if notice["state"] == PUBLISHED:
            if began is not None:
                hidden.append((began, notice.t))
            began = None
        elif began is None:
            began = notice.t
    if began is not None:
        hidden.append((began, FOREVER))
    for start, end in union(hidden):
        act = _first_act(person.id, start, end, ctx)
        if act is None:
            continue
        state = ctx.filing_absence(act.t, act.r)
        if state is not None:
            yield Verdict(
                "staff",
                person.id,
                ended(state, end, ctx),
                "c",
                start=act.t,
                end=ending(end),
                evidence=(act.id,),
                facts={"item": item},
                due=act.t,
            )
        return


def _first_act(staff_id: str, start: int, end: int, ctx: Context) -> Evidence | None:
    """The first act of service in ``[start, end)``.

    Once it is known later ones do not matter; without a finding a year of acts is looked at.
    """
    known = next((f.start for f in ctx.findings if f.clause == "c" and f.start is not None), None)
    if known is not None and start <= known < end:
        found = _act(staff_id, max(start, known - _REACH), known + 1, ctx)
        if found is not None:
            return found
    newest = min(end, ctx.now + _AHEAD)
    ctx.records.watch(f"acts-of/{staff_id}/", start, end - 1)
    return _act(staff_id, max(start, newest - _REACH), newest, ctx)


def _act(staff_id: str, start: int, end: int, ctx: Context) -> Evidence | None:
    if start >= end:
        return None
    kinds = ctx.settings.names("staff_acts")
    for act in ctx.records.acts_of(staff_id, start, end):
        if act.type == "SessionOpened":
            received = "RECEPTION" in kinds and act["doctor_id"] == staff_id
            assisted = "ASSISTANCE" in kinds and staff_id in act["assisting_staff_ids"]
            if (received or assisted) and in_scope(act, ctx):
                return act
        elif act.type == "PrescriptionReviewed" and "REVIEW" in kinds:
            return act
    return None


def outside_hours(session: Session, ctx: Context) -> Iterator[Verdict]:
    """DIS-01 (d): sessions are opened in the hours that the hospital has declared (GX 13).

    The declaration in force at the opening counts, its intervals with both ends, also one that
    ends at midnight. Where none is in force nothing contradicts the opening (D10; LIC-06(f)).
    """
    opened = session.opened
    if opened is None or not ctx.on("d"):
        return
    x = opened.t
    declarations = ctx.records.evidence("ledger", "hours", x)
    declared = next((d for d in reversed(declarations) if d.t <= x), None)
    if declared is None or _open_at(declared, x):
        return
    state = ctx.filing_absence(x, opened.r)
    if state is not None:
        yield Verdict(
            "session",
            session.id,
            state,
            "d",
            start=x,
            evidence=(opened.id, declared.id),
            due=x,
        )


def _open_at(declared: Evidence, x: int) -> bool:
    exceptions = {entry["date"]: entry["intervals"] for entry in declared["exceptions"]}
    for day in (day_of(x), day_of(x) - 1):
        intervals = exceptions.get(day)
        if intervals is None:
            intervals = [w for w in declared["weekly"] if w["weekday"] == weekday(day)]
        midnight = start_of_day(day)
        if any(
            midnight + i["start_minute"] * MINUTE <= x <= midnight + i["end_minute"] * MINUTE
            for i in intervals
        ):
            return True
    return False


RULES = (
    Rule(
        id="DIS-01",
        reads={
            "NoticePublished": ("item", "state", "position", "staff_id"),
            "InstitutionFiled": ("change_completed_on", "filing_kind"),
            "DepartmentApproved": ("effective_from",),
            "StaffFiled": (),
            "BusinessHoursDeclared": ("weekly", "exceptions"),
            "SessionOpened": ("doctor_id", "assisting_staff_ids", "service_kind"),
            "PrescriptionReviewed": ("reviewer_id",),
        },
        auto=frozenset({"a", "b", "c"}),
        judges={
            "institution": not_public,
            "person": staff_not_public,
            "session": outside_hours,
        },
    ),
)
