"""Lets an event in or says why not; the worker and the events sink both ask here, so they always
agree.

In order: size, signature, framing and schema, every byte, ranges, who may speak for whom. A
signature is checked before anything is decoded, so bytes from nobody cost little.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas import signing, wire
from schemas.catalogue import EVENT_TYPES, UploadClass, upload_class
from schemas.datum import Datum
from schemas.directory import Directory, Key
from schemas.errors import ContractError, Reason
from schemas.registry import Registry
from schemas.validate import check_values

MAX_BYTES = 1_000_000
SUPERVISOR_ONLY = frozenset(t for t in EVENT_TYPES if upload_class(t) is UploadClass.SUPERVISOR)
SUPERVISOR_MAY_SEND = SUPERVISOR_ONLY | {
    "ComplaintReceived",
    "ServiceStatusChanged",
    "LicenceVerificationRecorded",
}
"""The last three are those that RULES section 2 lets both the hospital and an authority publish."""


class Admitted(NamedTuple):
    """An event that may be judged; `signature_valid` is None when it was not signed."""

    datum: Datum
    signature_valid: bool | None


class Known(NamedTuple):
    """What a refused record says of itself; a claim, not a fact: it may be forged."""

    institution_id: str | None
    event_id: str | None
    event_type: str | None


class Admission:
    """Admits records of the events topic. Unsigned ones only where the deployment says so."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        allow_unsigned: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._registry, self._directory = registry, directory
        self._allow_unsigned, self._max_bytes = allow_unsigned, max_bytes

    def admit(
        self, key: bytes | None, value: bytes | None, headers: signing.Headers | None
    ) -> Admitted:
        """The event in a record; ContractError with the reason it is refused for.

        Ticks are not events: skip them before (`topics.is_tick`). RegistryUnavailable passes
        through; try again.
        """
        if not value:
            raise ContractError(Reason.EMPTY, None, "no value")
        if len(value) > self._max_bytes:
            raise ContractError(Reason.OVERSIZED, None, f"more than {self._max_bytes} bytes")
        signer = self._signer(key or b"", value, headers)
        datum = wire.decode(value, self._registry)
        check_values(datum)
        self._check_speaker(datum, key, signer)
        return Admitted(datum, None if signer is None else True)

    def describe(self, key: bytes | None, value: bytes | None) -> Known:
        """What a refused record says of itself, as far as it can be read."""
        claims: dict[str, str] = {}
        if value and len(value) <= self._max_bytes:
            try:
                decoder, start = wire.writer(value, self._registry, ask=False)
            except ContractError:
                pass
            else:
                claims = decoder.prefix(value, start, ("event_id", "event_type", "institution_id"))
        institution_id = claims.get("institution_id")
        if institution_id is None and key:
            institution_id = key[:200].decode(errors="replace")
        return Known(institution_id, claims.get("event_id"), claims.get("event_type"))

    def _signer(self, key: bytes, value: bytes, headers: signing.Headers | None) -> Key | None:
        """The key that signed the record; None for an unsigned one where that is allowed."""
        claim = signing.claimed(headers)
        if claim is None:
            if self._allow_unsigned:
                return None
            raise ContractError(Reason.SIGNATURE_MISSING, signing.SIGNATURE_HEADER, "not signed")
        signer = self._directory.key(claim.key_id)
        if signer is None:
            raise ContractError(Reason.KEY_UNKNOWN, signing.KEY_ID_HEADER, "no such key")
        if not signing.verify(signer.secret, key, value, claim.hex):
            raise ContractError(Reason.SIGNATURE_INVALID, signing.SIGNATURE_HEADER, "does not fit")
        return signer

    def _check_speaker(self, datum: dict[str, Any], key: bytes | None, signer: Key | None) -> None:
        """The signer may publish this event for this institution, and the record is keyed by it."""
        institution_id: str = datum["institution_id"]
        if signer is None:
            pass
        elif signer.institution_id is None:
            if datum["event_type"] not in SUPERVISOR_MAY_SEND:
                detail = "a supervisor's key may not publish a hospital's events"
                raise ContractError(Reason.WRONG_INSTITUTION, "institution_id", detail)
        elif signer.institution_id != institution_id:
            detail = "the key belongs to another institution"
            raise ContractError(Reason.WRONG_INSTITUTION, "institution_id", detail)
        elif datum["event_type"] in SUPERVISOR_ONLY:
            detail = "only the supervisor publishes this event type"
            raise ContractError(Reason.SUPERVISOR_ONLY, "event_type", detail)
        if key != institution_id.encode():
            raise ContractError(Reason.KEY_MISMATCH, None, "the record's key is not institution_id")
