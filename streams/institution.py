"""One institution under supervision: where its events go, and which case files they concern.

``receive`` folds one event into the case files it is evidence for. Folding is commutative and
idempotent, and judging sees only what was received by the instant judged, so neither batches nor
their order matter. An event whose receipt lies before what was already judged has the affected
case files judged anew from their beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from schemas.catalogue import UploadClass, upload_class
from streams.cases import ledger, roster
from streams.cases.base import CaseFile
from streams.cases.session import REMOTE_MEDICINE
from streams.cases.shelf import Name, RosterFile, Shelf
from streams.cases.uploads import (
    Lateness,
    Receipt,
    Slot,
    Stream,
    Window,
    shard_of,
    slot_end,
    slot_of,
)
from streams.checks import fields_read
from streams.checks.uploads import latency_basis
from streams.events import Event, Evidence, evidence_of
from streams.records import RosterDays
from streams.rulebook import Library
from streams.timeline import HOUR, day_of

_SESSION_FIELDS = fields_read("session")
_CHECK_FIELDS = _SESSION_FIELDS["DoctorIdentityVerified"]
_KEPT_ENROLMENTS = 3
_DEPENDS = {
    "roster": ("ledger", "duty", "session"),
    "session": ("ledger",),
    "lateness": ("ledger",),
}
_SCANNED = ("session", "duty", "logins", "enrolments", "ledger", "lateness")


class Institution:
    """Folds the events of one institution; ``candidate`` is its local rulebook's name."""

    def __init__(
        self,
        institution_id: str,
        candidate: str,
        library: Library,
        shelf: Shelf,
        days: RosterDays,
    ) -> None:
        self.id = institution_id
        self.candidate = candidate
        self._shelf = shelf
        books = library.candidates(candidate)
        enabled = [book.rule("IDV-01") for book in books]
        scopes = {s.text("scope") for s in enabled if s is not None}
        signed = any(s.flag("video_or_signature") for s in enabled if s is not None)
        self._keeps_logins = "LOGIN" in scopes or signed
        self._keeps_enrolments = "ENROLMENT" in scopes
        self._keeps_roster = any(book.rule("PHA-01") for book in books)
        self._form_matters = candidate in ("chongqing", "yinchuan")
        self._telemedicine = candidate == "yinchuan" and not books[0].overlay
        late = [book.rules["UPL-01"].millis("max_latency") for book in books]
        self._shortest_late = min(late)
        self._late_after = late[0]
        times = books[0].deadlines
        self._confirm_after = times.clinical + times.grace
        self._slide = books[0].rules["UPL-06"].millis("slide")
        self._superseded: dict[str, list[Evidence]] | None = None
        self._days = days
        self._heartbeat = books[0].rules["PHA-01"].millis("heartbeat_timeout")
        self._correction_window = times.correction
        self._offset = -1

    def receive(self, event: Event, clock: int) -> bool:
        """Fold an event in; False when it is a duplicate. ``clock`` is what was judged up to."""
        occurred_at, received_at = event.occurred_at, event.received_at
        self._offset = event.offset
        lateness = self._open("lateness", str(shard_of(occurred_at)), Lateness)
        mark = _mark(event.id)
        prior = lateness.seen.get(mark)
        if prior is not None and prior.offset != event.offset:
            if prior.received_at <= received_at:
                return False
            self._count(event, prior.received_at, sign=-1)
        lateness.seen[mark] = Receipt(event.offset, received_at, occurred_at)
        self._sequence(event, clock)
        self._count(event, received_at)
        self._fold(event, clock)
        return True

    def _open(self, kind: str, case_id: str, expected: type[Any]) -> Any:
        case = self._shelf.open((self.id, kind, case_id))
        assert isinstance(case, expected)
        return case

    # -- uploads ---------------------------------------------------------------------------------

    def _count(self, event: Event, received_at: int, sign: int = 1) -> None:
        """Count a receipt in its slot, once per log offset (a replayed record counts no more)."""
        window = self._open("window", "", Window)
        if self._replayed(window):
            return
        body = event.body
        clinical = upload_class(event.type) is UploadClass.CLINICAL
        number = slot_of(received_at, self._slide)
        slot = window.slots.setdefault(number, Slot())
        basis = latency_basis(body["revision"], body["occurred_at"], body["recorded_at"])
        slot.add(event.type, received_at - basis, clinical, sign)
        if self._judged_for_lateness(event) and body["revision"] == 0:
            slot.judge(event.id, received_at - basis > self._late_after, sign)
        if sign < 0 or not window.wake or window.wake > slot_end(number, self._slide):
            self._touch((self.id, "window", ""), window, received_at)

    def _sequence(self, event: Event, clock: int) -> None:
        body = event.body
        if body["stream_id"] is None or body["stream_seq"] is None:
            return
        stream = self._open("stream", body["stream_id"], Stream)
        known = len(stream.runs)
        stream.receive(body["stream_seq"], event.occurred_at, event.received_at)
        if event.type == "DailyManifestPublished" and body["last_seq"] is not None:
            stream.expect(body["last_seq"], event.occurred_at, event.received_at)
        if len(stream.runs) != known:
            stream.forget(clock, self._confirm_after)  # what is not judged yet needs its runs
            window = self._open("window", "", Window)
            if not window.wake:
                self._touch((self.id, "window", ""), window, event.received_at)

    # -- evidence --------------------------------------------------------------------------------

    def _fold(self, event: Event, clock: int) -> None:
        for kind, case_id, fields in self._places(event):
            name = (self.id, kind, case_id)
            case = self._shelf.open(name)
            item = evidence_of(event, fields)
            # Known already when it comes again after a crash; others may not know of it yet.
            case.fold(item)
            if kind == "enrolments":
                _keep_earliest(case)
            self._concern(name, case, item, clock)
        self._link_corrections(event)

    def _places(self, event: Event) -> Iterable[tuple[str, str, tuple[str, ...]]]:
        """Every case file the event is evidence for, with the fields kept there."""
        body, kind = event.body, event.type
        session_id = body.get("session_id")
        if session_id is not None and kind in _SESSION_FIELDS:
            yield "session", session_id, _SESSION_FIELDS[kind]
        if kind in ledger.FIELDS:
            entity = ledger.entity_of(kind, body.get("staff_id"))
            if entity is not None:
                yield "ledger", entity, ledger.FIELDS[kind]
        if kind == "DoctorIdentityVerified" and body["result"] == "PASS":
            if self._keeps_logins:
                yield "logins", f"{body['staff_id']}/{day_of(body['occurred_at'])}", _CHECK_FIELDS
            if self._keeps_enrolments and body["matched_staff_id"] == body["staff_id"]:
                yield "enrolments", body["staff_id"], _CHECK_FIELDS
        reviewing = kind in roster.DUTY_FIELDS and body.get("duty_kind") in (None, "RX_REVIEW")
        if self._keeps_roster and reviewing:
            yield "duty", str(body["occurred_at"] // HOUR), roster.DUTY_FIELDS[kind]
        basis = latency_basis(body["revision"], body["occurred_at"], body["recorded_at"])
        if event.received_at - basis > self._shortest_late and self._judged_for_lateness(event):
            yield "lateness", str(shard_of(body["occurred_at"])), ("recorded_at",)

    def _judged_for_lateness(self, event: Event) -> bool:
        """Clinical data but manifests (UPL-04) and, out of scope, telemedicine (RULES 1.2)."""
        return (
            upload_class(event.type) is UploadClass.CLINICAL
            and event.type != "DailyManifestPublished"
            and (self._telemedicine or event.body.get("service_kind") != REMOTE_MEDICINE)
        )

    def _concern(self, name: Name, case: CaseFile, item: Evidence, clock: int) -> None:
        """Have every case file judged again that this evidence can change."""
        kind, case_id = name[1], name[2]
        if kind in ("session", "lateness"):
            if kind == "session" and item.type == "SessionOpened" and not self._replayed(case):
                self._watch_doctor(name, case, str(item["doctor_id"]))
            if item.r <= clock and not self._replayed(case):
                # What it depends on may have been received later, and have come before it.
                later = [r for r in self.receipts(name, case) if r > case.settled]
                case.pending = sorted({*case.pending, *later})
            self._touch(name, case, item.r)
            if self._keeps_roster and item.type in ("SessionOpened", "SessionClosed"):
                reach = self._days.reaches_beyond(case_id, item.r)
                if reach is not None:
                    self._days.changed(*reach)
                    self._touch_roster(item)
        elif kind in ("logins", "enrolments"):
            staff_id = str(item["staff_id"])
            if item.supersedes is not None or item.r <= clock:
                self._touch_sessions(item.r, staff_id)
            for watcher in self._shelf.watchers(self.id, f"{kind}/{staff_id}"):
                self._touch(watcher, self._shelf.open(watcher), item.r)
        elif kind == "ledger":
            if self._keeps_roster:
                self._days.clear()
                self._touch_roster(item)
            if case_id == "institution" and self._form_matters and _own_doctors(case):
                self._touch_sessions(item.r)
                self._touch_late(item.r)
        elif kind == "duty":
            longest = 0 if item.get("phase") == "HEARTBEAT" else roster.LONGEST_SHIFT
            self._days.changed(item.t, item.t + longest + self._heartbeat)
            self._touch_roster(item)

    def _watch_doctor(self, name: Name, case: CaseFile, doctor_id: str) -> None:
        """Have checks of the doctor concern the session until judging says which ones do."""
        kinds = [("logins", self._keeps_logins), ("enrolments", self._keeps_enrolments)]
        topics = {f"{kind}/{doctor_id}" for kind, kept in kinds if kept}
        case.watches = sorted({*case.watches, *topics})
        self._shelf.watch(name, case)

    def _replayed(self, case: CaseFile) -> bool:
        """Whether the case file already holds what follows from the event being received."""
        return self._offset <= case.applied

    def _touch(self, name: Name, case: CaseFile, received_at: int) -> None:
        if self._replayed(case):
            return
        if received_at <= case.settled:
            case.restart(self.receipts(name, case))
            if isinstance(case, Window):
                case.judged_until, case.episode = 0, None
        case.touch(received_at)
        self._shelf.schedule(name, case)

    def _touch_sessions(self, received_at: int, staff_id: str | None = None) -> None:
        for session_id in sorted(self._shelf.ids(self.id, "session")):
            name = (self.id, "session", session_id)
            case = self._shelf.find(name)
            if case is not None and (staff_id is None or _treats(case, staff_id)):
                self._touch(name, self._shelf.open(name), max(received_at, _first_receipt(case)))

    def _touch_late(self, received_at: int) -> None:
        for shard in sorted(self._shelf.ids(self.id, "lateness")):
            name = (self.id, "lateness", shard)
            case = self._shelf.find(name)
            if case is not None and case.evidence:
                self._touch(name, self._shelf.open(name), max(received_at, _first_receipt(case)))

    def _touch_roster(self, item: Evidence) -> None:
        if not self._keeps_roster:
            return
        name = (self.id, "roster", "")
        case = self._open("roster", "", RosterFile)
        if self._replayed(case):
            return
        since = item.t
        case.touched = since if not case.touched else min(case.touched, since)
        self._touch(name, case, item.r)

    def receipts(self, name: Name, case: CaseFile) -> list[int]:
        """Every receipt that the judging of a case file depends on, for judging it anew."""
        kinds = _DEPENDS.get(name[1], ())
        found = case.receipts()
        for kind in kinds:
            for case_id in self._shelf.ids(self.id, kind):
                other = self._shelf.find((self.id, kind, case_id))
                found |= other.receipts() if other is not None else set()
        if name[1] == "session":
            first = _first_receipt(case)
            for kind in ("logins", "enrolments"):
                for case_id in self._shelf.ids(self.id, kind):
                    other = self._shelf.find((self.id, kind, case_id))
                    found |= other.receipts() if other is not None else set()
            found = {max(received_at, first) for received_at in found}
        if isinstance(case, Window):
            found.add(min(case.slots, default=0) * self._slide - 8 * 3_600_000 - self._slide + 1)
        return sorted(found)

    # -- corrections across case files -----------------------------------------------------------

    def _link_corrections(self, event: Event) -> None:
        """Join corrections and what they supersede where a case file holds only one of the two."""
        corrections = self._corrections()
        if event.body["supersedes_event_id"] is not None:
            note = evidence_of(event, ())
            if self._open("corrections", "", CaseFile).fold(note):
                corrections.setdefault(str(note.supersedes), []).append(note)
            self._join(note)
        for note in corrections.get(event.id, ()):
            self._join(note)

    def _join(self, correction: Evidence) -> None:
        superseded = str(correction.supersedes)
        originals = self._holding(superseded)
        received = self._received(superseded, correction.r)
        for name, case in originals:
            if correction.id not in case.evidence:
                _replace(case, superseded, correction.r)
                item = _as_received(case.evidence[superseded], correction.r)
                self._concern(name, case, item, item.r - 1)
        if received is None:
            return
        for name, case in self._holding(correction.id):
            if superseded not in case.evidence and case.targets.get(superseded) != received:
                case.targets[superseded] = received
                item = _as_received(case.evidence[correction.id], received[1])
                self._concern(name, case, item, item.r - 1)

    def _received(self, event_id: str, around: int) -> tuple[int, int] | None:
        """When an event occurred and was received, if it occurred near an instant.

        That is enough for corrections: what happened long before one is received it cannot replace.
        """
        first, last = shard_of(around - 2 * self._correction_window), shard_of(around + HOUR)
        mark = _mark(event_id)
        for shard in sorted(self._shelf.ids(self.id, "lateness"), key=int):
            if first <= int(shard) <= last:
                case = self._shelf.find((self.id, "lateness", shard))
                receipt = case.seen.get(mark) if isinstance(case, Lateness) else None
                if receipt is not None:
                    return receipt.occurred_at, receipt.received_at
        return None

    def _corrections(self) -> dict[str, list[Evidence]]:
        if self._superseded is None:
            self._superseded = {}
            record = self._shelf.find((self.id, "corrections", ""))
            for note in record.evidence.values() if record is not None else ():
                self._superseded.setdefault(str(note.supersedes), []).append(note)
        return self._superseded

    def _holding(self, event_id: str) -> list[tuple[Name, CaseFile]]:
        found = []
        for kind in _SCANNED:
            for case_id in sorted(self._shelf.ids(self.id, kind)):
                name = (self.id, kind, case_id)
                case = self._shelf.find(name)
                if case is not None and event_id in case.evidence:
                    found.append((name, self._shelf.open(name)))
        return found


def _mark(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big")


def _keep_earliest(case: CaseFile) -> None:
    """Keep of each method the checks that fewer than three others precede in both times.

    Enrolment asks only whether some check happened by x and was known by the instant judged; the
    spare ones stand in when a correction removes an earlier one.
    """
    items = list(case.evidence.values())
    for item in items:
        earlier = sum(
            other["method"] == item["method"]
            and (other.t, other.r, other.id) < (item.t, item.r, item.id)
            and other.r <= item.r
            for other in items
        )
        if earlier >= _KEPT_ENROLMENTS and item.supersedes is None:
            del case.evidence[item.id]


def _own_doctors(case: CaseFile) -> bool:
    return any(i["institution_form"] == "OWN_DOCTOR_SERVICE" for i in case.evidence.values())


def _treats(case: CaseFile, staff_id: str) -> bool:
    return any(
        item.type == "SessionOpened" and item["doctor_id"] == staff_id
        for item in case.evidence.values()
    )


def _first_receipt(case: CaseFile) -> int:
    return min((item.r for item in case.evidence.values()), default=0)


def _replace(case: CaseFile, event_id: str, received_at: int) -> None:
    case.replaced[event_id] = min(received_at, case.replaced.get(event_id, received_at))


def _as_received(item: Evidence, other: int) -> Evidence:
    """Evidence as it concerns its case file from another receipt on, if that came later."""
    later = max(item.r, other)
    return Evidence(item.id, item.type, item.t, later, item.body, item.revision, item.id)
