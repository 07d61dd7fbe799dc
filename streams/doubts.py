"""Which events are judged by themselves: cheap tests for what UPL-02 and UPL-05 may object to.

A doubt is no verdict. It only has a case file begun for the event, where the rules look closely;
most events raise none and cost one pass over a few fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.catalogue import UploadClass, upload_class
from streams.events import Event
from streams.reference import ReferenceData
from streams.rulebook import Rulebook
from streams.timeline import day_of

CONTEST = "Contest"
"""Evidence that an event contradicts another one: the same number, or its id and other content."""

SIGNED = frozenset({"InstitutionFiled", "DepartmentApproved", "StaffFiled"})
"""Filings that have to carry a digital certificate's signature (CQ 14)."""


class Doubts:
    """Raises doubts under the rulebooks an institution may be judged by."""

    def __init__(self, books: Iterable[Rulebook], reference: ReferenceData) -> None:
        self._reference = reference
        accuracy = [s for book in books if (s := book.rule("UPL-05")) is not None]
        late = [book for book in books if book.rule("UPL-02") is not None]
        self._accuracy = bool(accuracy)
        self._tolerance = min((s.millis("future_tolerance") for s in accuracy), default=0)
        self._signed = any(s.flag("require_signed_filing") for s in accuracy)
        self._windows = [book.rules["UPL-02"].count("window_days") for book in late]

    def about(self, event: Event) -> str | None:
        """Why an event should be looked at closely; None for no reason."""
        body = event.body
        if self._windows and upload_class(event.type) is UploadClass.FILING:
            late = day_of(event.received_at) - body["change_completed_on"] > min(self._windows)
            if late and body["revision"] == 0:
                return "filing"
        if not self._accuracy:
            return None
        if event.occurred_at - event.received_at > self._tolerance:
            return "future"
        if self._signed and event.type in SIGNED and event.signature_valid is not True:
            return "unsigned"
        if any(unknown_codes(event.type, body, day_of(event.occurred_at), self._reference)):
            return "code"
        return None


def unknown_codes(
    event_type: str, body: Mapping[str, Any], day: int, reference: ReferenceData
) -> Iterator[str]:
    """Fields with codes that are not in the list they must come from.

    Those are the lists that UPL-05 names: departments, diagnoses and drugs. The map of scopes to
    departments is no list of all scopes there are.
    """
    dept_code = body.get("dept_code")
    if dept_code is not None and not reference.knows_department(dept_code, day):
        yield "dept_code"
    for code in body.get("dept_codes") or ():
        if not reference.knows_department(code, day):
            yield "dept_codes"
    for code in body.get("diagnosis_codes") or ():
        if not reference.knows_diagnosis(code, day):
            yield "diagnosis_codes"
    lines: Iterable[Mapping[str, Any]] = ()
    if event_type == "PrescriptionIssued":
        lines = body["items"]
    elif event_type == "DrugSupplied":
        lines = body["lines"]
    for line in lines:
        if reference.drug(line["drug_code"], day) is None:
            yield "drug_code"
