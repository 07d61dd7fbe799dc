"""Stops of service: when an institution, a department or a person must not act (RULES LIC-05, D6).

Four causes open a stop: a declared suspension or closure, the cancellation of the registration, a
failed classified-protection assessment, and an adverse event. Each has its own end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from streams.cases.base import FOREVER
from streams.events import Evidence
from streams.intervals import IntervalSet
from streams.timeline import DAY

REPORTED_WITHIN = 30 * DAY
"""How long after an act the report of an adverse event discovered before it may be dated (ED)."""

INSTITUTION = "INSTITUTION"


class Cause(StrEnum):
    """Why service must be stopped, in the order of RULES LIC-05."""

    DECLARED = "DECLARED"
    CANCELLED = "CANCELLED"
    MLPS_FAILED = "MLPS_FAILED"
    ADVERSE_EVENT = "ADVERSE_EVENT"


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force over ``[start, end)``; ``known`` is the receipt of what opened it."""

    cause: Cause
    scope: str
    scope_id: str | None
    start: int
    end: int
    known: int
    source: str

    def covers(self, departments: Iterable[str | None], staff: Iterable[str | None]) -> bool:
        """Whether an act in one of the departments or by one of the persons is stopped."""
        match self.scope:
            case "DEPARTMENT":
                return self.scope_id in departments
            case "STAFF":
                return self.scope_id in staff
            case _:
                return self.scope == INSTITUTION


def declared(changes: Iterable[Evidence]) -> list[Stop]:
    """Cause 1: SUSPENDED or CEASED until the next RESUMED of the same scope and scope id."""
    found: list[Stop] = []
    open_since: dict[tuple[str, str | None], Evidence] = {}
    for change in changes:
        scope = _scope(change["scope"], change["scope_id"])
        if change["status"] == "RESUMED":
            opened = open_since.pop(scope, None)
            if opened is not None:
                found.append(_stop(Cause.DECLARED, scope, opened.t, change.t, opened))
        else:
            open_since.setdefault(scope, change)
    found += [_stop(Cause.DECLARED, s, e.t, FOREVER, e) for s, e in open_since.items()]
    return found


def cancelled(filings: Iterable[Evidence]) -> list[Stop]:
    """Cause 2: from a cancellation to the next filing that is none (D6)."""
    found: list[Stop] = []
    opened: Evidence | None = None
    scope = (INSTITUTION, None)
    for filing in filings:
        if filing["filing_kind"] == "CANCELLED":
            opened = opened or filing
        elif opened is not None:
            found.append(_stop(Cause.CANCELLED, scope, opened.t, filing.t, opened))
            opened = None
    if opened is not None:
        found.append(_stop(Cause.CANCELLED, scope, opened.t, FOREVER, opened))
    return found


def failed(mlps: list[Evidence], immediate: int) -> list[Stop]:
    """Cause 3: from a failed MLPS assessment plus the time for stopping to the next PASS."""
    passes = [record.t for record in mlps if record["result"] == "PASS"]
    return [
        _stop(
            Cause.MLPS_FAILED,
            (INSTITUTION, None),
            fail.t + immediate,
            next((t for t in passes if t >= fail.t), FOREVER),
            fail,
        )
        for fail in mlps
        if fail["result"] == "FAIL"
    ]


def adverse(reports: Iterable[Evidence], changes: list[Evidence], immediate: int) -> list[Stop]:
    """Cause 4: from the discovery of an adverse event plus the time for stopping to the first
    RESUMED since the discovery that covers the affected scope (D6).
    """
    resumed = [change for change in changes if change["status"] == "RESUMED"]
    found = []
    for report in reports:
        if report["stage"] != "INITIAL":
            continue
        scope = _scope(report["affected_scope"], report["affected_scope_id"])
        since = report["discovered_at"]
        ends = (
            r.t
            for r in resumed
            if r.t >= since and _scope(r["scope"], r["scope_id"]) in (scope, (INSTITUTION, None))
        )
        end = next(ends, FOREVER)
        found.append(_stop(Cause.ADVERSE_EVENT, scope, since + immediate, end, report))
    return found


def of_institution(stops: Iterable[Stop]) -> IntervalSet:
    """The intervals in which the whole institution is stopped, not merged."""
    return [(stop.start, stop.end) for stop in stops if stop.scope == INSTITUTION]


def _scope(scope: str, scope_id: str | None) -> tuple[str, str | None]:
    return scope, None if scope == INSTITUTION else scope_id


def _stop(
    cause: Cause, scope: tuple[str, str | None], start: int, end: int, source: Evidence
) -> Stop:
    return Stop(cause, *scope, start, end, source.r, source.id)
