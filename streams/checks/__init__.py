"""The rules, one family a file. To add a rule: its check here, its cases, its rulebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from streams.cases.kinds import OF_A_SESSION
from streams.cases.watches import REPLACED
from streams.checks import (
    accuracy,
    disclosure,
    feeds,
    fees,
    filings,
    halts,
    hosts,
    identity,
    incidents,
    licences,
    pharmacists,
    practice,
    prescriptions,
    quality,
    ratings,
    records,
    reviewers,
    security,
    seniors,
    sessions,
    staff,
    supply,
    telling,
    uploads,
)
from streams.checks.base import Judge, Resolution, Rule, Teller
from streams.events import mask_of

RULES: tuple[Rule, ...] = (
    *uploads.RULES,
    *feeds.RULES,
    *accuracy.RULES,
    *licences.RULES,
    *halts.RULES,
    *filings.RULES,
    *hosts.RULES,
    *staff.RULES,
    *seniors.RULES,
    *identity.RULES,
    *sessions.RULES,
    *pharmacists.RULES,
    *records.RULES,
    *prescriptions.RULES,
    *supply.RULES,
    *reviewers.RULES,
    *security.RULES,
    *disclosure.RULES,
    *fees.RULES,
    *incidents.RULES,
    *practice.RULES,
    *quality.RULES,
    *ratings.RULES,
)
TELLERS: tuple[Teller, ...] = (*telling.TELLERS, *hosts.TELLERS)
_NOTICES = mask_of("SupervisionNoticeIssued") | mask_of("RectificationReported")


class Judged(NamedTuple):
    """A rule as it judges one kind of case file; ``mask`` are the types of evidence it reads, and
    ``at_rest`` those it reads of one that is at rest. ``acts`` is its topic of acts.
    """

    rule: Rule
    judge: Judge
    mask: int
    at_rest: int
    acts: str


def _mask(reads: Iterable[str]) -> int:
    mask = 0
    for event_type in reads:
        mask |= mask_of(event_type)
    return mask


def _judged(rule: Rule, kind: str, judge: Judge) -> Judged:
    clauses = {None, *"abcdef"}
    answered = any(rule.resolution(clause) is Resolution.ADMIN for clause in clauses)
    always = _NOTICES if answered else 0
    if kind in OF_A_SESSION:
        always |= mask_of("SessionOpened")
    reads = rule.reads_of.get(kind, rule.reads)
    at_rest = rule.reads_at_rest.get(kind, reads)
    return Judged(rule, judge, _mask(reads) | always, _mask(at_rest) | always, REPLACED + rule.id)


def _by_kind() -> dict[str, tuple[Judged, ...]]:
    found: dict[str, list[Judged]] = {}
    for rule in RULES:
        for kind, judge in rule.judges.items():
            found.setdefault(kind, []).append(_judged(rule, kind, judge))
    return {kind: tuple(judged) for kind, judged in found.items()}


BY_KIND: Mapping[str, tuple[Judged, ...]] = MappingProxyType(_by_kind())
TELLERS_OF: Mapping[str, tuple[tuple[Teller, int], ...]] = MappingProxyType(
    {
        kind: tuple((t, _mask(t.reads)) for t in TELLERS if t.kind == kind)
        for kind in {t.kind for t in TELLERS}
    }
)


ALWAYS_KEPT: Mapping[str, tuple[str, ...]] = {
    "InstitutionFiled": ("filing_kind", "institution_form", "host_institution_id"),
    "SessionOpened": ("doctor_id", "mode", "service_kind"),
    "SessionClosed": ("outcome", "diagnosis_codes"),
    "PrescriptionIssued": ("session_id", "prescriber_id"),
    "PrescriptionReviewed": ("reviewer_id",),
    "DutyStatusReported": ("staff_id", "phase", "shift_id"),
    "StaffFiled": ("staff_id", "role", "status", "employer_id", "full_time"),
    "DocumentFiled": ("doc_type", "effective_from", "effective_to", "counterparty_ids"),
    "BusinessHoursDeclared": ("weekly", "exceptions"),
    "ServiceStatusChanged": ("scope", "scope_id", "status"),
    "AssessmentCompleted": ("assessment_type", "result"),
    "AdverseEventReported": ("stage", "discovered_at", "affected_scope", "affected_scope_id"),
    "DoctorIdentityVerified": ("staff_id", "matched_staff_id", "phase", "method", "result"),
    "SupervisionNoticeIssued": ("notice_id",),
    "RectificationReported": ("status",),
    "MedicalRecordArchived": ("session_id",),
    "FeeCharged": ("session_id",),
    "DrugSupplied": ("prescription_id",),
}
"""What the views of case files need themselves, whatever rules there are."""


def _kept() -> dict[str, tuple[str, ...]]:
    fields: dict[str, dict[str, None]] = {}
    for reads in (ALWAYS_KEPT, *(rule.reads for rule in RULES), *(t.reads for t in TELLERS)):
        for event_type, names in reads.items():
            fields.setdefault(event_type, {}).update(dict.fromkeys(names))
    return {event_type: tuple(names) for event_type, names in fields.items()}


KEPT: Mapping[str, tuple[str, ...]] = MappingProxyType(_kept())
"""Payload fields kept of an event type: those that some rule reads (GX 31 最少可用原则)."""
