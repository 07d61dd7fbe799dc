"""One institution under supervision: where its events go, and which case files they concern.

``receive`` folds one event into the case files it is evidence for. Folding is commutative and
idempotent, and judging sees only what was received by the instant judged, so neither batches nor
their order matter. An event whose receipt lies before what was already judged has the affected
case files judged anew from their beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from schemas.catalogue import UploadClass, upload_class
from streams.cases import accuracy, roster
from streams.cases.base import CaseFile
from streams.cases.feeds import COUNTED, MANIFEST, Manifest, Silence, day_of_use
from streams.cases.kinds import KINDS, LOOKED_UP
from streams.cases.roster import RosterFile
from streams.cases.session import REMOTE_MEDICINE
from streams.cases.shelf import Name, Shelf, topics_of
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
from streams.checks import KEPT
from streams.checks.base import Fact
from streams.checks.uploads import latency_basis
from streams.corrections import Links, mark_of
from streams.doubts import CONTEST, Doubts
from streams.events import (
    ANY,
    SIGN_OF_LIFE,
    Event,
    Evidence,
    digest_of,
    evidence_of,
    mask_of,
)
from streams.findings import OPEN
from streams.judging import Bench
from streams.places import ACT_FIELDS, ACT_KINDS, Place, begins, places
from streams.reference import ReferenceData
from streams.rosters import RosterDays
from streams.rulebook import Library
from streams.timeline import HOUR, day_of

_KEPT_ENROLMENTS = 3
_FIELDS: Mapping[str, tuple[str, ...]] = KEPT
_NEVER_REPLAYED = 1 << 62


class Institution:
    """Folds the events of one institution; ``candidate`` is its local rulebook's name."""

    def __init__(
        self,
        institution_id: str,
        candidate: str,
        library: Library,
        shelf: Shelf,
        bench: Bench,
        reference: ReferenceData,
    ) -> None:
        self.id = institution_id
        self.candidate = candidate
        self._shelf = shelf
        self._bench = bench
        books = library.candidates(candidate)
        enabled = [book.rule("IDV-01") for book in books]
        scopes = {s.text("scope") for s in enabled if s is not None}
        signed = any(s.flag("video_or_signature") for s in enabled if s is not None)
        self._keeps_logins = "LOGIN" in scopes or signed
        self._keeps_enrolments = "ENROLMENT" in scopes
        self._keeps_roster = any(book.rule("PHA-01") for book in books)
        self._telemedicine = candidate == "yinchuan" and not books[0].overlay
        late = [book.rules["UPL-01"].millis("max_latency") for book in books]
        self._shortest_late = min(late)
        self._late_after = late[0]
        times = books[0].deadlines
        self._confirm_after = times.clinical + times.grace
        self._slide = books[0].rules["UPL-06"].millis("slide")
        self._days: RosterDays = bench.roster_days(institution_id, candidate)
        self._doubts = Doubts(books, reference)
        duty = [book.rules["PHA-01"] for book in books]
        self._heartbeat = max(settings.millis("heartbeat_timeout") for settings in duty)
        # Without heartbeats to be expected, one fills what lies before it.
        required = all(settings.flag("heartbeat_required") for settings in duty)
        tolerances = [settings.millis("gap_tolerance") for settings in duty]
        self._fresh_for = min(tolerances) if required else -1
        self._links = Links(institution_id, shelf, times.correction, self._concern)
        self._judged = frozenset(kind for kind in KINDS if bench.callers.judges(kind, candidate))
        self._offset = -1

    def receive(self, event: Event, clock: int) -> bool:
        """Fold an event in; False when it is a duplicate. ``clock`` is what was judged up to."""
        occurred_at, received_at = event.occurred_at, event.received_at
        self._offset = event.offset
        shard = str(shard_of(occurred_at))
        lateness = self._open("lateness", shard, Lateness)
        mark, digest = mark_of(event.id), digest_of(event)
        prior = lateness.seen.get(mark)
        if prior is not None and prior.offset != event.offset:
            if prior.digest != digest:
                later = max(received_at, prior.received_at)
                second = accuracy.Use(event.id, event.offset, later, occurred_at)
                self._contest(second, accuracy.CHANGED, event.id, event)
            if prior.received_at <= received_at:
                return False
            self._take_back(event, prior.received_at)
        lateness.seen[mark] = Receipt(event.offset, received_at, occurred_at, digest)
        if not self._sequence(event, clock):
            return False
        self._count(event, received_at)
        self._fold(event, shard, lateness)
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
        late = received_at - basis > self._late_after
        if self._judged_for_lateness(event) and body["revision"] == 0:
            slot.judge(event.id, late, sign)
        # Any judging until the slot ends has it looked at when it does.
        following = window.next_due
        if sign < 0 or late or following > slot_end(number, self._slide):
            self._touch((self.id, "window", ""), window, received_at)

    def _take_back(self, event: Event, received_at: int) -> None:
        """Count no more a receipt before which another came to light."""
        self._count(event, received_at, sign=-1)
        stream_id = event.body["stream_id"]
        if stream_id is not None and event.body["stream_seq"] is not None:
            earlier = msgspec.structs.replace(event, received_at=received_at)
            self._reconcile(earlier, stream_id, sign=-1)

    def _sequence(self, event: Event, clock: int) -> bool:
        """Follow the numbers of the event's stream; False for a resend of an event known."""
        body = event.body
        self._hear(event.received_at, clock)
        stream_id, number = body["stream_id"], body["stream_seq"]
        if stream_id is None or number is None:
            return True
        if not self._bears(event, stream_id, number):
            return False
        stream = self._open("stream", stream_id, Stream)
        runs = len(stream.runs)
        changed = stream.receive(number, event.occurred_at, event.received_at)
        day = day_of_use(event.type, body, event.received_at)
        if event.type == MANIFEST:
            if body["last_seq"] is not None:
                known = len(stream.runs)
                stream.expect(body["last_seq"], event.occurred_at, event.received_at)
                changed |= len(stream.runs) > known
            if event.received_at < stream.manifests.get(day, event.received_at + 1):
                stream.manifests[day] = event.received_at
                changed = True
        if not stream.begun:
            self._listen(event.received_at)  # silence is judged from the first event of a stream
        changed |= stream.use(day, event.received_at)
        if len(stream.runs) != runs:
            stream.forget(clock, self._confirm_after)  # what is not judged yet needs its runs
            window = self._open("window", "", Window)
            self._touch((self.id, "window", ""), window, event.received_at)
        if changed:
            self._touch((self.id, "stream", stream_id), stream, event.received_at)
        self._reconcile(event, stream_id)
        return True

    def _bears(self, event: Event, stream_id: str, number: int) -> bool:
        """Whether the event is new under its number; two under one number are doubted (UPL-05)."""
        case = self._open("sequence", accuracy.shard_id(stream_id, number), accuracy.Sequence)
        mine = accuracy.Use(event.id, event.offset, event.received_at, event.occurred_at)
        clash = case.bear(number, mine)
        if clash is not None:
            second, other, cause = clash
            self._contest(second, cause, other, event if second is mine else None)
        return clash is None or clash.cause != accuracy.CHANGED

    def _reconcile(self, event: Event, stream_id: str, sign: int = 1) -> None:
        """Count a clinical event for the manifest of its stream and day, or take it back."""
        if event.body["revision"] or event.type not in COUNTED:
            return
        if "manifest" not in self._judged:
            return
        day = day_of(event.occurred_at)
        name = (self.id, "manifest", f"{stream_id}/{day}")
        case = self._open(name[1], name[2], Manifest)
        if self._replayed(case):
            return
        if sign < 0:
            case.discount(event.type, event.received_at, day)
            return
        case.count(event.type, event.received_at, day)
        if case.evidence:  # without a manifest there is nothing to compare
            self._touch(name, case, event.received_at)

    def _hear(self, received_at: int, clock: int) -> None:
        """Note that something was received at all."""
        if "silence" in self._judged:
            case = self._open("silence", "", Silence)
            if not self._replayed(case):
                case.hear(received_at, clock)
                if any(finding.state in OPEN for finding in case.findings):
                    self._touch((self.id, "silence", ""), case, received_at)

    def _listen(self, received_at: int) -> None:
        """Have silence judged from a receipt on."""
        if "silence" in self._judged:
            case = self._open("silence", "", Silence)
            self._touch((self.id, "silence", ""), case, received_at)

    # -- evidence --------------------------------------------------------------------------------

    def _fold(self, event: Event, shard: str, lateness: Lateness) -> None:
        item = evidence_of(event, _FIELDS.get(event.type, ()))
        act = evidence_of(event, ACT_FIELDS[event.type]) if event.type in ACT_FIELDS else item
        doubt = self._doubts.about(event)
        for place in self._places(event):
            if doubt is None or place[0] != "event":
                self._put(place, act if place[0] in ACT_KINDS else item)
        if doubt is not None:
            self._doubt(event, item)
        for kind, case_id in begins(event.type, event.body):
            self._begin((self.id, kind, case_id), item)
        body = event.body
        basis = latency_basis(body["revision"], body["occurred_at"], body["recorded_at"])
        late = event.received_at - basis > self._shortest_late
        # A resend that came late may have been taken for the event itself.
        late = late or event.id in lateness.evidence
        if late and self._judged_for_lateness(event):
            self._put(("lateness", shard), evidence_of(event, ("recorded_at",)))
        self._links.link(event)

    def _put(self, place: Place, item: Evidence) -> None:
        name = (self.id, *place)
        # Known already when it comes again after a crash; others may not know of it yet.
        case = self._shelf.fold(name, item)
        if item.supersedes is not None:
            case.replaced.pop(item.supersedes, None)  # what replaces it lies here
        if place[0] == "enrolments":
            _keep_earliest(case)
        self._concern(name, case, item)

    def _places(self, event: Event) -> Iterable[Place]:
        """Every case file the event is evidence for."""
        body, kind = event.body, event.type
        for place in places(kind, body):
            if place[0] not in _ONLY_JUDGED or place[0] in self._judged:
                yield place
        if kind == "DoctorIdentityVerified" and body["result"] == "PASS":
            if self._keeps_logins:
                yield "logins", f"{body['staff_id']}/{day_of(body['occurred_at'])}"
            if self._keeps_enrolments and body["matched_staff_id"] == body["staff_id"]:
                yield "enrolments", body["staff_id"]
        reviewing = kind in roster.DUTY_FIELDS and body.get("duty_kind") in (None, "RX_REVIEW")
        if self._keeps_roster and reviewing:
            yield roster.KEPT_AS[kind], str(body["occurred_at"] // HOUR)
        if kind == MANIFEST and body["stream_id"] is not None:
            yield "manifest", f"{body['stream_id']}/{body['business_date']}"

    def _judged_for_lateness(self, event: Event) -> bool:
        """Clinical data but manifests (UPL-04) and, out of scope, telemedicine (RULES 1.2)."""
        return (
            upload_class(event.type) is UploadClass.CLINICAL
            and event.type != MANIFEST
            and (self._telemedicine or event.body.get("service_kind") != REMOTE_MEDICINE)
        )

    def _doubt(self, event: Event, item: Evidence) -> None:
        """Have an event judged by itself (UPL-02, UPL-05), with what only the platform knows."""
        body = {**item.body, "doubted": True, "signature_valid": event.signature_valid}
        self._put(("event", event.id), msgspec.structs.replace(item, body=body))

    def _contest(
        self, second: accuracy.Use, cause: str, other: str, event: Event | None = None
    ) -> None:
        """Have an event judged that contradicts one received before it (UPL-05, clause c)."""
        item = Evidence(
            second.event_id,
            CONTEST,
            second.occurred_at,
            second.received_at,
            {"cause": cause, "other_event_id": other},
        )
        if event is not None:
            item.revision = event.body["revision"]
            item.supersedes = event.body["supersedes_event_id"]
        self._put(("event", f"{second.event_id}/{cause}"), item)

    def _begin(self, name: Name, item: Evidence) -> None:
        """Have a case file without evidence of its own judged from the first event that asks it."""
        if name[1] not in self._judged:
            return
        case = self._shelf.find(name)
        if case is None or item.r < case.began:
            case = self._shelf.open(name)
            self._touch(name, case, item.r)
            case.began = item.r

    def _concern(self, name: Name, case: CaseFile, item: Evidence, mask: int = 0) -> None:
        """Have every case file judged again that this evidence can change."""
        kind, case_id = name[1], name[2]
        mask = mask or mask_of(item.type)
        if kind not in LOOKED_UP:
            self._touch(name, case, item.r, mask)
        instant = None if item.supersedes is not None else item.t
        for topic in topics_of(kind, case_id):
            for watcher in self._shelf.watchers(name[0], topic, instant):
                if watcher != name:
                    self._touch(watcher, self._shelf.open(watcher), item.r, mask)
        if not self._keeps_roster:
            return
        if kind == "session" and item.type in ("SessionOpened", "SessionClosed"):
            reach = self._days.reaches_beyond(case_id, item.r)
            if reach is not None:
                self._days.changed(*reach)
                self._touch_roster(item)
        elif (kind == "ledger" and case_id in _OF_ROSTER) or case_id.startswith("staff/"):
            self._days.clear()
            self._touch_roster(item)
        elif kind in roster.LOOKED_BACK:
            self._days.changed(item.t, item.t + roster.LOOKED_BACK[kind] + self._heartbeat)
            self._touch_roster(item, SIGN_OF_LIFE if self._fresh(item) else ANY)

    def _replayed(self, case: CaseFile) -> bool:
        """Whether the case file already holds what follows from the event being received."""
        return self._offset <= case.applied

    def _touch(self, name: Name, case: CaseFile, received_at: int, mask: int = ANY) -> None:
        if self._replayed(case):
            return
        if received_at <= case.settled:
            case.restart()
            if isinstance(case, Window):
                first = min(case.slots, default=0) * self._slide - 8 * HOUR - self._slide + 1
                case.touch(first)
                case.judged_until, case.episode = 0, None
            case.touch(received_at, mask)
            self._shelf.schedule(name, case.next_due)
        elif case.touch(received_at, mask):
            self._shelf.schedule(name, received_at)

    def _fresh(self, duty: Evidence) -> bool:
        """Whether duty evidence can only shorten gaps, from its own instant on, and was received so
        early that what is left of one is not due before the roster has asked to be woken.
        """
        living = duty.type == "PrescriptionReviewed" or duty["phase"] == "HEARTBEAT"
        return living and duty.supersedes is None and duty.r - duty.t <= self._fresh_for

    def _touch_roster(self, item: Evidence, mask: int = ANY) -> None:
        name = (self.id, "roster", "")
        case = self._open("roster", "", RosterFile)
        if self._replayed(case):
            return
        if mask != SIGN_OF_LIFE:  # which always lies within what is looked at again
            case.touched = item.t if not case.touched else min(case.touched, item.t)
        if item.r <= case.settled:
            case.began = min(case.began, *self._roster_receipts())
            case.restart()
            for received_at in self._roster_receipts():
                case.touch(received_at)
            self._shelf.schedule(name, case.next_due)
        self._touch(name, case, item.r, mask)

    def _roster_receipts(self) -> list[int]:
        """Every receipt that the judging of the roster depends on, for judging it anew."""
        found: set[int] = set()
        for kind in ("ledger", *roster.LOOKED_BACK, "session"):
            for case_id in self._shelf.ids(self.id, kind):
                other = self._shelf.find((self.id, kind, case_id))
                found |= other.receipts() if other is not None else set()
        return sorted(found)

    # -- facts -----------------------------------------------------------------------------------

    def hear(self, fact: Fact, told_at: int, offset: int) -> None:
        """Take in what a case file told at an instant, because of the log up to an offset."""
        self._offset = offset
        item = Evidence(f"{fact.source}\x1f{told_at}", "Told", fact.t, told_at, dict(fact.body))
        told = self._shelf.find((self.id, "told", fact.place))
        known = told.evidence.get(item.id) if told is not None else None
        if told is not None and known is not None and known.body != item.body:
            del told.evidence[item.id]  # told again by a case file that was judged anew
        self._put(("told", fact.place), item)
        judged = (self.id, *fact.begins)
        self._begin(judged, item)
        case = self._shelf.find(judged)
        if case is not None:
            self._touch(judged, self._shelf.open(judged), told_at, mask_of(item.type))

    def hear_again(self, fact: Fact, told_at: int) -> None:
        """After a crash: have judged by what a case file told whoever has not been yet."""
        self._offset = _NEVER_REPLAYED
        place, source, begins = fact.place, fact.source, fact.begins
        name = (self.id, "told", place)
        item = Evidence(f"{source}\x1f{told_at}", "Told", fact.t, told_at, dict(fact.body))
        told = self._shelf.fold(name, item)
        for item in list(told.evidence.values()):
            if item.id.rpartition("\x1f")[0] == source:
                judged = {(self.id, *begins)}
                for topic in topics_of("told", place):
                    judged.update(self._shelf.watchers(self.id, topic, item.t))
                self._begin((self.id, *begins), item)
                for name in sorted(judged):
                    case = self._shelf.find(name)
                    if case is not None and case.settled < item.r:
                        self._touch(name, self._shelf.open(name), item.r)


_ONLY_JUDGED = frozenset({"event", "shift"})
"""Kinds that nobody looks up: not kept where nothing judges them."""

_OF_ROSTER = frozenset({"institution", "hours", "stops", "documents", "assessments"})


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
