"""RX: what is supplied on prescriptions, and by whom it is carried (供药)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.cases.session import Dossier
from streams.checks.base import Context, Rule
from streams.checks.prescriptions import (
    NONE,
    in_force,
    is_telemedicine,
    leading,
    listed,
)
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import day_of, format_instant

AGREEMENT = "DELIVERY_AGREEMENT"


def _supplies(view: Dossier) -> list[Evidence]:
    """Every stage at which a drug goes towards the patient."""
    return [s for s in view.events("DrugSupplied") if s["stage"] != "RETURNED"]


def approved_before_supplied(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-03: nothing is supplied before a pharmacist's approval is in force (CN 18, GX 27 ...).

    In force at a supply is the last review by then, of two at the same ms the approval. An earlier
    approval may be in transit, so it is an absence also where a rejection is known. Without a known
    prescription it is RX-04 alone (D19).
    """
    if view.first("PrescriptionIssued") is None:
        return
    reviews = view.events("PrescriptionReviewed")
    found = []
    for supply in _supplies(view):
        before = [review for review in reviews if review.t <= supply.t]
        if before and in_force(before)["result"] == "APPROVED":
            continue
        state = ctx.clinical_absence(supply.t, supply.r)
        if state is not None:
            found.append((state, supply))
    held = leading(found)
    if held is not None:
        state, supply = held
        yield Verdict(
            "prescription",
            view.id,
            state,
            start=supply.t,
            evidence=(*(review.id for review in reviews), supply.id),
            facts={"supply_id": supply["supply_id"], "stage": supply["stage"]},
            due=supply.t,
        )


def _prescription(supply: Evidence, ctx: Context) -> Evidence | None:
    """The prescription that a supply names, if it is known."""
    prescription_id = supply["prescription_id"]
    if prescription_id is None:
        return None
    return ctx.records.dossier("prescription", prescription_id).first("PrescriptionIssued")


def _out_of_scope(supply: Evidence, issued: Evidence, ctx: Context) -> bool:
    """Telemedicine by the prescription; by the supply's own session it is not judged at all."""
    return supply["session_id"] is None and is_telemedicine(issued["session_id"], ctx)


def prescribed_before_supplied(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-04: drugs are supplied on a prescription that was issued before (GX 27, CQ 27).

    (a) before the prescription; (b) prescription-only drugs without any, by the catalogue as of the
    day; (c) on one that is not known. A return is no supply in any of them.
    """
    early: tuple[Evidence, Evidence] | None = None
    without: tuple[Evidence, list[str]] | None = None
    unknown = []
    for supply in _supplies(view):
        if supply["prescription_id"] is None:
            codes = [] if without else _prescription_only(supply, ctx)
            without = (supply, codes) if codes else without
            continue
        issued = _prescription(supply, ctx)
        if issued is None:
            state = ctx.clinical_absence(supply.t, supply.r)
            if state is not None:
                unknown.append((state, supply))
        elif early is None and supply.t < issued.t and not _out_of_scope(supply, issued, ctx):
            early = supply, issued
    if early is not None:
        supply, issued = early
        facts = {
            "prescription_id": supply["prescription_id"],
            "stage": supply["stage"],
            "issued_at": format_instant(issued.t),
        }
        yield _of_supply(view, "a", State.CONFIRMED, supply, facts, (supply.id, issued.id))
    if without is not None:
        supply, codes = without
        facts = {"drug_codes": listed(codes)}
        yield _of_supply(view, "b", State.CONFIRMED, supply, facts, (supply.id,))
    held = leading(unknown)
    if held is not None:
        state, supply = held
        facts = {"prescription_id": supply["prescription_id"], "stage": supply["stage"]}
        yield _of_supply(view, "c", state, supply, facts, (supply.id,), supply.t)


def _prescription_only(supply: Evidence, ctx: Context) -> list[str]:
    day = day_of(supply.t)
    codes = {line["drug_code"] for line in supply["lines"]}
    return [c for c in codes if (drug := ctx.reference.drug(c, day)) and drug.prescription_only]


def _of_supply(
    view: Dossier,
    clause: str,
    state: State,
    supply: Evidence,
    facts: dict[str, str],
    shown: tuple[str, ...],
    due: int | None = None,
) -> Verdict:
    return Verdict(
        "supply", view.id, state, clause, start=supply.t, evidence=shown, facts=facts, due=due
    )


def carried_traceably(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-08 (a, c): carriers are bound by agreement, and what they are given arrives (GX 28).

    (a) any stage with a carrier that no delivery agreement in force names. (c) handed over, and
    from then to ``delivery_days`` later neither delivered nor returned; or delivered and not
    dispensed by then. The delivery is no absence of one act alone, since a return serves as well:
    what came late is suspected until the confirmation and then resolved (D2); one delivered without
    having been dispensed has been delivered, so it is resolved when established (D19). Supplies
    without a known prescription are RX-04 alone (D19).
    """
    if ctx.on("a"):
        yield from _without_agreement(view, ctx)
    if ctx.on("c"):
        yield from _not_tracked(view, ctx)


def _judged(supply: Evidence, ctx: Context) -> bool:
    issued = _prescription(supply, ctx)
    return issued is not None and not _out_of_scope(supply, issued, ctx)


def _without_agreement(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    found = []
    for supply in view.events("DrugSupplied"):
        carrier_id = supply["carrier_id"]
        if carrier_id is None:
            continue
        if ctx.records.ledger.documents_in_force(AGREEMENT, supply.t, carrier_id):
            continue
        if _judged(supply, ctx):
            state = ctx.filing_absence(supply.t, supply.r)
            if state is not None:
                found.append((state, supply))
    held = leading(found)
    if held is not None:
        state, supply = held
        prescription_id = supply["prescription_id"]
        facts = {
            "carrier_id": supply["carrier_id"],
            "prescription_id": NONE if prescription_id is None else prescription_id,
        }
        yield _of_supply(view, "a", state, supply, facts, (supply.id,), supply.t)


def _not_tracked(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    supplies = view.events("DrugSupplied")
    ended = [s for s in supplies if s["stage"] in ("DELIVERED", "RETURNED")]
    dispensed = [s.t for s in supplies if s["stage"] == "DISPENSED"]
    allowed = ctx.settings.millis("delivery_days")
    found: list[tuple[State, Evidence]] = []
    for supply in supplies:
        if supply["stage"] == "HANDED_TO_CARRIER":
            due = supply.t + allowed
            if any(supply.t <= end.t <= due for end in ended):
                continue
        elif supply["stage"] == "DELIVERED":
            due = supply.t
            if any(t <= due for t in dispensed):
                continue
        else:
            continue
        if _judged(supply, ctx):
            state = ctx.clinical_absence(due, supply.r)
            if state is not None:
                found.append((state, supply))
    held = leading(found)
    if held is None:
        return
    state, supply = held
    last = min((end.t for end in ended if end.t >= supply.t), default=None)
    if state is State.CONFIRMED and all(
        any(end.t >= other.t for end in ended) for held_as, other in found if held_as is state
    ):
        state = State.RESOLVED
    delivered = supply["stage"] == "DELIVERED"
    yield Verdict(
        "supply",
        view.id,
        state,
        "c",
        start=supply.t,
        end=last,
        evidence=tuple(item.id for item in supplies),
        facts={"cause": "NOT_DISPENSED" if delivered else "NOT_DELIVERED"},
        due=supply.t if delivered else supply.t + allowed,
    )


def supplied_as_prescribed(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-08 (b): nothing is dispensed that was not prescribed, nor more of it (GX 27, CQ 27).

    Quantities are summed over all supplies of the prescription, less what was returned whenever,
    and compared where code and unit are those prescribed; units are not converted. A prescription-
    only drug that is not on the prescription stays a violation even if returned. A return uploaded
    within its window undoes it lawfully.
    """
    issued = view.first("PrescriptionIssued")
    supplies = view.events("DrugSupplied")
    if issued is None or not supplies:
        return
    prescribed: dict[tuple[str, str], int] = {}
    for item in issued["items"]:
        _add(prescribed, item, 1)
    codes = {code for code, _ in prescribed}
    net: dict[tuple[str, str], int] = {}
    exceeded: dict[tuple[str, str], Evidence] = {}
    unprescribed: dict[str, Evidence] = {}
    for supply in supplies:
        if supply["stage"] not in ("DISPENSED", "RETURNED"):
            continue
        given = supply["stage"] == "DISPENSED"
        for line in supply["lines"]:
            key = _add(net, line, 1 if given else -1)
            if given and key in prescribed and net[key] > prescribed[key]:
                exceeded.setdefault(key, supply)
            if given and key[0] not in codes and _is_prescription_only(key[0], supply, ctx):
                unprescribed.setdefault(key[0], supply)
    exceeded = {key: by for key, by in exceeded.items() if net[key] > prescribed[key]}
    if not exceeded and not unprescribed:
        return
    first = min((*exceeded.values(), *unprescribed.values()), key=lambda s: (s.t, s.id))
    causes = [*(["NOT_PRESCRIBED"] if unprescribed else []), *(["EXCESS"] if exceeded else [])]
    yield Verdict(
        "prescription",
        view.id,
        State.CONFIRMED,
        "b",
        start=first.t,
        evidence=(issued.id, *(s.id for s in supplies)),
        facts={
            "drug_codes": listed((*unprescribed, *(code for code, _ in exceeded))),
            "mismatch": listed(causes),
        },
        lawful_until=ctx.book.deadlines.clinical_confirmed(first.t),
    )


def _add(sums: dict[tuple[str, str], int], line: Mapping[str, Any], sign: int) -> tuple[str, str]:
    key = line["drug_code"], line["unit"]
    sums[key] = sums.get(key, 0) + sign * line["quantity"]
    return key


def _is_prescription_only(code: str, supply: Evidence, ctx: Context) -> bool:
    drug = ctx.reference.drug(code, day_of(supply.t))
    return drug is not None and drug.prescription_only


_PRESCRIBED = ("session_id", "items")

RULES = (
    Rule(
        id="RX-03",
        reads={
            "PrescriptionIssued": ("session_id",),
            "PrescriptionReviewed": ("result",),
            "DrugSupplied": ("prescription_id", "session_id", "supply_id", "stage"),
        },
        judges={"prescription": approved_before_supplied},
    ),
    Rule(
        id="RX-04",
        reads={
            "SessionOpened": ("service_kind",),
            "PrescriptionIssued": ("session_id",),
            "DrugSupplied": ("prescription_id", "session_id", "stage", "lines"),
        },
        judges={"supply": prescribed_before_supplied},
    ),
    Rule(
        id="RX-08",
        reads={
            "PrescriptionIssued": _PRESCRIBED,
            "DrugSupplied": ("prescription_id", "session_id", "stage", "lines", "carrier_id"),
            "DocumentFiled": ("doc_type", "effective_from", "effective_to", "counterparty_ids"),
        },
        judges={"supply": carried_traceably, "prescription": supplied_as_prescribed},
        auto=frozenset({"c"}),
    ),
)
