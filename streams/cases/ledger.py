"""The ledger: dated versions of what an institution has filed, answered as of any instant.

One case file per entity (``institution``, ``hours``, ``stops``, ``documents``, ``staff/<id>``).
The functions of RULES 2.6 (``inst``, ``staff``, ``doc``, ``stops``) are methods here. They answer
for the act's instant x from what had been received when the platform judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.events import Evidence
from streams.intervals import IntervalSet, union
from streams.rulebook import Rulebook
from streams.timeline import MINUTE, day_of, end_of_day, start_of_day, weekday

FOREVER = 1 << 62

FIELDS: dict[str, tuple[str, ...]] = {
    "InstitutionFiled": (
        "filing_kind",
        "institution_form",
        "registered_name",
        "host_institution_id",
    ),
    "StaffFiled": ("staff_id", "role", "status", "employer_id", "full_time"),
    "DocumentFiled": ("doc_type", "effective_from", "effective_to", "counterparty_ids"),
    "BusinessHoursDeclared": ("weekly", "exceptions"),
    "ServiceStatusChanged": ("scope", "scope_id", "status"),
    "AssessmentCompleted": ("assessment_type", "result"),
    "AdverseEventReported": ("stage", "discovered_at", "affected_scope", "affected_scope_id"),
}


def entity_of(event_type: str, staff_id: str | None) -> str | None:
    """The ledger entity that keeps an event; None when the ledger does not keep it."""
    match event_type:
        case "StaffFiled":
            return f"staff/{staff_id}"
        case "InstitutionFiled":
            return "institution"
        case "DocumentFiled":
            return "documents"
        case "BusinessHoursDeclared":
            return "hours"
        case "ServiceStatusChanged" | "AssessmentCompleted" | "AdverseEventReported":
            return "stops"
    return None


class Ledger:
    """One institution's ledger as received by one instant.

    ``entity`` returns the evidence of an entity in force, oldest first.
    """

    def __init__(self, entity: Callable[[str], list[Evidence]]) -> None:
        self._entity = entity

    def institution(self, instant: int) -> Evidence | None:
        """``inst(i, x)``: the snapshot filed last by x."""
        return _latest(self._entity("institution"), instant)

    def form(self, instant: int) -> str | None:
        """``institution_form`` at x; before the first filing, the form first filed."""
        filings = self._entity("institution")
        found = _latest(filings, instant) or next(iter(filings), None)
        return None if found is None else str(found["institution_form"])

    def spans(self, form: str) -> IntervalSet:
        """The instants at which ``form`` answers with this form."""
        filings = self._entity("institution")
        begins = [0, *(filing.t for filing in filings[1:])]
        ends = [*begins[1:], FOREVER]
        return union(
            (begin, end)
            for filing, begin, end in zip(filings, begins, ends, strict=False)
            if filing["institution_form"] == form
        )

    def staff(self, staff_id: str, instant: int) -> Evidence | None:
        """``staff(i, s, x)``."""
        return _latest(self.staff_filings(staff_id), instant)

    def staff_filings(self, staff_id: str) -> list[Evidence]:
        """Every filing about a person, oldest first."""
        return self._entity(f"staff/{staff_id}")

    def documents(self, doc_type: str, counterparty_id: str | None = None) -> list[Evidence]:
        """Documents of a type, optionally those that name a counterparty."""
        return [
            doc
            for doc in self._entity("documents")
            if doc["doc_type"] == doc_type
            and (counterparty_id is None or counterparty_id in doc["counterparty_ids"])
        ]

    def business_hours(self, start: int, end: int) -> list[tuple[int, int, Evidence]]:
        """Declared intervals inside ``[start, end)`` with the declaration each rests on.

        A declaration replaces the one before from its ``occurred_at`` on; exceptions override the
        weekly pattern of their day.
        """
        declarations = self._entity("hours")
        found: list[tuple[int, int, Evidence]] = []
        for position, declaration in enumerate(declarations):
            last = position + 1 == len(declarations)
            until = end if last else min(end, declarations[position + 1].t)
            since = max(start, declaration.t)
            if since < until:
                for opens, closes in _pattern(declaration, since, until):
                    found.append((opens, closes, declaration))
        return found

    def stops(self, book: Rulebook) -> IntervalSet:
        """Institution-level stop intervals (RULES LIC-05, D6), by the causes the rulebook knows."""
        records = self._entity("stops")
        settings = book.rules["LIC-05"]
        pairs = _declared_stops(records)
        pairs += _cancellations(self._entity("institution"))
        if settings.flag("mlps_stop"):
            pairs += _failed_assessments(records, book.immediate)
        if settings.flag("adverse_stop"):
            pairs += _adverse_events(records, book.immediate)
        return union(pairs)


def document_period(document: Evidence) -> tuple[int, int]:
    """The instants at which a document is in force; validity days are inclusive."""
    last = document["effective_to"]
    return start_of_day(document["effective_from"]), FOREVER if last is None else end_of_day(last)


def _latest(filings: list[Evidence], instant: int) -> Evidence | None:
    return next((filing for filing in reversed(filings) if filing.t <= instant), None)


def _pattern(declaration: Evidence, since: int, until: int) -> IntervalSet:
    exceptions = {item["date"]: item["intervals"] for item in declaration["exceptions"]}
    pairs = []
    for day in range(day_of(since), day_of(until - 1) + 1):
        midnight = start_of_day(day)
        intervals = exceptions.get(day)
        if intervals is None:
            intervals = [w for w in declaration["weekly"] if w["weekday"] == weekday(day)]
        for part in intervals:
            opens = max(since, midnight + part["start_minute"] * MINUTE)
            closes = min(until, midnight + part["end_minute"] * MINUTE)
            pairs.append((opens, closes))
    return union(pairs)


def _declared_stops(records: Iterable[Evidence]) -> IntervalSet:
    """Cause 1: SUSPENDED or CEASED until the next RESUMED of the same scope."""
    pairs: IntervalSet = []
    stopped: int | None = None
    for record in records:
        if record.type != "ServiceStatusChanged" or record["scope"] != "INSTITUTION":
            continue
        if record["status"] == "RESUMED":
            if stopped is not None:
                pairs.append((stopped, record.t))
                stopped = None
        elif stopped is None:
            stopped = record.t
    return pairs if stopped is None else [*pairs, (stopped, FOREVER)]


def _cancellations(filings: Iterable[Evidence]) -> IntervalSet:
    """Cause 2: from cancellation to the next filing that is none."""
    pairs: IntervalSet = []
    stopped: int | None = None
    for filing in filings:
        if filing["filing_kind"] == "CANCELLED":
            stopped = filing.t if stopped is None else stopped
        elif stopped is not None:
            pairs.append((stopped, filing.t))
            stopped = None
    return pairs if stopped is None else [*pairs, (stopped, FOREVER)]


def _failed_assessments(records: list[Evidence], immediate: int) -> IntervalSet:
    """Cause 3: from a failed MLPS assessment plus the time for stopping to the next PASS."""
    mlps = [
        r for r in records if r.type == "AssessmentCompleted" and r["assessment_type"] == "MLPS"
    ]
    passes = [record.t for record in mlps if record["result"] == "PASS"]
    return [
        (fail.t + immediate, next((t for t in passes if t >= fail.t), FOREVER))
        for fail in mlps
        if fail["result"] == "FAIL"
    ]


def _adverse_events(records: list[Evidence], immediate: int) -> IntervalSet:
    """Cause 4: from an adverse event's discovery plus the time for stopping to a resumption."""
    resumed = [
        r.t
        for r in records
        if r.type == "ServiceStatusChanged"
        and r["scope"] == "INSTITUTION"
        and r["status"] == "RESUMED"
    ]
    pairs: IntervalSet = []
    for event in _of_stage(records, "INITIAL"):
        if event["affected_scope"] == "INSTITUTION":
            found = event["discovered_at"]
            pairs.append((found + immediate, next((t for t in resumed if t >= found), FOREVER)))
    return pairs


def _of_stage(records: Iterable[Evidence], stage: str) -> list[Evidence]:
    """Adverse-event reports of a stage."""
    return [r for r in records if r.type == "AdverseEventReported" and r["stage"] == stage]
