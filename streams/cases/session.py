"""The session case file: everything about one online session.

Key: ``session_id``. Rules of the families IDV, SES, RX, PHA-02/03 and REC judge it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from streams.cases.base import CaseFile, Effective
from streams.events import Evidence, newest_last

EXEMPT_OUTCOMES = frozenset({"CANCELLED", "TIMED_OUT"})
REMOTE_MEDICINE = "REMOTE_MEDICINE"
LIVE_MODES = frozenset({"VOICE", "VIDEO"})
"""Modes in which the doctor is present all the time."""


class Dossier:
    """What is known of one case at an instant: evidence in force by type."""

    def __init__(self, case_id: str, evidence: Iterable[Evidence]) -> None:
        self.id = case_id
        self._by_type: dict[str, list[Evidence]] = {}
        for item in evidence:
            known = self._by_type.get(item.type)
            if known is None:
                self._by_type[item.type] = [item]
            else:
                known.append(item)

    def events(self, event_type: str) -> list[Evidence]:
        """Events of a type in force, oldest first."""
        return self._by_type.get(event_type, [])

    def first(self, event_type: str) -> Evidence | None:
        """The earliest event of a type."""
        found = self._by_type.get(event_type)
        return found[0] if found else None

    def everything(self) -> list[Evidence]:
        """All evidence in force, oldest first."""
        return sorted((i for items in self._by_type.values() for i in items), key=newest_last)


class CaseView(Dossier):
    """A case that keeps more than evidence: ``case`` is its file, whole; mind what came later."""

    def __init__(self, case_id: str, evidence: Iterable[Evidence], case: CaseFile) -> None:
        super().__init__(case_id, evidence)
        self.case: Any = case


class Session(Dossier):
    """What is known of one session at an instant."""

    def __init__(self, case_id: str, evidence: Iterable[Evidence]) -> None:
        super().__init__(case_id, evidence)
        self.opened = self.first("SessionOpened")
        """The earliest opening; without one no session rule judges (D24)."""
        self.closed = self.first("SessionClosed")
        """The earliest closing."""
        self.prescriptions = self.events("PrescriptionIssued")
        self.checks = self.events("DoctorIdentityVerified")
        """Real-name checks bound to this session, oldest first."""

    @cached_property
    def acts(self) -> list[Evidence]:
        """Clinical acts (RULES 2.6): prescriptions, and a completed closing with a diagnosis."""
        found = list(self.prescriptions)
        closed = self.closed
        if closed is not None and closed["outcome"] == "COMPLETED" and closed["diagnosis_codes"]:
            found.append(closed)
        return sorted(found, key=lambda act: act.t)

    @cached_property
    def exempt(self) -> bool:
        """Closed without service: cancelled or timed out, and nothing prescribed."""
        closed = self.closed
        return (
            closed is not None and closed["outcome"] in EXEMPT_OUTCOMES and not self.prescriptions
        )


def dossier_of(case_id: str, view: Effective) -> Dossier:
    """Evidence in force of a case by type; made once for everybody who asks."""
    if view.dossier is None:
        view.dossier = Dossier(case_id, view.items)
    found: Dossier = view.dossier
    return found


def session_of(session_id: str, view: Effective) -> Session:
    """The same for the case file of a session."""
    if view.dossier is None:
        view.dossier = Session(session_id, view.items)
    found: Session = view.dossier
    return found
