"""The ledger: dated versions of what an institution has filed, answered as of any instant.

One case file per entity (``streams/places.py`` lists them). The functions of RULES 2.6 (``inst``,
``approved``, ``staff``, ``registry``, ``doc``, ``stops``) are methods here. They answer for the
act's instant x from what had been received when the platform judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from streams.cases import stops
from streams.cases.base import FOREVER
from streams.cases.stops import Stop
from streams.events import Evidence
from streams.intervals import IntervalSet, union
from streams.rulebook import Rulebook
from streams.timeline import MINUTE, day_of, end_of_day, start_of_day, weekday


class Entities(Protocol):
    """Gives the evidence of an entity in force, oldest first.

    ``upto`` is the last instant of occurrence that the answer can rest on: evidence of later ones
    will not be asked for again.
    """

    def __call__(self, entity: str, upto: int = FOREVER) -> list[Evidence]: ...


class Ledger:
    """One institution's ledger as received by one instant.

    ``ids`` lists what there is below an entity name such as ``staff``.
    """

    def __init__(self, entity: Entities, ids: Callable[[str], list[str]]) -> None:
        self._entity = entity
        self._ids = ids

    # -- the institution ---------------------------------------------------------------------------

    def institution(self, instant: int) -> Evidence | None:
        """``inst(i, x)``: the snapshot filed last by x."""
        return _latest(self._entity("institution", instant), instant)

    def institution_filings(self) -> list[Evidence]:
        """Every snapshot filed, oldest first."""
        return self._entity("institution")

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

    def infrastructure(self) -> list[Evidence]:
        """Every snapshot of equipment filed, oldest first."""
        return self._entity("infrastructure")

    def assessments(self, kind: str) -> list[Evidence]:
        """Assessments of a type (``MLPS``, ``CONFORMITY_TEST``), oldest first."""
        return [a for a in self._entity("assessments") if a["assessment_type"] == kind]

    def verifications(self) -> list[Evidence]:
        """Stages of verifications of the licence, oldest first."""
        return self._entity("verifications")

    def declarations(self) -> list[Evidence]:
        """Declarations of business hours, oldest first."""
        return self._entity("hours")

    def status_changes(self) -> list[Evidence]:
        """Suspensions, closures and resumptions of service of any scope, oldest first."""
        return [r for r in self._entity("stops") if r.type == "ServiceStatusChanged"]

    def duties(self, duty_type: str) -> list[Evidence]:
        """Completions of a recurring duty, oldest first."""
        return self._entity(f"duties/{duty_type}")

    def notices(
        self, item: str, staff_id: str | None = None, upto: int = FOREVER
    ) -> list[Evidence]:
        """Publications and withdrawals of an item (of a staff member), oldest first."""
        entity = "notices" if staff_id is None else f"notices-of/{staff_id}"
        return [n for n in self._entity(entity, upto) if n["item"] == item]

    # -- departments and staff ---------------------------------------------------------------------

    def department_codes(self) -> list[str]:
        """Every department with a filing, known by now or not."""
        return self._ids("departments")

    def department_filings(self, dept_code: str) -> list[Evidence]:
        """Approvals and revocations of a department, by the day they take effect."""
        filings = self._entity(f"departments/{dept_code}")
        return sorted(filings, key=lambda f: (f["effective_from"], f.t))

    def department(self, dept_code: str, day: int) -> Evidence | None:
        """The approval or revocation in effect on a day, whether it has expired or not."""
        return next(
            (f for f in reversed(self.department_filings(dept_code)) if f["effective_from"] <= day),
            None,
        )

    def approved(self, dept_code: str, instant: int) -> bool:
        """``approved(i, d, x)``."""
        day = day_of(instant)
        found = self.department(dept_code, day)
        return (
            found is not None
            and found["status"] == "APPROVED"
            and (found["effective_to"] is None or day <= found["effective_to"])
        )

    def staff_ids(self) -> list[str]:
        """Every person with a filing, known by now or not."""
        return self._ids("staff")

    def staff(self, staff_id: str, instant: int) -> Evidence | None:
        """``staff(i, s, x)``."""
        return _latest(self._entity(f"staff/{staff_id}", instant), instant)

    def staff_known(self, staff_id: str, instant: int) -> int:
        """The first receipt of a filing about a person in effect by x; ``FOREVER`` if none is."""
        filings = self._entity(f"staff/{staff_id}", instant)
        return min((f.r for f in filings if f.t <= instant), default=FOREVER)

    def staff_filings(self, staff_id: str) -> list[Evidence]:
        """Every filing about a person, oldest first."""
        return self._entity(f"staff/{staff_id}")

    def registry(self, staff_id: str, instant: int) -> Evidence | None:
        """``registry(s, x)``: the check valid last by x, else the earliest one after."""
        checks = self.registry_checks(staff_id)
        return next((c for c in reversed(checks) if c["valid_as_of"] <= instant), None) or next(
            iter(checks), None
        )

    def registry_checks(self, staff_id: str) -> list[Evidence]:
        """Every look-up of a person in the national registers, by the instant it is valid for."""
        return sorted(
            self._entity(f"registers/{staff_id}"), key=lambda c: (c["valid_as_of"], c.t, c.id)
        )

    def policies(self, staff_id: str) -> list[Evidence]:
        """Every liability insurance filed for a person."""
        return self._entity(f"policies/{staff_id}")

    # -- documents, hours, stops -------------------------------------------------------------------

    def documents(self, doc_type: str, counterparty_id: str | None = None) -> list[Evidence]:
        """Documents of a type ever filed, optionally those that name a counterparty."""
        return [
            doc
            for doc in self._entity("documents")
            if doc["doc_type"] == doc_type
            and (counterparty_id is None or counterparty_id in doc["counterparty_ids"])
        ]

    def documents_in_force(
        self, doc_type: str, instant: int, counterparty_id: str | None = None
    ) -> list[Evidence]:
        """``doc(i, type, x)``, optionally those that name a counterparty."""
        return [
            doc
            for doc in self.documents(doc_type, counterparty_id)
            if document_period(doc)[0] <= instant < document_period(doc)[1]
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
        return union(stops.of_institution(self.scoped_stops(book)))

    def scoped_stops(self, book: Rulebook, upto: int = FOREVER) -> list[Stop]:
        """``stops(i)``: every stop with its cause and scope, by the causes the rulebook knows.

        For ``upto`` only those in force by then and not after are right.
        """
        settings = book.rules["LIC-05"]
        found = stops.cancelled(self._upto("institution", upto))
        reported = upto
        if settings.flag("mlps_stop"):
            assessments = self._upto("assessments", upto)
            mlps = [a for a in assessments if a["assessment_type"] == "MLPS"]
            found += stops.failed(mlps, book.immediate)
        if settings.flag("adverse_stop"):
            reported = min(upto + stops.REPORTED_WITHIN, FOREVER)
        records = self._upto("stops", reported)
        changes = [r for r in records if r.type == "ServiceStatusChanged" and r.t <= upto]
        found += stops.declared(changes)
        if settings.flag("adverse_stop"):
            reports = (r for r in records if r.type == "AdverseEventReported")
            found += stops.adverse(reports, changes, book.immediate)
        return found

    def _upto(self, entity: str, upto: int) -> list[Evidence]:
        """Evidence of an entity that occurred by an instant."""
        found = self._entity(entity, upto)
        return found if upto >= FOREVER else [item for item in found if item.t <= upto]


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


def cancellations(filings: Iterable[Evidence]) -> IntervalSet:
    """When the registration is cancelled: until the next filing that is no cancellation."""
    return [(stop.start, stop.end) for stop in stops.cancelled(filings)]
