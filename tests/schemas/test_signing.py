"""A signature fits one key and one value only, and half a signature is none."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import signing
from schemas.errors import ContractError, Reason
from schemas.signing import KEY_ID_HEADER, SIGNATURE_HEADER

SECRET = b"0123456789abcdef"


def test_the_signature_is_what_the_documents_say() -> None:
    """Written out once more as `docs/events.md` tells hospitals to do it."""
    key, value = "医院".encode(), b"\xc3\x01value"
    message = len(key).to_bytes(8, "big") + key + len(value).to_bytes(8, "big") + value
    expected = hmac.new(SECRET, message, hashlib.sha256).hexdigest()
    assert signing.sign(SECRET, key, value) == expected
    assert signing.headers("k", SECRET, key, value) == [
        (KEY_ID_HEADER, b"k"),
        (SIGNATURE_HEADER, expected.encode()),
    ]


def test_a_known_value_never_changes() -> None:
    assert signing.sign(SECRET, b"key", b"value") == (
        "4fbfd04258082b5f6f940cf4a869c2886c28008e8ecd7b17700a0409ad736257"
    )


@given(st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_moving_bytes_between_key_and_value_breaks_it(
    key: bytes, value: bytes, data: st.DataObject
) -> None:
    signature = signing.sign(SECRET, key, value).encode()
    assert signing.verify(SECRET, key, value, signature)
    assert signing.verify(SECRET, key, value, signature.upper())
    both = key + value
    at = data.draw(st.integers(0, len(both)))
    if at != len(key):
        assert not signing.verify(SECRET, both[:at], both[at:], signature)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: b"",
        lambda s: s[:-1],
        lambda s: s + b"0",
        lambda s: b"0" * 64,
        lambda s: b" " + s,
        lambda s: b"\xff" * 64,
        lambda s: bytes.fromhex(s.decode()),
    ],
)
def test_no_other_form_of_the_signature_is_taken(spoil: Callable[[bytes], bytes]) -> None:
    good = signing.sign(SECRET, b"k", b"v").encode()
    assert not signing.verify(SECRET, b"k", b"v", spoil(good))


def claim(headers: list[tuple[str, bytes | None]] | None) -> Reason | None:
    try:
        return Reason.EMPTY if signing.claimed(headers) is None else None
    except ContractError as error:
        return error.reason


def test_headers_are_both_there_once_or_not_at_all() -> None:
    key_id, signature = (KEY_ID_HEADER, b"k"), (SIGNATURE_HEADER, b"s")
    assert claim(None) is Reason.EMPTY
    assert claim([("other", b"x")]) is Reason.EMPTY
    assert claim([("other", b"x"), signature, key_id]) is None
    assert claim([key_id]) is Reason.SIGNATURE_MISSING
    assert claim([signature]) is Reason.SIGNATURE_MISSING
    assert claim([key_id, (SIGNATURE_HEADER, None)]) is Reason.SIGNATURE_MISSING
    assert claim([(KEY_ID_HEADER, b""), signature]) is Reason.SIGNATURE_MISSING
    assert claim([key_id, key_id, signature]) is Reason.SIGNATURE_INVALID
    assert claim([key_id, signature, signature]) is Reason.SIGNATURE_INVALID
    assert claim([(KEY_ID_HEADER, b"\xff"), signature]) is Reason.KEY_UNKNOWN
