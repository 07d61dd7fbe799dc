"""The core against the oracle: the same findings, with every state and when it was reached."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.check import judge
from streams.rulebook import RULEBOOKS, Library
from streams.supervisor import Supervisor
from tests.support import oracle
from tests.support.case_model import STAR_RULES
from tests.support.check_cli import retired_but
from tests.support.oracle import Held
from tests.support.scenarios import DAY, HOUR, MIDNIGHT, MINUTE, MONDAY, Published, example, log

SECOND = 1_000
HOSPITAL = "h1"
NOTED = {"late_evidence", "corrected"}
OTHERS = retired_but(*STAR_RULES)
"""The oracle knows no other rules."""
STANDING = ("BusinessHoursDeclared", "StaffFiled", "DocumentFiled", "InstitutionFiled")


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def assert_agreed(
    published: list[Published], rulebook: str, overrides: tuple[str, ...], as_of: int
) -> None:
    """The core and the oracle hold the same of these events at this instant."""
    library = Library.load((*overrides, *OTHERS))
    events = log(published)
    wanted = oracle.judge(events, library, rulebook, as_of)
    found = judge(events, Supervisor(library, {}, rulebook), as_of)
    assert _plain(map(_held, found)) == _plain(wanted)


def _held(finding: Any) -> Held:
    by_instants = finding.rule_id in ("UPL-06", "PHA-01")
    return Held(
        finding.rule_id,
        finding.clause,
        None if by_instants else finding.subject_id,
        str(finding.state),
        finding.start,
        finding.end,
        tuple(sorted(NOTED & {str(flag) for flag in finding.flags})),
        tuple((str(step.state), step.at) for step in finding.history),
    )


def _plain(held: Any) -> list[str]:
    return sorted(map(_told, held))


def _told(held: Held) -> str:
    def minutes(t: int | None) -> str:
        return "-" if t is None else f"{(t - MIDNIGHT) / MINUTE:.5f}"

    steps = " ".join(f"{state}@{minutes(at)}" for state, at in held.history)
    start, end = minutes(held.start), minutes(held.end)
    what = f"{held.rule} {held.clause} {held.subject} {held.state}"
    return f"{what} [{start},{end}] {held.flags} {steps}"


class Writer:
    """Draws the events of one hospital; every list of choices holds values at the limits."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.published: list[Published] = []
        self.number = 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def some(self, most: int) -> range:
        return range(self.draw(st.integers(0, most)))

    def event(
        self, event_type: str, at: int, *, delay: int | None = None, **fields: Any
    ) -> Published:
        self.number += 1
        fields = {"event_id": f"e{self.number}", "recorded_at": at, **fields}
        datum = example(event_type, institution_id=HOSPITAL, occurred_at=at, **fields)
        if delay is None:
            delay = self.delay(7 * DAY if event_type in STANDING else DAY)
        item = Published(datum, at + delay)
        self.published.append(item)
        return item

    def delay(self, window: int) -> int:
        grace = 10 * MINUTE
        return int(
            self.pick(
                *(SECOND, SECOND, SECOND, SECOND, 0, MINUTE, 4 * MINUTE, 5 * MINUTE, 16 * MINUTE),
                *(HOUR, window, window + 1, window + grace, window + grace - 1),
                *(window + grace + HOUR, window + 3 * DAY, self.draw(st.integers(0, 2 * window))),
            )
        )

    def near(self, base: int, *offsets: int) -> int:
        return int(base + self.pick(*offsets) + self.pick(0, 0, 0, 1, -1))

    def correct(self, changes: dict[str, tuple[Any, ...]], most: int = 2) -> None:
        """Corrections of some events, in and after the window, of contents or of the instant."""
        originals = [i for i in self.published if not i.datum["revision"]]
        for _ in self.some(most):
            if not originals:
                return
            item = self.pick(*originals)
            originals.remove(item)
            first = self._correction(item, 1, changes)
            if self.pick(*[False] * 4, True):
                self._correction(first, 2, changes)

    def _correction(
        self, item: Published, revision: int, changes: dict[str, tuple[Any, ...]]
    ) -> Published:
        datum = item.datum
        at = datum["occurred_at"]
        received = at + self.pick(
            *(5 * MINUTE, HOUR, DAY - 1, DAY, DAY + 1, DAY + HOUR, 2 * DAY),
            *(self.draw(st.integers(0, 2 * DAY)),),
        )
        if revision > 1:
            received = max(received, item.received_at)
        # The core keeps no checks that prove nothing, so it takes a correction's own time for them.
        unkept = datum["event_type"] == "DoctorIdentityVerified" and (
            datum["result"] == "FAIL" or datum["matched_staff_id"] != datum["staff_id"]
        )
        corrected = {
            **datum,
            **{name: self.pick(*changes[name]) for name in changes if name in datum},
            "event_id": f"{datum['event_id']}c{revision}",
            "occurred_at": at + (0 if unkept else self.pick(0, 0, 0, MINUTE, -MINUTE, 20 * MINUTE)),
            "recorded_at": received - self.pick(0, MINUTE, DAY, DAY + 1),
            "revision": revision,
            "supersedes_event_id": datum["event_id"],
        }
        self.published.append(Published(corrected, received))
        return self.published[-1]

    def repeat(self) -> None:
        """Resend some event; other contents sent under a known id count for nothing."""
        for _ in self.some(1):
            if self.published:
                item = self.pick(*self.published)
                later = item.received_at + self.pick(1, HOUR, DAY)
                other = self.pick(
                    {}, {}, {"result": "PASS"}, {"phase": "SIGN_OFF"}, {"outcome": "CANCELLED"}
                )
                kept = {k: v for k, v in other.items() if k in item.datum}
                if item.datum["event_type"] == "DoctorIdentityVerified":
                    kept.pop("phase", None)
                self.published.append(Published({**item.datum, **kept}, later))

    def form(self) -> None:
        for _ in self.some(1):
            self.event(
                "InstitutionFiled",
                MIDNIGHT + self.pick(-30 * DAY, 9 * HOUR),
                institution_form=self.pick("OWN_DOCTOR_SERVICE", "INDEPENDENT_INTERNET_HOSPITAL"),
                filing_kind="CHANGED",
            )

    def as_of(self) -> int:
        """At a receipt, at a limit after one, or when all is over."""
        item = self.pick(*self.published) if self.published else None
        base = item.received_at if item else MIDNIGHT
        ends = 12 * DAY + max((i.received_at for i in self.published), default=MIDNIGHT)
        return int(self.pick(ends, ends, ends, base, self.near(base, 5 * MINUTE, 15 * MINUTE, DAY)))


# -- sessions --------------------------------------------------------------------------------------

OPENED = MIDNIGHT + 10 * HOUR


@st.composite
def session_lives(draw: st.DrawFn) -> tuple[list[Published], str, tuple[str, ...], int]:
    writer = Writer(draw)
    rulebook = writer.pick("guangxi", "guangxi", "guangxi", *RULEBOOKS)
    for number in range(writer.pick(1, 1, 1, 2)):
        _session(writer, f"s{number}")
    if rulebook in ("chongqing", "yinchuan"):
        writer.form()
    writer.correct(
        {
            "result": ("PASS", "PASS", "FAIL"),
            "outcome": ("COMPLETED", "CANCELLED"),
            "mode": ("VIDEO", "TEXT_IMAGE"),
            "doctor_signature": ("VALID", "INVALID"),
            "doctor_id": ("d1", "d1", "d2"),
        }
    )
    writer.repeat()
    overrides = writer.pick(
        *((), (), (), ("idv02.min_checks=2",), ("idv01.scope=LOGIN",), ("idv02.max_gap=3m",)),
        ("global.grace=0m", "global.provisional_wait=7m", "global.correction_window=2h"),
        ("idv02.enabled=true", "yinchuan.national_overlay=true", "global.u_clin=48h"),
    )
    return writer.published, rulebook, overrides, writer.as_of()


def _session(writer: Writer, session_id: str) -> None:
    pick, near = writer.pick, writer.near
    opened = OPENED + pick(0, 0, HOUR)
    lasting = pick(0, 6, 10, 11, 20, 25, 40) * MINUTE
    closed = near(opened, lasting)
    session: dict[str, Any] = {"session_id": session_id}
    writer.event(
        "SessionOpened",
        opened,
        **session,
        doctor_id="d1",
        mode=pick("VIDEO", "VIDEO", "VOICE", "TEXT_IMAGE", "TEXT_IMAGE"),
        service_kind=pick(*["FOLLOW_UP"] * 9, "REMOTE_MEDICINE"),
    )
    if pick(True, True, True, False):
        writer.event(
            "SessionClosed",
            closed,
            **session,
            outcome=pick("COMPLETED", "COMPLETED", "TERMINATED", "CANCELLED", "TIMED_OUT"),
            diagnosis_codes=pick(["I10"], ["I10"], []),
        )
    for number in writer.some(1):
        writer.event(
            "PrescriptionIssued",
            near(opened, 0, 5 * MINUTE, 10 * MINUTE, lasting, lasting + HOUR),
            **session,
            prescription_id=f"rx-{session_id}-{number}",
            prescriber_id="d1",
            doctor_signature=pick("VALID", "VALID", "ABSENT"),
        )
    for _ in writer.some(1):
        writer.event(
            "ProcessRecordArchived",
            closed + HOUR,
            **session,
            media=pick("VIDEO", "VIDEO", "AUDIO"),
            coverage_start=near(opened, 0, MINUTE),
            coverage_end=near(closed, 0, -MINUTE),
        )
    minutes = [0, 5, 9, 10, 19, 20, 25, 30]
    for _ in writer.some(4):
        phase = pick("PRE_SESSION", "IN_SESSION", "IN_SESSION", "IN_SESSION", "LOGIN", "ENROLMENT")
        inside = phase == "IN_SESSION"
        before = (0, -MINUTE, -10 * MINUTE) if phase == "PRE_SESSION" else (-12 * HOUR, -30 * DAY)
        writer.event(
            "DoctorIdentityVerified",
            near(opened, *((m * MINUTE for m in minutes) if inside else before)),
            session_id=session_id if phase in ("PRE_SESSION", "IN_SESSION") else None,
            staff_id=pick(*["d1"] * 9, "d2"),
            matched_staff_id=pick(*["d1"] * 9, "d2", None),
            phase=phase,
            method=pick("FACE", "FACE", "FACE", "DIGITAL_CERT", "DIGITAL_CERT", "PASSWORD"),
            result=pick(*["PASS"] * 9, "FAIL"),
        )


@settings(max_examples=120, suppress_health_check=SLOW)
@given(session_lives())
def test_sessions(life: tuple[list[Published], str, tuple[str, ...], int]) -> None:
    assert_agreed(*life)


# -- pharmacists -----------------------------------------------------------------------------------


@st.composite
def pharmacy_days(draw: st.DrawFn) -> tuple[list[Published], str, tuple[str, ...], int]:
    writer = Writer(draw)
    pick = writer.pick
    _declarations(writer)
    for staff_id in ("p1", "p2")[: pick(1, 1, 2)]:
        _pharmacist(writer, staff_id)
    for number in writer.some(1):
        opened = MIDNIGHT + pick(7, 9, 12, 23) * HOUR
        session: dict[str, Any] = {"session_id": f"s{number}"}
        writer.event(
            "SessionOpened",
            opened,
            **session,
            doctor_id="d1",
            mode=pick("VIDEO", "VOICE", "TEXT_IMAGE"),
            service_kind="FOLLOW_UP",
        )
        if pick(True, True, False):
            closed = writer.near(opened, 5 * MINUTE, 6 * MINUTE, 90 * MINUTE)
            writer.event(
                "SessionClosed", closed, **session, outcome="COMPLETED", diagnosis_codes=[]
            )
    _stops(writer)
    if pick(True, False, False):
        writer.form()
    writer.correct(
        {
            "duty_kind": ("RX_REVIEW", "RX_REVIEW", "CONSULTATION"),
            "status": ("ACTIVE", "SUSPENDED"),
            "employer_id": (HOSPITAL, "third"),
            "outcome": ("COMPLETED",),
        }
    )
    writer.repeat()
    overrides = pick(
        (),
        (),
        ("pha01.min_on_duty=2",),
        ("pha01.heartbeat_required=false",),
        ("pha01.business_time=DECLARED",),
        ("pha01.gap_tolerance=20m", "pha01.heartbeat_timeout=3m"),
        ("global.u_file=2d", "global.grace=3m", "global.correction_window=1h"),
    )
    return writer.published, "chongqing", overrides, writer.as_of()


def _declarations(writer: Writer) -> None:
    pick = writer.pick
    for number in writer.some(2):
        start, end = pick((480, 600), (480, 540), (540, 545), (540, 546), (0, 1440), (1380, 1440))
        weekdays = pick((1,), (1,), (1, 2), (2,))
        weekly = [{"weekday": d, "start_minute": start, "end_minute": end} for d in weekdays]
        if pick(True, False, False):
            weekly.append({"weekday": 2, "start_minute": 0, "end_minute": 60})
        exceptions = []
        if pick(True, False, False, False):
            parts = pick([], [{"start_minute": 480, "end_minute": 500}])
            exceptions.append({"date": pick(MONDAY, MONDAY + 1), "intervals": parts})
        writer.event(
            "BusinessHoursDeclared",
            MIDNIGHT + (pick(-DAY, -3 * DAY) if number == 0 else pick(9 * HOUR, 9 * HOUR + 1)),
            weekly=weekly,
            exceptions=exceptions,
        )


def _pharmacist(writer: Writer, staff_id: str) -> None:
    pick = writer.pick
    for number in writer.some(1) if pick(True, False, False) else range(1):
        writer.event(
            "StaffFiled",
            MIDNIGHT + pick(-20 * DAY, -20 * DAY, 8 * HOUR + 30 * MINUTE) + number,
            staff_id=staff_id,
            role=pick(*["PHARMACIST"] * 6, "DOCTOR"),
            status=pick(*["ACTIVE"] * 6, "SUSPENDED"),
            employer_id=pick(HOSPITAL, HOSPITAL, "third"),
            full_time=pick(*[True] * 6, False),
        )
    if pick(True, False):
        writer.event(
            "DocumentFiled",
            MIDNIGHT - 10 * DAY,
            doc_id=f"doc-{staff_id}",
            doc_type="PHARMACIST_SERVICE_AGREEMENT",
            effective_from=MONDAY - 10,
            effective_to=pick(None, MONDAY, MONDAY - 1),
            counterparty_ids=["third"],
        )
    for number in writer.some(2):
        duty: dict[str, Any] = {"staff_id": staff_id, "duty_kind": "RX_REVIEW"}
        duty["shift_id"] = f"{staff_id}-{number}"
        start = MIDNIGHT + pick(7 * HOUR + 55 * MINUTE, 8 * HOUR, 9 * HOUR, 23 * HOUR + 30 * MINUTE)
        start = writer.near(start, 0, 5 * MINUTE)
        if pick(True, True, True, False):
            writer.event("DutyStatusReported", start, **duty, phase="SIGN_ON")
        at = start
        for _ in writer.some(5):
            at = writer.near(at, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 16 * MINUTE)
            writer.event("DutyStatusReported", at, **duty, phase="HEARTBEAT")
        if pick(True, False):
            at = writer.near(at, 0, 5 * MINUTE, HOUR, 3 * HOUR)
            writer.event("DutyStatusReported", at, **duty, phase="SIGN_OFF")
    for number in writer.some(1):
        writer.event(
            "PrescriptionReviewed",
            MIDNIGHT + writer.near(8 * HOUR, 0, 12 * MINUTE, HOUR, HOUR + 20 * MINUTE),
            prescription_id=f"rx{number}",
            reviewer_id=staff_id,
        )


def _stops(writer: Writer) -> None:
    pick = writer.pick
    scope = pick("INSTITUTION", "INSTITUTION", "DEPARTMENT")
    for place, status in enumerate(pick((), (), ("SUSPENDED",), ("SUSPENDED", "RESUMED"))):
        at = MIDNIGHT + 8 * HOUR + (place + pick(0, 1, 2, 3)) * 7 * MINUTE + place
        writer.event("ServiceStatusChanged", at, scope=scope, scope_id=None, status=status)
    if pick(*[False] * 5, True):
        at = MIDNIGHT + 8 * HOUR
        writer.event(
            "AdverseEventReported",
            at,
            stage=pick("INITIAL", "INITIAL", "CLOSED"),
            discovered_at=at - pick(0, HOUR, 2 * HOUR),
            affected_scope=pick("INSTITUTION", "INSTITUTION", "STAFF"),
            affected_scope_id=None,
        )
    if pick(*[False] * 8, True):
        writer.event("InstitutionFiled", MIDNIGHT + 8 * HOUR + 20 * MINUTE, filing_kind="CANCELLED")


@settings(max_examples=120, suppress_health_check=SLOW)
@given(pharmacy_days())
def test_pharmacists(life: tuple[list[Published], str, tuple[str, ...], int]) -> None:
    assert_agreed(*life)


# -- uploads ---------------------------------------------------------------------------------------


@st.composite
def upload_days(draw: st.DrawFn) -> tuple[list[Published], str, tuple[str, ...], int]:
    writer = Writer(draw)
    pick = writer.pick
    rulebook = pick("guangxi", "sichuan", "yinchuan", "yinchuan", "chongqing", "national")
    numbers = {"his": 0, "app": 0}
    for _ in range(draw(st.integers(1, 14))):
        stream = pick("his", "his", "app", None)
        fields: dict[str, Any] = {"stream_id": None, "stream_seq": None}
        if stream is not None:
            numbers[stream] += pick(1, 1, 1, 1, 2, 3)
            fields = {"stream_id": stream, "stream_seq": numbers[stream]}
        event_type = pick("ServiceRated", "ServiceRated", "PriorDiagnosisEvidenced", "StaffFiled")
        if stream and pick(*[False] * 6, True):
            event_type = "DailyManifestPublished"
            fields |= {"first_seq": 1, "last_seq": numbers[stream] + pick(-1, 0, 2)}
        at = MIDNIGHT + 10 * HOUR + pick(0, 1, HOUR - 1, HOUR, 2 * HOUR, 5 * HOUR)
        late = pick(True, False, False)
        delay = pick(DAY, DAY + 1, DAY + HOUR, 25 * HOUR) if late else pick(0, SECOND, HOUR, -1)
        writer.event(event_type, at, delay=delay, **fields)
    if pick(True, False, False):
        writer.form()
    writer.correct({"score": (1,)}, most=3)
    writer.repeat()
    window, least = pick("3h", "1h", "24h", "5h"), pick(1, 2, 3)
    rate = pick("0%", "20%", "50%", "33.3%")
    overrides = (
        f"upl06.window={window}",
        f"upl06.min_events={least}",
        f"upl06.max_rate={rate}",
        f"upl06.slide={pick('1h', '1h', '30m')}",
        *pick((), (), ("upl01.max_latency=2h",), ("upl01.enabled=false",), ("global.u_clin=5h",)),
    )
    return writer.published, rulebook, overrides, writer.as_of()


@settings(max_examples=120, suppress_health_check=SLOW)
@given(upload_days())
def test_uploads(life: tuple[list[Published], str, tuple[str, ...], int]) -> None:
    assert_agreed(*life)
