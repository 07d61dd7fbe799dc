"""LIC-07: when registration is due anew, and who may share a host (重新设置登记)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from streams.cases.base import FOREVER
from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Fact, Rule, Teller
from streams.checks.filings import partnerships
from streams.checks.stretches import (
    CANCELLED,
    INDEPENDENT,
    INTERNET_HOSPITALS,
    SECOND_NAME,
    ended,
    ending,
    weightiest,
)
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.intervals import IntervalSet, at_least, clip, intersect, union
from streams.timeline import day_of, start_of_day


def registered_anew(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-07 (a): what CQ 14 demands to register anew for comes with a new connection.

    A change of place, host, applicant or partner under the same onboarding number is established on
    receipt and ends with a filing under another one. That an agreement is missing is judged here
    where one has lapsed or the partner changed; else it is LIC-06 (d) alone (D11).
    """
    filings = ctx.records.ledger.institution_filings()
    if filings:
        yield from weightiest((*_same_onboarding(filings, ctx), *_without_agreement(filings, ctx)))


def _same_onboarding(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    renewing = ctx.settings.names("reregister_on")
    for previous, filing in pairwise(filings):
        changed = renewing.intersection(filing["changed_fields"])
        same = filing["onboarding_id"] == previous["onboarding_id"]
        if filing["filing_kind"] != "CHANGED" or not changed or not same:
            continue
        anew = (
            f.t
            for f in filings
            if f.t > filing.t
            and (f["onboarding_id"] != filing["onboarding_id"] or f["filing_kind"] == CANCELLED)
        )
        end = min(anew, default=FOREVER)
        yield Verdict(
            "institution",
            ctx.records.institution_id,
            ended(State.CONFIRMED, end, ctx),
            "a",
            start=filing.t,
            end=ending(end),
            evidence=(previous.id, filing.id),
            facts={"cause": "SAME_ONBOARDING", "detail": ",".join(sorted(changed))},
        )


def _without_agreement(filings: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    for found in partnerships(filings, (), ctx):
        for start, end in found.gaps:
            lapsed = any(begins < start for begins, _ in found.periods)
            if not lapsed and not found.renewed:
                continue
            day = day_of(start)
            state = ctx.filing_absence_on(day, found.first.r)
            if state is not None:
                yield Verdict(
                    "institution",
                    ctx.records.institution_id,
                    ended(state, end, ctx),
                    "a",
                    start=start_of_day(day),
                    end=ending(end),
                    evidence=(found.first.id,),
                    facts={"cause": "NO_AGREEMENT", "detail": found.partner_id},
                    due=start_of_day(day + 1),
                )


def tells_its_host(institution: Dossier, ctx: Context) -> Iterator[Fact]:
    """Since when an internet hospital is registered in which form, to all that share its host."""
    filings = ctx.records.ledger.institution_filings()
    for filing, following in zip(filings, [*filings[1:], None], strict=False):
        host_id, form = filing["host_institution_id"], filing["institution_form"]
        if filing["filing_kind"] == CANCELLED or form not in INTERNET_HOSPITALS or not host_id:
            continue
        body = {
            "institution_id": ctx.records.institution_id,
            "rulebook": ctx.book.name,
            "form": form,
            "end": None if following is None else following.t,
            "evidence": filing.id,
        }
        source = f"{ctx.records.institution_id}/{filing.id}"
        yield Fact(f"hosts/{host_id}", source, filing.t, body, ("host", host_id), shared=True)


def shares_its_host(host: Dossier, ctx: Context) -> Iterator[Verdict]:
    """LIC-07 (b) (c): what may be set up on one host (CQ 7).

    (b) More independent internet hospitals at once than one: 原则上, hence a suspicion, held as
    long as it is so. (c) A second name beside an independent one: established, and ended with the
    last instant at which both are registered. Each institution involved has a finding of its own,
    under its own rulebook.
    """
    facts = ctx.records.facts(f"hosts/{host.id}")
    by_form: dict[str, dict[str, IntervalSet]] = {INDEPENDENT: {}, SECOND_NAME: {}}
    for fact in facts:
        until = FOREVER if fact["end"] is None else fact["end"]
        mine = by_form[fact["form"]].setdefault(fact["institution_id"], [])
        mine.append((fact.t, until))
    independent = {i: union(pairs) for i, pairs in by_form[INDEPENDENT].items()}
    second = {i: union(pairs) for i, pairs in by_form[SECOND_NAME].items()}
    most = ctx.settings.count("max_independent_per_host")
    crowded = at_least(independent.values(), most + 1) if len(independent) > most else []
    for start, end in crowded:
        if start > ctx.now:
            ctx.wake(start)
        elif end > ctx.now:
            ended(State.SUSPECTED, end, ctx)
            yield from _involved(host, "b", State.SUSPECTED, (start, end), independent, facts)
    whole = union(pair for pairs in second.values() for pair in pairs)
    both = intersect(whole, union(pair for pairs in independent.values() for pair in pairs))
    begun = [pair for pair in both if pair[0] <= ctx.now]
    for start, _ in both[len(begun) :]:
        ctx.wake(start)
    involved = {
        i: union([*independent.get(i, []), *second.get(i, [])]) for i in independent | second
    }
    for start, end in begun[-1:]:
        state = ended(State.CONFIRMED, end, ctx)
        yield from _involved(host, "c", state, (start, end), involved, facts)


def _involved(
    host: Dossier,
    clause: str,
    state: State,
    span: tuple[int, int],
    institutions: dict[str, IntervalSet],
    facts: list[Evidence],
) -> Iterator[Verdict]:
    mine = sorted(i for i, periods in institutions.items() if clip(periods, *span))
    shown = tuple(f["evidence"] for f in facts if f["institution_id"] in mine and f.t < span[1])
    for institution_id in mine:
        others = ",".join(other for other in mine if other != institution_id)
        facts_shown = {"others": others}
        if clause == "b":
            facts_shown["count"] = str(len(mine))
        yield Verdict(
            "host",
            host.id,
            state,
            clause,
            start=span[0],
            end=ending(span[1]),
            evidence=shown,
            facts=facts_shown,
            institution_id=institution_id,
        )


RULES = (
    Rule(
        id="LIC-07",
        reads={
            "InstitutionFiled": (
                "filing_kind",
                "changed_fields",
                "onboarding_id",
                "partner_ids",
                "change_completed_on",
            ),
            "DocumentFiled": ("doc_type", "effective_from", "effective_to", "counterparty_ids"),
            "Told": (),
        },
        judges={"institution": registered_anew, "host": shares_its_host},
        auto=ALL,
    ),
)

TELLERS = (
    Teller(
        "hosts",
        "institution",
        {"InstitutionFiled": ("filing_kind", "institution_form", "host_institution_id")},
        tells_its_host,
        frozenset({"LIC-07"}),
    ),
)
