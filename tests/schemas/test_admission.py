"""Poison: every bad record ends in its own reason, whoever sent it, and never in another error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avro, catalogue, signing, wire
from schemas.admission import SUPERVISOR_MAY_SEND, Admission, Known
from schemas.catalogue import EVENT_TYPES, UploadClass
from schemas.codec import Decoder
from schemas.directory import Directory, Key
from schemas.errors import ContractError, Reason, RegistryUnavailable
from schemas.registry import LocalRegistry
from schemas.topics import TICK_HEADER, TICK_VALUE, is_tick
from schemas.wire import Framing
from tests.schemas.examples import example

ME, OTHER = "PDY00000145010011A5182", "PDY00000145010011A5999"
REGISTRY = LocalRegistry()
DIRECTORY = Directory.generate(
    [(ME, "邕江示范医院互联网医院", "guangxi"), (OTHER, "他院", "guangxi")]
)
ADMISSION = Admission(REGISTRY, DIRECTORY, max_bytes=10_000)
UNSIGNED_ALLOWED = Admission(REGISTRY, DIRECTORY, allow_unsigned=True, max_bytes=10_000)
MINE, THEIRS = DIRECTORY.institutions[ME].keys[0], DIRECTORY.institutions[OTHER].keys[0]
SUPERVISORS = DIRECTORY.supervisor[0]


@dataclass
class Record:
    """A Kafka record, signed by the key of its institution unless said otherwise."""

    value: bytes | None
    key: bytes | None = ME.encode()
    signer: Key | None = MINE
    headers: list[tuple[str, bytes | None]] | None = field(default=None)

    def judged(self, admission: Admission = ADMISSION) -> Any:
        """The admitted event; ContractError otherwise."""
        headers = self.headers
        if headers is None and self.signer is not None:
            signed = signing.headers(
                self.signer.id, self.signer.secret, self.key or b"", self.value or b""
            )
            headers = [(name, content) for name, content in signed]
        return admission.admit(self.key, self.value, headers)

    def reason(self, admission: Admission = ADMISSION) -> tuple[Reason, str | None]:
        """Why it is refused."""
        with pytest.raises(ContractError) as caught:
            self.judged(admission)
        return caught.value.reason, caught.value.field


def sent(event_type: str = "SessionOpened", **changes: Any) -> bytes:
    """The bytes of an example with some fields changed."""
    return wire.encode({**example(event_type).datum, **changes})


VALUE = sent()
SUPERVISOR_EVENTS = [t for t in EVENT_TYPES if catalogue.upload_class(t) is UploadClass.SUPERVISOR]


def test_a_good_event_is_admitted() -> None:
    admitted = Record(VALUE).judged()
    assert admitted.datum == example("SessionOpened").datum
    assert admitted.signature_valid is True


def at(offset: int, byte: int) -> bytes:
    return VALUE[:offset] + bytes([byte]) + VALUE[offset + 1 :]


POISON: dict[str, tuple[bytes | None, Reason, str | None]] = {
    "no value": (None, Reason.EMPTY, None),
    "empty value": (b"", Reason.EMPTY, None),
    "oversized": (VALUE + bytes(10_000), Reason.OVERSIZED, None),
    "text": (b"hello", Reason.UNKNOWN_FRAMING, None),
    "wrong fingerprint": (at(5, VALUE[5] ^ 1), Reason.UNKNOWN_SCHEMA, None),
    "wrong schema id": (b"\x00\x00\x0f\xff\xff" + VALUE[10:], Reason.UNKNOWN_SCHEMA, None),
    "id of another event": (
        b"\x00\x00\x00\x00\x01" + VALUE[10:],
        Reason.SCHEMA_MISMATCH,
        "event_type",
    ),
    "truncated": (VALUE[:-3], Reason.TRUNCATED, "mode"),
    "trailing bytes": (VALUE + b"\x00", Reason.TRAILING_BYTES, None),
    "bad UTF-8": (at(11, 0xFF), Reason.BAD_UTF8, "event_id"),
    "UNKNOWN": (VALUE[:-1] + b"\x00", Reason.UNKNOWN_ENUM, "visit_kind"),
    "symbol out of the list": (VALUE[:-1] + b"\x20", Reason.UNKNOWN_ENUM, "visit_kind"),
    "symbol from the end": (VALUE[:-1] + b"\x01", Reason.UNKNOWN_ENUM, "visit_kind"),
    "year 1970": (sent(occurred_at=0), Reason.BAD_TIMESTAMP, "occurred_at"),
    "seconds": (sent(occurred_at=1_772_416_800), Reason.BAD_TIMESTAMP, "occurred_at"),
    "year 2100": (sent(recorded_at=4_102_444_800_001), Reason.BAD_TIMESTAMP, "recorded_at"),
    "largest long": (sent(occurred_at=2**63 - 1), Reason.BAD_TIMESTAMP, "occurred_at"),
    "smallest long": (sent(occurred_at=-(2**63)), Reason.BAD_TIMESTAMP, "occurred_at"),
    "empty id": (sent(session_id=""), Reason.OUT_OF_RANGE, "session_id"),
    "negative age": (sent(patient_age_years=-1), Reason.OUT_OF_RANGE, "patient_age_years"),
    "half a correction": (sent(revision=1), Reason.BAD_REVISION, "supersedes_event_id"),
    "correction of itself": (
        sent(revision=1, event_id="e", supersedes_event_id="e"),
        Reason.BAD_REVISION,
        "supersedes_event_id",
    ),
    "of another institution": (
        sent(institution_id=OTHER),
        Reason.WRONG_INSTITUTION,
        "institution_id",
    ),
}


@pytest.mark.parametrize("name", POISON)
def test_poison(name: str) -> None:
    value, reason, at_field = POISON[name]
    found, found_field = Record(value).reason()
    assert found is reason
    if at_field is not None:
        assert found_field == at_field


def test_nan_in_a_decimal() -> None:
    good = sent("FeeCharged")
    quantity = b"\x04\x03\xe8"
    assert good.count(quantity) == 1
    nan = b"\x10\x7f\xf8" + bytes(6)
    assert Record(good.replace(quantity, nan)).reason() == (
        Reason.NOT_A_NUMBER,
        "lines[0].quantity",
    )


def test_a_record_of_the_same_shape_under_another_event() -> None:
    body = sent("UnsuitabilityIdentified")[10:]
    version = {v.name: v for v in avro.published()}["ComplaintResolved"]
    value = wire.header(version, Framing.SINGLE_OBJECT) + body
    assert Record(value).reason() == (Reason.SCHEMA_MISMATCH, "event_type")


def test_signatures() -> None:
    assert Record(VALUE, signer=None).reason()[0] is Reason.SIGNATURE_MISSING
    forged = Key(MINE.id, ME, b"guessed secret....")
    assert Record(VALUE, signer=forged).reason()[0] is Reason.SIGNATURE_INVALID
    unknown = Key("retired-key", ME, MINE.secret)
    assert Record(VALUE, signer=unknown).reason()[0] is Reason.KEY_UNKNOWN
    headers = signing.headers(MINE.id, MINE.secret, ME.encode(), sent(patient_age_years=20))
    stolen = Record(VALUE, headers=[(name, content) for name, content in headers])
    assert stolen.reason()[0] is Reason.SIGNATURE_INVALID


def test_a_signature_of_another_institution() -> None:
    """A hospital with a good key of its own cannot speak for another, under whichever key."""
    assert Record(VALUE, signer=THEIRS).reason()[0] is Reason.WRONG_INSTITUTION
    disguised = Record(VALUE, key=OTHER.encode(), signer=THEIRS)
    assert disguised.reason()[0] is Reason.WRONG_INSTITUTION


def test_the_key_of_the_record_is_the_institution() -> None:
    for key in (OTHER.encode(), b"", None, b"\xff", ME.lower().encode()):
        assert Record(VALUE, key=key).reason() == (Reason.KEY_MISMATCH, None)
        unsigned = Record(VALUE, key=key, signer=None)
        assert unsigned.reason(UNSIGNED_ALLOWED) == (Reason.KEY_MISMATCH, None)


def test_unsigned_records_pass_only_where_allowed_and_say_so() -> None:
    assert Record(VALUE, signer=None).judged(UNSIGNED_ALLOWED).signature_valid is None
    assert Record(VALUE).judged(UNSIGNED_ALLOWED).signature_valid is True
    forged = Key(MINE.id, ME, b"guessed secret....")
    assert Record(VALUE, signer=forged).reason(UNSIGNED_ALLOWED)[0] is Reason.SIGNATURE_INVALID
    half = Record(VALUE, headers=[(signing.KEY_ID_HEADER, MINE.id.encode())])
    assert half.reason(UNSIGNED_ALLOWED)[0] is Reason.SIGNATURE_MISSING


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_who_may_publish_what(event_type: str) -> None:
    value = sent(event_type)
    by_supervisor = Record(value, signer=SUPERVISORS)
    by_hospital = Record(value, signer=MINE)
    if event_type in SUPERVISOR_MAY_SEND:
        assert by_supervisor.judged().datum["event_type"] == event_type
    else:
        assert by_supervisor.reason()[0] is Reason.WRONG_INSTITUTION
    if event_type in SUPERVISOR_EVENTS:
        assert by_hospital.reason() == (Reason.SUPERVISOR_ONLY, "event_type")
    else:
        assert by_hospital.judged().datum["event_type"] == event_type


def test_a_key_that_was_replaced_works_until_it_is_removed() -> None:
    old, new = MINE, Key("new", ME, b"a newer secret key")
    institution = DIRECTORY.institutions[ME]
    both = Directory([type(institution)(ME, "甲", "guangxi", (old, new))])
    only_new = Directory([type(institution)(ME, "甲", "guangxi", (new,))])
    for key in (old, new):
        assert Record(VALUE, signer=key).judged(Admission(REGISTRY, both))
    assert Record(VALUE, signer=new).judged(Admission(REGISTRY, only_new))
    assert Record(VALUE, signer=old).reason(Admission(REGISTRY, only_new))[0] is Reason.KEY_UNKNOWN


def test_ticks_are_not_events_and_no_event_can_pass_for_a_tick() -> None:
    headers = [(TICK_HEADER, TICK_VALUE)]
    assert is_tick(headers, None)
    assert not is_tick(headers, VALUE)
    assert not is_tick(headers, b"")
    assert not is_tick([], None)
    assert not is_tick(None, None)
    assert not is_tick([("other", b"1")], None)
    signed = signing.headers(MINE.id, MINE.secret, ME.encode(), VALUE)
    disguised = Record(VALUE, headers=[*signed, *headers])
    assert disguised.judged().datum["event_type"] == "SessionOpened"


@pytest.mark.parametrize("cut", [len(VALUE) - 1, 120])
def test_a_refused_record_is_described_as_far_as_it_can_be_read(cut: int) -> None:
    datum = example("SessionOpened").datum
    assert ADMISSION.describe(ME.encode(), VALUE[:cut]) == Known(
        ME, datum["event_id"], "SessionOpened"
    )


def test_what_cannot_be_read_is_described_by_its_key() -> None:
    for value in (None, b"", b"hello", VALUE[:12], bytes(50), VALUE + bytes(10_000)):
        assert ADMISSION.describe(ME.encode(), value) == Known(ME, None, None)
    assert ADMISSION.describe(None, None) == Known(None, None, None)
    assert ADMISSION.describe(b"\xff", None).institution_id == "\ufffd"
    assert ADMISSION.describe(b"x" * 10_000, None).institution_id == "x" * 200
    long_id = sent(event_id="e" * 5000)
    assert ADMISSION.describe(None, long_id).event_id == "e" * 200


class Offline:
    """A registry whose server does not answer, and which was never asked before."""

    def by_fingerprint(self, fingerprint: bytes) -> Decoder | None:
        """As ever."""
        return REGISTRY.by_fingerprint(fingerprint)

    def by_id(self, schema_id: int, ask: bool = True) -> Decoder | None:
        """Nobody there."""
        if ask:
            raise RegistryUnavailable("no answer")
        return None


def test_a_silent_registry_is_a_reason_to_wait_not_to_refuse() -> None:
    admission = Admission(Offline(), DIRECTORY)
    value = wire.encode(example("SessionOpened").datum, Framing.CONFLUENT)
    with pytest.raises(RegistryUnavailable) as caught:
        Record(value).judged(admission)
    assert caught.value.retriable
    assert Record(value, signer=None).reason(admission)[0] is Reason.SIGNATURE_MISSING
    assert admission.describe(ME.encode(), value) == Known(ME, None, None)
    assert Record(VALUE).judged(admission).datum["institution_id"] == ME


Mangle = Callable[[bytes], bytes]


@given(
    st.one_of(st.none(), st.binary(max_size=40), st.just(ME.encode())),
    st.one_of(
        st.none(),
        st.binary(max_size=200),
        st.tuples(st.integers(0, len(VALUE) - 1), st.integers(0, 255)).map(lambda t: at(*t)),
    ),
    st.lists(
        st.tuples(
            st.sampled_from([signing.KEY_ID_HEADER, signing.SIGNATURE_HEADER, TICK_HEADER, "x"]),
            st.one_of(st.none(), st.binary(max_size=70), st.just(MINE.id.encode())),
        ),
        max_size=4,
    ),
)
def test_any_record_is_admitted_or_refused_and_can_be_described(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    for admission in (ADMISSION, UNSIGNED_ALLOWED):
        try:
            admitted = admission.admit(key, value, headers)
        except ContractError:
            known = admission.describe(key, value)
            assert all(part is None or len(part) <= 200 for part in known)
        else:
            assert admitted.datum["institution_id"].encode() == key


@given(st.integers(0, len(VALUE) - 1), st.integers(0, 255))
def test_a_signed_record_with_a_changed_byte_is_never_another_error(where: int, byte: int) -> None:
    try:
        Record(at(where, byte)).judged()
    except ContractError:
        assert ADMISSION.describe(ME.encode(), at(where, byte)).institution_id is not None
