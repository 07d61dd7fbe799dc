"""A hospital signs what it sends; the platform checks that nobody speaks in its name.

Two headers: `ih-key-id`, the id of the key, and `ih-signature`, hex HMAC-SHA256 with the key's
secret over `len(key) || key || len(value) || value`, lengths as 8 bytes big-endian. Key and value
are those of the Kafka record, so a signature fits neither another institution nor another content.
A repeated record is the same event and does no harm.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import NamedTuple

from schemas.errors import ContractError, Reason

KEY_ID_HEADER = "ih-key-id"
SIGNATURE_HEADER = "ih-signature"
Headers = Iterable[tuple[str, bytes | None]]


class Signature(NamedTuple):
    """What the headers of a record claim."""

    key_id: str
    hex: bytes


def sign(secret: bytes, key: bytes, value: bytes) -> str:
    """The signature in hex."""
    return hmac.digest(secret, _message(key, value), "sha256").hex()


def headers(key_id: str, secret: bytes, key: bytes, value: bytes) -> list[tuple[str, bytes]]:
    """The two headers for a record."""
    return [
        (KEY_ID_HEADER, key_id.encode()),
        (SIGNATURE_HEADER, sign(secret, key, value).encode()),
    ]


def claimed(found: Headers | None) -> Signature | None:
    """The signature in the headers; None without any, ContractError for half or two of them."""
    key_id: bytes | None = None
    signature: bytes | None = None
    for name, content in found or ():
        if name == KEY_ID_HEADER:
            if key_id is not None:
                raise ContractError(Reason.SIGNATURE_INVALID, name, "the header occurs twice")
            key_id = content or b""
        elif name == SIGNATURE_HEADER:
            if signature is not None:
                raise ContractError(Reason.SIGNATURE_INVALID, name, "the header occurs twice")
            signature = content or b""
    if key_id is None and signature is None:
        return None
    if not key_id or not signature:
        missing = SIGNATURE_HEADER if key_id else KEY_ID_HEADER
        raise ContractError(Reason.SIGNATURE_MISSING, missing, "the header is missing or empty")
    try:
        return Signature(key_id.decode(), signature)
    except UnicodeDecodeError:
        raise ContractError(Reason.KEY_UNKNOWN, KEY_ID_HEADER, "not UTF-8") from None


def verify(secret: bytes, key: bytes, value: bytes, signature: bytes) -> bool:
    """Whether the signature of the header fits; takes the same time for any wrong one."""
    return hmac.compare_digest(sign(secret, key, value).encode(), signature.lower())


def _message(key: bytes, value: bytes) -> bytes:
    return b"".join((len(key).to_bytes(8, "big"), key, len(value).to_bytes(8, "big"), value))
