"""Records of the log as columns of the tables: which columns each has, and how they are filled.

A batch of records becomes columns and never rows: `Rows.by_table[table]` has a list of values for
each name in `COLUMNS[table]`; a test compares these names with the migrations. Instants stay epoch
milliseconds (what DateTime64(3) stores), dates days since 1970.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import msgspec

from schemas import flat, wire
from schemas.admission import Admission
from schemas.catalogue import ENVELOPE
from schemas.directory import Directory
from schemas.errors import ContractError
from schemas.topics import Topics, is_tick
from sinks.log import Record

logger = logging.getLogger(__name__)

Columns = list[list[Any]]
Datum = dict[str, Any]

EVENTS, ALERTS, AGGREGATES = "events", "alerts", "aggregates"
REJECTS, INSTITUTIONS = "rejects", "institutions"

_LOG = ("topic", "partition", "offset")
_ALERT = (
    *("institution_id", "finding_id", "version", "state", "previous_state", "rule_id", "clause"),
    *("rulebook", "subject_type", "subject_id", "severity", "notify", "changed_at"),
    *("violation_start", "violation_end", "evidence", "params", "flags", "citations"),
    *("title_zh", "title_en", "message_zh", "message_en", "cause_partition", "cause_offset"),
)
_REJECT = (
    *(*_LOG, "received_at", "reason", "field", "detail"),
    *("institution_id", "event_id", "event_type", "key", "value", "headers"),
)
_INSTITUTION = (
    *("institution_id", "registered_name", "institution_form", "filing_kind"),
    *("host_institution_id", "host_name", "licence_no", "licence_valid_from", "licence_valid_to"),
    *("registration_authority", "occurred_at", "revision", "event_id"),
)
# In these columns an absent string is '' (RULES knows no empty identifiers).
_ABSENT = {
    *("previous_state", "clause", "field", "institution_id", "event_id", "event_type"),
    *("host_institution_id", "host_name", "supersedes_event_id", "signer_cert", "stream_id"),
}
# Date32 ends on 2299-12-31; 9999-12-31 is the usual way to write "no end" and becomes that.
_LAST_DAY = 120_529
_STAFF = ("staff_id", "doctor_id", "prescriber_id", "reviewer_id")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    EVENTS: (
        *(*ENVELOPE, "rulebook", "received_at", "session_id", "staff_id", "signature_valid"),
        *("payload", *_LOG),
    ),
    ALERTS: (*_ALERT, "opened_at", "history", *_LOG),
    AGGREGATES: (
        *("institution_id", "rulebook", "window_start", "window_end", "metric", "value"),
        "revision",
    ),
    REJECTS: _REJECT,
    INSTITUTIONS: (*_INSTITUTION, "rulebook", "received_at"),
}

_json = msgspec.json.Encoder()


def _empty() -> dict[str, Columns]:
    return {table: [[] for _ in names] for table, names in COLUMNS.items()}


@dataclass(slots=True)
class Rows:
    """The rows of one batch as columns of every table, and what else was seen in it."""

    by_table: dict[str, Columns] = field(default_factory=_empty)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, columns: Iterable[Iterable[Any]]) -> None:
        """Append rows, given as columns in the order of `COLUMNS`, all of the same length."""
        for column, values in zip(self.by_table[table], columns, strict=True):
            column.extend(values)

    def count(self, table: str) -> int:
        """How many rows a table gets."""
        return len(self.by_table[table][0])


class Decoders:
    """Knows for each topic how its records become rows: `rows_of(records)`."""

    def __init__(self, topics: Topics, admission: Admission, directory: Directory) -> None:
        self._admission = admission
        self._directory = directory
        self._by_topic: dict[str, Callable[[Sequence[Record], Rows], None]] = {
            topics.events.name: self._events,
            topics.alerts.name: self._outputs,
            topics.aggregates.name: self._outputs,
            topics.rejects.name: self._outputs,
        }

    @property
    def topics(self) -> list[str]:
        """The topics that have rows."""
        return list(self._by_topic)

    def rows_of(self, records: Sequence[Record]) -> Rows:
        """Give the rows of records; whatever a record holds, it raises nothing.

        The rows of a topic keep its order, but unreadable records come before the other rejects.
        A retriable error is raised when the schema registry is away: then none was taken.
        """
        by_topic = defaultdict(list)
        for record in records:
            by_topic[record.topic].append(record)
        rows = Rows()
        for topic, its in by_topic.items():
            self._by_topic[topic](its, rows)
        return rows

    def _events(self, records: Sequence[Record], rows: Rows) -> None:
        """Take the events that the worker takes too: both ask `schemas.admission`.

        What it refuses is in the rejects topic, written by the worker, and so lands in `rejects`.
        """
        data: list[Datum] = []
        taken: list[Record] = []
        signatures: list[bool | None] = []
        for record in records:
            if is_tick(record.headers, record.value):
                rows.seen["ticks"] += 1
                continue
            try:
                datum, valid = self._admission.admit(record.key, record.value, record.headers)
            except ContractError:
                rows.seen["events_refused"] += 1
                continue
            data.append(datum)
            taken.append(record)
            signatures.append(valid)
        if not data:
            return
        rulebooks = [self._directory.rulebook(datum["institution_id"]) or "" for datum in data]
        received = [record.timestamp for record in taken]
        rows.add(
            EVENTS,
            (
                *_values(data, ENVELOPE),
                rulebooks,
                received,
                [datum.get("session_id") or "" for datum in data],
                map(_staff, data),
                signatures,
                map(_payload, data),
                *_places(taken),
            ),
        )
        filed = [at for at, datum in enumerate(data) if datum["event_type"] == "InstitutionFiled"]
        rows.add(
            INSTITUTIONS,
            (
                *_values([_filing(data[at]) for at in filed], _INSTITUTION),
                [rulebooks[at] for at in filed],
                [received[at] for at in filed],
            ),
        )

    def _outputs(self, records: Sequence[Record], rows: Rows) -> None:
        """Take what the worker wrote. What cannot be read is kept in `rejects`, never dropped."""
        data: defaultdict[str, list[Datum]] = defaultdict(list)
        alerts: list[Record] = []
        for record in records:
            try:
                name, datum = wire.decode_output(record.value or b"")
            except ContractError as error:
                logger.error("an output record cannot be read", extra={"reason": error.reason})
                rows.seen["outputs_unreadable"] += 1
                rows.add(REJECTS, ((value,) for value in _unreadable(record, error)))
                continue
            data[name].append(datum)
            if name == "Alert":
                alerts.append(record)
        rows.add(ALERTS, _alerts(data["Alert"], alerts))
        rows.add(AGGREGATES, _aggregates(data["Aggregate"]))
        rows.add(REJECTS, _values(data["Reject"], _REJECT))


def _values(data: Sequence[Datum], names: Sequence[str]) -> Columns:
    """A column for each name."""
    return [
        [datum[name] or "" for datum in data]
        if name in _ABSENT
        else [datum[name] for datum in data]
        for name in names
    ]


def _places(records: Sequence[Record]) -> Columns:
    """Topic, partition and offset."""
    return [
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
    ]


def _staff(datum: Datum) -> str:
    """Whoever of the staff the event is about first, or nobody."""
    for name in _STAFF:
        if found := datum.get(name):
            return str(found)
    return ""


def _payload(datum: Datum) -> str:
    """The payload fields as flat JSON, which `schemas.flat.from_flat` reads again."""
    return _json.encode(flat.payload(datum)).decode()


def _filing(datum: Datum) -> Datum:
    days = ("licence_valid_from", "licence_valid_to")
    return {**datum, **{name: min(datum[name], _LAST_DAY) for name in days}}


def _alerts(data: Sequence[Datum], records: Sequence[Record]) -> Columns:
    histories = [[(step["state"], step["at"]) for step in datum["history"]] for datum in data]
    opened_at = [
        history[0][1] if history else datum["changed_at"]
        for datum, history in zip(data, histories, strict=True)
    ]
    return [*_values(data, _ALERT), opened_at, histories, *_places(records)]


def _aggregates(data: Sequence[Datum]) -> list[Iterable[Any]]:
    """One row for each metric: what stands beside the metrics is repeated."""
    metrics = [datum["metrics"] for datum in data]
    times = [len(one) for one in metrics]

    def repeated(name: str) -> Iterable[Any]:
        return chain.from_iterable(map(repeat, (datum[name] for datum in data), times))

    return [
        *map(repeated, COLUMNS[AGGREGATES][:4]),
        chain.from_iterable(metrics),
        chain.from_iterable(one.values() for one in metrics),
        repeated("revision"),
    ]


def _unreadable(record: Record, error: ContractError) -> tuple[Any, ...]:
    """The values of its row in `rejects`."""
    return (
        *(record.topic, record.partition, record.offset),
        record.timestamp,
        error.reason.value,
        error.field or "",
        error.detail,
        *("", "", ""),
        record.key,
        record.value,
        {name: value or b"" for name, value in record.headers},
    )
