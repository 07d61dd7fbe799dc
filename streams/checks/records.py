"""REC: medical records and the records of what happened in a session (病历与过程记录)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from streams.cases.ledger import cancellations
from streams.cases.session import Dossier, Session
from streams.checks.base import Context, Rule, about_session
from streams.checks.sessions import strongest
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.timeline import add_months, day_of, end_of_day, format_day

MEDIUM = {"TEXT_IMAGE": "TEXT_IMAGE", "VOICE": "AUDIO", "VIDEO": "VIDEO"}
"""The medium in which a session of each mode is to be recorded."""
CUSTODY = "custody"
"""The ledger's entity that keeps transfers of custody."""
_SERVED = frozenset({"COMPLETED", "TERMINATED"})


def not_archived(session: Session, ctx: Context) -> Iterator[Verdict]:
    """REC-01: a session in which a patient was served leaves its records (CN 17, GX 25, CQ 28).

    (a) no medical record, (b) no recording in the medium of the session, in time after the closing;
    several recordings may cover it together. One archived too late establishes and ends this in one
    step (D2). (c) a medical record that the host institution cannot use: ended by a later version
    of the record that it can, and withdrawn by a timely correction (D3). (c) needs no closing once
    an act shows that the session counts.
    """
    opened, closed = session.opened, session.closed
    if opened is None or not (session.acts or (closed and closed["outcome"] in _SERVED)):
        return
    records = session.events("MedicalRecordArchived")
    if ctx.settings.flag("host_share_required"):
        yield from _unusable_by_host(session, records)
    if closed is None:
        return
    known = max(opened.r, closed.r)
    if closed["outcome"] not in _SERVED:
        known = max(known, min(act.r for act in session.acts))
    due = closed.t + ctx.settings.millis("archive_within")
    if not any(record.t <= due for record in records):
        end = records[0].t if records else None
        state = State.RESOLVED if records else ctx.clinical_absence(due, known)
        if state is not None:
            shown = (opened, closed, *records)
            yield about_session(session, state, "a", closed.t, shown, end=end, due=due)
    if not ctx.settings.flag("process_record_required"):
        return
    medium, edge = MEDIUM[opened["mode"]], ctx.settings.millis("edge")
    recordings = [r for r in session.events("ProcessRecordArchived") if r["media"] == medium]
    if _covered(opened.t, closed.t, edge, (r for r in recordings if r.t <= due)):
        return
    late = _covered(opened.t, closed.t, edge, recordings)
    state = State.RESOLVED if late else ctx.clinical_absence(due, known)
    if state is not None:
        shown = (opened, closed, *recordings)
        end = recordings[-1].t if late else None
        facts = {"mode": opened["mode"]}
        yield about_session(session, state, "b", closed.t, shown, facts, end=end, due=due)


def _covered(start: int, end: int, edge: int, recordings: Iterable[Evidence]) -> bool:
    """Whether recordings cover a session but for ``edge`` at its ends and in holes."""
    reached: int | None = None
    for record in sorted(recordings, key=lambda item: (item["coverage_start"], item.id)):
        if record["coverage_start"] > max(start, start if reached is None else reached) + edge:
            break
        until: int = record["coverage_end"]
        reached = until if reached is None else max(reached, until)
    return reached is not None and reached >= end - edge


def _unusable_by_host(session: Session, records: list[Evidence]) -> Iterator[Verdict]:
    last = {record["record_id"]: record for record in records}
    wrong = [(record, lacking) for record in records if (lacking := _lacking_for_host(record))]
    if not wrong:
        return
    standing = [(r, lacking) for r, lacking in wrong if _lacking_for_host(last[r["record_id"]])]
    record, lacking = (standing or wrong)[0]
    state = State.CONFIRMED if standing else State.RESOLVED
    end = None if standing else max(last[r["record_id"]].t for r, _ in wrong)
    facts = {"record_id": record["record_id"], "lacking": ",".join(lacking)}
    shown = (item for item, _ in wrong)
    yield about_session(session, state, "c", record.t, shown, facts, end=end)


def _lacking_for_host(record: Evidence) -> list[str]:
    lacking = [] if record["host_format_consistent"] else ["HOST_FORMAT"]
    return lacking if record["host_shared"] else [*lacking, "HOST_SHARED"]


def content_incomplete(record: Dossier, ctx: Context) -> Iterator[Verdict]:
    """REC-02: a medical record is complete, and the patient can look it up (SC 21, SC 22, CQ 28).

    (a) sections, (b) companions of children and of patients without full capacity, as far as the
    session and its prescriptions are known, (c) the patient's own access. Only presence is checked.
    A child is one by the age on a prescription (RX-06). A later version of the record that is
    complete ends a finding, a timely correction withdraws it (D3).
    """
    versions = record.events("MedicalRecordArchived")
    if not versions:
        return
    if ctx.on("a"):
        yield from _missing(record, "a", [(v, _sections_missing(v, ctx)) for v in versions])
    if ctx.on("b"):
        yield from _missing(record, "b", [(v, _companions_missing(v, ctx)) for v in versions])
    if ctx.on("c"):
        yield from _missing(record, "c", [(v, _access_missing(v, ctx)) for v in versions])


def _missing(
    record: Dossier, clause: str, versions: list[tuple[Evidence, list[str]]]
) -> Iterator[Verdict]:
    wrong = [(version, missing) for version, missing in versions if missing]
    if not wrong:
        return
    last, still = versions[-1]
    version, missing = (last, still) if still else wrong[0]
    facts = {"session_id": version["session_id"], "missing": ",".join(sorted(missing))}
    yield Verdict(
        "record",
        record.id,
        State.CONFIRMED if still else State.RESOLVED,
        clause,
        start=wrong[0][0].t,
        end=None if still else last.t,
        evidence=tuple(item.id for item, _ in wrong),
        facts=facts,
    )


def _sections_missing(version: Evidence, ctx: Context) -> list[str]:
    present = frozenset(version["sections_present"])
    accounted = present.union(version["sections_not_applicable"])
    settings = ctx.settings
    return [
        *settings.names("required_sections") - present,
        *settings.names("sections_if_applicable") - accounted,
    ]


def _companions_missing(version: Evidence, ctx: Context) -> list[str]:
    wanted = {"COMPANION", "ACCOMPANYING_SPECIALIST"}.difference(version["sections_present"])
    if not wanted:
        return []
    session = ctx.records.session(version["session_id"])
    if session.opened is None:
        return []
    settings = ctx.book.rules["RX-06"]
    limit = settings.count("age_limit") + settings.flag("age_inclusive")
    child = any(item["patient_age_years"] < limit for item in session.prescriptions)
    if child:
        return [*wanted]
    return [*wanted & {"COMPANION"}] if not session.opened["patient_full_capacity"] else []


def _access_missing(version: Evidence, ctx: Context) -> list[str]:
    missing = [] if version["patient_can_query"] else ["PATIENT_QUERY"]
    if ctx.settings.flag("download_required") and not version["patient_can_download"]:
        missing.append("PATIENT_DOWNLOAD")
    return missing


def kept_too_short(record: Dossier, ctx: Context) -> Iterator[Verdict]:
    """REC-03(a)(c): medical records are kept for the years required (GX 25, CQ 28, YC 26).

    Counted from the day on which the session closed, so nothing is held before that is known. A
    version too short stays a violation though a later one be kept longer.
    """
    years = ctx.settings.count_or_none("emr_years")
    versions = record.events("MedicalRecordArchived")
    if years is None or not versions:
        return
    session = ctx.records.session(versions[0]["session_id"])
    if session.opened is None or session.closed is None:
        return
    until = add_months(day_of(session.closed.t), 12 * years)
    short = [version for version in versions if version["retention_until"] < until]
    if short:
        facts = {
            "session_id": session.id,
            "retention_until": format_day(min(version["retention_until"] for version in short)),
            "required_until": format_day(until),
        }
        shown = (*short, session.closed)
        yield _of_record(record, State.CONFIRMED, "a", short[0].t, shown, facts)
    deleted = _deleted(record, until)
    if deleted:
        facts = {"target_kind": "MEDICAL_RECORD", "required_until": format_day(until)}
        shown = (*versions, session.closed, *deleted)
        yield _of_record(record, State.CONFIRMED, "c", deleted[0].t, shown, facts)


def _deleted(view: Dossier, until: int) -> list[Evidence]:
    return [
        item
        for item in view.events("RecordOperationLogged")
        if item["operation"] == "DELETED" and day_of(item.t) < until
    ]


def recording_kept_too_short(session: Session, ctx: Context) -> Iterator[Verdict]:
    """REC-03(b)(c): recordings of sessions are kept for the period required (GX 25, CQ 28, YC 8).

    Where only some media have a period (YC: video), a deletion counts if the session has recordings
    of these, or, where none is known, is of the mode that leaves them.
    """
    opened, closed = session.opened, session.closed
    period = ctx.settings.period("process_period")
    if opened is None or closed is None or period is None:
        return
    until = add_months(day_of(closed.t), period.months)
    recordings = session.events("ProcessRecordArchived")
    media = ctx.settings.names("process_media")
    short = [r for r in recordings if r["media"] in media and r["retention_until"] < until]
    if short:
        facts = {
            "media": ",".join(sorted({item["media"] for item in short})),
            "retention_until": format_day(min(item["retention_until"] for item in short)),
            "required_until": format_day(until),
        }
        shown = (closed, *short)
        yield about_session(session, State.CONFIRMED, "b", short[0].t, shown, facts)
    deleted = _deleted(session, until)
    if deleted and _media(opened, recordings) & media:
        facts = {"target_kind": "PROCESS_RECORD", "required_until": format_day(until)}
        shown = (closed, *recordings, *deleted)
        yield about_session(session, State.CONFIRMED, "c", deleted[0].t, shown, facts)


def _media(opened: Evidence, recordings: list[Evidence]) -> frozenset[str]:
    known = frozenset(record["media"] for record in recordings)
    return known or frozenset({MEDIUM[opened["mode"]]})


def custody_not_transferred(institution: Dossier, ctx: Context) -> Iterator[Verdict]:
    """REC-03(d): a cancelled institution hands its records to its host (GX 26, CQ 28).

    Absence of any transfer to the host, due at the end of the last day. As there may be many
    transfers, one that is dated too late does not show that none was in time: it ends the violation
    only once that is established. A transfer to another institution leaves the finding suspected,
    for a human. An institution registered again by then keeps its records itself. The host is the
    one last named by the cancellation.
    """
    filings = ctx.records.ledger.institution_filings()
    found = strongest(
        (state, (start, due, end))
        for start, until in cancellations(filings)
        for state, due, end in _untransferred(start, until, filings, ctx)
    )
    if found is None:
        return
    state, (start, due, end) = found
    shown = [filing.id for filing in filings if filing.t == start]
    shown += [transfer.id for transfer in _transfers(ctx)]
    yield Verdict(
        "institution",
        ctx.records.institution_id,
        state,
        "d",
        start=start,
        end=end,
        evidence=tuple(shown),
        due=due,
    )


def _untransferred(
    start: int, until: int, filings: list[Evidence], ctx: Context
) -> Iterator[tuple[State | None, int, int | None]]:
    due = end_of_day(day_of(start) + ctx.settings.count("custody_days"))
    if until <= due:
        return
    told = [filing for filing in filings if filing.t <= start]
    hosts = [filing["host_institution_id"] for filing in told if filing["host_institution_id"]]
    transfers = _transfers(ctx)
    to_host = [t.t for t in transfers if hosts and t["to_institution_id"] == hosts[-1]]
    if any(instant < due for instant in to_host):
        return
    cancelled = next(f for f in filings if f.t == start and f["filing_kind"] == "CANCELLED")
    state = ctx.clinical_absence(due, cancelled.r)
    if state is State.CONFIRMED and to_host:
        yield State.RESOLVED, due, min(to_host)
    elif state is State.CONFIRMED and transfers:
        yield State.SUSPECTED, due, None
    else:
        yield state, due, None


def _transfers(ctx: Context) -> list[Evidence]:
    """Transfers of medical records to another institution."""
    logged = ctx.records.evidence("ledger", CUSTODY)
    return [item for item in logged if item["target_kind"] == "MEDICAL_RECORD"]


def tampered(record: Dossier, ctx: Context) -> Iterator[Verdict]:
    """REC-04: an archived medical record is not changed unseen (CN 24, GX 31, CQ 33, SC 23(二)).

    (a) where nothing may be changed at all, any logged change after it was first archived. (b) two
    versions in succession that differ, without a logged amendment between them: an absence due by
    the later one. Corrections of an upload are no versions of the record (RULES 1.6.5).
    """
    versions = record.events("MedicalRecordArchived")
    if not versions:
        return
    logged = record.events("RecordOperationLogged")
    if logged and ctx.settings.flag("forbid_logged_amendment"):
        changed = [
            item
            for item in logged
            if item["operation"] in ("AMENDED", "DELETED") and item.t > versions[0].t
        ]
        if changed:
            first = changed[0]
            facts = {"operation": first["operation"], "operator_id": first["operator_id"]}
            shown = (versions[0], *changed)
            yield _of_record(record, State.CONFIRMED, "a", first.t, shown, facts)
    amended = [item.t for item in logged if item["operation"] == "AMENDED"]
    found = strongest(
        (ctx.clinical_absence(later.t, max(earlier.r, later.r)), (earlier, later))
        for earlier, later in pairwise(versions)
        if earlier["content_hash"] != later["content_hash"]
        and not any(earlier.t <= instant <= later.t for instant in amended)
    )
    if found is not None:
        state, (earlier, later) = found
        yield _of_record(record, state, "b", later.t, (earlier, later), {}, due=later.t)


def _of_record(
    record: Dossier,
    state: State,
    clause: str,
    start: int,
    shown: Iterable[Evidence],
    facts: dict[str, str],
    *,
    due: int | None = None,
) -> Verdict:
    evidence = tuple(dict.fromkeys(item.id for item in shown))
    return Verdict(
        "record", record.id, state, clause, start=start, evidence=evidence, facts=facts, due=due
    )


RULES = (
    Rule(
        id="REC-01",
        reads={
            "SessionOpened": ("mode",),
            "SessionClosed": ("outcome", "diagnosis_codes"),
            "PrescriptionIssued": (),
            "MedicalRecordArchived": ("record_id", "host_format_consistent", "host_shared"),
            "ProcessRecordArchived": ("media", "coverage_start", "coverage_end"),
        },
        judges={"session": not_archived},
        auto=frozenset({"a", "b", "c"}),
    ),
    Rule(
        id="REC-02",
        reads={
            "SessionOpened": ("patient_full_capacity",),
            "PrescriptionIssued": ("patient_age_years",),
            "MedicalRecordArchived": (
                "session_id",
                "sections_present",
                "sections_not_applicable",
                "patient_can_query",
                "patient_can_download",
            ),
        },
        judges={"record": content_incomplete},
        auto=frozenset({"a", "b", "c"}),
    ),
    Rule(
        id="REC-03",
        reads={
            "InstitutionFiled": ("filing_kind", "host_institution_id"),
            "SessionOpened": ("mode",),
            "SessionClosed": (),
            "MedicalRecordArchived": ("session_id", "retention_until"),
            "ProcessRecordArchived": ("media", "retention_until"),
            "RecordOperationLogged": ("target_kind", "operation", "to_institution_id"),
        },
        judges={
            "record": kept_too_short,
            "session": recording_kept_too_short,
            "institution": custody_not_transferred,
        },
        auto=frozenset({"d"}),
    ),
    Rule(
        id="REC-04",
        reads={
            "MedicalRecordArchived": ("content_hash",),
            "RecordOperationLogged": ("operation", "operator_id"),
        },
        judges={"record": tampered},
    ),
)
