"""The log judged anew, without Kafka: what a worker must have led to, and where two runs differ.

A log is what `ih.events` holds: records with their partitions, offsets and timestamps. `replay`
judges it with the core that the worker runs and a dict as table; `checked` judges its events as
`ihwatch check` does. `Results` gathers what was published, from here or from Kafka.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from schemas import signing, wire
from schemas.admission import Admission
from schemas.catalogue import UploadClass, upload_class
from schemas.codec import Datum
from schemas.directory import Directory, Key
from schemas.errors import ContractError
from schemas.flat import to_flat
from schemas.registry import LocalRegistry
from schemas.topics import TICK_HEADER, TICK_VALUE, Topics, is_tick
from streams.cases.base import FOREVER, CaseFile, decode
from streams.cases.kinds import KINDS
from streams.cases.shelf import is_shared, name_of
from streams.cases.uploads import Stream
from streams.check import judge, read_events
from streams.effects import Effect, Processed
from streams.events import Evidence
from streams.intake import Intake
from streams.processing import Processor
from streams.publication import finding_object
from streams.rulebook import Library
from streams.supervisor import Supervisor
from tests.support.cases import held_at

BROKER_TIME = 1
# What the findings of `ihwatch check` have no word of: how they came to be published.
NOT_CHECKED = frozenset(
    {
        "finding_id", "version", "previous_state", "notify", "changed_at", "message_zh",
        "message_en", "cause_partition", "cause_offset",
    }
)  # fmt: skip
# Fields of stored case files that hang on where batches ended, and decide no finding.
BATCH_BOUND: Mapping[str, str] = {
    "given": "a slot's counts are given out once a batch, when they grew by a tenth",
    "applied": "the end of the batch that changed a case file last",
    "settled": "the last instant judged; an instant at which nothing changed may be left out",
}


SHARED_CLAUSES = frozenset({("IDV-04", "a"), ("IDV-04", "b"), ("LIC-07", "b"), ("LIC-07", "c")})
"""Judged by facts of several partitions (test_several_workers.py): a replay of one tells half."""


class Logged(NamedTuple):
    """One record of a topic; `streams.intake.LogRecord`."""

    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


Log = Mapping[int, Sequence[Logged]]
"""The records of a topic by partition, in the order of their offsets."""


class Sender:
    """Encodes and signs as hospitals and the supervisor do."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def record(self, datum: Datum) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        """Key, value and headers of an event."""
        key, value = datum["institution_id"].encode(), wire.encode(datum)
        return key, value, self.headers(self._signer(datum), key, value)

    def headers(self, signer: Key, key: bytes, value: bytes) -> list[tuple[str, bytes]]:
        return signing.headers(signer.id, signer.secret, key, value)

    def _signer(self, datum: Datum) -> Key:
        if upload_class(datum["event_type"]) is UploadClass.SUPERVISOR:
            return self._directory.supervisor[0]
        return self._directory.institutions[datum["institution_id"]].keys[0]


class Written:
    """A log in memory, written as producers and broker would."""

    def __init__(self, sender: Sender, partitions: int) -> None:
        self.log: dict[int, list[Logged]] = {partition: [] for partition in range(partitions)}
        self._sender = sender
        self._places: dict[bytes, int] = {}

    def event(self, datum: Datum, timestamp: int) -> None:
        self.append(*self._sender.record(datum), timestamp=timestamp)

    def append(
        self, key: bytes, value: bytes, headers: list[tuple[str, bytes]], *, timestamp: int
    ) -> None:
        """Append to the key's partition; keys are dealt out in turn."""
        partition = self._places.setdefault(key, len(self._places) % len(self.log))
        self._append(partition, timestamp, key, value, headers)

    def tick(self, timestamp: int) -> None:
        """Append a tick to every partition."""
        for partition in self.log:
            self._append(partition, timestamp, None, None, [(TICK_HEADER, TICK_VALUE)])

    def _append(self, partition: int, timestamp: int, *rest: Any) -> None:
        offset = len(self.log[partition])
        self.log[partition].append(Logged(partition, offset, timestamp, 0, *rest))


@dataclass(frozen=True)
class Rules:
    """What judging needs beside the log: keys, candidates of institutions, parameters."""

    directory: Directory
    overrides: tuple[str, ...] = ()
    topics: Topics = field(default_factory=Topics.named)

    def supervisor(self, **options: Any) -> Supervisor:
        candidates = {name: one.rulebook for name, one in self.directory.institutions.items()}
        return Supervisor(Library.load(self.overrides), candidates, **options)

    def processor(
        self, partition: int, table: dict[str, bytes], limit: int | None = None
    ) -> Processor:
        """A processor that takes up the work where the table stands."""
        supervisor = self.supervisor(load=table.get, limit=limit, alone=False)
        supervisor.restore(list(table.items()))
        intake = Intake(self.admission(), self.topics.events.name, False, 1.0)
        return Processor(partition, self.topics, intake, supervisor)

    def admission(self) -> Admission:
        return Admission(LocalRegistry(), self.directory)


@dataclass
class Results:
    """What a worker published, by what makes it unique; `conflicts` names what was said twice
    and differently. `shared` are the alerts about what several institutions share.
    """

    topics: Topics = field(default_factory=Topics.named)
    alerts: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    shared: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    aggregates: dict[tuple[str, int, int], dict[str, Any]] = field(default_factory=dict)
    rejects: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    receipts: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    table: dict[str, bytes] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    published: int = 0

    def take(self, topic: str, value: bytes) -> None:
        """Take in one record that was published."""
        if topic == self.topics.practice.name:
            return  # told to other partitions; judged in tests of its own
        name, datum = wire.decode_output(value)
        if (datum.get("rule_id"), datum.get("clause")) in SHARED_CLAUSES:
            self.shared[datum["finding_id"], datum["version"]] = datum
            return
        self.published += 1
        assert topic == getattr(self.topics, f"{name.lower()}s").name
        match name:
            case "Alert":
                self._note("alert", self.alerts, (datum["finding_id"], datum["version"]), datum)
            case "Aggregate":
                slot = datum["institution_id"], datum["window_start"], datum["revision"]
                self._note("aggregate", self.aggregates, slot, datum)
            case "Reject":
                place = datum["partition"], datum["offset"]
                self._note("reject", self.rejects, place, datum)
            case "Receipt":
                self._receipt(datum)

    def take_all(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.take(effect.topic, effect.value)

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """The highest version of every finding, by its id."""
        found: dict[str, dict[str, Any]] = {}
        for (finding_id, _), alert in sorted(self.alerts.items()):
            found[finding_id] = alert
        return found

    @property
    def final_aggregates(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The largest revision of every slot."""
        return {key[:2]: datum for key, datum in sorted(self.aggregates.items())}

    def _receipt(self, datum: dict[str, Any]) -> None:
        for item in datum["items"]:
            said = (datum["institution_id"], *(item[n] for n in sorted(item) if n != "offset"))
            self._note("receipt", self.receipts, (datum["partition"], item["offset"]), said)

    def _note(self, what: str, known: dict[Any, Any], key: Any, content: Any) -> None:
        if known.setdefault(key, content) != content:
            self.conflicts.append(f"{what} {key}: {content} after {known[key]}")


def replay(log: Log, rules: Rules, batch: int = 500, limit: int | None = None) -> Results:
    """Judge a whole log, batch by batch, and gather what follows."""
    results = Results(rules.topics)
    for partition, records in log.items():
        table: dict[str, bytes] = {}
        processor = rules.processor(partition, table, limit)
        for _, processed in process(processor, records, lambda: batch):
            results.take_all(processed.effects)
            table.update(processed.saves)
        results.table |= table
    return results


def process(
    processor: Processor, records: Sequence[Logged], size: Callable[[], int]
) -> Iterator[tuple[int, Processed]]:
    """Process records in batches of the sizes asked for; the caller stores each before the next.

    Yields what a batch led to, with the offset after it.
    """
    start = 0
    while start < len(records):
        batch = records[start : start + size()]
        yield batch[-1].offset + 1, processor.process(batch)
        start += len(batch)


def clock(records: Sequence[Logged]) -> int:
    return max((record.timestamp for record in records), default=0)


def checked(log: Log, rules: Rules) -> list[dict[str, Any]]:
    """Findings that `ihwatch check` prints for the log's events, read from flat JSON lines.

    A worker judges an instant once the clock has passed it, so each partition is judged as of the
    millisecond before its last record.
    """
    found = []
    for records in log.values():
        file = io.BytesIO(b"".join(flat_lines(records, rules)))
        reading = read_events(file)
        assert not reading.bad, reading.bad[:3]
        core = rules.supervisor(alone=False)
        findings = judge(reading.events, core, clock(records) - 1)
        found += [finding_object(finding, history=True) for finding in findings]
    return found


def flat_lines(records: Iterable[Logged], rules: Rules) -> Iterator[bytes]:
    """The admitted events of a log as lines for `ihwatch check`, in the order of the log."""
    admission = rules.admission()
    for record in records:
        if is_tick(record.headers, record.value):
            continue
        try:
            admitted = admission.admit(record.key, record.value, record.headers)
        except ContractError:
            continue
        flat = to_flat(admitted.datum, record.timestamp)
        flat["signature_valid"] = admitted.signature_valid
        yield json.dumps(flat, ensure_ascii=False).encode() + b"\n"


# -- differences -----------------------------------------------------------------------------------


def differences(wanted: Results, found: Results) -> list[str]:
    """Where what was published, or what is stored, is not as wanted; empty when nowhere."""
    wrong = list(found.conflicts)
    wrong += unequal("alert", wanted.alerts, found.alerts)
    wrong += unequal("aggregate", wanted.final_aggregates, found.final_aggregates)
    wrong += unequal("reject", wanted.rejects, found.rejects)
    wrong += unequal("receipt", wanted.receipts, found.receipts)
    wrong += unequal("case file", plain_table(wanted.table), plain_table(found.table))
    return wrong


def differences_from_check(wanted: list[dict[str, Any]], found: Results) -> list[str]:
    """Where final findings are not those of `ihwatch check`, by everything that it prints."""
    held = held_at(found.findings.values(), FOREVER)
    published = [{k: v for k, v in one.items() if k not in NOT_CHECKED} for one in held]
    return unequal("finding", _by_identity(wanted), _by_identity(published))


def unequal(what: str, wanted: Mapping[Any, Any], found: Mapping[Any, Any]) -> list[str]:
    """One line for each key whose values differ or that only one side has."""
    wrong = [f"{what} {key}: missing {_short(wanted[key])}" for key in wanted.keys() - found.keys()]
    wrong += [
        f"{what} {key}: unexpected {_short(found[key])}" for key in found.keys() - wanted.keys()
    ]
    for key in wanted.keys() & found.keys():
        if wanted[key] != found[key]:
            wrong.append(f"{what} {key}: {_contrast(wanted[key], found[key])}")
    return sorted(wrong)


def plain_table(table: Mapping[str, bytes]) -> dict[str, Any]:
    """Stored case files by key, in plain values, without what is `BATCH_BOUND`."""
    return {
        key: plain_case(key, data)
        for key, data in table.items()
        # When a feed fell silent is looked at again at instants that hang on batches.
        if not is_shared(key) and name_of(key)[1] != "silence"
    }


def by_receipt(case: CaseFile) -> list[Evidence]:
    return sorted(case.evidence.values(), key=lambda item: item.r)


def plain_case(key: str, data: bytes) -> Any:
    case = decode(KINDS[name_of(key)[1]].file, data)
    if isinstance(case, Stream):
        # Runs of numbers that came after all are dropped once they can matter no more; when that
        # is looked at hangs on the batches.
        case.runs = [run for run in case.runs if run.missing(FOREVER)]
    if name_of(key)[1] == "told":
        # A crash may lose what was told in between, but not what was told last.
        last = {item.id.rpartition("\x1f")[0]: item for item in by_receipt(case)}
        case.evidence = {item.id: item for item in last.values()}
    return _plain(case)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        names = (name for name in value.__struct_fields__ if name not in BATCH_BOUND)
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _by_identity(findings: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    names = ("rule_id", "institution_id", "subject_type", "subject_id", "clause")
    return {tuple(one[name] for name in names): one for one in findings}


def _contrast(wanted: Any, found: Any) -> str:
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        return f"{_short(found)}, wanted {_short(wanted)}"
    apart = {k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)}
    return "; ".join(
        f"{k} is {_short(found.get(k))}, wanted {_short(wanted.get(k))}"
        for k in sorted(apart, key=str)
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 400 else text[:400] + "..."
