"""STF-01 to STF-05: may this person treat patients here (人员). STF-06 is in ``seniors.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import Dossier, Session
from streams.checks.base import Context, Rule
from streams.checks.stretches import STRUCK_OFF, in_scope
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.rulebook import OWN_DOCTORS
from streams.timeline import (
    add_months,
    day_of,
    end_of_day,
    format_day,
    format_instant,
    start_of_day,
)

# -- STF-01 ----------------------------------------------------------------------------------------


class Unfit(NamedTuple):
    """Instants ``[start, end)`` at which a person must not act, as ``source`` shows.

    What may still show otherwise is a filing in transit, or for a look-up in the register valid as
    of ``checked`` the next one, which has ``contradicted`` it or not once it is known.
    """

    start: int
    end: int
    fact: str
    source: Evidence | None = None
    filing_may_come: bool = False
    checked: int = 0
    contradicted: bool | None = None


def qualified(person: Dossier, ctx: Context) -> Iterator[Verdict]:
    """STF-01: who acts is filed here, known to the register, active, and a doctor where it is due.

    CN 14, CN 25, GX 17, GX 18, CQ 22, SC 8, YC 9. One finding a clause; further acts extend it.
    (a) no filing in effect; (b) the register does not know the person or contradicts the filing,
    only a suspicion where the look-up is older than ``registry_max_age`` at the act (D9), which the
    next look-up, of whatever day, establishes or clears; (c) not
    active, qualification expired, or struck off the register; (d) received or prescribed without
    being filed as a doctor. Only registers of ``registry_roles`` are asked, that of pharmacists
    only whether it knows the person (GX 20 「可查询」).
    """
    ledger = ctx.records.ledger
    filings = ledger.staff_filings(person.id)
    checks: list[Evidence] = []
    if ctx.settings.flag("registry_required"):
        roles = ctx.settings.names("registry_roles")
        checks = [c for c in ledger.registry_checks(person.id) if c["register"] in roles]
    for clause, unfit in (
        ("a", _unfiled(filings)),
        ("b", _unconfirmed(checks)),
        ("c", [*_inactive(filings), *_struck_off(checks)]),
        ("d", _no_doctor(filings)),
    ):
        yield from _acted(person.id, clause, unfit, ctx)


def _unfiled(filings: list[Evidence]) -> list[Unfit]:
    first = filings[0].t if filings else FOREVER
    return [Unfit(0, first, "UNFILED", filing_may_come=True)]


def _unconfirmed(checks: list[Evidence]) -> list[Unfit]:
    found = []
    for check, start, end in _governing(checks):
        fact = _objection(check)
        if fact is not None:
            newer = next((c for c in checks if c["valid_as_of"] >= end), None)
            again = None if newer is None else _objection(newer) is None
            found.append(Unfit(start, end, fact, check, False, check["valid_as_of"], again))
    return found


def _objection(check: Evidence) -> str | None:
    """What a look-up says against a person; None for nothing."""
    if not check["found"]:
        return "NOT_FOUND"
    if check["matches_filing"] or check["register"] == "PHARMACIST":
        return None
    return ",".join(sorted(check["mismatch_fields"])) or "none"


def _governing(checks: list[Evidence]) -> Iterator[tuple[Evidence, int, int]]:
    """Each look-up with the instants it answers for: from its validity, the first from ever."""
    for position, check in enumerate(checks):
        start = check["valid_as_of"] if position else 0
        last = position + 1 == len(checks)
        end = FOREVER if last else checks[position + 1]["valid_as_of"]
        if start < end:
            yield check, start, end


def _inactive(filings: list[Evidence]) -> list[Unfit]:
    found = []
    for filing, start, end in _in_effect(filings):
        last_day = filing["qualification_valid_to"]
        if filing["status"] != "ACTIVE":
            found.append(Unfit(start, end, filing["status"], filing))
        elif last_day is not None and end_of_day(last_day) < end:
            expired = max(start, end_of_day(last_day))
            found.append(Unfit(expired, end, "EXPIRED", filing, filing_may_come=True))
    return found


def _struck_off(checks: list[Evidence]) -> list[Unfit]:
    return [
        Unfit(start, end, f"REGISTER_{check['registration_status']}", check)
        for check, start, end in _governing(checks)
        if check["registration_status"] in STRUCK_OFF and check["register"] != "PHARMACIST"
    ]


def _no_doctor(filings: list[Evidence]) -> list[Unfit]:
    return [
        Unfit(start, end, filing["role"], filing)
        for filing, start, end in _in_effect(filings)
        if filing["role"] != "DOCTOR"
    ]


def _in_effect(filings: list[Evidence]) -> Iterator[tuple[Evidence, int, int]]:
    for position, filing in enumerate(filings):
        last = position + 1 == len(filings)
        end = FOREVER if last else filings[position + 1].t
        if filing.t < end:
            yield filing, filing.t, end


def _acted(staff_id: str, clause: str, unfit: list[Unfit], ctx: Context) -> Iterator[Verdict]:
    """The verdict on what a person did while unfit to."""
    held: list[tuple[Evidence, Unfit, State]] = []
    for span in unfit:
        if span.start > ctx.now:
            ctx.wake(span.start)
            continue
        for act in ctx.records.acts_of(staff_id, span.start, span.end):
            if _concerns(act, staff_id, clause) and in_scope(act, ctx):
                state = _state_of(act, span, ctx)
                if state is not None:
                    held.append((act, span, state))
    if not held:
        return
    held.sort(key=lambda item: (item[0].t, item[0].id))
    (act, span, _), last = held[0], held[-1][0]
    established = any(state is State.CONFIRMED for _, _, state in held)
    sources = (s.source.id for _, s, _ in held if s.source is not None)
    shown = dict.fromkeys((*sources, *(a.id for a, _, _ in held)))
    yield Verdict(
        "staff",
        staff_id,
        State.CONFIRMED if established else State.SUSPECTED,
        clause,
        start=act.t,
        end=last.t,
        evidence=tuple(shown),
        facts=_facts(clause, [s for _, s, _ in held]),
        due=act.t if span.filing_may_come else None,
        lawful_until=ctx.book.deadlines.filing_confirmed(act.t),
    )


def _concerns(act: Evidence, staff_id: str, clause: str) -> bool:
    """Whether an act is one by the person that the clause is about."""
    if act.type == "SessionOpened":
        attending = act["doctor_id"] == staff_id
        return bool(attending or (clause != "d" and staff_id in act["assisting_staff_ids"]))
    return bool(act.type == "PrescriptionIssued" and act["prescriber_id"] == staff_id)


def _state_of(act: Evidence, span: Unfit, ctx: Context) -> State | None:
    if span.filing_may_come:
        return ctx.filing_absence(act.t, act.r)
    if act.t - span.checked <= ctx.settings.millis("registry_max_age") or not span.checked:
        return State.CONFIRMED
    if span.contradicted is not None:
        return None if span.contradicted else State.CONFIRMED
    suspected_at = max(act.t, act.r) + ctx.book.deadlines.wait
    if ctx.now < suspected_at:
        ctx.wake(suspected_at)
        return None
    return State.SUSPECTED


def _facts(clause: str, spans: list[Unfit]) -> dict[str, str]:
    known = ",".join(sorted({span.fact for span in spans}))
    match clause:
        case "b":
            return {"mismatch": spans[0].fact, "checked_at": format_instant(spans[0].checked)}
        case "c":
            return {"cause": known}
        case "d":
            return {"role": known}
        case _:
            return {}


# -- STF-02 to STF-05 ------------------------------------------------------------------------------


class Attending(NamedTuple):
    """The doctor of a session with the filing in effect; ``trigger``: since when both are known."""

    opened: Evidence
    doctor_id: str
    filing: Evidence
    trigger: int


def _attending(session: Session, ctx: Context) -> Attending | None:
    """None for a doctor without a filing, which is STF-01 alone (D8)."""
    opened = session.opened
    if opened is None:
        return None
    doctor_id, ledger = opened["doctor_id"], ctx.records.ledger
    filing = ledger.staff(doctor_id, opened.t)
    if filing is None:
        return None
    known = ledger.staff_known(doctor_id, opened.t)
    return Attending(opened, doctor_id, filing, max(opened.r, known))


def registered_or_admitted(session: Session, ctx: Context) -> Iterator[Verdict]:
    """STF-02: the doctor is registered here or with the host, or filed for practice here.

    CN 2, CN 25, GX 17, GX 22, CQ 22, SC 3, SC 8, YC 4. (a) also where the register names none of
    the places that were filed (a'); (b) a doctor registered elsewhere has the consent of that
    institution. Nationally an own-doctor service may not use doctors registered elsewhere (Q8);
    an institution whose form is not filed is taken for an internet hospital.
    """
    found = _attending(session, ctx)
    if found is None:
        return
    opened, filing, ledger = found.opened, found.filing, ctx.records.ledger
    x = opened.t
    institution = ledger.institution(x)
    places = {ctx.records.institution_id}
    if institution is not None:
        places.add(institution["host_institution_id"])
    registered = set(filing["registered_institution_ids"])
    own = bool(places & registered)
    check = ledger.registry(found.doctor_id, x)
    admitted = _guests_allowed(institution, ctx) and _covers(
        filing["multi_site_from"], filing["multi_site_to"], x
    )
    sources = [opened, filing]
    cause, trigger = "", found.trigger
    if not own and not admitted:
        cause = "NOT_REGISTERED"
    elif check is not None and not registered & set(check["registered_institution_ids"]):
        cause, trigger = "REGISTER_DIFFERS", max(trigger, check.r)
        sources.append(check)
    if cause:
        state = ctx.filing_absence(x, trigger)
        facts = {"doctor_id": found.doctor_id, "cause": cause}
        yield from _of_session(session, state, "a", x, sources, facts)
    consent = "registering_institution_consent"
    consented = _covers(filing[f"{consent}_from"], filing[f"{consent}_to"], x)
    if ctx.settings.flag("consent_required") and not own and not consented:
        state = ctx.filing_absence(x, found.trigger)
        facts = {"doctor_id": found.doctor_id}
        yield from _of_session(session, state, "b", x, [opened, filing], facts)


def _guests_allowed(institution: Evidence | None, ctx: Context) -> bool:
    allowed = ctx.settings.text("multi_site_allowed").lower()
    if allowed in ("true", "false"):
        return allowed == "true"
    return institution is None or institution["institution_form"] != OWN_DOCTORS


def _covers(first: int | None, last: int | None, instant: int) -> bool:
    """Whether an instant lies in days from ``first`` to ``last`` (None: without end), inclusive."""
    if first is None or instant < start_of_day(first):
        return False
    return last is None or instant < end_of_day(last)


def _of_session(
    session: Session,
    state: State | None,
    clause: str | None,
    due: int,
    shown: list[Evidence],
    facts: dict[str, str],
    hard: bool = False,
) -> Iterator[Verdict]:
    if state is not None:
        yield Verdict(
            "session",
            session.id,
            state,
            clause,
            start=due,
            evidence=tuple(item.id for item in shown),
            facts=facts,
            due=None if hard else due,
        )


def experienced(session: Session, ctx: Context) -> Iterator[Verdict]:
    """STF-03: three years of independent clinical work (CN 25, GX 17, CQ 22; SC 8 is read so, Q9).

    A filed beginning that is too recent is established, one left empty the absence of a filing.
    """
    found = _attending(session, ctx)
    if found is None:
        return
    opened, filing = found.opened, found.filing
    clinical = ctx.settings.text("basis") == "CLINICAL"
    since = filing["clinical_work_since" if clinical else "independent_practice_since"]
    hard = since is not None
    if since is not None:
        if day_of(opened.t) >= add_months(since, 12 * ctx.settings.count("years")):
            return
        state: State | None = State.CONFIRMED
    else:
        state = ctx.filing_absence(opened.t, found.trigger)
    facts = {
        "doctor_id": found.doctor_id,
        "since": "none" if since is None else format_day(since),
    }
    yield from _of_session(session, state, None, opened.t, [opened, filing], facts, hard)


def within_scope_of_practice(session: Session, ctx: Context) -> Iterator[Verdict]:
    """STF-04: the department lies in the certified category and scope of practice (CQ 22)."""
    found = _attending(session, ctx)
    if found is None:
        return
    opened, filing, reference = found.opened, found.filing, ctx.reference
    day, dept_code = day_of(opened.t), opened["dept_code"]
    scoped = any(
        dept_code in reference.departments_of(code, day) for code in filing["practice_scope_codes"]
    )
    if scoped and reference.category_allows(filing["practice_category"], dept_code, day):
        return
    state = ctx.filing_absence(opened.t, found.trigger)
    facts = {"doctor_id": found.doctor_id, "dept_code": dept_code}
    yield from _of_session(session, state, None, opened.t, [opened, filing], facts)


def insured(session: Session, ctx: Context) -> Iterator[Verdict]:
    """STF-05: a liability insurance covers the doctor at the session (CQ 30).

    Of several filings of one policy and term the last one counts, so that a cancellation filed
    later takes effect.
    """
    found = _attending(session, ctx)
    if found is None:
        return
    opened = found.opened
    policies = ctx.records.ledger.policies(found.doctor_id)
    terms = {(p["policy_no_hash"], p["valid_from"]): p for p in policies}
    for policy in terms.values():
        cancelled = policy["cancelled_on"]
        running = cancelled is None or opened.t < start_of_day(cancelled)
        if running and _covers(policy["valid_from"], policy["valid_to"], opened.t):
            return
    state = ctx.filing_absence(opened.t, found.trigger)
    facts = {"doctor_id": found.doctor_id}
    yield from _of_session(session, state, None, opened.t, [opened, *policies], facts)


_SESSION = ("doctor_id", "service_kind")
_PLACES = (
    "registered_institution_ids",
    "multi_site_from",
    "multi_site_to",
    "registering_institution_consent_from",
    "registering_institution_consent_to",
)

RULES = (
    Rule(
        id="STF-01",
        reads={
            "SessionOpened": (*_SESSION, "assisting_staff_ids"),
            "PrescriptionIssued": ("prescriber_id", "session_id"),
            "StaffFiled": ("role", "status", "qualification_valid_to"),
            "StaffRegistryChecked": (
                "register",
                "found",
                "matches_filing",
                "mismatch_fields",
                "registration_status",
                "valid_as_of",
            ),
        },
        judges={"person": qualified},
    ),
    Rule(
        id="STF-02",
        reads={
            "SessionOpened": _SESSION,
            "StaffFiled": _PLACES,
            "StaffRegistryChecked": ("registered_institution_ids", "valid_as_of"),
            "InstitutionFiled": ("institution_form", "host_institution_id"),
        },
        judges={"session": registered_or_admitted},
    ),
    Rule(
        id="STF-03",
        reads={
            "SessionOpened": _SESSION,
            "StaffFiled": ("independent_practice_since", "clinical_work_since"),
        },
        judges={"session": experienced},
    ),
    Rule(
        id="STF-04",
        reads={
            "SessionOpened": (*_SESSION, "dept_code"),
            "StaffFiled": ("practice_category", "practice_scope_codes"),
        },
        judges={"session": within_scope_of_practice},
    ),
    Rule(
        id="STF-05",
        reads={
            "SessionOpened": _SESSION,
            "StaffFiled": (),
            "LiabilityInsuranceFiled": ("policy_no_hash", "valid_from", "valid_to", "cancelled_on"),
        },
        judges={"session": insured},
    ),
)
