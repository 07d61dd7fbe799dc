"""The whole error tree of the contract, and the closed list of reasons for which input is refused.

A reason is stable: hospitals' software switches on it, `docs/errors.md` explains each one, and it
is never renamed or reused. The wording of a reason is in `schemas/texts/errors.toml`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a record was refused; one stable code for each kind of fault."""

    # who speaks
    SIGNATURE_MISSING = "SIGNATURE_MISSING"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    KEY_UNKNOWN = "KEY_UNKNOWN"
    WRONG_INSTITUTION = "WRONG_INSTITUTION"
    SUPERVISOR_ONLY = "SUPERVISOR_ONLY"
    KEY_MISMATCH = "KEY_MISMATCH"
    # the bytes
    EMPTY = "EMPTY"
    OVERSIZED = "OVERSIZED"
    UNKNOWN_FRAMING = "UNKNOWN_FRAMING"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    TRUNCATED = "TRUNCATED"
    TRAILING_BYTES = "TRAILING_BYTES"
    BAD_UTF8 = "BAD_UTF8"
    BAD_JSON = "BAD_JSON"
    MALFORMED = "MALFORMED"
    # the content
    UNKNOWN_EVENT_TYPE = "UNKNOWN_EVENT_TYPE"
    MISSING_FIELD = "MISSING_FIELD"
    WRONG_TYPE = "WRONG_TYPE"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNKNOWN_ENUM = "UNKNOWN_ENUM"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    MISSING_RECORDED_AT = "MISSING_RECORDED_AT"
    BAD_REVISION = "BAD_REVISION"


class IhwatchError(Exception):
    """Root of every error raised on purpose; `retriable` says whether waiting can help."""

    retriable: bool = False


class ContractError(IhwatchError):
    """This record breaks the contract and always will: never retried, refused with `reason`.

    `field` is the path of the field at fault (`items[0].quantity`), None where the fault is not in
    one field. `detail` is English for engineers and never quotes the value, since a value may
    identify a person.
    """

    def __init__(self, reason: Reason, field: str | None = None, detail: str = "") -> None:
        super().__init__(reason, field, detail)
        self.reason = reason
        self.field = field
        self.detail = detail

    def __str__(self) -> str:
        where = f" at {self.field}" if self.field else ""
        return f"{self.reason}{where}: {self.detail}" if self.detail else f"{self.reason}{where}"


class RegistryUnavailable(IhwatchError):
    """The schema registry does not answer; the record itself may be good, so it is tried again."""

    retriable = True


class DirectoryError(IhwatchError):
    """The institutions directory file cannot be used; the message lists every fault in it."""
