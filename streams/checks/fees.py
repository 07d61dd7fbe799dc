"""FEE: what patients are charged and refunded (收费)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Rule
from streams.checks.prescriptions import is_telemedicine, leading, listed
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import day_of, end_of_day

_PRICED = ("PRICE_LIST", "DRUG_PRICES")


def refunded_in_time(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """FEE-01: a refund is paid or rejected within ``max_working_days`` working days (SC 32).

    The day of the request is not counted; the limit is the end of the last day. A payment from the
    limit on is too late even after a rejection in time. A settlement is one of a kind, so one that
    came too late establishes and ends it in one step (D2); an earlier one uploaded within the
    window undoes that lawfully.
    """
    requested = view.first("RefundRequested")
    if requested is None:
        return
    last = ctx.reference.nth_working_day_after(
        day_of(requested.t), ctx.settings.count("max_working_days")
    )
    limit = end_of_day(last)
    settled = view.events("RefundSettled")
    late = next((s for s in settled if s.t >= limit), None)
    if settled and settled[0].t < limit:
        late = next((s for s in settled if s.t >= limit and s["result"] == "PAID"), None)
        if late is None:
            return
    state = ctx.clinical_absence(limit, requested.r) if late is None else State.RESOLVED
    if state is None or _is_telemedicine(requested, ctx):
        return
    yield Verdict(
        "refund",
        view.id,
        state,
        start=requested.t,
        end=None if late is None else late.t,
        evidence=(requested.id, *(s.id for s in settled)),
        facts={"fee_id": requested["fee_id"]},
        due=limit,
        lawful_until=ctx.book.deadlines.clinical_confirmed(limit) if late else 0,
    )


def _is_telemedicine(requested: Evidence, ctx: Context) -> bool:
    charged = ctx.records.dossier("fee", requested["fee_id"]).first("FeeCharged")
    return charged is not None and is_telemedicine(charged["session_id"], ctx)


def charged_as_disclosed(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """FEE-02: what is charged is disclosed, and not more than that (GX 29, CQ 20, SC 31, YC 25).

    (a) a line that no price notice in force lists, drugs only where they must be listed; (b) a line
    dearer than the price disclosed, of several the highest; (c) no itemised bill. In force is the
    last notice of the price list and of the drug prices by then, unless that is a withdrawal. The
    wait of (b) begins with the first notice known that shows a lower price.
    """
    unlisted: list[tuple[State, Evidence]] = []
    dearer: list[tuple[State, Evidence]] = []
    unbilled: Evidence | None = None
    codes: dict[str, tuple[list[str], list[str]]] = {}
    for charge in view.events("FeeCharged"):
        missing, above, known = _compared(charge, ctx)
        bill = charge["itemised_bill_provided"]
        no_bill = ctx.settings.flag("itemised_bill_required") and not bill
        if not (missing or above or no_bill) or is_telemedicine(charge["session_id"], ctx):
            continue
        codes[charge.id] = missing, above
        if no_bill and unbilled is None:
            unbilled = charge
        if missing and (state := ctx.filing_absence(charge.t, charge.r)):
            unlisted.append((state, charge))
        if above and (state := ctx.filing_absence(charge.t, max(charge.r, known))):
            dearer.append((state, charge))
    for position, (clause, found) in enumerate((("a", unlisted), ("b", dearer))):
        held = leading(found)
        if held is not None:
            state, charge = held
            facts = {"item_codes": listed(codes[charge.id][position])}
            yield _verdict(view, clause, state, charge, facts, charge.t)
    if unbilled is not None:
        yield _verdict(view, "c", State.CONFIRMED, unbilled, {}, None)


def _verdict(
    view: Dossier,
    clause: str,
    state: State,
    charge: Evidence,
    facts: dict[str, str],
    due: int | None,
) -> Verdict:
    shown = (charge.id,)
    return Verdict(
        "fee", view.id, state, clause, start=charge.t, evidence=shown, facts=facts, due=due
    )


def _compared(charge: Evidence, ctx: Context) -> tuple[list[str], list[str], int]:
    """Codes not disclosed, codes dearer than disclosed, and since when a lower price is known."""
    lines = charge["lines"]
    codes = {line["item_code"] for line in lines}
    notices = [n for item in _PRICED for n in ctx.records.ledger.notices(item, upto=charge.t)]
    notices = [n for n in notices if n.t <= charge.t]
    disclosed: dict[str, int] = {}
    for item in _PRICED:
        last = next((n for n in reversed(notices) if n["item"] == item), None)
        for code, price in _prices(last, codes):
            disclosed[code] = max(price, disclosed.get(code, 0))
    day, drugs_too = day_of(charge.t), ctx.settings.flag("drug_codes_must_be_listed")
    missing = [
        code
        for code in sorted(codes - disclosed.keys())
        if drugs_too or ctx.reference.drug(code, day) is None
    ]
    charged = [(line["item_code"], line["unit_price_fen"]) for line in lines]
    dearer = {c: fen for c, fen in charged if c in disclosed and fen > disclosed[c]}
    if not dearer:
        return missing, [], 0
    known = min(
        n.r for n in notices if any(price < dearer[code] for code, price in _prices(n, set(dearer)))
    )
    return missing, sorted(dearer), known


def _prices(notice: Evidence | None, codes: set[str]) -> list[tuple[str, int]]:
    """The prices that a notice discloses of some codes."""
    if notice is None or notice["state"] != "PUBLISHED":
        return []
    return [
        (price["item_code"], price["unit_price_fen"])
        for price in notice["prices"] or ()
        if price["item_code"] in codes
    ]


RULES = (
    Rule(
        id="FEE-01",
        reads={
            "RefundRequested": ("fee_id",),
            "RefundSettled": ("result",),
            "FeeCharged": ("session_id",),
            "SessionOpened": ("service_kind",),
        },
        auto=ALL,
        judges={"refund": refunded_in_time},
    ),
    Rule(
        id="FEE-02",
        reads={
            "FeeCharged": ("session_id", "lines", "itemised_bill_provided"),
            "NoticePublished": ("item", "state", "prices"),
            "SessionOpened": ("service_kind",),
        },
        judges={"fee": charged_as_disclosed},
    ),
)
