"""PHA: who reviews prescriptions, and whether that person was on duty (审方人员)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.cases.base import FOREVER
from streams.cases.roster import AGREEMENT
from streams.cases.session import Dossier
from streams.checks.base import Context, Rule
from streams.checks.prescriptions import approvals, leading
from streams.checks.stretches import STRUCK_OFF
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import DAY


def reviewed_by_a_pharmacist(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """PHA-02: prescriptions are approved by eligible pharmacists (CN 18, GX 20, CQ-A1 三, YC 15).

    Of each approval: (a) by somebody filed in another role; (b) by somebody unfiled, not active, or
    struck off the pharmacists' register; (c) by the prescriber; (d) by a third party's employee
    without an agreement in force, whatever the role. A filing effective by then and uploaded within
    its window undoes (a) and (b) lawfully (RULES 1.6.1). In (d) the wait begins with the first
    filing that shows the employer.
    """
    approved = approvals(view)
    yield from _established(view, approved, ctx)
    issued = view.first("PrescriptionIssued")
    if issued is not None:
        own = next((r for r in approved if r["reviewer_id"] == issued["prescriber_id"]), None)
        if own is not None:
            yield _verdict(view, "c", State.CONFIRMED, own, {}, (issued,))
    if ctx.settings.flag("third_party_agreement_required"):
        yield from _without_agreement(view, approved, ctx)


def _verdict(
    view: Dossier,
    clause: str | None,
    state: State,
    review: Evidence,
    facts: dict[str, str],
    shown: tuple[Evidence, ...] = (),
    due: int | None = None,
    lawful_until: int = 0,
) -> Verdict:
    return Verdict(
        "prescription",
        view.id,
        state,
        clause,
        start=review.t,
        evidence=tuple(dict.fromkeys((*(item.id for item in shown), review.id))),
        facts={"reviewer_id": review["reviewer_id"], **facts},
        due=due,
        lawful_until=lawful_until,
    )


def _established(view: Dossier, approved: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    """Clauses (a) and (b)."""
    times = ctx.book.deadlines
    other_role: Verdict | None = None
    inactive: list[tuple[State, Evidence]] = []
    why: dict[str, tuple[str, Evidence | None]] = {}
    for review in approved:
        filing = ctx.records.ledger.staff(review["reviewer_id"], review.t)
        if filing is not None and filing["role"] != "PHARMACIST" and other_role is None:
            lawful_until = times.filing_confirmed(review.t)
            facts = {"role": filing["role"]}
            other_role = _verdict(
                view, "a", State.CONFIRMED, review, facts, (filing,), None, lawful_until
            )
        check = _register(review["reviewer_id"], review.t, ctx)
        state: State | None = State.CONFIRMED
        if filing is not None and filing["status"] != "ACTIVE":
            why[review.id] = filing["status"], filing
        elif check is not None and check["registration_status"] in STRUCK_OFF:
            why[review.id] = f"REGISTER_{check['registration_status']}", check
        elif filing is None:
            state = ctx.filing_absence(review.t, review.r)
            why[review.id] = "UNFILED", None
        else:
            continue
        if state is not None:
            inactive.append((state, review))
    if other_role is not None:
        yield other_role
    held = leading(inactive)
    if held is not None:
        state, review = held
        cause, by = why[review.id]
        shown = () if by is None else (by,)
        due = review.t if by is None else None
        lawful_until = 0 if by is None else times.filing_confirmed(review.t)
        facts = {"cause": cause}
        yield _verdict(view, "b", state, review, facts, shown, due, lawful_until)


def _register(staff_id: str, instant: int, ctx: Context) -> Evidence | None:
    """``registry(s, x)`` of the pharmacists' register.

    Where a check valid by then is known, only checks up to a day later are waited for: one made
    longer afterwards that says how things stood before changes nothing any more.
    """
    entity = f"registers/{staff_id}"
    known = _as_of(ctx.records.evidence("ledger", entity, instant + DAY), instant)
    if known is not None and known["valid_as_of"] <= instant:
        return known
    return _as_of(ctx.records.evidence("ledger", entity, FOREVER), instant)


def _as_of(checks: list[Evidence], instant: int) -> Evidence | None:
    of_pharmacists = sorted(
        (c for c in checks if c["register"] == "PHARMACIST"),
        key=lambda c: (c["valid_as_of"], c.t, c.id),
    )
    before = [check for check in of_pharmacists if check["valid_as_of"] <= instant]
    return before[-1] if before else next(iter(of_pharmacists), None)


def _without_agreement(view: Dossier, approved: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    own = ctx.records.institution_id
    found, employed = [], {}
    for review in approved:
        filing = ctx.records.ledger.staff(review["reviewer_id"], review.t)
        if filing is None or filing["employer_id"] == own:
            continue
        employer = filing["employer_id"]
        if ctx.records.ledger.documents_in_force(AGREEMENT, review.t, employer):
            continue
        filings = ctx.records.evidence("ledger", f"staff/{review['reviewer_id']}", review.t)
        known = min(f.r for f in filings if f.t <= review.t and f["employer_id"] != own)
        state = ctx.filing_absence(review.t, max(review.r, known))
        if state is not None:
            found.append((state, review))
            employed[review.id] = filing
    held = leading(found)
    if held is not None:
        state, review = held
        filing = employed[review.id]
        facts = {"employer_id": filing["employer_id"]}
        yield _verdict(view, "d", state, review, facts, (filing,), review.t)


def reviewed_on_duty(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """PHA-03: whoever reviews, approving or not, is on review duty then (CQ-A1 三(三)).

    A shift lasts from its sign-on, or where that is missing from its first heartbeat (D31), to its
    earliest sign-off, else to the last of them plus ``heartbeat_timeout``. Reviews prove nothing.
    """
    found = []
    for review in view.events("PrescriptionReviewed"):
        if not _on_duty(review["reviewer_id"], review.t, ctx):
            state = ctx.clinical_absence(review.t, review.r)
            if state is not None:
                found.append((state, review))
    held = leading(found)
    if held is not None:
        state, review = held
        yield _verdict(view, None, state, review, {}, due=review.t)


def _on_duty(staff_id: str, instant: int, ctx: Context) -> bool:
    timeout = ctx.settings.millis("heartbeat_timeout")
    # A shift with its sign-on by then: what occurs later can no longer end it before.
    if _covers(ctx.records.shifts(staff_id, instant, instant), instant, timeout, True):
        return True
    return _covers(ctx.records.shifts(staff_id, instant), instant, timeout, False)


def _covers(duty: list[Evidence], instant: int, timeout: int, signed_on: bool) -> bool:
    """Whether a shift holds an instant; ``signed_on``: one that has a sign-on by then.

    The duty events come oldest first.
    """
    shifts: dict[str, dict[str, tuple[int, int]]] = {}
    for point in duty:
        body, t = point.body, point.t
        phases = shifts.setdefault(body["shift_id"], {})
        first, _ = phases.get(body["phase"], (t, t))
        phases[body["phase"]] = first, t
    for phases in shifts.values():
        on, beats, off = (phases.get(phase) for phase in ("SIGN_ON", "HEARTBEAT", "SIGN_OFF"))
        starts = on or beats
        if starts is None or instant < starts[0] or (signed_on and on is None):
            continue
        end = max(present[1] for present in (on, beats) if present) + timeout
        if instant <= (end if off is None else off[0]):
            return True
    return False


_REVIEWED = ("reviewer_id", "result")

RULES = (
    Rule(
        id="PHA-02",
        reads={
            "PrescriptionIssued": ("session_id", "prescriber_id"),
            "PrescriptionReviewed": _REVIEWED,
            "StaffFiled": ("role", "status", "employer_id"),
            "StaffRegistryChecked": ("register", "registration_status", "valid_as_of"),
            "DocumentFiled": ("doc_type", "effective_from", "effective_to", "counterparty_ids"),
        },
        judges={"prescription": reviewed_by_a_pharmacist},
    ),
    Rule(
        id="PHA-03",
        reads={
            "PrescriptionIssued": ("session_id",),
            "PrescriptionReviewed": _REVIEWED,
            "DutyStatusReported": ("staff_id", "phase", "shift_id"),
        },
        judges={"prescription": reviewed_on_duty},
    ),
)
