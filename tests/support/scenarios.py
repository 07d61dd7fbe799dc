"""Small random lives of institutions, for properties that hold whatever hospitals publish.

A scenario is a list of events with their receipts, dense in what the star rules look at: sessions
with checks, log-ins, duty, filings, stops, gaps in sequence numbers, corrections, late uploads and
times a millisecond from every limit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from schemas import catalogue
from schemas.avro import expanded
from schemas.codec import Datum
from schemas.flat import from_flat
from streams.events import Event

EXAMPLES = Path(__file__).parents[1] / "fixtures" / "events"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MONDAY = 20_514
"""2026-03-02 in days since 1970."""
MIDNIGHT = MONDAY * DAY - 8 * HOUR

CANDIDATES = {
    "in-guangxi": "guangxi",
    "in-chongqing": "chongqing",
    "in-sichuan": "sichuan",
    "in-yinchuan": "yinchuan",
    "elsewhere": "national",
}
OVERRIDES = ("upl06.window=3h", "upl06.min_events=3", "upl06.max_rate=20%")
"""A rate that a scenario of some dozen events can exceed."""

BIOMETRIC = ("FACE", "FINGERPRINT", "DIGITAL_CERT", "PASSWORD")


@dataclass(frozen=True)
class Published:
    """One event and when the platform received it, in epoch ms."""

    datum: Datum
    received_at: int

    def __repr__(self) -> str:
        """Short enough to read a falsifying example: minutes of Monday, and what is not usual."""
        usual, datum = _example(self.datum["event_type"]), self.datum
        said = {k: v for k, v in datum.items() if v != usual[k] and k not in _TOLD}
        times = (datum["occurred_at"], self.received_at)
        occurred, received = ((time - MIDNIGHT) / MINUTE for time in times)
        return f"{datum['event_type']}({datum['event_id']} {occurred:.5f} {received:.5f} {said})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def example(event_type: str, **fields: Any) -> Datum:
    """The published example of an event type with other values, as raw datum."""
    return {**_example(event_type), **fields}


def log(published: list[Published], first: int = 0) -> list[Event]:
    """The records of a log that received these events one after the other."""
    return [
        Event(item.datum, item.received_at, 0, first + place)
        for place, item in enumerate(published)
    ]


def in_order(published: list[Published]) -> list[Published]:
    """The events as they were received."""
    return sorted(published, key=lambda item: item.received_at)


def horizon(published: list[Published]) -> int:
    """An instant at which every deadline of a scenario has passed."""
    latest = max((max(i.received_at, i.datum["occurred_at"]) for i in published), default=MIDNIGHT)
    return latest + 12 * DAY


def shifted(item: Published, days: int) -> Published:
    """The same event and receipt some days later; whole weeks keep the days of the week."""
    moved = dict(item.datum)
    for field, kind in _times(moved["event_type"]).items():
        if moved[field] is not None:
            moved[field] += days if kind == "date" else days * DAY
    return Published(moved, item.received_at + days * DAY)


@cache
def _times(event_type: str) -> dict[str, str]:
    """The top-level fields that are instants or dates."""
    found = {}
    for field in expanded(catalogue.schema(event_type))["fields"]:
        kind = field["type"][1] if isinstance(field["type"], list) else field["type"]
        logical = kind.get("logicalType") if isinstance(kind, dict) else None
        if logical in ("date", "timestamp-millis"):
            found[field["name"]] = logical
    return found


@st.composite
def scenarios(
    draw: st.DrawFn, *, corrections: bool = True, sequence: bool = True
) -> list[Published]:
    """The events of two institutions over a day or so, in no particular order."""
    writer = _Writer(draw, corrections, sequence)
    for institution_id in draw(
        st.lists(st.sampled_from(sorted(CANDIDATES)), min_size=1, max_size=2, unique=True)
    ):
        writer.institution(institution_id)
    return writer.published


class _Writer:
    def __init__(self, draw: st.DrawFn, corrections: bool, sequence: bool) -> None:
        self.draw = draw
        self.corrections = corrections
        self.numbered = sequence
        self.published: list[Published] = []
        self.number = 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def institution(self, institution_id: str) -> None:
        begin = len(self.published)
        self.sequence = 0
        self.institution_id = institution_id
        for number in range(self.draw(st.integers(1, 3))):
            self.session(f"s{number}")
        if CANDIDATES[institution_id] == "chongqing":
            self.duty()
        else:
            self.uploads()
        if self.pick(True, False):
            self.forms()
        for item in self.published[begin:] if self.corrections else ():
            if self.draw(st.integers(0, 7)) == 0:
                self.correction(item)

    def event(self, event_type: str, at: int, **fields: Any) -> Published:
        self.number += 1
        fields.setdefault("event_id", f"e{self.number}")
        fields.setdefault("recorded_at", at)
        streamed = self.numbered and self.draw(st.integers(0, 3)) == 0
        self.sequence += self.pick(1, 1, 1, 2) if streamed else 0
        stream = ("his", self.sequence) if streamed else (None, None)
        datum = example(
            event_type,
            institution_id=self.institution_id,
            occurred_at=at,
            stream_id=stream[0],
            stream_seq=stream[1],
            **fields,
        )
        delay = self.pick(
            *(1_000, 1_000, 1_000, 0, 3 * MINUTE, 20 * MINUTE, 5 * HOUR, DAY, DAY + 1),
            *(DAY + 10 * MINUTE, DAY + 20 * MINUTE, 6 * DAY),
        )
        item = Published(datum, at + delay)
        self.published.append(item)
        return item

    def session(self, session_id: str) -> None:
        doctor, opened = self.pick("d1", "d2"), self.moment(8, 20)
        self.event(
            "SessionOpened",
            opened,
            session_id=session_id,
            doctor_id=doctor,
            mode=self.pick("VIDEO", "TEXT_IMAGE"),
            service_kind=self.pick("FOLLOW_UP", "FOLLOW_UP", "FOLLOW_UP", "REMOTE_MEDICINE"),
        )
        for _ in range(self.draw(st.integers(0, 3))):
            self.check(session_id, doctor, opened)
        for _ in range(self.draw(st.integers(0, 1))):
            self.event(
                "PrescriptionIssued",
                opened + self.near(0, 30),
                session_id=session_id,
                prescription_id=f"rx-{session_id}",
                prescriber_id=doctor,
                doctor_signature=self.pick("VALID", "ABSENT"),
            )
        if self.pick(True, True, False):
            self.event(
                "SessionClosed",
                opened + self.near(0, 40),
                session_id=session_id,
                outcome=self.pick("COMPLETED", "TERMINATED", "CANCELLED"),
                diagnosis_codes=self.pick(["I10"], []),
            )
        if self.pick(True, False):
            self.event(
                "ProcessRecordArchived",
                opened + HOUR,
                session_id=session_id,
                media="VIDEO",
                coverage_start=opened + self.near(0, 2),
                coverage_end=opened + 40 * MINUTE,
            )

    def check(self, session_id: str, doctor: str, opened: int) -> None:
        phase = self.pick("PRE_SESSION", "IN_SESSION", "IN_SESSION", "LOGIN", "ENROLMENT")
        bound = phase in ("PRE_SESSION", "IN_SESSION")
        near = self.near(0, 40) if phase == "IN_SESSION" else -self.near(0, 12)
        self.event(
            "DoctorIdentityVerified",
            opened + near if bound else opened - self.pick(0, 1, -1, 12 * HOUR, 12 * HOUR + 1),
            session_id=session_id if bound else None,
            staff_id=doctor,
            matched_staff_id=self.pick(doctor, doctor, doctor, "d2", None),
            phase=phase,
            method=self.pick(*BIOMETRIC),
            result=self.pick("PASS", "PASS", "FAIL"),
        )

    def duty(self) -> None:
        closing = self.pick(11, 12) * 60
        self.event(
            "BusinessHoursDeclared",
            MIDNIGHT - DAY,
            weekly=[{"weekday": 1, "start_minute": 480, "end_minute": closing}],
            exceptions=[],
        )
        for staff_id in ("p1", "p2"):
            if self.pick(True, True, False):
                self.event(
                    "StaffFiled",
                    self.pick(MIDNIGHT - 20 * DAY, MIDNIGHT + 9 * HOUR),
                    staff_id=staff_id,
                    role="PHARMACIST",
                    status=self.pick("ACTIVE", "ACTIVE", "SUSPENDED"),
                    employer_id=self.pick(self.institution_id, "third"),
                    full_time=True,
                )
            for shift in range(self.draw(st.integers(0, 2))):
                self.shift(staff_id, shift)
        if self.pick(True, False):
            self.event(
                "DocumentFiled",
                MIDNIGHT - DAY,
                doc_type="PHARMACIST_SERVICE_AGREEMENT",
                effective_from=MONDAY - 30,
                effective_to=self.pick(None, MONDAY, MONDAY - 1),
                counterparty_ids=["third"],
            )
        for status in self.pick((), (), ("SUSPENDED",), ("SUSPENDED", "RESUMED")):
            self.event(
                "ServiceStatusChanged",
                self.moment(8, 13),
                scope="INSTITUTION",
                scope_id=None,
                status=status,
            )

    def shift(self, staff_id: str, number: int) -> None:
        start, beats = self.moment(8, 11), self.draw(st.integers(0, 6))
        duty = {
            "staff_id": staff_id,
            "duty_kind": "RX_REVIEW",
            "shift_id": f"{staff_id}-{number}",
        }
        if self.pick(True, True, False):
            self.event("DutyStatusReported", start, **duty, phase="SIGN_ON")
        for beat in range(beats):
            self.event(
                "DutyStatusReported", start + (beat + 1) * 10 * MINUTE, **duty, phase="HEARTBEAT"
            )
        if self.pick(True, False):
            self.event(
                "PrescriptionReviewed",
                start + self.near(0, 60),
                reviewer_id=staff_id,
                prescription_id=f"rx-{staff_id}",
            )
        if self.pick(True, True, False):
            end = start + (beats + 1) * 10 * MINUTE
            self.event("DutyStatusReported", end, **duty, phase="SIGN_OFF")

    def uploads(self) -> None:
        for _ in range(self.draw(st.integers(0, 6))):
            self.event("ServiceRated", self.moment(8, 20), session_id="s0")

    def forms(self) -> None:
        for _ in range(self.draw(st.integers(1, 2))):
            self.event(
                "InstitutionFiled",
                self.pick(MIDNIGHT - 10 * DAY, self.moment(8, 20)),
                filing_kind=self.pick("REGISTERED", "CHANGED", "CANCELLED"),
                institution_form=self.pick("SECOND_NAME_INTERNET_HOSPITAL", "OWN_DOCTOR_SERVICE"),
            )

    def correction(self, item: Published) -> None:
        at = item.datum["occurred_at"] + self.pick(0, 0, MINUTE, -MINUTE)
        received_at = at + self.pick(HOUR, 2 * HOUR, DAY, DAY + 1, 2 * DAY)
        changes: dict[str, Any] = {}
        for field, values in _CORRECTABLE.items():
            if field in item.datum and self.draw(st.integers(0, 2)) == 0:
                changes[field] = self.pick(*values)
        self.number += 1
        datum = {
            **item.datum,
            **changes,
            "event_id": f"e{self.number}",
            "occurred_at": at,
            "recorded_at": max(at, received_at - 1_000),
            "revision": item.datum["revision"] + 1,
            "supersedes_event_id": item.datum["event_id"],
            "stream_id": None,
            "stream_seq": None,
        }
        self.published.append(Published(datum, received_at))

    def moment(self, first: int, last: int) -> int:
        minute: int = self.draw(st.integers(first * 12, last * 12)) * 5
        return MIDNIGHT + minute * MINUTE + int(self.pick(0, 0, 1, -1))

    def near(self, first: int, last: int) -> int:
        minutes: int = self.draw(st.integers(first, last))
        return max(minutes * MINUTE + int(self.pick(0, 0, 1, -1)), 0)


_TOLD = {"event_id", "occurred_at", "recorded_at"}
_CORRECTABLE: dict[str, tuple[Any, ...]] = {
    "result": ("PASS", "FAIL"),
    "session_id": ("s0", "s1"),
    "outcome": ("COMPLETED", "CANCELLED"),
    "mode": ("VIDEO", "TEXT_IMAGE"),
    "institution_form": ("OWN_DOCTOR_SERVICE", "INDEPENDENT_INTERNET_HOSPITAL"),
    "doctor_signature": ("VALID", "INVALID"),
    "duty_kind": ("RX_REVIEW", "CONSULTATION"),
}


@cache
def _example(event_type: str) -> Datum:
    text = (EXAMPLES / f"{event_type}.json").read_text(encoding="utf-8")
    datum = from_flat(json.loads(text))[0]
    return {**datum, "stream_id": None, "stream_seq": None}
