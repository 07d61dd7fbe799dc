"""STF-06: a clinical department has its senior doctors (高级职称医师)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Rule
from streams.checks.stretches import CANCELLED, ended, ending
from streams.events import Evidence
from streams.findings import Verdict
from streams.intervals import IntervalSet, at_least, intersect, subtract, union
from streams.timeline import day_of, end_of_day, start_of_day


class Post(NamedTuple):
    """The days ``[start, end)`` at whose ends a doctor counts for a department, by title."""

    level: str
    days: IntervalSet
    filings: list[Evidence]


def seniors_of_the_department(department: Dossier, ctx: Context) -> Iterator[Verdict]:
    """STF-06: an approved clinical department has its senior and its deputy senior doctor.

    CQ-A1 三(一). Days are judged by the state at their end, those of a cancelled registration not
    at all. One finding for each uninterrupted stretch of days; it has ended once a day has ended
    on which the counts were met.
    """
    ledger = ctx.records.ledger
    filings = ledger.department_filings(department.id)
    institutions = ledger.institution_filings()
    required = subtract(_clinical_days(filings), _cancelled_days(institutions))
    if not required:
        return
    hosts = _host_days(institutions, ctx.records.institution_id)
    posts = [
        post
        for staff_id in ledger.staff_ids()
        for post in _posts(ledger.staff_filings(staff_id), department.id, hosts)
    ]
    uncovered = subtract(required, _staffed(posts, ctx))
    for first, last in uncovered:
        approval = [f for f in filings if f["effective_from"] <= first][-1]
        left = [_ended_at(post, first) for post in posts]
        trigger = max(approval.r, min((r for r in left if r), default=0))
        state = ctx.filing_absence_on(first, trigger)
        if state is None:
            continue
        end = FOREVER if last >= FOREVER else start_of_day(last)
        counts = {
            level: sum(p.level == level and _has(p.days, first) for p in posts)
            for level in ("SENIOR", "DEPUTY_SENIOR")
        }
        met = FOREVER if end >= FOREVER else end_of_day(last)
        yield Verdict(
            "department",
            department.id,
            ended(state, met, ctx),
            start=start_of_day(first),
            end=ending(end),
            evidence=(approval.id, *(f.id for p in posts for f in p.filings)),
            facts={
                "dept_code": department.id,
                "senior_count": str(counts["SENIOR"]),
                "deputy_count": str(counts["DEPUTY_SENIOR"]),
            },
            due=end_of_day(first),
            episodic=True,
        )


def _staffed(posts: list[Post], ctx: Context) -> IntervalSet:
    """Days on which enough senior and deputy senior doctors counted."""
    seniors = [post.days for post in posts if post.level == "SENIOR"]
    deputies = [post.days for post in posts if post.level == "DEPUTY_SENIOR"]
    fewest = ctx.settings.count("min_senior")
    fewest_deputies = ctx.settings.count("min_deputy_senior")
    if ctx.settings.flag("senior_substitutes_deputy"):
        both = [*seniors, *deputies]
        return intersect(_enough(seniors, fewest), _enough(both, fewest + fewest_deputies))
    return intersect(_enough(seniors, fewest), _enough(deputies, fewest_deputies))


def _enough(sets: list[IntervalSet], count: int) -> IntervalSet:
    return at_least(sets, count) if count else [(-FOREVER, FOREVER)]


def _by_day(
    filings: list[Evidence], wanted: Callable[[Evidence], bool]
) -> Iterator[tuple[Evidence, int, int]]:
    """Filings with the days at whose ends they are in effect, where there are such days."""
    for position, filing in enumerate(filings):
        last = position + 1 == len(filings)
        start, end = day_of(filing.t), FOREVER if last else day_of(filings[position + 1].t)
        if start < end and wanted(filing):
            yield filing, start, end


def _clinical_days(filings: list[Evidence]) -> IntervalSet:
    found = []
    for position, filing in enumerate(filings):
        last = position + 1 == len(filings)
        end = FOREVER if last else filings[position + 1]["effective_from"]
        if filing["effective_to"] is not None:
            end = min(end, filing["effective_to"] + 1)
        if filing["status"] == "APPROVED" and filing["is_clinical"]:
            found.append((filing["effective_from"], end))
    return union(found)


def _cancelled_days(filings: list[Evidence]) -> IntervalSet:
    days = _by_day(filings, lambda filing: filing["filing_kind"] == CANCELLED)
    return union((start, end) for _, start, end in days)


def _host_days(filings: list[Evidence], institution_id: str) -> dict[str, IntervalSet]:
    """The days on which registration with an institution counts as registration here."""
    found: dict[str, IntervalSet] = {institution_id: [(-FOREVER, FOREVER)]}
    for filing, start, end in _by_day(filings, lambda f: bool(f["host_institution_id"])):
        host_id = filing["host_institution_id"]
        found[host_id] = union([*found.get(host_id, []), (start, end)])
    return found


def _posts(
    filings: list[Evidence], dept_code: str, hosts: dict[str, IntervalSet]
) -> Iterator[Post]:
    """When a doctor counts: active, of the department, registered here or filed for here."""

    def serves(filing: Evidence) -> bool:
        doctor = filing["role"] == "DOCTOR" and filing["status"] == "ACTIVE"
        return doctor and dept_code in filing["dept_codes"]

    found: dict[str, Post] = {}
    for filing, start, end in _by_day(filings, serves):
        registered = [day for i in filing["registered_institution_ids"] for day in hosts.get(i, [])]
        if filing["multi_site_from"] is not None:
            until = filing["multi_site_to"]
            guest = (filing["multi_site_from"], FOREVER if until is None else until + 1)
            registered.append(guest)
        post = found.setdefault(filing["title_level"], Post(filing["title_level"], [], filings))
        post.days.extend(intersect(union(registered), [(start, end)]))
    yield from (Post(p.level, union(p.days), filings) for p in found.values())


def _has(days: IntervalSet, day: int) -> bool:
    return any(start <= day < end for start, end in days)


def _ended_at(post: Post, day: int) -> int:
    """The receipt of the filing by which a doctor no longer counts from a day on; 0 for none."""
    if not any(end == day for _, end in post.days):
        return 0
    return min((f.r for f in post.filings if day_of(f.t) == day), default=0)


RULES = (
    Rule(
        id="STF-06",
        reads={
            "DepartmentApproved": ("status", "effective_from", "effective_to", "is_clinical"),
            "StaffFiled": (
                "role",
                "status",
                "title_level",
                "dept_codes",
                "registered_institution_ids",
                "multi_site_from",
                "multi_site_to",
            ),
            "InstitutionFiled": ("filing_kind", "host_institution_id"),
        },
        judges={"department": seniors_of_the_department},
        auto=ALL,
    ),
)
