"""What happens beside the sessions: manifests, reports, complaints, notices, small incidents.

All of it as a compliant institution does it. Complaints are so rare that no rate rule can see them.
"""

from __future__ import annotations

from streams.simulator.filings import periodic_duty
from streams.simulator.institution import Institution
from streams.simulator.visits import Visit
from streams.timeline import DAY, HOUR, MINUTE, SECOND, day_of, end_of_day, start_of_day

_SESSIONS_PER_COMPLAINT = 250


class Upkeep:
    """The occasional duties of one institution."""

    def __init__(self, inst: Institution, first_day: int) -> None:
        self._inst = inst
        self._first_day = first_day
        self._since_complaint: dict[str, int] = {}
        self._since_any = 0

    def close_day(self, day: int) -> None:
        """Publish the manifest and, where it is a duty, the security report of a day."""
        inst = self._inst
        inst.outbox.close_day(day)
        if inst.profile.daily_report and day not in inst.unreported:
            payload = periodic_duty("DAILY_SECURITY_REPORT", day, day)
            payload["change_completed_on"] = day + 1
            inst.outbox.emit("PeriodicDutyCompleted", end_of_day(day) + HOUR, payload, prompt=True)

    def open_day(self, day: int) -> None:
        """Plan the day's occasional events; the first two open days have one incident each."""
        inst = self._inst
        morning = start_of_day(day) + 9 * HOUR
        since = day - self._first_day
        if since % 10 == 0:
            self._security_incident(morning, "OUTAGE" if since % 20 == 0 else "DATA_BREACH")
        elif since == 1:
            self._adverse_event(morning)
        if since % 7 == 2:
            self._notice(morning + HOUR)
        if since % 7 == 3:
            inst.outbox.emit(
                "RecordOperationLogged",
                morning + 2 * HOUR,
                {
                    "target_kind": "PRESCRIPTION_DATA",
                    "target_id": None,
                    "operation": "STATISTICS_RUN",
                    "operator_id": inst.pharmacists[0].staff_id,
                    "purpose": "QUALITY_CONTROL",
                    "authorisation_doc_id": f"doc-{inst.id}",
                    "to_institution_id": None,
                },
            )

    def after(self, visit: Visit) -> None:
        """Let a patient complain once in so many sessions of the doctor and of the house."""
        inst, doctor = self._inst, visit.doctor.staff_id
        self._since_any += 1
        since = self._since_complaint[doctor] = self._since_complaint.get(doctor, 0) + 1
        if min(since, self._since_any) < _SESSIONS_PER_COMPLAINT:
            return
        self._since_any = self._since_complaint[doctor] = 0
        complaint_id = inst.name_id("complaint")
        at = visit.closed + inst.rng.randint(10, 300) * MINUTE
        inst.outbox.emit(
            "ComplaintReceived",
            at,
            {
                "complaint_id": complaint_id,
                "session_id": visit.session_id,
                "channel": "PLATFORM",
                "category": inst.rng.choice(("ATTITUDE", "FEE", "QUALITY")),
                "staff_id": doctor,
            },
        )
        resolved = {"complaint_id": complaint_id, "result": "SETTLED"}
        inst.outbox.emit("ComplaintResolved", at + inst.rng.randint(5, 60) * HOUR, resolved)

    def _notice(self, at: int) -> None:
        inst = self._inst
        notice_id = inst.name_id("notice")
        inst.outbox.supervise(
            "SupervisionNoticeIssued",
            at,
            {
                "notice_id": notice_id,
                "notice_kind": "PROBLEM_FEEDBACK",
                "finding_keys": [],
                "due_on": day_of(at) + 7,
            },
        )
        inst.outbox.emit(
            "RectificationReported",
            at + inst.rng.randint(20, 60) * HOUR,
            {
                "notice_id": notice_id,
                "status": "COMPLETED",
                "reported_to_registration_authority": True,
            },
        )

    def _security_incident(self, at: int, kind: str) -> None:
        inst = self._inst
        inst.outbox.emit(
            "SecurityIncidentReported",
            at + 2 * HOUR,
            {
                "incident_id": inst.name_id("incident"),
                "kind": kind,
                "discovered_at": at,
                "reported_to_authority_at": at + HOUR,
                "report_recipient": inst.profile.report_recipient,
                "measures_started_at": at + 10 * MINUTE,
                "affected_patients": None if kind == "OUTAGE" else 3,
            },
        )

    def _adverse_event(self, at: int) -> None:
        """A drug reaction; the doctor concerned sees nobody until the investigation is closed."""
        inst = self._inst
        incident_id, doctor = inst.name_id("incident"), inst.spare.staff_id
        stages = (
            ("INITIAL", at + 20 * MINUTE),
            ("INVESTIGATED", at + DAY),
            ("CLOSED", at + 2 * DAY),
        )
        for stage, when in stages:
            inst.outbox.emit(
                "AdverseEventReported",
                when,
                {
                    "incident_id": incident_id,
                    "kind": "DRUG_REACTION",
                    "stage": stage,
                    "major_accident": False,
                    "discovered_at": at,
                    "reported_to_authority_at": at + 3 * HOUR if stage != "INITIAL" else None,
                    "session_id": None,
                    "prescription_id": None,
                    "affected_scope": "STAFF",
                    "affected_scope_id": doctor,
                    "responsible_staff_ids": [doctor],
                },
            )
        statuses = (("SUSPENDED", at + 15 * MINUTE), ("RESUMED", at + 2 * DAY + 30 * SECOND))
        for status, when in statuses:
            inst.outbox.emit(
                "ServiceStatusChanged",
                when,
                {
                    "scope": "STAFF",
                    "scope_id": doctor,
                    "status": status,
                    "reason": "ADVERSE_EVENT",
                    "reported_to_authority_at": when + HOUR,
                },
            )
