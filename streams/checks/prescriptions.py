"""RX: how prescriptions are made, signed and used (处方); what is supplied on them is supply.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.cases.base import FOREVER
from streams.cases.session import REMOTE_MEDICINE, Dossier
from streams.checks.base import Context, Rule
from streams.events import Evidence
from streams.findings import Flag, State, Verdict
from streams.timeline import day_of, end_of_day, format_instant, start_of_day

NONE = "none"
"""How a fact says that there is no such id."""


def leading(found: Iterable[tuple[State, Evidence]]) -> tuple[State, Evidence] | None:
    """Of violating acts in order of time the earliest established one, else the earliest."""
    best: tuple[State, Evidence] | None = None
    for state, act in found:
        if best is None or (best[0] is State.SUSPECTED and state is not State.SUSPECTED):
            best = state, act
    return best


def is_telemedicine(session_id: str | None, ctx: Context) -> bool:
    """Whether a session is out of scope; only the 2017 text of Yinchuan includes it (RULES 1.2)."""
    if ctx.book.name == "yinchuan" and not ctx.book.overlay:
        return False
    opened = ctx.records.opening(session_id)
    return opened is not None and opened["service_kind"] == REMOTE_MEDICINE


def listed(codes: Iterable[str]) -> str:
    """Codes as a fact shows them."""
    return ",".join(sorted(set(codes)))


def prescribed_by_the_attending_doctor(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-01: the doctor who received the patient prescribes in person (GX 27, CQ 27).

    A prescription without session shows it by itself; one of a session not known yet waits for the
    opening as for any missing clinical act.
    """
    found = [(state, i) for i in view.events("PrescriptionIssued") if (state := _own(i, ctx))]
    held = leading(found)
    if held is None:
        return
    state, issued = held
    session_id = issued["session_id"]
    opened = ctx.records.opening(session_id)
    yield Verdict(
        "prescription",
        view.id,
        state,
        start=issued.t,
        evidence=(issued.id,) if opened is None else (opened.id, issued.id),
        facts={
            "prescriber_id": issued["prescriber_id"],
            "session_id": NONE if session_id is None else session_id,
            "doctor_id": NONE if opened is None else opened["doctor_id"],
        },
        due=issued.t if session_id is not None and opened is None else None,
    )


def _own(issued: Evidence, ctx: Context) -> State | None:
    if issued["session_id"] is None:
        return State.CONFIRMED
    opened = ctx.records.opening(issued["session_id"])
    if opened is None:
        return ctx.clinical_absence(issued.t, issued.r)
    return None if opened["doctor_id"] == issued["prescriber_id"] else State.CONFIRMED


def approvals(view: Dossier) -> list[Evidence]:
    """Reviews of a prescription that approved it, oldest first."""
    return [r for r in view.events("PrescriptionReviewed") if r["result"] == "APPROVED"]


def signed(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-02: the required e-signatures are there, valid, and made in order.

    (a) the doctor's (CN 18, GX 27, CQ 27), by the certificate filed as of the prescription;
    (b) the pharmacist's on each approval (SC 24, YC 10); (c) the doctor signs not later than the
    earliest approval; (d) a trusted timestamp on the prescription and on each approval (YC 23). A
    certificate filed in time and uploaded within its window undoes (a) lawfully (RULES 1.6.1).
    """
    approved = approvals(view)
    yield from _doctors_signature(view, ctx)
    if ctx.settings.flag("pharmacist_signature_required"):
        for review in approved:
            if review["pharmacist_signature"] != "VALID":
                facts = {
                    "reviewer_id": review["reviewer_id"],
                    "signature": review["pharmacist_signature"],
                }
                yield _shown(view, "b", review.t, (review,), facts)
                break
    if approved:
        first = approved[0]
        for issued in view.events("PrescriptionIssued"):
            signed_at = issued["doctor_signed_at"]
            if signed_at is not None and signed_at > first.t:
                facts = {
                    "signed_at": format_instant(signed_at),
                    "approved_at": format_instant(first.t),
                }
                yield _shown(view, "c", first.t, (issued, first), facts)
                break
    if ctx.settings.flag("trusted_timestamp_required"):
        documents = (*view.events("PrescriptionIssued"), *approved)
        lacking = [document for document in documents if not document["trusted_timestamp"]]
        if lacking:
            kinds = {_DOCUMENTS[document.type] for document in lacking}
            facts = {"document": listed(kinds)}
            yield _shown(view, "d", min(d.t for d in lacking), lacking, facts)


_DOCUMENTS = {"PrescriptionIssued": "PRESCRIPTION", "PrescriptionReviewed": "REVIEW"}


def _doctors_signature(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    for issued in view.events("PrescriptionIssued"):
        signature, shown, lawful_until = issued["doctor_signature"], [issued], 0
        if signature == "VALID":
            cert = issued["doctor_signature_cert"]
            filing = ctx.records.ledger.staff(issued["prescriber_id"], issued.t)
            filed = None if filing is None else filing["esign_cert"]
            if filing is None or None in (cert, filed) or cert == filed:
                continue
            signature, shown = "CERT_DIFFERS", [filing, issued]
            lawful_until = ctx.book.deadlines.filing_confirmed(issued.t)
        facts = {"prescriber_id": issued["prescriber_id"], "signature": signature}
        yield _shown(view, "a", issued.t, shown, facts, lawful_until)
        return


def _shown(
    view: Dossier,
    clause: str | None,
    start: int,
    shown: Iterable[Evidence],
    facts: dict[str, str],
    lawful_until: int = 0,
    state: State = State.CONFIRMED,
    flags: frozenset[Flag] = frozenset(),
) -> Verdict:
    """A violation that what was received shows by itself."""
    return Verdict(
        "prescription",
        view.id,
        state,
        clause,
        start=start,
        evidence=tuple(dict.fromkeys(item.id for item in shown)),
        facts=facts,
        lawful_until=lawful_until,
        flags=flags,
    )


def no_prohibited_drugs(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-05: no prohibited drug is prescribed online (CN 19, GX 27, SC 25, CQ 26).

    The class is the catalogue's as of the day of the prescription; an unknown code is UPL-05. What
    is prohibited is issuing, so a pharmacist's rejection changes nothing; it is flagged where the
    last review of the prescription is a rejection.
    """
    prohibited = ctx.settings.names("prohibited_classes")
    for issued in view.events("PrescriptionIssued"):
        day = day_of(issued.t)
        codes = {item["drug_code"] for item in issued["items"]}
        found = {c: k for c in codes if (k := ctx.reference.classes(c, day) & prohibited)}
        if not found:
            continue
        facts = {
            "prescriber_id": issued["prescriber_id"],
            "drug_codes": listed(found),
            "classes": listed(name for classes in found.values() for name in classes),
        }
        reviews = view.events("PrescriptionReviewed")
        stopped = bool(reviews) and in_force(reviews)["result"] == "REJECTED"
        flags = frozenset({Flag.STOPPED_BY_REVIEW}) if stopped else frozenset[Flag]()
        yield _shown(view, None, issued.t, (issued, *reviews), facts, flags=flags)
        return


def in_force(reviews: list[Evidence]) -> Evidence:
    """The last of some reviews; of two at the same ms the approval (RX-03)."""
    last = reviews[-1]
    same = (r for r in reviews if r.t == last.t and r["result"] == "APPROVED")
    return next(same, last)


def children_accompanied(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-06: a small child is with a guardian and a specialist (CN 19, GX 27, CQ 27, SC 22).

    The age is the one on the prescription; a guardian not stated is none.
    """
    limit = ctx.settings.count("age_limit") + ctx.settings.flag("age_inclusive")
    for issued in view.events("PrescriptionIssued"):
        if issued["patient_age_years"] >= limit:
            continue
        missing = [] if issued["guardian_present"] is True else ["GUARDIAN"]
        specialist = issued["accompanying_specialist_id"]
        if specialist is None:
            missing.append("SPECIALIST")
        elif ctx.settings.flag("specialist_must_differ") and specialist == issued["prescriber_id"]:
            missing.append("SPECIALIST_IS_PRESCRIBER")
        if missing:
            facts = {
                "prescriber_id": issued["prescriber_id"],
                "age": str(issued["patient_age_years"]),
                "missing": listed(missing),
            }
            yield _shown(view, None, issued.t, (issued,), facts)
            return


def not_made_by_machines(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-07: no machine makes prescriptions (GX 27, CQ 27, SC 16).

    (a) generated automatically; (b) a signal only: a draft of a machine, or written too soon after
    the opening, before it included (D20). Without a known opening nothing is too soon.
    """
    issues = view.events("PrescriptionIssued")
    generated = next((i for i in issues if i["origin"] == "AUTO_GENERATED"), None)
    if generated is not None:
        facts = {"prescriber_id": generated["prescriber_id"]}
        yield _shown(view, "a", generated.t, (generated,), facts)
    for issued in issues:
        signs = []
        if issued["origin"] == "AI_DRAFT_DOCTOR_CONFIRMED" and ctx.settings.flag("draft_is_signal"):
            signs.append("AI_DRAFT")
        shown, session_id = [issued], issued["session_id"]
        opened = ctx.records.opening(session_id)
        if opened is not None:
            shown.insert(0, opened)
            if issued.t - opened.t < ctx.settings.millis("min_time_to_prescribe"):
                signs.append("TOO_FAST")
        if signs:
            facts = {"prescriber_id": issued["prescriber_id"], "sign": listed(signs)}
            yield _shown(view, "b", issued.t, shown, facts, state=State.SUSPECTED)
            return


def statistics(view: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-09 (a): nobody runs statistics on prescriptions for commerce (GX 27, CQ 27).

    An unspecified purpose without an authorisation is a signal only.
    """
    for run in view.events("RecordOperationLogged"):
        of_prescriptions = run["target_kind"] == "PRESCRIPTION_DATA"
        if not of_prescriptions or run["operation"] != "STATISTICS_RUN":
            continue
        unexplained = run["purpose"] == "UNSPECIFIED" and run["authorisation_doc_id"] is None
        if run["purpose"] == "COMMERCIAL" or unexplained:
            yield Verdict(
                "event",
                view.id,
                State.SUSPECTED if unexplained else State.CONFIRMED,
                "a",
                start=run.t,
                evidence=(run.id,),
                facts={"operator_id": run["operator_id"], "purpose": run["purpose"]},
            )


class _Window(NamedTuple):
    """Days up to ``last`` in which one supplier had too large a share of a doctor's supplies."""

    last: int
    supplier_id: str
    supplied: int
    share: int
    evidence: tuple[str, ...]


def steering(doctor: Dossier, ctx: Context) -> Iterator[Verdict]:
    """RX-09 (b): one supplier gets nearly all that others than the hospital supply (GX 30, SC 26).

    Of the doctor's prescriptions of ``window_days`` days (days of their issuing) those count that
    any other supplier has supplied, however often; a signal only. The window that ends with day d
    is judged first at ``C_c(eod(d))`` (D21) and again at those instants of the following days, so
    what is uploaded later counts from the next one on. Further back than one length of the window
    nothing is judged again. Violating windows in succession are one finding, from the first day of
    the first to the end of the last, which its count and share are of.
    """
    times, length = ctx.book.deadlines, ctx.settings.count("window_days")
    ripe = day_of(ctx.now - times.clinical - times.grace) - 1
    ripens = times.clinical_confirmed(end_of_day(ripe + 1))
    if not ctx.on("b") or ctx.now != times.clinical_confirmed(end_of_day(ripe)):
        ctx.since = FOREVER
        if ctx.on("b"):
            ctx.wake(ripens)
        return
    first = ripe - length + 1
    place = f"supplied/{doctor.id}/"
    days = {d: ctx.records.facts(f"{place}{d}") for d in range(first - length + 1, ripe + 1)}
    ctx.since = start_of_day(first - length + 1)
    # Later days are only glanced at: what comes there is judged when they are ripe.
    coming = range(ripe + 1, day_of(ctx.now) + 2)
    if any(days[d] for d in range(first + 1, ripe + 1)) or any(
        ctx.records.evidence("told", f"{place}{d}", upto=0) for d in coming
    ):
        ctx.wake(ripens)
    else:
        # Nothing to wait for: the next supply that is told of begins anew.
        for day in ctx.records.ids("told", place):
            if int(day) > ripe:
                ctx.records.facts(f"{place}{day}")
    taken: set[str] = set()
    for windows in _in_succession(_violating(days, first, ripe, length, ctx)):
        earliest, last = windows[0].last, windows[-1]
        start = start_of_day(earliest - length + 1)
        subject, since = _continued(doctor.id, earliest, last.last, length, taken, ctx)
        if since is not None and earliest == first:
            start = min(start, since)
        taken.add(subject or doctor.id)
        yield Verdict(
            "staff",
            subject or f"{doctor.id}@{format_instant(start)}",
            State.SUSPECTED,
            "b",
            start=start,
            end=end_of_day(last.last),
            evidence=last.evidence,
            facts={
                "supplier_id": last.supplier_id,
                "count": str(last.supplied),
                "share": f"{last.share * 1000 // last.supplied / 10:g}%",
            },
        )


def _violating(
    days: dict[int, list[Evidence]], first: int, last: int, length: int, ctx: Context
) -> Iterator[_Window]:
    least, most = ctx.settings.count("min_n"), ctx.settings.number("max_share")
    for end in range(first, last + 1):
        told = [fact for day in range(end - length + 1, end + 1) for fact in days[day]]
        if len(told) < max(least, 1):
            continue
        shares = Counter(supplier for fact in told for supplier in fact["suppliers"])
        share, supplier_id = max((n, supplier) for supplier, n in shares.items())
        if share >= most * len(told):
            shown = (e for f in told if supplier_id in f["suppliers"] for e in f["evidence"])
            yield _Window(end, supplier_id, len(told), share, tuple(shown))


def _in_succession(windows: Iterable[_Window]) -> list[list[_Window]]:
    found: list[list[_Window]] = []
    for window in windows:
        if found and found[-1][-1].last == window.last - 1:
            found[-1].append(window)
        else:
            found.append([window])
    return found


def _continued(
    doctor_id: str, first: int, last: int, length: int, taken: set[str], ctx: Context
) -> tuple[str | None, int | None]:
    """The subject of windows that end from ``first`` to ``last``, and when it began if it is known.

    That of the finding whose windows overlap or adjoin them; else the doctor while no finding has
    that name, else None.
    """
    free = doctor_id not in taken
    for finding in ctx.findings:
        if finding.clause != "b" or finding.start is None or finding.end is None:
            continue
        began, until = day_of(finding.start) + length - 1, day_of(finding.end) - 1
        if began <= last + 1 and until >= first - 1 and finding.subject_id not in taken:
            return finding.subject_id, finding.start
        free = free and finding.subject_id != doctor_id
    return (doctor_id if free else None), None


RULES = (
    Rule(
        id="RX-01",
        reads={
            "PrescriptionIssued": ("session_id", "prescriber_id"),
            "SessionOpened": ("doctor_id", "service_kind"),
        },
        judges={"prescription": prescribed_by_the_attending_doctor},
    ),
    Rule(
        id="RX-02",
        reads={
            "PrescriptionIssued": (
                "session_id",
                "prescriber_id",
                "doctor_signature",
                "doctor_signature_cert",
                "doctor_signed_at",
                "trusted_timestamp",
            ),
            "PrescriptionReviewed": (
                "reviewer_id",
                "result",
                "pharmacist_signature",
                "trusted_timestamp",
            ),
            "StaffFiled": ("esign_cert",),
        },
        judges={"prescription": signed},
    ),
    Rule(
        id="RX-05",
        reads={
            "PrescriptionIssued": ("session_id", "prescriber_id", "items"),
            "PrescriptionReviewed": ("result",),
        },
        judges={"prescription": no_prohibited_drugs},
    ),
    Rule(
        id="RX-06",
        reads={
            "PrescriptionIssued": (
                "session_id",
                "prescriber_id",
                "patient_age_years",
                "guardian_present",
                "accompanying_specialist_id",
            ),
        },
        judges={"prescription": children_accompanied},
    ),
    Rule(
        id="RX-07",
        reads={"PrescriptionIssued": ("session_id", "prescriber_id", "origin")},
        judges={"prescription": not_made_by_machines},
    ),
    Rule(
        id="RX-09",
        reads={
            "RecordOperationLogged": (
                "target_kind",
                "operation",
                "operator_id",
                "purpose",
                "authorisation_doc_id",
            ),
            "Told": (),
        },
        judges={"event": statistics, "steering": steering},
    ),
)
