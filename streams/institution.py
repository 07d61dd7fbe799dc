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
from streams.cases.uploads import Lateness, Receipt, Slot, Stream, Window, shard_of, slot_of
from streams.checks import fields_read
from streams.checks.uploads import latency_basis
from streams.events import Event, Evidence, evidence_of
from streams.records import RosterDays
from streams.rulebook import Library
from streams.timeline import HOUR, day_of

_SESSION_FIELDS = fields_read("session")
_CHECK_FIELDS = _SESSION_FIELDS["DoctorIdentityVerified"]
_KEPT_ENROLMENTS = 3
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
        late = [book.rules["UPL-01"].millis("max_latency") for book in books]
        self._shortest_late = min(late)
        self._late_after = late[0]
        times = books[0].deadlines
        self._confirm_after = times.clinical + times.grace
        self._slide = books[0].rules["UPL-06"].millis("slide")
        self._superseded: dict[str, list[Evidence]] | None = None
        self._days = days
        self._heartbeat = books[0].rules["PHA-01"].millis("heartbeat_timeout")
        self._offset = -1

    def receive(self, event: Event, clock: int) -> bool:
        """Fold an event in; False when it is a duplicate. ``clock`` is what was judged up to."""
        occurred_at, received_at = event.occurred_at, event.received_at
        self._offset = event.offset
        lateness = self._open("lateness", str(shard_of(occurred_at)), Lateness)
        mark = int.from_bytes(blake2b(event.id.encode(), digest_size=8).digest(), "big")
        prior = lateness.seen.get(mark)
        if prior is not None and prior.offset != event.offset:
            if prior.received_at <= received_at:
                return False
            self._count(event, prior.received_at, sign=-1)
        lateness.seen[mark] = Receipt(event.offset, received_at)
        self._sequence(event)
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
        if _judged_for_lateness(event) and body["revision"] == 0:
            slot.judge(event.id, received_at - basis > self._late_after, sign)
        if not window.wake or sign < 0:
            self._touch((self.id, "window", ""), window, received_at)

    def _sequence(self, event: Event) -> None:
        body = event.body
        if body["stream_id"] is None or body["stream_seq"] is None:
            return
        stream = self._open("stream", body["stream_id"], Stream)
        known = len(stream.runs)
        stream.receive(body["stream_seq"], event.occurred_at, event.received_at)
        if event.type == "DailyManifestPublished" and body["last_seq"] is not None:
            stream.expect(body["last_seq"], event.occurred_at, event.received_at)
        if len(stream.runs) != known:
            stream.forget(event.received_at, self._confirm_after)
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
            self._link_corrections(case, item, name)
            self._concern(name, case, item, clock)

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
        if event.received_at - basis > self._shortest_late and _judged_for_lateness(event):
            yield "lateness", str(shard_of(body["occurred_at"])), ("recorded_at",)

    def _concern(self, name: Name, case: CaseFile, item: Evidence, clock: int) -> None:
        """Have every case file judged again that this evidence can change."""
        kind, case_id = name[1], name[2]
        if kind in ("session", "lateness"):
            if kind == "session" and item.type == "SessionOpened" and not self._replayed(case):
                self._watch_doctor(name, case, str(item["doctor_id"]))
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
            if (self._keeps_roster and case_id != "institution") or self._form_matters:
                self._days.clear()
                self._touch_roster(item)
            if case_id == "institution" and self._form_matters and _own_doctors(case):
                self._touch_sessions(item.r)
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
        kinds = {"roster": ("ledger", "duty", "session"), "session": ("ledger",)}.get(name[1], ())
        found = {item.r for item in case.evidence.values()}
        for kind in kinds:
            for case_id in self._shelf.ids(self.id, kind):
                other = self._shelf.find((self.id, kind, case_id))
                found.update(item.r for item in (other.evidence.values() if other else ()))
        if name[1] == "session":
            first = _first_receipt(case)
            for kind in ("logins", "enrolments"):
                for case_id in self._shelf.ids(self.id, kind):
                    other = self._shelf.find((self.id, kind, case_id))
                    found.update(item.r for item in (other.evidence.values() if other else ()))
            found = {max(received_at, first) for received_at in found}
        if isinstance(case, Window):
            found.add(min(case.slots, default=0) * self._slide - 8 * 3_600_000 - self._slide + 1)
        return sorted(found)

    # -- corrections across case files -----------------------------------------------------------

    def _link_corrections(self, case: CaseFile, item: Evidence, name: Name) -> None:
        """Join corrections and what they supersede where the two lie in different case files."""
        corrections = self._corrections()
        for correction in corrections.get(item.id, ()):
            if correction.id not in case.evidence:
                _replace(case, item.id, correction.r)
                self._tell_target(correction, item.t)
        if item.supersedes is None:
            return
        record = self._open("corrections", "", CaseFile)
        note = Evidence(item.id, item.type, item.t, item.r, {}, item.revision, item.supersedes)
        if record.fold(note):
            corrections.setdefault(item.supersedes, []).append(note)
        if item.supersedes in case.evidence:
            return
        for other_name, other in self._holding(item.supersedes, name):
            _replace(other, item.supersedes, item.r)
            case.targets[item.supersedes] = other.evidence[item.supersedes].t
            self._concern(other_name, other, _as_received(other, item), item.r - 1)

    def _corrections(self) -> dict[str, list[Evidence]]:
        if self._superseded is None:
            self._superseded = {}
            record = self._shelf.find((self.id, "corrections", ""))
            for note in record.evidence.values() if record is not None else ():
                self._superseded.setdefault(str(note.supersedes), []).append(note)
        return self._superseded

    def _holding(self, event_id: str, besides: Name) -> list[tuple[Name, CaseFile]]:
        found = []
        for kind in _SCANNED:
            for case_id in sorted(self._shelf.ids(self.id, kind)):
                name = (self.id, kind, case_id)
                case = self._shelf.find(name)
                if name != besides and case is not None and event_id in case.evidence:
                    found.append((name, self._shelf.open(name)))
        return found

    def _tell_target(self, correction: Evidence, occurred_at: int) -> None:
        for name, case in self._holding(correction.id, (self.id, "", "")):
            case.targets[str(correction.supersedes)] = occurred_at
            self._concern(name, case, case.evidence[correction.id], correction.r - 1)


def _judged_for_lateness(event: Event) -> bool:
    """Clinical data but manifests (UPL-04) and telemedicine between institutions (RULES 1.2)."""
    return (
        upload_class(event.type) is UploadClass.CLINICAL
        and event.type != "DailyManifestPublished"
        and event.body.get("service_kind") != REMOTE_MEDICINE
    )


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


def _as_received(case: CaseFile, correction: Evidence) -> Evidence:
    """The superseded evidence as it concerns its case file: from the correction's receipt on."""
    original = case.evidence[str(correction.supersedes)]
    return Evidence(
        original.id,
        original.type,
        original.t,
        correction.r,
        original.body,
        original.revision,
        correction.id,
    )
