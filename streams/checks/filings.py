"""LIC-06: what must be filed (备案). LIC-07, registration anew, is in ``hosts.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from streams.cases.base import FOREVER
from streams.cases.ledger import cancellations, document_period
from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Rule
from streams.checks.stretches import (
    CANCELLED,
    INDEPENDENT,
    SECOND_NAME,
    ended,
    ending,
    weightiest,
    wrong_filings,
)
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.intervals import IntervalSet, intersect, subtract, union
from streams.timeline import day_of, start_of_day

AGREEMENT = "COOPERATION_AGREEMENT"
_TITLE = "互联网医院"
_UNIT_OF_INDEPENDENT = "it_unit_independent_of_host"


def files_everything(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-06 (a) (b) (d) (e) (f): systems, units, agreements, names and what else must be filed.

    Judged from the day on which the first registration was completed, and not while it is
    cancelled. A document or agreement is wanting on whole days; what a filing itself denies (a
    unit not listed, a flag that is false, a name) is established on receipt (D11), what it leaves
    empty is an absence on the day the filing was completed. The clauses that an agreement must have
    may be spread over several in force with the partner. Names are judged where what they must
    contain is known.
    """
    filings = ctx.records.ledger.institution_filings()
    if not filings:
        return
    first = filings[0]
    since = start_of_day(first["change_completed_on"])
    registered = subtract([(since, FOREVER)], union(cancellations(filings)))
    yield from _systems(registered, first, ctx)
    yield from _agreements(filings, ctx)
    yield from _existing(registered, first, ctx)
    yield from _stated(filings, ctx)
    if ctx.on("e"):
        yield from _named(filings, ctx)


def _lacking(
    gaps: IntervalSet, clause: str, subject: str, trigger: Evidence, ctx: Context
) -> Iterator[Verdict]:
    """Verdicts on the stretches of whole days on which an item was wanting."""
    for start, end in gaps:
        day = day_of(start)
        state = ctx.filing_absence_on(day, trigger.r)
        if state is not None:
            yield Verdict(
                "item",
                subject,
                ended(state, end, ctx),
                clause,
                start=start_of_day(day),
                end=ending(end),
                evidence=(trigger.id,),
                facts={"item": subject},
                due=start_of_day(day + 1),
                episodic=clause in ("a", "d"),
            )


def _systems(registered: IntervalSet, first: Evidence, ctx: Context) -> Iterator[Verdict]:
    for doc_type in ctx.settings.listed("required_documents"):
        documents = ctx.records.ledger.documents(doc_type)
        gaps = subtract(registered, union(document_period(doc) for doc in documents))
        yield from _lacking(gaps, "a", doc_type, first, ctx)


def _existing(registered: IntervalSet, first: Evidence, ctx: Context) -> Iterator[Verdict]:
    """Snapshots of equipment and declarations of hours: once there they stay."""
    required = ctx.settings.names("required_filings")
    ledger = ctx.records.ledger
    for item, filed in (
        ("InfrastructureFiled", ledger.infrastructure),
        ("BusinessHoursDeclared", ledger.declarations),
    ):
        if item in required:
            begun = min((day_of(filing.t) for filing in filed()), default=None)
            there = [] if begun is None else [(start_of_day(begun), FOREVER)]
            gaps = subtract(registered, there)
            yield from weightiest(_lacking(gaps, "f", item, first, ctx))


class Partnership(NamedTuple):
    """How long filings named a partner; ``first`` is the first of them, ``gaps`` lack an agreement.

    ``renewed`` is whether the partner came by a change of an earlier filing.
    """

    partner_id: str
    first: Evidence
    periods: IntervalSet
    gaps: IntervalSet
    renewed: bool


def partnerships(
    filings: list[Evidence], clauses: Iterable[str], ctx: Context
) -> Iterator[Partnership]:
    """How long each partner was named; an agreement counts with all of the ``clauses``."""
    partners = dict.fromkeys(p for filing in filings for p in filing["partner_ids"])
    for partner_id in partners:

        def names(filing: Evidence, partner: str = partner_id) -> bool | None:
            named = filing["filing_kind"] != CANCELLED and partner in filing["partner_ids"]
            return True if named else None

        documents = ctx.records.ledger.documents(AGREEMENT, partner_id)
        periods = union(document_period(doc) for doc in documents)
        covered = periods
        for clause in clauses:
            having = (document_period(doc) for doc in documents if clause in doc["clauses"])
            covered = intersect(covered, union(having))
        for named in wrong_filings(filings, names):
            since = start_of_day(named.first["change_completed_on"])
            gaps = subtract([(since, named.end)] if since < named.end else [], covered)
            renewed = named.first is not filings[0]
            yield Partnership(partner_id, named.first, periods, gaps, renewed)


def _agreements(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    clauses = sorted(ctx.settings.names("required_clauses"))
    for found in partnerships(filings, clauses, ctx):
        subject = f"{AGREEMENT}:{found.partner_id}"
        for verdict in _lacking(found.gaps, "d", subject, found.first, ctx):
            lacking = "AGREEMENT"
            start = verdict.start if verdict.start is not None else 0
            documents = ctx.records.ledger.documents_in_force(AGREEMENT, start, found.partner_id)
            if documents:
                had = {clause for doc in documents for clause in doc["clauses"]}
                lacking = ",".join(sorted(set(clauses) - had))
            facts = {"partner_id": found.partner_id, "lacking": lacking}
            shown = (*verdict.evidence, *(doc.id for doc in documents))
            yield _with(verdict, facts, shown)


def _with(verdict: Verdict, facts: dict[str, str], evidence: tuple[str, ...]) -> Verdict:
    return Verdict(
        verdict.subject_type,
        verdict.subject_id,
        verdict.state,
        verdict.clause,
        start=verdict.start,
        end=verdict.end,
        evidence=evidence,
        facts=facts,
        due=verdict.due,
        episodic=verdict.episodic,
    )


def _stated(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    """Units and flags that a snapshot of the institution must state."""
    for unit in ctx.settings.listed("required_units"):

        def without(filing: Evidence, unit: str = unit) -> bool | None:
            return True if unit not in filing["management_units"] else None

        yield from _of_filings(filings, without, "b", unit, ctx)
    for flag in ctx.settings.listed("required_unit_flags"):

        def denied(filing: Evidence, flag: str = flag) -> bool | None:
            concerned = flag != _UNIT_OF_INDEPENDENT or filing["institution_form"] == INDEPENDENT
            return _wanting(filing[flag]) if concerned else None

        yield from _of_filings(filings, denied, "b", flag, ctx)
    for field in ctx.settings.listed("required_filings"):
        if field in ("onboarding_statement_no", "e_seal_filed"):

            def unsaid(filing: Evidence, field: str = field) -> bool | None:
                return _wanting(filing[field])

            yield from _of_filings(filings, unsaid, "f", field, ctx)


def _wanting(value: Any) -> bool | None:
    """None where a field is filled, else whether it says so itself: false, and not just empty."""
    return None if value else value is False


def _of_filings(
    filings: list[Evidence], wrong: Any, clause: str, subject: str, ctx: Context
) -> Iterator[Verdict]:
    def judged(filing: Evidence) -> bool | None:
        verdict: bool | None = wrong(filing)
        return verdict if filing["filing_kind"] != CANCELLED else None

    fact = "unit" if clause == "b" else "item"
    yield from weightiest(_item_wrong(filings, judged, clause, subject, {fact: subject}, ctx))


def _item_wrong(
    filings: list[Evidence],
    wrong: Any,
    clause: str,
    subject: str,
    facts: dict[str, str],
    ctx: Context,
) -> Iterator[Verdict]:
    kind = "staff_field" if clause == "c" else "item"
    for stretch in wrong_filings(filings, wrong):
        first = stretch.first
        day = first["change_completed_on"]
        state = State.CONFIRMED if stretch.hard else ctx.filing_absence_on(day, first.r)
        if state is not None:
            yield Verdict(
                kind,
                subject,
                ended(state, stretch.end, ctx),
                clause,
                start=first.t,
                end=ending(stretch.end),
                evidence=tuple(filing.id for filing in stretch.filings),
                facts=facts,
                due=None if stretch.hard else start_of_day(day + 1),
            )


def _named(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    """Clause (e): the registered name contains what CQ 8 prescribes for its form."""

    def misnamed(filing: Evidence) -> bool | None:
        expected = _expected(filing)
        fits = any(name in filing["registered_name"] for name in expected)
        return None if fits or not expected else True

    for verdict in weightiest(_item_wrong(filings, misnamed, "e", "registered_name", {}, ctx)):
        shown = set(verdict.evidence)
        last = [filing for filing in filings if filing.id in shown][-1]
        facts = {
            "registered_name": last["registered_name"],
            "expected_name": ",".join(_expected(last)),
        }
        yield _with(verdict, facts, verdict.evidence)


def _expected(filing: Evidence) -> list[str]:
    """The names of which one must be contained; none where that is not known."""
    if filing["filing_kind"] == CANCELLED:
        return []
    form, host = filing["institution_form"], filing["host_name"]
    if form == INDEPENDENT:
        applicant = filing["applicant_short_name"]
        return [f"{applicant}{_TITLE}"] if applicant else []
    if form != SECOND_NAME or not host:
        return []
    if not filing["partner_ids"] and not filing["partner_short_names"]:
        return [f"{host}{_TITLE}"]
    return [f"{host}{partner}{_TITLE}" for partner in filing["partner_short_names"]]


def files_staff_in_full(person: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-06 (c): the filing of an active member of staff lacks no required field (GX 20, YC 9).

    A flag that is false is established on receipt, an empty field or a missing scan an absence. The
    subject names the field; several missing scans are one finding.
    """
    common = ctx.settings.names("required_staff_fields")
    of_doctors = ctx.settings.names("required_doctor_fields")
    of_pharmacists = ctx.settings.names("required_pharmacist_fields")
    scans = ctx.settings.names("required_doctor_scans")
    fields = common | of_doctors | of_pharmacists | ({"scans_filed"} if scans else set())
    if not fields:
        return
    filings = ctx.records.ledger.staff_filings(person.id)

    def missing_scans(filing: Evidence) -> list[str]:
        return sorted(scans - set(filing["scans_filed"])) if filing["role"] == "DOCTOR" else []

    for field in sorted(fields):

        def wrong(filing: Evidence, field: str = field) -> bool | None:
            if filing["status"] != "ACTIVE":
                return None
            role = filing["role"]
            if field == "scans_filed" and missing_scans(filing):
                return False
            required = (
                field in common
                or (role == "DOCTOR" and field in of_doctors)
                or (role == "PHARMACIST" and field in of_pharmacists)
            )
            return _wanting(filing[field]) if required else None

        subject = f"{person.id}:{field}"
        for verdict in weightiest(_item_wrong(filings, wrong, "c", subject, {}, ctx)):
            shown = set(verdict.evidence)
            last = [filing for filing in filings if filing.id in shown][-1]
            missing = missing_scans(last) if field == "scans_filed" and last["scans_filed"] else []
            facts = {"staff_id": person.id, "field": ",".join(missing) or field}
            yield _with(verdict, facts, verdict.evidence)


_INSTITUTION = (
    "filing_kind",
    "institution_form",
    "registered_name",
    "applicant_short_name",
    "partner_short_names",
    "partner_ids",
    "host_name",
    "management_units",
    "internet_unit_head_is_vice_president",
    "it_unit_independent_of_host",
    "onboarding_statement_no",
    "e_seal_filed",
    "change_completed_on",
)
_DOCUMENT = ("doc_type", "effective_from", "effective_to", "counterparty_ids")
_STAFF = (
    "role",
    "status",
    "change_completed_on",
    "id_number_filed",
    "photo_filed",
    "scans_filed",
    "practice_locations",
    "registered_institution_ids",
    "practice_scope_codes",
    "practice_category",
    "independent_practice_since",
    "clinical_work_since",
    "esign_cert",
    "esign_filed",
)

RULES = (
    Rule(
        id="LIC-06",
        reads={
            "InstitutionFiled": _INSTITUTION,
            "DocumentFiled": (*_DOCUMENT, "clauses"),
            "StaffFiled": _STAFF,
            "InfrastructureFiled": (),
            "BusinessHoursDeclared": (),
        },
        judges={"institution": files_everything, "person": files_staff_in_full},
        auto=ALL,
    ),
)
