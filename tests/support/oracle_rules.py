"""RULES read once more: what UPL-01, IDV-01, IDV-02 and PHA-01 hold at one instant.

Everything is computed anew from the events known, without intervals: coverage is asked for at each
instant at which it can change.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from streams.rulebook import RuleSettings
from streams.timeline import MINUTE, day_of, start_of_day, weekday
from tests.support.oracle_facts import (
    CONFIRMED,
    EXEMPT,
    NEVER,
    RESOLVED,
    SUSPECTED,
    WAITING,
    Evaluation,
    Fact,
    Verdict,
    corrected,
    is_late,
    lateness,
    out_of_scope,
)


class Rules(Evaluation):
    """All verdicts that follow from a set of known events at one instant."""

    def verdicts(self) -> list[Verdict]:
        found = [*self.late_uploads(), *self.unattended()]
        for session_id in sorted({f["session_id"] for f in self.of("SessionOpened")}):
            found += self.session(session_id)
        return found

    # UPL-01

    def late_uploads(self) -> list[Verdict]:
        found = []
        replaced, _ = corrected(self.all, self.library.books[self.candidate])
        for fact in self.all:
            rule = self.book(fact.t).rule("UPL-01")
            skipped = fact.id in replaced or out_of_scope(fact, self.library.books[self.candidate])
            if rule is not None and not skipped and is_late(fact, rule):
                found.append(Verdict("UPL-01", None, fact.id, RESOLVED, *lateness(fact, rule)))
        return found

    # IDV-01, IDV-02

    def session(self, session_id: str) -> list[Verdict]:
        mine = [f for f in self.facts if f.body.get("session_id") == session_id]
        opened = next(f for f in mine if f.type == "SessionOpened")
        closed = next((f for f in mine if f.type == "SessionClosed"), None)
        book = self.book(opened.t)
        if out_of_scope(opened, book):
            return []
        checks = [
            f
            for f in self.of("DoctorIdentityVerified")
            if f["staff_id"] == f["matched_staff_id"] == opened["doctor_id"]
            and f["result"] == "PASS"
        ]
        found = []
        if rule := book.rule("IDV-01"):
            found += self.before_reception(rule, opened, closed, checks, mine)
        if rule := book.rule("IDV-02"):
            checks = [f for f in checks if f["session_id"] == session_id]
            found += self.in_session(rule, opened, closed, checks, mine)
        return found

    def before_reception(
        self,
        rule: RuleSettings,
        opened: Fact,
        closed: Fact | None,
        checks: list[Fact],
        mine: list[Fact],
    ) -> list[Verdict]:
        x, subject = opened.t, opened["session_id"]
        alternative = rule.flag("video_or_signature")
        counting = [v for v in checks if v["method"] in rule.names("methods") and v.t <= x]
        logged_in = [v for v in counting if x - rule.millis("login_max_age") <= v.t]
        found = []
        match rule.text("scope"):
            case "SESSION":
                shown = any(
                    v["session_id"] == subject
                    and v["phase"] == "PRE_SESSION"
                    and x - rule.millis("pre_max_age") <= v.t
                    for v in counting
                )
            case "LOGIN":
                shown = bool(logged_in)
            case _:
                shown = bool(counting)
        if not shown and (state := self.absence(x, opened.r)):
            clause = "a" if alternative else None
            found.append(Verdict("IDV-01", clause, subject, state, x))
        if alternative and closed is not None:
            edge = rule.millis("video_edge")
            recorded = any(
                f.type == "ProcessRecordArchived"
                and f["media"] == "VIDEO"
                and f["coverage_start"] <= x + edge
                and f["coverage_end"] >= closed.t - edge
                for f in mine
            )
            signed = any(v["method"] == "DIGITAL_CERT" for v in logged_in) and all(
                f["doctor_signature"] == "VALID" for f in mine if f.type == "PrescriptionIssued"
            )
            due = closed.t + rule.millis("video_due")
            state = self.absence(due, max(opened.r, closed.r))
            if state and not recorded and not signed:
                found.append(Verdict("IDV-01", "b", subject, state, x))
        return found

    def in_session(
        self,
        rule: RuleSettings,
        opened: Fact,
        closed: Fact | None,
        checks: list[Fact],
        mine: list[Fact],
    ) -> list[Verdict]:
        subject, max_gap = opened["session_id"], rule.millis("max_gap")
        counting = [v for v in checks if v["method"] in rule.names("methods")]
        o, c = opened.t, NEVER if closed is None else closed.t
        points = [v.t for v in counting if v["phase"] == "IN_SESSION" and o <= v.t <= c]
        prescriptions = [f for f in mine if f.type == "PrescriptionIssued"]
        acts = list(prescriptions)
        if closed is not None:
            if closed["outcome"] in EXEMPT and not prescriptions:
                return []
            if closed["outcome"] == "COMPLETED" and closed["diagnosis_codes"]:
                acts.append(closed)
        acts.sort(key=lambda f: f.rank)
        found: list[Verdict] = []
        if closed is not None and acts and len(points) < rule.count("min_checks"):
            trigger = max(opened.r, closed.r, min(act.r for act in acts))
            if state := self.absence(c, trigger):
                found.append(Verdict("IDV-02", "a", subject, state, o, c))
        gaps: list[tuple[str, int, int | None]] = []
        if opened["mode"] == "TEXT_IMAGE":
            for act in acts:
                near = any(
                    v["phase"] in ("PRE_SESSION", "IN_SESSION") and act.t - max_gap <= v.t <= act.t
                    for v in counting
                )
                state = None if near else self.absence(act.t, max(opened.r, act.r))
                if state:
                    gaps.append((state, act.t, act.t))
        else:
            for p, q in pairwise([o, *sorted(points), c]):
                # Live, the clock stands for the end of an open session.
                state = self.absence(p + max_gap, opened.r) if q - p > max_gap else None
                if state:
                    gaps.append((state, p, None if q == NEVER else q))
        if gaps:
            state = CONFIRMED if any(gap[0] == CONFIRMED for gap in gaps) else SUSPECTED
            _, start, end = next(gap for gap in gaps if gap[0] == state)
            found.append(Verdict("IDV-02", "b", subject, state, start, end))
        return found

    # PHA-01

    def unattended(self) -> list[Verdict]:
        """Gaps of coverage in business time: each instant between two changes is asked anew."""
        found: list[Verdict] = []
        cuts = self.cuts()
        run: list[tuple[int, int, bool]] = []
        for x, y in pairwise(cuts):
            rule = self.book(x).rule("PHA-01")
            short = False
            if rule is not None and self.is_business(x, rule):
                short = self.covering(x, rule, ("ELIGIBLE",)) < rule.count("min_on_duty")
            if short and rule is not None:
                possible = self.covering(x, rule, ("ELIGIBLE", "PENDING"))
                run.append((x, y, possible < rule.count("min_on_duty")))
            if run and (not short or y == cuts[-1]):
                found += self.gap(run)
                run = []
        return found

    def gap(self, run: list[tuple[int, int, bool]]) -> list[Verdict]:
        a, b = run[0][0], run[-1][1]
        rule = self.book(a).rules["PHA-01"]
        tolerance = rule.millis("gap_tolerance")
        if b - a <= tolerance:
            return []
        limits = self.limits
        trigger = self.business_known(a, rule)
        state = WAITING
        if self.now.reached(max(a + tolerance, trigger) + limits.wait):
            state = SUSPECTED
        # D30: only the part that nobody's missing filing could still cover is not waited for.
        parts: list[tuple[int, int]] = []
        for start, end in _merged((x, y) for x, y, certain in run if certain):
            if end - start > tolerance:
                normal = start + tolerance + limits.clinical + limits.grace
                if self.now.reached(max(normal, trigger + limits.wait)):
                    parts.append((start, end))
        if parts and not self.now.reached(max(limits.filing_confirmed(a), trigger + limits.wait)):
            shown = parts[0][0], parts[-1][1]
        else:
            shown = a, b
        over = self.now.reached(b)
        if parts or self.now.reached(max(limits.filing_confirmed(a), trigger + limits.wait)):
            state = RESOLVED if over else CONFIRMED
        return [Verdict("PHA-01", None, (a, b), state, shown[0], shown[1] if over else None)]

    def cuts(self) -> list[int]:
        """Every instant at which business time or coverage can change, in order."""
        rule = self.library.books[self.candidate].rules["PHA-01"]
        bases = [f.t for f in self.of("BusinessHoursDeclared", "SessionOpened")]
        if not rule.enabled or not bases:
            return []
        today = day_of(self.now.instant)
        self.now.reached(start_of_day(today + 1))  # the days after tomorrow are looked at then
        days = range(day_of(bases[0]) - 1, max(today, day_of(self.facts[-1].t)) + 3)
        minutes = {0}
        found = {f.t for f in self.facts}
        for declared in self.of("BusinessHoursDeclared"):
            exceptions = [part for one in declared["exceptions"] for part in one["intervals"]]
            for part in [*declared["weekly"], *exceptions]:
                minutes |= {part["start_minute"], part["end_minute"]}
        found |= {start_of_day(day) + minute * MINUTE for day in days for minute in minutes}
        found |= {f.t + rule.millis("heartbeat_timeout") for f in self.facts}
        book = self.library.books[self.candidate]
        found |= {f["discovered_at"] + book.immediate for f in self.of("AdverseEventReported")}
        found |= {f.t + book.immediate for f in self.of("AssessmentCompleted")}
        return sorted(x for x in found if start_of_day(days[0]) <= x < start_of_day(days[-1]))

    def is_business(self, x: int, rule: RuleSettings) -> bool:
        return bool(self.business_reasons(x, rule)) and not self.is_stopped(x)

    def business_known(self, x: int, rule: RuleSettings) -> int:
        """When it was received that x is business time: the earliest of its reasons."""
        return min(self.business_reasons(x, rule))

    def business_reasons(self, x: int, rule: RuleSettings) -> list[int]:
        found = []
        declarations = [f for f in self.of("BusinessHoursDeclared") if f.t <= x]
        if declarations and _declares(declarations[-1], x):
            found.append(declarations[-1].r)
        if rule.text("business_time") == "DECLARED_PLUS_SESSIONS":
            for opened in self.of("SessionOpened"):
                if opened["mode"] == "TEXT_IMAGE" or opened["service_kind"] == "REMOTE_MEDICINE":
                    continue
                found += [
                    max(opened.r, closed.r)
                    for closed in self.of("SessionClosed")
                    if closed["session_id"] == opened["session_id"] and opened.t <= x < closed.t
                ]
        return found

    def is_stopped(self, x: int) -> bool:
        """Whether a stop of the whole institution holds at x (LIC-05, D6)."""
        book = self.book(x)
        rule = book.rules["LIC-05"]
        status = [f for f in self.of("ServiceStatusChanged") if f["scope"] == "INSTITUTION"]
        declared = [f for f in status if f.t <= x]
        if declared and declared[-1]["status"] != "RESUMED":
            return True
        filed = [f for f in self.of("InstitutionFiled") if f.t <= x]
        if filed and filed[-1]["filing_kind"] == "CANCELLED":
            return True
        if rule.flag("mlps_stop"):
            results = [f for f in self.of("AssessmentCompleted") if f["assessment_type"] == "MLPS"]
            for failed in results:
                passed = any(p["result"] == "PASS" and failed.t < p.t <= x for p in results)
                if failed["result"] == "FAIL" and failed.t + book.immediate <= x and not passed:
                    return True
        if rule.flag("adverse_stop"):
            for report in self.of("AdverseEventReported"):
                if report["stage"] == "INITIAL" and report["affected_scope"] == "INSTITUTION":
                    since = report["discovered_at"]
                    resumed = any(f["status"] == "RESUMED" and since <= f.t <= x for f in status)
                    if since + book.immediate <= x and not resumed:
                        return True
        return False

    def covering(self, x: int, rule: RuleSettings, wanted: tuple[str, ...]) -> int:
        staff = {f["staff_id"] for f in self.of("DutyStatusReported")}
        return sum(self.present(p, x, rule) and self.standing(p, x) in wanted for p in staff)

    def standing(self, staff_id: str, x: int) -> str:
        """ELIGIBLE, PENDING (a filing that could still arrive is lacking) or INELIGIBLE (D30)."""
        filings = [f for f in self.of("StaffFiled") if f["staff_id"] == staff_id and f.t <= x]
        if not filings:
            return "PENDING"
        filed = filings[-1]
        if filed["role"] != "PHARMACIST" or filed["status"] != "ACTIVE":
            return "INELIGIBLE"
        employer = filed["employer_id"]
        if employer == filed["institution_id"]:
            return "ELIGIBLE" if filed["full_time"] else "INELIGIBLE"
        agreements = [
            f
            for f in self.of("DocumentFiled")
            if f["doc_type"] == "PHARMACIST_SERVICE_AGREEMENT" and employer in f["counterparty_ids"]
        ]
        day = day_of(x)
        begun = [f for f in agreements if f["effective_from"] <= day]
        if any(f["effective_to"] is None or day <= f["effective_to"] for f in begun):
            return "ELIGIBLE"
        return "INELIGIBLE" if begun else "PENDING"

    def present(self, staff_id: str, x: int, rule: RuleSettings) -> bool:
        timeout = rule.millis("heartbeat_timeout")
        duty = [
            f
            for f in self.of("DutyStatusReported")
            if f["staff_id"] == staff_id and f["duty_kind"] == "RX_REVIEW"
        ]
        reviews = [f.t for f in self.of("PrescriptionReviewed") if f["reviewer_id"] == staff_id]
        for shift_id in {f["shift_id"] for f in duty}:
            times: dict[str, list[int]] = {"SIGN_ON": [], "HEARTBEAT": [], "SIGN_OFF": []}
            for fact in duty:
                if fact["shift_id"] == shift_id:
                    times[fact["phase"]].append(fact.t)
            start = min(times["SIGN_ON"] or times["HEARTBEAT"], default=NEVER)
            off = min(times["SIGN_OFF"], default=NEVER)
            points = [e for e in [start, *times["HEARTBEAT"], *reviews] if start <= e <= off]
            if not points or start == NEVER:
                continue
            if rule.flag("heartbeat_required"):
                if any(e <= x < e + timeout for e in points) and x < off:
                    return True
            elif start <= x < (off if off < NEVER else max(points) + timeout):
                return True
        return False


def _declares(declared: Fact, x: int) -> bool:
    day = day_of(x)
    minute = (x - start_of_day(day)) / MINUTE
    parts = [p for p in declared["weekly"] if p["weekday"] == weekday(day)]
    for exception in declared["exceptions"]:
        if exception["date"] == day:
            parts = exception["intervals"]
    return any(part["start_minute"] <= minute < part["end_minute"] for part in parts)


def _merged(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for x, y in pairs:
        if found and found[-1][1] == x:
            found[-1] = (found[-1][0], y)
        else:
            found.append((x, y))
    return found
