"""Turns cases as they are written (`tests/cases/README.md`) into events and expectations."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from schemas import catalogue
from schemas.flat import rfc3339
from streams.findings import Finding, State
from tests.support.case_model import STAR_RULES, Case, Checkpoint, Expected, Upload
from tests.support.case_words import (
    WORDS,
    CaseError,
    day_of,
    instant,
    span,
    span_of_day,
    weekly,
)

EXAMPLES = Path(__file__).parents[1] / "fixtures" / "events"

KINDS = frozenset({"example", "fires", "quiet", "limit", "as_of", "out_of_order", "duplicate"})
KINDS |= {"correction", "late_evidence"}
SUBJECT_TYPES = frozenset({
    "complaint", "department", "duty", "event", "fee", "gap", "host", "incident", "institution",
    "item", "manifest", "notice", "prescription", "record", "refund", "session", "silence", "staff",
    "staff_field", "supply", "verification", "window",
})  # fmt: skip

_USUAL_TYPE = {"UPL-01": "event", "UPL-06": "window", "PHA-01": "gap"}
_RANGE = re.compile(r"([a-z]+)(\d+)\.\.(\d+)")
_OWN = re.compile(r"\$(\w+)")
_PLAIN = {"stream_id": None, "stream_seq": None, "signer_cert": None, "signature_valid": True}
_SHORT_IDS = {
    "S-20260302-0001": "s1",
    "S-20260302-0002": "s1",
    "RX-20260302-0001": "rx1",
    "D-450100-0217": "d1",
    "D-450100-0333": "d1",
    "N-450100-0105": "n1",
    "P-450100-0031": "p1",
    "pt-7f3a91": "patient",
    "SUP-20260302-0001": "supply1",
    "MR-20260302-0001": "record1",
    "FEE-20260302-0001": "fee1",
    "RF-20260302-0001": "refund1",
    "CP-20260302-0001": "complaint1",
    "AE-20260302-0001": "incident1",
    "SI-20260302-0001": "incident1",
    "N-2026-0007": "notice1",
    "91450100MA5KXXXX1B": "partner1",
    "45010011A5101": "host1",
}
"""Ids of the published examples, in the words of the cases."""


@cache
def _example(event_type: str) -> Mapping[str, Any]:
    flat: dict[str, Any] = json.loads((EXAMPLES / f"{event_type}.json").read_text(encoding="utf-8"))
    del flat["received_at"]
    return {name: _renamed(value, _SHORT_IDS.get) for name, value in flat.items()}


def _renamed(value: Any, other: Callable[[str], str | None]) -> Any:
    """A value with other names for the texts in it."""
    if isinstance(value, str):
        return other(value) or value
    if isinstance(value, list):
        return [_renamed(item, other) for item in value]
    if isinstance(value, dict):
        return {key: _renamed(item, other) for key, item in value.items()}
    return value


class Writer:
    """Turns one case as written into events and expectations."""

    def __init__(self, file: str, raw: Mapping[str, Any], loaded: Mapping[str, Any]) -> None:
        self.file, self.raw, self.given = file, raw, loaded.get("given") or {}
        self.reference = {**loaded.get("reference", {}), **raw.get("reference", {})}
        self.name = str(raw["name"])
        self.compared = frozenset(raw.get("also", [])) | (
            STAR_RULES if raw["rule"] in STAR_RULES else {raw["rule"]}
        )
        self.uploads: dict[str, Upload] = {}
        self.order: list[Upload] = []
        self.counts: dict[str, int] = {}

    def case(self) -> Case:
        raw = self.raw
        known = {"name", "rule", "clause", "kind", "source", "rulebook", "set", "given", "events",
                 "expect", "also", "institutions", "reference"}  # fmt: skip
        if unknown := set(raw) - known:
            raise CaseError(f"{self.name}: unknown {sorted(unknown)}")
        if raw["kind"] not in KINDS:
            raise CaseError(f"{self.name}: unknown kind {raw['kind']!r}")
        written = [*(e for name in raw.get("given", []) for e in self.given[name])]
        for entry in [*written, *raw["events"]]:
            ((word, said),) = entry.items()
            try:
                self._event(word, dict(said or {}))
            except (CaseError, KeyError) as error:
                raise CaseError(f"{self.name}: {word}: {error}") from error
        source = raw.get("source", [])
        return Case(
            name=self.name,
            file=self.file,
            rule=raw["rule"],
            clause=raw.get("clause"),
            kind=raw["kind"],
            sources=tuple(source if isinstance(source, list) else [source]),
            rulebook=raw["rulebook"],
            overrides=tuple(raw.get("set", [])),
            institutions=self._institutions(),
            reference=tuple((name, tuple(_csv(rows))) for name, rows in self.reference.items()),
            uploads=tuple(self.order),
            checkpoints=tuple(self._checkpoint(*item) for item in raw["expect"].items()),
        )

    # -- events ----------------------------------------------------------------------------------

    def _event(self, word: str, said: dict[str, Any]) -> None:
        if word == "shift":
            self._shift(said)
        elif word == "again":
            self._again(said)
        elif word == "correct":
            self._correct(said)
        else:
            self._several(word, said)

    def _several(self, word: str, said: dict[str, Any]) -> None:
        """One event, `repeat` events one after the other, or one for `each` value of a field."""
        event_type, usual = WORDS.get(word, (word, {}))
        repeat, every = int(said.pop("repeat", 1)), span(said.pop("every", "1s"))
        first, received = instant(said.pop("t", "00:00")), said.pop("r", "+1s")
        named, seq = said.pop("id", None), said.pop("seq", None)
        ((field, values),) = said.pop("each", {"": [None]}).items()
        for index, value in itertools.product(range(repeat), values):
            at = first + index * every
            short = named if named and repeat == len(values) == 1 else self._next(named or word)
            own = {} if seq is None else {"seq": seq + index}
            own |= {field: value} if field else {}
            counted = _numbered(said, index + 1)
            plain = self._plain(event_type, counted | own)
            fields = {**usual, **_by_time(event_type, at), **self._usual(word, plain), **plain}
            self._add(short, event_type, at, _received(received, at), fields)

    def _next(self, word: str) -> str:
        self.counts[word] = self.counts.get(word, 0) + 1
        return f"{word}{self.counts[word]}"

    def _usual(self, word: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """What a word says by itself, where that depends on the event."""
        match word:
            case "on" | "beat" | "off":
                return {"shift_id": f"{said.get('staff_id', 'p1')}-1"}
            case "prescribe":
                return {"prescription_id": self._next("rx")}
            case "document":
                return {"doc_id": self._next("doc")}
            case "agreement":
                return {"doc_id": self._next("doc"), "effective_from": "2026-01-01"}
        return {}

    def _add(
        self, short: str, event_type: str, at: int, received_at: int, fields: Mapping[str, Any]
    ) -> None:
        flat = {**_example(event_type), **_PLAIN, "recorded_at": rfc3339(at), **fields}
        flat |= {"event_id": f"{self.name}:{short}", "occurred_at": rfc3339(at)}
        flat.setdefault("revision", 0)
        institution = flat["institution_id"] = fields.get("institution_id", self.name)
        if unknown := [name for name in fields if name not in _fields(event_type)]:
            raise CaseError(f"{event_type} has no {unknown}")
        if event_type == "SupervisionNoticeIssued" and "finding_keys" in fields:
            flat["finding_keys"] = [
                self._finding_id(key, institution) for key in fields["finding_keys"]
            ]
        whole = _renamed(flat, lambda text: self._whole(text, institution))
        self._keep(short, Upload(whole, received_at))

    def _keep(self, short: str, upload: Upload) -> None:
        if short in self.uploads:
            raise CaseError(f"two events are called {short}")
        self.uploads[short] = upload
        self.order.append(upload)

    def _shift(self, said: dict[str, Any]) -> None:
        """A shift as it should be: sign-on, a heartbeat every 5 minutes, sign-off."""
        staff = said.pop("staff", "p1")
        start, end = instant(said.pop("from")), instant(said.pop("to"))
        received, every = said.pop("r", "+1s"), span(said.pop("every", "5m"))
        named = said.pop("shift_id", f"{staff}-{rfc3339(start)}")
        points = [("on", start), *(("beat", t) for t in range(start + every, end, every))]
        if said.pop("signed_off", True):
            points.append(("off", end))
        common = self._plain("DutyStatusReported", {"staff": staff, "shift_id": named, **said})
        for word, at in points:
            event_type, usual = WORDS[word]
            fields = {**usual, **common}
            self._add(
                self._next(f"{staff}-{word}"), event_type, at, _received(received, at), fields
            )

    def _again(self, said: dict[str, Any]) -> None:
        """The same event_id sent once more, as it was or (a fault) with other content."""
        of, received = said.pop("of"), instant(said.pop("r"))
        flat = dict(self.uploads[of].flat)
        if "t" in said:
            flat["occurred_at"] = flat["recorded_at"] = rfc3339(instant(said.pop("t")))
        self.order.append(Upload(flat | self._plain(flat["event_type"], said), received))

    def _correct(self, said: dict[str, Any]) -> None:
        """A correction: the corrected event whole, one revision on."""
        of, received = said.pop("of"), instant(said.pop("r"))
        short = said.pop("id", f"{of}c")
        flat = dict(self.uploads[of].flat)
        superseded = flat["event_id"]
        flat |= {"revision": flat["revision"] + 1, "supersedes_event_id": superseded}
        flat |= {"event_id": f"{self.name}:{short}", "recorded_at": rfc3339(received - 1000)}
        if "t" in said:
            flat["occurred_at"] = rfc3339(instant(said.pop("t")))
        self._keep(short, Upload(flat | self._plain(flat["event_type"], said), received))

    def _plain(self, event_type: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """What a case may say shorter than the event does, in the event's own words."""
        plain = dict(said)
        if "weekly" in plain:
            plain["weekly"] = [part for line in plain["weekly"] for part in weekly(line)]
        if "exceptions" in plain:
            plain["exceptions"] = [
                {"date": day, "intervals": [span_of_day(hours) for hours in intervals]}
                for day, intervals in plain["exceptions"].items()
            ]
        for name in _instants(event_type) & plain.keys():
            plain[name] = None if plain[name] is None else rfc3339(instant(plain[name]))
        if "seq" in plain:
            plain["stream_id"], plain["stream_seq"] = plain.pop("stream", "his"), plain.pop("seq")
        if "recorded" in plain:
            plain["recorded_at"] = rfc3339(instant(plain.pop("recorded")))
        if "staff" in plain:
            plain["staff_id"] = plain.pop("staff")
        if "institution" in plain:
            plain["institution_id"] = f"{self.name}:{plain.pop('institution')}"
        return plain

    # -- expectations ----------------------------------------------------------------------------

    def _checkpoint(self, at: str, said: Any) -> Checkpoint:
        listed: Sequence[Any] = [] if said == "none" else said if isinstance(said, list) else [said]
        return Checkpoint(
            instant(at),
            tuple(self._expected(one) for item in listed for one in _each(item)),
            self.compared,
        )

    def _expected(self, said: str | Mapping[str, Any]) -> Expected:
        """`[RULE[/clause] ]STATE subject[ +flag]...`, or a mapping with that under `finding`."""
        facts = {} if isinstance(said, str) else {k: v for k, v in said.items() if k != "finding"}
        words = (said if isinstance(said, str) else str(said["finding"])).split()
        rule, clause = self.raw["rule"], self.raw.get("clause")
        if words[0] not in State.__members__:
            rule, _, letter = words.pop(0).partition("/")
            clause = letter or None
        state, flags = words.pop(0), [word[1:] for word in words if word[0] == "+"]
        subject = " ".join(word for word in words if word[0] != "+")
        if state not in State.__members__ or not subject:
            raise CaseError(f"{self.name}: cannot read {said!r}")
        if rule not in self.compared:
            raise CaseError(f"{self.name}: {rule} is not compared; name it under 'also'")
        institution = self._institution(str(facts.pop("institution", self.name)))
        book = dict(self._institutions()).get(institution, self.raw["rulebook"])
        kind, subject_id = self._subject(rule, subject, institution)
        return Expected(
            rule_id=rule,
            clause=clause,
            rulebook=str(facts.pop("rulebook", book)),
            institution_id=institution,
            subject_type=kind,
            subject_id=subject_id,
            state=state,
            flags=frozenset(flags),
            facts={name: self._fact(name, value) for name, value in facts.items()},
        )

    def _subject(self, rule: str, said: str, institution: str) -> tuple[str | None, str]:
        """Subject type, where said, and id; instants and names of the case made whole."""
        kind, colon, subject = said.partition(":")
        if not colon or kind not in SUBJECT_TYPES:
            kind, subject = _USUAL_TYPE.get(rule, ""), said
        subject = self._whole(subject, institution)
        plain, at, start = subject.rpartition("@")
        if at:
            subject = f"{plain}@{rfc3339(instant(start))}"
        elif kind in ("window", "silence") or (kind, rule) == ("gap", "PHA-01"):
            subject = rfc3339(instant(subject))
        elif kind == "event":
            subject = f"{self.name}:{subject}"
        return kind or None, subject

    def _fact(self, name: str, value: Any) -> Any:
        match name:
            case "start" | "end":
                return None if value is None else rfc3339(instant(value))
            case "severity" | "params":
                return value
            case "evidence":
                return sorted(f"{self.name}:{short}" for short in value)
            case "history":
                steps = [item.split(" ", 1) for item in value]
                return [(state, rfc3339(instant(at))) for state, at in steps]
        raise CaseError(f"{self.name}: a finding has no {name!r}")

    # -- names -----------------------------------------------------------------------------------

    def _institutions(self) -> tuple[tuple[str, str], ...]:
        listed = self.raw.get("institutions", {})
        return tuple((f"{self.name}:{short}", book) for short, book in listed.items())

    def _institution(self, said: str) -> str:
        """An institution by its short name, where the case has one of that name, or its id."""
        whole = f"{self.name}:{said}"
        known = {upload.flat["institution_id"] for upload in self.order}
        return whole if whole in known or whole in dict(self._institutions()) else said

    def _whole(self, said: str, institution: str) -> str:
        """`$self` is the institution, `$name` a name that no other case has."""
        return _OWN.sub(
            lambda found: institution if found[1] == "self" else f"{self.name}:{found[1]}", said
        )

    def _finding_id(self, said: str, institution: str) -> str:
        """The id of the finding `RULE[/clause] subject_type:subject` of an institution."""
        rule_and_clause, _, subject = said.partition(" ")
        rule, _, clause = rule_and_clause.partition("/")
        kind, subject_id = self._subject(rule, subject, institution)
        if kind is None:
            raise CaseError(f"{said!r} does not say the subject type")
        finding = Finding(
            rule_id=rule, clause=clause or None, rulebook="", institution_id=institution,
            subject_type=kind, subject_id=subject_id, severity="", state=State.CONFIRMED, version=0,
            start=None, end=None, evidence=[], params={}, citations=[], flags=[], history=[],
        )  # fmt: skip
        return finding.id


def _numbered(said: dict[str, Any], number: int) -> dict[str, Any]:
    numbered: dict[str, Any] = _renamed(said, lambda text: text.replace("{n}", str(number)))
    return numbered


def _by_time(event_type: str, at: int) -> dict[str, Any]:
    """Fields that say the same as the time of the event unless the case says otherwise."""
    fields = _fields(event_type)
    days = ("change_completed_on", "assessed_on", "covered_from", "covered_to")
    found: dict[str, Any] = dict.fromkeys(_instants(event_type) & fields, rfc3339(at))
    found |= dict.fromkeys((*(day for day in days if day in fields),), day_of(at))
    if event_type in ("DepartmentApproved", "DocumentFiled"):
        found["effective_from"] = day_of(at)
    if event_type == "DailyManifestPublished":
        found["business_date"] = day_of(at - 1)
    return found


@cache
def _fields(event_type: str) -> frozenset[str]:
    names = (*catalogue.ENVELOPE, *catalogue.payload_fields(event_type), "signature_valid")
    return frozenset(names)


@cache
def _instants(event_type: str) -> frozenset[str]:
    """Payload fields that hold an instant."""
    fields = catalogue.schema(event_type)["fields"]
    return frozenset(
        field["name"]
        for field in fields
        if "timestamp-millis" in json.dumps(field["type"])
        and field["name"] not in catalogue.ENVELOPE
    )


def _csv(rows: Sequence[Any]) -> list[str]:
    """The lines of a reference file: rows are mappings of its columns, or its lines as they are."""
    if rows and isinstance(rows[0], Mapping):
        columns = list(rows[0])
        lines = [",".join(_cell(row[column]) for column in columns) for row in rows]
        return [",".join(columns), *lines]
    return [str(row) for row in rows]


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _each(said: Any) -> Iterable[Any]:
    """`UPL-01 RESOLVED late1..3` stands for three findings."""
    match = _RANGE.search(said) if isinstance(said, str) else None
    if match is None:
        return [said]
    numbers = range(int(match[2]), int(match[3]) + 1)
    return [_RANGE.sub(rf"\g<1>{number}", said) for number in numbers]


def _received(text: str, at: int) -> int:
    return at + span(text[1:]) if text.startswith("+") else instant(text)
