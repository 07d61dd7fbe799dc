"""Brute force over a simulation's uploads: which star findings the rules call for, state left out.

Written from RULES section 3 alone, sharing no code with the core or the injectors: whole sets of
events, no order, no deadlines. `known_at` limits what had been received by an instant.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from streams.simulator import Upload

MINUTE = 60_000
HOUR = 60 * MINUTE
BIO = {"FINGERPRINT", "FACE", "IRIS", "VOICEPRINT"}
STRONG = BIO | {"DIGITAL_CERT", "REAL_NAME_OTP"}
Datum = dict[str, Any]
Found = set[tuple[str, str | None, str, str]]
"""Rule, clause, institution, subject (for PHA-01 the start of the gap in epoch ms)."""


def first_receipts(uploads: Iterable[Upload]) -> list[Upload]:
    """Without the duplicates, by event_id and not by the simulator's own word."""
    seen: dict[str, Upload] = {}
    for upload in uploads:
        seen.setdefault(upload.datum["event_id"], upload)
    return list(seen.values())


def identity(events: list[Datum], rulebook_of: Callable[[str], str]) -> Found:
    """IDV-01 and IDV-02 over a set of events."""
    checks: dict[tuple[str, str], list[Datum]] = defaultdict(list)
    of_session: dict[str, list[Datum]] = defaultdict(list)
    for event in events:
        if event["event_type"] == "DoctorIdentityVerified":
            checks[event["institution_id"], event["staff_id"]].append(event)
        elif event.get("session_id"):
            of_session[event["session_id"]].append(event)
    found: Found = set()
    for session_id, parts in of_session.items():
        opened = next((e for e in parts if e["event_type"] == "SessionOpened"), None)
        if opened is None:
            continue
        inst, doctor = opened["institution_id"], opened["doctor_id"]
        rulebook = rulebook_of(inst)
        if opened["service_kind"] == "REMOTE_MEDICINE" and rulebook != "yinchuan":
            continue
        passed = [
            check
            for check in checks[inst, doctor]
            if check["result"] == "PASS" and check["matched_staff_id"] == doctor
        ]
        for clause in _idv01(opened, parts, passed, rulebook):
            found.add(("IDV-01", clause, inst, session_id))
        if rulebook == "guangxi":
            for clause in _idv02(opened, parts, passed):
                found.add(("IDV-02", clause, inst, session_id))
    return found


def _idv01(opened: Datum, parts: list[Datum], passed: list[Datum], rulebook: str) -> set[Any]:
    x = opened["occurred_at"]
    if rulebook == "guangxi":
        ok = any(
            v["session_id"] == opened["session_id"]
            and v["phase"] == "PRE_SESSION"
            and v["method"] in BIO
            and x - 10 * MINUTE <= v["occurred_at"] <= x
            for v in passed
        )
        return set() if ok else {None}
    strong = [v for v in passed if v["method"] in STRONG]
    if rulebook in ("chongqing", "sichuan"):
        ok = any(x - 12 * HOUR <= v["occurred_at"] <= x for v in strong)
        return set() if ok else {None}
    enrolled = any(v["occurred_at"] <= x for v in strong)
    if rulebook == "national":
        return set() if enrolled else {None}
    clauses = set() if enrolled else {"a"}
    closed = next((e for e in parts if e["event_type"] == "SessionClosed"), None)
    filmed = closed is not None and any(
        e["event_type"] == "ProcessRecordArchived"
        and e["media"] == "VIDEO"
        and e["coverage_start"] <= x + MINUTE
        and e["coverage_end"] >= closed["occurred_at"] - MINUTE
        for e in parts
    )
    certified = any(
        v["method"] == "DIGITAL_CERT" and x - 12 * HOUR <= v["occurred_at"] <= x for v in passed
    )
    signed = all(
        e["doctor_signature"] == "VALID" for e in parts if e["event_type"] == "PrescriptionIssued"
    )
    return clauses | (set() if filmed or (certified and signed) else {"b"})


def _idv02(opened: Datum, parts: list[Datum], passed: list[Datum]) -> set[str]:
    o = opened["occurred_at"]
    closed = next(e for e in parts if e["event_type"] == "SessionClosed")
    c = closed["occurred_at"]
    acts = [e["occurred_at"] for e in parts if e["event_type"] == "PrescriptionIssued"]
    if closed["outcome"] in ("CANCELLED", "TIMED_OUT") and not acts:
        return set()
    if closed["outcome"] == "COMPLETED" and closed["diagnosis_codes"]:
        acts.append(c)
    mine = [v for v in passed if v["session_id"] == opened["session_id"] and v["method"] in BIO]
    times = sorted(
        v["occurred_at"] for v in mine if v["phase"] == "IN_SESSION" and o <= v["occurred_at"] <= c
    )
    clauses = {"a"} if acts and not times else set()
    if opened["mode"] == "TEXT_IMAGE":
        bad = any(not any(a - 10 * MINUTE <= v["occurred_at"] <= a for v in mine) for a in acts)
    else:
        points = [o, *times, c]
        bad = any(b - a > 10 * MINUTE for a, b in pairwise(points))
    return clauses | ({"b"} if bad else set())


def pharmacists(events: list[Datum]) -> Found:
    """PHA-01 over a set of events of one institution, second by second where anything changes."""
    inst = events[0]["institution_id"]
    covered = [span for event in _shifts(events) for span in _presence(event, events)]
    stops = _stops(events)
    found: Found = set()
    for start, end in _merged(_business(events)):
        marks = {start, end}
        for span in (*covered, *stops):
            marks |= {m for m in span if start < m < end}
        edges = sorted(marks)
        gap: int | None = None
        for a, b in [*pairwise(edges), (end, end)]:
            bare = a < b and not any(s <= a and b <= e for s, e in (*covered, *stops))
            if bare and gap is None:
                gap = a
            elif not bare and gap is not None:
                if a - gap > 5 * MINUTE:
                    found.add(("PHA-01", None, inst, str(gap)))
                gap = None
    return found


def _business(events: list[Datum]) -> list[tuple[int, int]]:
    declared = next(e for e in events if e["event_type"] == "BusinessHoursDeclared")
    special = {e["date"]: e["intervals"] for e in declared["exceptions"]}
    spans = []
    first = min(special)
    for day in range(first, max(special) + 1):
        weekday = (day + 3) % 7 + 1
        intervals = special.get(day)
        if intervals is None:
            intervals = [w for w in declared["weekly"] if w["weekday"] == weekday]
        midnight = day * 24 * HOUR - 8 * HOUR
        spans += [
            (midnight + i["start_minute"] * MINUTE, midnight + i["end_minute"] * MINUTE)
            for i in intervals
        ]
    closings = {
        e["session_id"]: e["occurred_at"] for e in events if e["event_type"] == "SessionClosed"
    }
    spans += [
        (e["occurred_at"], closings[e["session_id"]])
        for e in events
        if e["event_type"] == "SessionOpened" and e["mode"] in ("VOICE", "VIDEO")
    ]
    return spans


def _stops(events: list[Datum]) -> list[tuple[int, int]]:
    marks = sorted(
        (e["occurred_at"], e["status"])
        for e in events
        if e["event_type"] == "ServiceStatusChanged" and e["scope"] == "INSTITUTION"
    )
    return [(marks[i][0], marks[i + 1][0]) for i in range(0, len(marks), 2)]


def _shifts(events: list[Datum]) -> list[list[Datum]]:
    shifts: dict[str, list[Datum]] = defaultdict(list)
    for event in events:
        if event["event_type"] == "DutyStatusReported" and event["duty_kind"] == "RX_REVIEW":
            shifts[event["shift_id"]].append(event)
    return list(shifts.values())


def _presence(shift: list[Datum], events: list[Datum]) -> list[tuple[int, int]]:
    staff_id = shift[0]["staff_id"]
    on = min(e["occurred_at"] for e in shift)
    off = min((e["occurred_at"] for e in shift if e["phase"] == "SIGN_OFF"), default=None)
    points = [e["occurred_at"] for e in shift if e["phase"] != "SIGN_OFF"]
    points += [
        e["occurred_at"]
        for e in events
        if e["event_type"] == "PrescriptionReviewed"
        and e["reviewer_id"] == staff_id
        and on <= e["occurred_at"] <= (off or e["occurred_at"])
    ]
    spans = [(p, min(p + 10 * MINUTE, off or p + 10 * MINUTE)) for p in points]
    return [span for span in _merged(spans) if _eligible(staff_id, span[0], events)]


def _eligible(staff_id: str, at: int, events: list[Datum]) -> bool:
    filings = [
        e
        for e in events
        if e["event_type"] == "StaffFiled" and e["staff_id"] == staff_id and e["occurred_at"] <= at
    ]
    if not filings:
        return False
    filed = max(filings, key=lambda e: e["occurred_at"])
    if filed["role"] != "PHARMACIST" or filed["status"] != "ACTIVE":
        return False
    if filed["employer_id"] == filed["institution_id"]:
        return bool(filed["full_time"])
    day = (at + 8 * HOUR) // (24 * HOUR)
    return any(
        e["event_type"] == "DocumentFiled"
        and e["doc_type"] == "PHARMACIST_SERVICE_AGREEMENT"
        and filed["employer_id"] in e["counterparty_ids"]
        and e["effective_from"] <= day
        and (e["effective_to"] is None or day <= e["effective_to"])
        for e in events
    )


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return merged


def lateness(uploads: list[Upload]) -> Found:
    """UPL-01 over first receipts; where it is judged is the caller's to know."""
    found: Found = set()
    for upload in uploads:
        event = upload.datum
        if event["event_type"] in CLINICAL:
            basis = event["recorded_at"] if event["revision"] else event["occurred_at"]
            if upload.received_at - basis > 24 * HOUR:
                found.add(("UPL-01", None, upload.institution_id, event["event_id"]))
    return found


CLINICAL = frozenset(
    {
        "ServiceStatusChanged",
        "DutyStatusReported",
        "SessionOpened",
        "PatientIdentityVerified",
        "ConsentSigned",
        "DoctorIdentityVerified",
        "PriorDiagnosisEvidenced",
        "UnsuitabilityIdentified",
        "SessionClosed",
        "PrescriptionIssued",
        "PrescriptionReviewed",
        "DrugSupplied",
        "MedicalRecordArchived",
        "ProcessRecordArchived",
        "RecordOperationLogged",
        "FeeCharged",
        "RefundRequested",
        "RefundSettled",
        "ServiceRated",
        "ComplaintReceived",
        "ComplaintResolved",
        "RectificationReported",
        "AdverseEventReported",
        "SecurityIncidentReported",
    }
)
"""The CLINICAL class of RULES section 2, the manifest left out."""
