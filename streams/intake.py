"""Intake: records of ``ih.events`` become events, ticks or rejects; nothing is lost, nothing stops.

Authentication, decoding and validation are ``schemas.admission``'s, so that every consumer of the
topic admits the same records. A refused record leaves as a reject with its bytes as they came, its
place in the log, a stable reason and the field. Where most of what several institutions send is
refused, the fault is ours and not the data's: ``DeployFault`` stops the worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from schemas.admission import Admission, Known
from schemas.errors import ContractError, IhwatchError, Reason
from schemas.limits import MAX_ID
from schemas.topics import is_tick
from streams.events import Event
from streams.supervisor import Tick

_RATIO_OVER = 1_000
_RATIO_AT_LEAST = 200
_INSTITUTIONS_AT_LEAST = 3
_NOT_OURS = frozenset(
    {
        Reason.SIGNATURE_MISSING,
        Reason.SIGNATURE_INVALID,
        Reason.KEY_UNKNOWN,
        Reason.WRONG_INSTITUTION,
    }
)
_BROKER_TIME = 1
MAX_KEPT_BYTES = 2_000_000
"""The largest refused record that is kept whole: more than a broker lets in but by compression."""


class DeployFault(IhwatchError):
    """This worker cannot be right: the log or most of its records contradict its configuration."""

    retriable = False


class LogRecord(Protocol):
    """A record as Kafka clients hand it over; ``timestamp_type`` 1 is the broker's clock."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Refusal(NamedTuple):
    """A record that is no event, as ``schemas/outputs/Reject.avsc`` describes it.

    ``datum`` has its bytes as they came, unless they are more than ``MAX_KEPT_BYTES``.
    """

    offset: int
    received_at: int
    institution_id: str | None
    event_id: str | None
    reason: Reason
    field: str | None
    datum: dict[str, Any]


class Sorted(NamedTuple):
    """A batch taken apart: what the supervisor gets, and what was refused."""

    records: list[Event | Tick]
    refusals: list[Refusal]


class Intake:
    """Takes batches of one topic apart.

    ``broker_clock`` demands records stamped by the broker (LogAppendTime): a hospital must not set
    the clock it is judged by. ``ratio_limit`` is the share of refused records that stops the
    worker, of the last thousand and from several institutions.
    """

    def __init__(
        self, admission: Admission, topic: str, broker_clock: bool, ratio_limit: float
    ) -> None:
        self._admission = admission
        self._topic = topic
        self._broker_clock = broker_clock
        self._ratio_limit = ratio_limit
        self._recent: deque[str | None] = deque(maxlen=_RATIO_OVER)

    def sort(self, batch: Sequence[LogRecord]) -> Sorted:
        """Tell events, ticks and refused records apart; never raises for a record's content.

        Raises ``DeployFault`` for a log without the broker's clock and over the ratio of refusals.
        """
        found: list[Event | Tick] = []
        refused: list[Refusal] = []
        for record in batch:
            if self._broker_clock and record.timestamp_type != _BROKER_TIME:
                raise DeployFault(
                    f"{self._topic} is not stamped by the broker: set message.timestamp.type to"
                    " LogAppendTime, or IHWATCH_CLOCK=create for the embedded broker"
                )
            if is_tick(record.headers, record.value):
                found.append(Tick(record.timestamp, record.offset))
                continue
            try:
                admitted = self._admission.admit(record.key, record.value, record.headers)
            except ContractError as error:
                refused.append(self._refuse(record, error))
                continue
            self._recent.append(None)
            found.append(
                Event(
                    admitted.datum,
                    record.timestamp,
                    record.partition,
                    record.offset,
                    admitted.signature_valid,
                )
            )
        if refused:
            self._check_ratio()
        return Sorted(found, refused)

    def _refuse(self, record: LogRecord, error: ContractError) -> Refusal:
        known = Known(
            *(_short(claim) for claim in self._admission.describe(record.key, record.value))
        )
        self._recent.append(None if error.reason in _NOT_OURS else known.institution_id or "?")
        headers = {name: value for name, value in record.headers if value is not None}
        size = len(record.key or b"") + len(record.value or b"")
        size += sum(len(name) + len(value) for name, value in headers.items())
        whole = size <= MAX_KEPT_BYTES
        datum = {
            "topic": self._topic,
            "partition": record.partition,
            "offset": record.offset,
            "received_at": record.timestamp,
            "key": record.key if whole else None,
            "value": record.value if whole else None,
            "headers": headers if whole else {},
            "reason": error.reason.value,
            "field": error.field,
            "detail": error.detail if whole else f"{error.detail}; {size} bytes, not kept here",
            "institution_id": known.institution_id,
            "event_id": known.event_id,
            "event_type": known.event_type,
        }
        return Refusal(
            record.offset,
            record.timestamp,
            known.institution_id,
            known.event_id,
            error.reason,
            error.field,
            datum,
        )

    def _check_ratio(self) -> None:
        bad = [institution for institution in self._recent if institution is not None]
        if len(self._recent) < _RATIO_AT_LEAST or len(set(bad)) < _INSTITUTIONS_AT_LEAST:
            return
        if len(bad) > self._ratio_limit * len(self._recent):
            raise DeployFault(
                f"{len(bad)} of the last {len(self._recent)} records are refused, from"
                f" {len(set(bad))} institutions: check schemas and registry before going on"
            )


def _short(claim: str | None) -> str | None:
    """What a refused record claims, cut to the length of an identifier."""
    return None if claim is None else claim[:MAX_ID]
