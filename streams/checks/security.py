"""SEC: protection of systems and of patients' data (信息安全)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from streams.cases.session import Dossier
from streams.checks.base import ALL, Context, Rule
from streams.events import Evidence
from streams.findings import State, Verdict
from streams.rulebook import RuleSettings
from streams.timeline import add_months, end_of_day, format_day, start_of_day

SNAPSHOT = "snapshot"
_REPORTS = "SecurityIncidentReported"


def not_protected(_: Dossier, ctx: Context) -> Iterator[Verdict]:
    """SEC-01: systems are assessed for classified protection, high enough and often enough.

    (a) the first session without an earlier pass of ``min_level`` (CN 13, GX 39, CQ 18): a pass at
    its very instant is earlier; sessions after the first pass are never without. A pass known to be
    later ends it (D13). (b) no assessment, whatever its result, by the day ``interval`` after the
    last one (GX 39): an absence until a later assessment is known, which establishes and ends it in
    one step; one in time that arrives within its week undoes that lawfully. Each interval missed is
    a finding of its own.
    """
    assessments = ctx.records.ledger.assessments("MLPS")
    yield from _never_passed(assessments, ctx)
    interval = ctx.settings.period("interval")
    if interval is not None:
        yield from _overdue(assessments, interval.months, ctx)


def _never_passed(assessments: list[Evidence], ctx: Context) -> Iterator[Verdict]:
    level = ctx.settings.count("min_level")
    passed = next(
        (a for a in assessments if a["result"] == "PASS" and (a["mlps_level"] or 0) >= level), None
    )
    session = ctx.records.first_session(None if passed is None else passed.t)
    if session is None:
        return
    state = ctx.filing_absence(session.t, session.r)
    if state is State.CONFIRMED and passed is not None:
        state = State.RESOLVED
    if state is not None:
        yield Verdict(
            "institution",
            ctx.records.institution_id,
            state,
            "a",
            start=session.t,
            end=None if passed is None else passed.t,
            evidence=(session.id,) if passed is None else (session.id, passed.id),
            due=session.t,
        )


def _overdue(assessments: list[Evidence], months: int, ctx: Context) -> Iterator[Verdict]:
    ordered = sorted(assessments, key=lambda a: (a["assessed_on"], a.t, a.id))
    following: list[Evidence | None] = [*ordered[1:], None]
    for last, after in zip(ordered, following, strict=False):
        due_on = add_months(last["assessed_on"], months)
        if after is not None and after["assessed_on"] <= due_on:
            continue
        state: State | None = State.RESOLVED
        if after is None:
            state = ctx.filing_absence_on(due_on, last.r)
        if state is not None:
            times = ctx.book.deadlines
            yield Verdict(
                "institution",
                ctx.records.institution_id,
                state,
                "b",
                start=end_of_day(due_on),
                end=None if after is None else start_of_day(after["assessed_on"]),
                evidence=(last.id,) if after is None else (last.id, after.id),
                facts={
                    "assessed_on": format_day(last["assessed_on"]),
                    "due_on": format_day(due_on),
                },
                due=end_of_day(due_on) - 1,
                lawful_until=times.filing_deadline(due_on) + times.grace,
                episodic=True,
            )


def breach_mishandled(breach: Dossier, ctx: Context) -> Iterator[Verdict]:
    """SEC-02: a leak is reported (a) and fought (b) in time, and the right authority told (c).

    The last report of the incident counts (CN 20, GX 34, CQ 19, SC 33). A value that is there and
    late establishes and ends (a) or (b) in one step (D2), a missing one is an absence from the
    first report received on. (c) only once a time of reporting is stated (D14). An attack counts
    only where patients are affected.
    """
    reports = breach.events(_REPORTS)
    if not reports:
        return
    settings, last = ctx.settings, reports[-1]
    if last["kind"] not in settings.names("incident_kinds"):
        return
    if last["kind"] == "CYBER_ATTACK" and not (last["affected_patients"] or 0) > 0:
        return
    known = min(report.r for report in reports)
    yield from _by(breach.id, "a", last, last["reported_to_authority_at"], "report", known, ctx)
    yield from _by(breach.id, "b", last, last["measures_started_at"], "measures", known, ctx)
    accepted, recipient = settings.names("accepted_recipients"), last["report_recipient"]
    reported = last["reported_to_authority_at"] is not None
    if reported and "ANY" not in accepted and recipient not in accepted:
        facts = {"kind": last["kind"], "recipient": recipient or "none"}
        yield _of_incident(breach.id, State.CONFIRMED, "c", last, facts)


def _by(
    incident_id: str,
    clause: str,
    last: Evidence,
    done: int | None,
    what: str,
    known: int,
    ctx: Context,
) -> Iterator[Verdict]:
    due = last["discovered_at"] + ctx.settings.millis(f"{what}_within")
    state = ctx.clinical_absence(due, known) if done is None else State.RESOLVED
    if state is not None and (done is None or done > due):
        facts = {"kind": last["kind"]}
        yield _of_incident(incident_id, state, clause, last, facts, done, due)


def _of_incident(
    incident_id: str,
    state: State,
    clause: str,
    last: Evidence,
    facts: dict[str, str],
    end: int | None = None,
    due: int | None = None,
) -> Verdict:
    return Verdict(
        "incident",
        incident_id,
        state,
        clause,
        start=last["discovered_at"],
        end=end,
        evidence=(last.id,),
        facts=facts,
        due=due,
    )


class Shortcoming(NamedTuple):
    """An item of the equipment below the standard from one snapshot until another."""

    item: str
    value: str
    since: Evidence
    until: Evidence | None


def failing_items(ctx: Context) -> list[Shortcoming]:
    """Items of ``InfrastructureFiled`` that are or were below the standard of SEC-03, by begin.

    Snapshots replace each other as they take effect, whenever they arrive; one that takes effect
    later is waited for. Of the rulebook's SEC-03, whatever rule asks.
    """
    settings = ctx.book.rules["SEC-03"]
    snapshots = ctx.records.ledger.infrastructure()
    coming = next((s for s in snapshots if s.t > ctx.now), None)
    if coming is not None:
        ctx.wake(coming.t)
    found: list[Shortcoming] = []
    standing: dict[str, Evidence] = {}
    before: Mapping[str, Any] = {}
    for snapshot in snapshots:
        if snapshot.t > ctx.now:
            break
        failing = {item for item in settings.clauses if not _meets(item, snapshot, settings)}
        for item in sorted(standing.keys() - failing):
            value = _shown(before[item])
            found.append(Shortcoming(item, value, standing.pop(item), snapshot))
        for item in failing - standing.keys():
            standing[item] = snapshot
        before = snapshot.body
    found += [Shortcoming(item, _shown(before[item]), standing[item], None) for item in standing]
    return sorted(found, key=lambda s: (s.since.t, s.item))


_MINIMA = {
    "server_sets": "min_servers",
    "av_systems": "min_av_systems",
    "bandwidth_mbps": "min_bandwidth_mbps",
    "isp_count": "min_isps",
}
_LISTS = {
    "remote_functions": "required_remote_functions",
    "trust_services": "required_trust_services",
}


def _meets(item: str, snapshot: Evidence, settings: RuleSettings) -> bool:
    value = snapshot[item]
    if item in _MINIMA:
        return bool(value >= settings.count(_MINIMA[item]))
    if item in _LISTS:
        return settings.names(_LISTS[item]) <= frozenset(value)
    if item == "data_region":
        return str(value).startswith(settings.listed("data_regions"))
    return value is True


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(sorted(value)) or "none" if isinstance(value, list) else str(value)


def below_standard(_: Dossier, ctx: Context) -> Iterator[Verdict]:
    """SEC-03: the equipment filed meets the basic standard (CQ-A1 四, SC 23, YC 23).

    Established on receipt, because the hospital says so itself; what holds 原则上 stays a suspicion
    of the rulebook's. A fact not stated is not true. A conforming snapshot ends it; a later one
    that fails again is a finding of its own. Where a snapshot is required and none is in force by
    the end of the day of registration, that alone is a finding without clause.
    """
    institution_id = ctx.records.institution_id
    for item, value, since, until in failing_items(ctx):
        if until is not None and ctx.settings.signals(item):
            continue
        yield Verdict(
            "institution",
            institution_id,
            State.CONFIRMED if until is None else State.RESOLVED,
            item,
            start=since.t,
            end=None if until is None else until.t,
            evidence=(since.id,) if until is None else (since.id, until.id),
            facts={"item": item, "value": value},
            episodic=True,
        )
    if ctx.settings.flag("snapshot_required"):
        yield from _no_snapshot(ctx)


def _no_snapshot(ctx: Context) -> Iterator[Verdict]:
    registered = next(iter(ctx.records.ledger.institution_filings()), None)
    if registered is None:
        return
    day = registered["change_completed_on"]
    first = next(iter(ctx.records.ledger.infrastructure()), None)
    if first is not None and first.t < end_of_day(day):
        return
    state = ctx.filing_absence_on(day, registered.r)
    if state is State.CONFIRMED and first is not None:
        state = State.RESOLVED
    if state is not None:
        yield Verdict(
            "institution",
            ctx.records.institution_id,
            state,
            start=start_of_day(day),
            end=None if first is None else first.t,
            evidence=(registered.id,) if first is None else (registered.id, first.id),
            facts={"item": SNAPSHOT, "value": "none"},
            due=end_of_day(day) - 1,
        )


_ITEMS = (
    "server_sets", "db_app_separated", "dual_power_or_generator", "av_systems",
    "av_on_city_platform", "bandwidth_mbps", "isp_count", "access_control_system", "his_integrated",
    "pacs_ris_integrated", "lis_integrated", "remote_functions", "health_cloud_joined",
    "dedicated_line", "data_region", "backup_mechanism", "disaster_recovery_system",
    "record_audit_log", "auto_archiving", "trust_services",
)  # fmt: skip

RULES = (
    Rule(
        id="SEC-01",
        reads={
            "AssessmentCompleted": ("assessment_type", "mlps_level", "result", "assessed_on"),
            "SessionOpened": ("service_kind",),
        },
        auto=ALL,
        judges={"institution": not_protected},
    ),
    Rule(
        id="SEC-02",
        reads={
            _REPORTS: (
                "kind",
                "discovered_at",
                "reported_to_authority_at",
                "report_recipient",
                "measures_started_at",
                "affected_patients",
            )
        },
        auto=frozenset({"a", "b"}),
        judges={"breach": breach_mishandled},
    ),
    Rule(
        id="SEC-03",
        reads={
            "InfrastructureFiled": _ITEMS,
            "InstitutionFiled": ("change_completed_on",),
        },
        auto=ALL,
        judges={"institution": below_standard},
    ),
)
