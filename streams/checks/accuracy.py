"""UPL-05: whether what a hospital uploads is right and fits together (数据上传)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.catalogue import EVENT_TYPES
from streams.cases.session import Dossier, Session
from streams.checks.base import ALL, Context, Rule
from streams.doubts import CONTEST, SIGNED, unknown_codes
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.reference import HIGH_RISK, ORDINARY, ReferenceData
from streams.timeline import day_of, format_duration

_CREATING = {
    "session": "SessionOpened",
    "prescription": "PrescriptionIssued",
    "fee": "FeeCharged",
    "refund": "RefundRequested",
    "complaint": "ComplaintReceived",
    "notice": "SupervisionNoticeIssued",
}
"""What creates the id that a case file is about."""

_CLASSES = frozenset(
    {"NARCOTIC", "PSYCHOTROPIC_1", "PSYCHOTROPIC_2", "OTHER_SPECIAL", "SPECIAL_RULE"}
    | {ORDINARY, HIGH_RISK}
)
"""The words in which catalogues class drugs; others are a hospital's own."""


def event_inaccurate(event: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (a), (b), (c), (f): an event that is wrong whatever else there is (SC 35 准确).

    (a) a code that is not in the list it must come from: departments, diagnoses and drugs. What
    does not keep the schema is refused before anything is judged and never becomes evidence. (b) an
    act later than its receipt by more than the tolerance. (c) a number of a stream that another
    event bore first, or an id received with other content; of the two the one received second is
    judged. An id that comes again with another time of the act is noticed where it has a number.
    (f) a filing about institution, department or person without a valid signature (CQ 14):
    ``signature_valid`` is what the platform found (RULES 2.1), null for an unsigned one, and alone
    decides; ``signer_cert`` only names the certificate. Through Kafka the signature of the record
    is meant, which only the holder of the institution's key can make.

    A correction in time withdraws each of them.
    """
    for item in event.everything():
        if item.type == CONTEST:
            facts = {"cause": item["cause"], "other_event_id": item["other_event_id"]}
            yield _of_event(item, "c", facts)
        elif item.get("doubted"):
            yield from _doubted(item, ctx)


def _doubted(item: Evidence, ctx: Context) -> Iterator[Verdict]:
    unknown = sorted({*unknown_codes(item.type, item.body, day_of(item.t), ctx.reference)})
    if unknown:
        yield _of_event(item, "a", {"event_type": item.type, "field": ",".join(unknown)})
    ahead = item.t - item.r
    if ahead > ctx.settings.millis("future_tolerance"):
        facts = {"event_type": item.type, "ahead": format_duration(ahead)}
        yield _of_event(item, "b", facts)
    if (
        item.type in SIGNED
        and item["signature_valid"] is not True
        and ctx.settings.flag("require_signed_filing")
    ):
        yield _of_event(item, "f", {"event_type": item.type})


def _of_event(item: Evidence, clause: str, facts: dict[str, str]) -> Verdict:
    return Verdict(
        "event", item.id, State.CONFIRMED, clause, start=item.t, evidence=(item.id,), facts=facts
    )


def nothing_created(kind: str, case: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (d): what an event refers to has been created by an event of its own.

    One finding for each missing id (D24), from the event that makes it certain first: absence,
    clinical, D = t of that event, a day later for consents and checks before a session, which
    lawfully precede it (D29). Any creating event received before the confirmation clears it, even
    of a later act: whether the order is possible is (e). One received afterwards withdraws it if it
    is dated by D, else ends it. A supply of an unknown prescription is RX-04 only (D19).
    """
    created = case.first(_CREATING[kind])
    if created is not None and len(case.events(_CREATING[kind])) == len(case.everything()):
        return
    times, least = ctx.book.deadlines, None
    for item in case.everything():
        if item.type == _CREATING[kind] or (kind == "prescription" and item.type == "DrugSupplied"):
            continue
        due = item.t
        if item.type == "ConsentSigned" or item.get("phase") == "PRE_SESSION":
            due += ctx.settings.millis("pre_session_wait")
        confirmed_at = max(times.clinical_confirmed(due), item.r + times.wait)
        if least is None or confirmed_at < least[0]:
            least = confirmed_at, due, item
    if least is None:
        return
    confirmed_at, due, item = least
    state: State | None
    if created is None:
        state = ctx.clinical_absence(due, item.r)
    else:
        state = State.RESOLVED if created.t > due and created.r > confirmed_at else None
    if state is not None:
        yield Verdict(
            kind,
            case.id,
            state,
            "d",
            start=item.t,
            end=None if created is None else created.t,
            evidence=(item.id,) if created is None else (item.id, created.id),
            facts={"kind": kind, "event_type": item.type},
            due=due,
        )


def session_inaccurate(session: Session, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (d), (e): a session that exists and is not closed before it is opened."""
    opened, closed = session.opened, session.closed
    if opened is None:
        yield from nothing_created("session", session, ctx)
        return
    # What was resolved by a late opening stays so.
    if any(finding.clause == "d" for finding in ctx.findings):
        yield from nothing_created("session", session, ctx)
    if closed is not None and closed.t < opened.t:
        yield _contradictory(
            "session", session.id, ["CLOSED_BEFORE_OPENED"], [opened, closed], closed.t
        )


def prescription_inaccurate(prescription: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (d), (e): a prescription that exists, was not reviewed before it was issued, fits its
    session in the patient's age, and names classes of drugs that the catalogue does not contradict.

    Hospitals class their drugs in words of their own; a class contradicts the catalogue where it is
    one of the catalogue's and the drug has another there. A drug marked as of high risk has two.
    """
    issued = prescription.first("PrescriptionIssued")
    yield from nothing_created("prescription", prescription, ctx)
    if issued is None:
        return
    wrong, shown = [], [issued]
    early = [r for r in prescription.events("PrescriptionReviewed") if r.t < issued.t]
    if early:
        wrong.append("REVIEWED_BEFORE_ISSUED")
        shown += early
    opened = ctx.records.opening(issued["session_id"])
    tolerance = ctx.settings.count("age_tolerance_years")
    if (
        opened is not None
        and abs(opened["patient_age_years"] - issued["patient_age_years"]) > tolerance
    ):
        wrong.append("AGE_DIFFERS")
        shown.append(opened)
    day = day_of(issued.t)
    if any(
        _contradicts(item["hospital_class"], item["drug_code"], day, ctx.reference)
        for item in issued["items"]
    ):
        wrong.append("CLASS_CONTRADICTED")
    if wrong:
        yield _contradictory("prescription", prescription.id, wrong, shown, issued.t)


def _contradicts(stated: str, drug_code: str, day: int, reference: ReferenceData) -> bool:
    """Whether a hospital's class of a drug is another one of the catalogue's than the drug's."""
    drug = reference.drug(drug_code, day)
    if drug is None:
        return False
    stated = stated.strip().upper()
    return stated in _CLASSES and stated not in drug.classes


def supply_inaccurate(supply: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (e): nothing is delivered before it is dispensed."""
    stages = supply.events("DrugSupplied")
    dispensed = next((s for s in stages if s["stage"] == "DISPENSED"), None)
    delivered = next((s for s in stages if s["stage"] == "DELIVERED"), None)
    if dispensed is not None and delivered is not None and delivered.t < dispensed.t:
        shown = [delivered, dispensed]
        yield _contradictory(
            "supply", supply.id, ["DELIVERED_BEFORE_DISPENSED"], shown, delivered.t
        )


def fee_inaccurate(fee: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (d), (e): a charge that exists and adds up, to a fen for each line."""
    yield from nothing_created("fee", fee, ctx)
    tolerance = 1000 * ctx.settings.count("fee_tolerance_fen")
    for charged in fee.events("FeeCharged"):
        lines = charged["lines"]
        # Quantities are in thousandths.
        total = sum(line["quantity"] * line["unit_price_fen"] for line in lines)
        if abs(total - 1000 * charged["total_fen"]) > tolerance * len(lines):
            yield _contradictory("fee", fee.id, ["TOTAL_DIFFERS"], [charged], charged.t)
            return


def refund_inaccurate(refund: Dossier, ctx: Context) -> Iterator[Verdict]:
    """UPL-05 (d), (e): a refund that was requested, and not settled before."""
    yield from nothing_created("refund", refund, ctx)
    requested, settled = refund.first("RefundRequested"), refund.first("RefundSettled")
    if requested is not None and settled is not None and settled.t < requested.t:
        shown = [settled, requested]
        yield _contradictory("refund", refund.id, ["SETTLED_BEFORE_REQUESTED"], shown, settled.t)


def _only_created(kind: str) -> Callable[[Dossier, Context], Iterator[Verdict]]:
    def judge(case: Dossier, ctx: Context) -> Iterator[Verdict]:
        """UPL-05 (d)."""
        return nothing_created(kind, case, ctx)

    return judge


def _contradictory(
    kind: str, subject_id: str, wrong: list[str], shown: list[Evidence], start: int
) -> Verdict:
    return Verdict(
        kind,
        subject_id,
        State.CONFIRMED,
        "e",
        start=start,
        evidence=tuple(item.id for item in shown),
        facts={"contradictions": ",".join(sorted(wrong))},
    )


_READS: dict[str, tuple[str, ...]] = {
    "Told": (),
    **dict.fromkeys(EVENT_TYPES, ()),
    "DepartmentApproved": ("dept_code",),
    "StaffFiled": ("dept_codes",),
    "SessionOpened": ("dept_code", "patient_age_years"),
    "PriorDiagnosisEvidenced": ("diagnosis_codes",),
    "SessionClosed": ("diagnosis_codes",),
    "PrescriptionIssued": ("diagnosis_codes", "items", "session_id", "patient_age_years"),
    "DrugSupplied": ("lines", "stage"),
    "DoctorIdentityVerified": ("phase",),
    "FeeCharged": ("lines", "total_fen"),
}

RULES = (
    Rule(
        id="UPL-05",
        reads=_READS,
        reads_of={
            "prescription": (
                "PrescriptionIssued",
                "PrescriptionReviewed",
                "DrugSupplied",
                "AdverseEventReported",
            ),
            "supply": ("DrugSupplied",),
        },
        reads_at_rest={
            "session": ("SessionOpened", "SessionClosed"),
            "prescription": ("PrescriptionIssued", "PrescriptionReviewed"),
        },
        auto=ALL,
        judges={
            "event": event_inaccurate,
            "session": session_inaccurate,
            "prescription": prescription_inaccurate,
            "supply": supply_inaccurate,
            "fee": fee_inaccurate,
            "refund": refund_inaccurate,
            "complaint": _only_created("complaint"),
            "notice": _only_created("notice"),
        },
    ),
)
