"""Records of the log as rows of the tables: which columns each table gets, and how they are filled.

A row is a tuple in the order of `COLUMNS[table]`; a test compares these names with the migrations.
Instants stay epoch milliseconds (what DateTime64(3) stores), dates days since 1970.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas import wire
from schemas.admission import Admission
from schemas.catalogue import ENVELOPE
from schemas.directory import Directory
from schemas.errors import ContractError
from schemas.flat import to_flat
from schemas.topics import Topics, is_tick
from sinks.log import Record

logger = logging.getLogger(__name__)

Row = tuple[Any, ...]
Datum = Mapping[str, Any]

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

_ENVELOPE = frozenset(ENVELOPE)


@dataclass(slots=True)
class Rows:
    """The rows of one batch by table, and what else was seen in it."""

    by_table: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    seen: Counter[str] = field(default_factory=Counter)


class Decoders:
    """Knows for each topic how its records become rows: `rows_of(records)`."""

    def __init__(self, topics: Topics, admission: Admission, directory: Directory) -> None:
        self._admission = admission
        self._directory = directory
        self._by_topic: dict[str, Callable[[Record, Rows], None]] = {
            topics.events.name: self._event,
            topics.alerts.name: self._output,
            topics.aggregates.name: self._output,
            topics.rejects.name: self._output,
        }

    @property
    def topics(self) -> list[str]:
        """The topics that have rows."""
        return list(self._by_topic)

    def rows_of(self, records: Sequence[Record]) -> Rows:
        """Give the rows of records, in order; whatever a record holds, it raises nothing.

        But a retriable error is raised when the schema registry is away: then none was taken.
        """
        rows = Rows()
        for record in records:
            self._by_topic[record.topic](record, rows)
        return rows

    def _event(self, record: Record, rows: Rows) -> None:
        """Take an event that the worker takes too: both ask `schemas.admission`.

        What it refuses is in the rejects topic, written by the worker, and so lands in `rejects`.
        """
        if is_tick(record.headers, record.value):
            rows.seen["ticks"] += 1
            return
        try:
            admitted = self._admission.admit(record.key, record.value, record.headers)
        except ContractError:
            rows.seen["events_refused"] += 1
            return
        datum = admitted.datum
        rulebook = self._directory.rulebook(datum["institution_id"]) or ""
        rows.by_table[EVENTS].append(
            (
                *_values(datum, ENVELOPE),
                rulebook,
                record.timestamp,
                datum.get("session_id") or "",
                next((datum[name] for name in _STAFF if datum.get(name)), ""),
                admitted.signature_valid,
                _payload(datum),
                *_place(record),
            )
        )
        if datum["event_type"] == "InstitutionFiled":
            rows.by_table[INSTITUTIONS].append(_institution(datum, rulebook, record.timestamp))

    def _output(self, record: Record, rows: Rows) -> None:
        """Take what the worker wrote. What cannot be read is kept in `rejects`, never dropped."""
        try:
            name, datum = wire.decode_output(record.value or b"")
        except ContractError as error:
            logger.error("an output record cannot be read", extra={"reason": error.reason})
            rows.seen["outputs_unreadable"] += 1
            rows.by_table[REJECTS].append(_unreadable(record, error))
            return
        if name == "Alert":
            rows.by_table[ALERTS].append(_alert(datum, record))
        elif name == "Aggregate":
            rows.by_table[AGGREGATES].extend(_aggregate(datum))
        elif name == "Reject":
            rows.by_table[REJECTS].append(_values(datum, _REJECT))


def _values(datum: Datum, names: tuple[str, ...]) -> Row:
    return tuple("" if name in _ABSENT and datum[name] is None else datum[name] for name in names)


def _place(record: Record) -> Row:
    return record.topic, record.partition, record.offset


def _payload(datum: dict[str, Any]) -> str:
    """The payload fields as flat JSON, which `schemas.flat.from_flat` reads again."""
    flat = to_flat(datum, None)
    return msgspec.json.encode(
        {name: value for name, value in flat.items() if name not in _ENVELOPE}
    ).decode()


def _institution(datum: dict[str, Any], rulebook: str, received_at: int) -> Row:
    days = {
        name: min(datum[name], _LAST_DAY) for name in ("licence_valid_from", "licence_valid_to")
    }
    return (*_values({**datum, **days}, _INSTITUTION), rulebook, received_at)


def _alert(datum: Datum, record: Record) -> Row:
    history = [(step["state"], step["at"]) for step in datum["history"]]
    opened_at = history[0][1] if history else datum["changed_at"]
    return (*_values(datum, _ALERT), opened_at, history, *_place(record))


def _aggregate(datum: Datum) -> list[Row]:
    head = tuple(datum[name] for name in COLUMNS[AGGREGATES][:4])
    return [(*head, metric, value, datum["revision"]) for metric, value in datum["metrics"].items()]


def _unreadable(record: Record, error: ContractError) -> Row:
    return (
        *_place(record),
        record.timestamp,
        error.reason.value,
        error.field or "",
        error.detail,
        *("", "", ""),
        record.key,
        record.value,
        {name: value or b"" for name, value in record.headers},
    )
