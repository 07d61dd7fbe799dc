"""The kinds of case file: what each is about, and how it is judged. A new kind is a line here."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from streams.cases.accuracy import Sequence
from streams.cases.base import CaseFile
from streams.cases.feeds import Clocks, Manifest, Silence
from streams.cases.roster import RosterFile
from streams.cases.uploads import Lateness, Stream, Window


class Judging(Enum):
    """Under which rulebook a case file is judged."""

    NEVER = "by no rule: kept to be looked up"
    ACT = "the one in force for the act that it is about"
    TIMELESS = "every one the institution may be under, each for its time"
    SHARED = "each institution's own, which the facts that meet in it name"
    OWN = "in a way of its own"


class Kind(NamedTuple):
    """One kind of case file.

    ``created_by`` is the type of event that creates what an act is about, and whose time decides
    the rulebook. What is ``later`` rests on facts told by other case files and is judged after
    them. Whether what is ``of_a_session`` is in scope rests on the session's opening.
    """

    judging: Judging
    created_by: str = ""
    file: type[CaseFile] = CaseFile
    later: bool = False
    of_a_session: bool = False


_NEVER, _ACT, _TIMELESS = Judging.NEVER, Judging.ACT, Judging.TIMELESS

KINDS: dict[str, Kind] = {
    "session": Kind(_ACT, "SessionOpened"),
    "prescription": Kind(_ACT, "PrescriptionIssued", of_a_session=True),
    "supply": Kind(_ACT, "DrugSupplied", of_a_session=True),
    "record": Kind(_ACT, "MedicalRecordArchived", of_a_session=True),
    "fee": Kind(_ACT, "FeeCharged"),
    "refund": Kind(_ACT, "RefundRequested"),
    "complaint": Kind(_ACT, "ComplaintReceived"),
    "notice": Kind(_ACT, "SupervisionNoticeIssued"),
    "incident": Kind(_ACT, "AdverseEventReported"),
    "breach": Kind(_ACT, "SecurityIncidentReported"),
    "shift": Kind(_ACT, "DutyStatusReported"),
    "event": Kind(_ACT),
    "institution": Kind(_TIMELESS),
    "department": Kind(_TIMELESS),
    "person": Kind(_TIMELESS),
    "conduct": Kind(_TIMELESS, later=True),
    "steering": Kind(_TIMELESS, later=True),
    "ratings": Kind(_TIMELESS, later=True),
    "practice": Kind(Judging.SHARED, later=True),
    "host": Kind(Judging.SHARED, later=True),
    "roster": Kind(Judging.OWN, file=RosterFile),
    "lateness": Kind(Judging.OWN, file=Lateness),
    "window": Kind(Judging.OWN, file=Window),
    "stream": Kind(_TIMELESS, file=Stream),
    "manifest": Kind(_TIMELESS, file=Manifest),
    "silence": Kind(_TIMELESS, file=Silence),
    "sequence": Kind(_NEVER, file=Sequence),
    "clocks": Kind(_NEVER, file=Clocks),
    "ledger": Kind(_NEVER),
    "logins": Kind(_NEVER),
    "enrolments": Kind(_NEVER),
    "duty": Kind(_NEVER),
    "reviewed": Kind(_NEVER),
    "shifts": Kind(_NEVER),
    "acts": Kind(_NEVER),
    "acts-of": Kind(_NEVER),
    "patient": Kind(_NEVER),
    "named": Kind(_NEVER),
    "told": Kind(_NEVER),
    "corrections": Kind(_NEVER),
}


def _judged(judging: Judging) -> frozenset[str]:
    return frozenset(name for name, kind in KINDS.items() if kind.judging is judging)


LOOKED_UP = _judged(Judging.NEVER)
ABOUT_AN_ACT = _judged(Judging.ACT)
TIMELESS = _judged(Judging.TIMELESS)
SHARED_KINDS = _judged(Judging.SHARED)
"""Kinds by how they are judged."""
CREATED_BY = {name: kind.created_by for name, kind in KINDS.items() if kind.created_by}
OF_A_SESSION = frozenset(name for name, kind in KINDS.items() if kind.of_a_session)
LATER = frozenset(name for name, kind in KINDS.items() if kind.later)
KEEPS_MORE = frozenset(name for name, kind in KINDS.items() if kind.file is not CaseFile)
"""Kinds that keep more than evidence: every rule is called, whatever type was received."""
