"""Bad records through the real worker: each refused under its own code, kept as it came, and the
stream goes on.

What decoding must refuse is tested where the contract is; here it is what the platform does then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from schemas import wire
from schemas.directory import Directory
from schemas.errors import Reason
from schemas.signing import KEY_ID_HEADER
from schemas.wire import Framing
from tests.schemas.examples import example
from tests.support.replay import checked, differences, differences_from_check, replay
from tests.support.trust import Cluster
from tests.support.worker import Deployment

NOON = 1_772_424_000_000  # 2026-03-02T12:00:00+08:00
MINE, OTHER = "I-poison", "I-other"
NAN = b"\x7f\xf8\x00\x00\x00\x00\x00\x00"
PLACE = 10  # where the body of a single-object record begins


class Poison(NamedTuple):
    """A record to be refused; `told` is whose receipt says so, None where nobody can be told."""

    reason: Reason
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    told: str | None


def directory() -> Directory:
    return Directory.generate([(MINE, "甲医院", "guangxi"), (OTHER, "乙医院", "sichuan")])


def event(event_type: str = "SessionOpened", **changes: Any) -> dict[str, Any]:
    """The datum of a good event, with changes."""
    plain = {"institution_id": MINE, "stream_id": None, "stream_seq": None, "revision": 0}
    return {**example(event_type).datum, "supersedes_event_id": None, **plain, **changes}


def at(value: bytes, datum: dict[str, Any], field: str) -> int:
    """Where a string field's text begins in an encoded event."""
    text = str(datum[field]).encode()
    assert value.count(text) == 1
    return value.index(text)


def poisons(deployment: Deployment) -> Iterator[Poison]:
    """One record for every way in which the log's bytes can be bad."""
    keys = deployment.rules.directory
    mine, other = keys.institutions[MINE].keys[0], keys.institutions[OTHER].keys[0]
    sign = deployment.sender.headers

    def by(
        reason: Reason, value: bytes, key: bytes = MINE.encode(), told: str | None = MINE
    ) -> Poison:
        return Poison(reason, key, value, sign(mine, key, value), told)

    good = event(event_id="poison-1", session_id="one-of-a-kind")
    value = wire.encode(good)
    key = MINE.encode()

    yield by(Reason.TRUNCATED, value[:-3])
    yield by(Reason.TRUNCATED, value[:6])
    yield by(Reason.TRAILING_BYTES, value + b"\x00")
    yield by(Reason.UNKNOWN_FRAMING, b"{}" + value)
    yield by(Reason.UNKNOWN_SCHEMA, wire.encode(good, Framing.CONFLUENT, schema_id=999_999))
    yield by(Reason.UNKNOWN_SCHEMA, value[:2] + bytes(8) + value[PLACE:])
    yield by(
        Reason.SCHEMA_MISMATCH,
        wire.encode(event(event_id="SessionClosed")).replace(
            b"\x1aSessionOpened", b"\x1aSessionClosed"
        ),
    )
    spoilt = bytearray(value)
    spoilt[at(value, good, "session_id")] = 0xFF
    yield by(Reason.BAD_UTF8, bytes(spoilt))
    yield by(Reason.UNKNOWN_ENUM, wire.encode(event(mode="UNKNOWN")))
    line = {"item_code": "111000001", "quantity": 0x4D4D4D4D, "unit_price_fen": 2500}
    body = wire.encode(event("FeeCharged", lines=[line]))
    assert body.count(b"\x08MMMM") == 1
    yield by(Reason.NOT_A_NUMBER, body.replace(b"\x08MMMM", b"\x10" + NAN))
    yield by(Reason.BAD_TIMESTAMP, wire.encode(event(occurred_at=-62_000_000_000_000)))
    yield by(Reason.BAD_TIMESTAMP, wire.encode(event(occurred_at=(1 << 63) - 1)))
    yield by(Reason.BAD_REVISION, wire.encode(event(revision=1)))
    yield by(Reason.OUT_OF_RANGE, wire.encode(event(session_id="")))
    yield by(Reason.OVERSIZED, value + bytes(1_000_000))
    yield by(Reason.SUPERVISOR_ONLY, wire.encode(event("SupervisionNoticeIssued")))

    yield Poison(Reason.SIGNATURE_MISSING, key, value, [], MINE)
    yield Poison(Reason.SIGNATURE_MISSING, key, value, sign(mine, key, value)[:1], MINE)
    forged = sign(mine, key, value + b"?")
    yield Poison(Reason.SIGNATURE_INVALID, key, value, forged, MINE)
    unknown = [(KEY_ID_HEADER, b"nobody"), sign(mine, key, value)[1]]
    yield Poison(Reason.KEY_UNKNOWN, key, value, unknown, MINE)
    # Another hospital signs, well, what is not its own; it is the claimed one that hears of it.
    yield Poison(Reason.WRONG_INSTITUTION, key, value, sign(other, key, value), MINE)
    yield by(Reason.KEY_MISMATCH, value, key=OTHER.encode())
    unkeyed = sign(mine, b"", value)
    yield Poison(Reason.KEY_MISMATCH, None, value, unkeyed, MINE)

    yield Poison(Reason.EMPTY, key, b"", sign(mine, key, b""), MINE)
    yield Poison(Reason.EMPTY, key, None, [], MINE)
    yield Poison(Reason.EMPTY, None, None, [], None)
    yield Poison(Reason.SIGNATURE_MISSING, None, b"\x00" * 40, [], None)


def test_each_is_refused_under_its_own_code_and_the_stream_goes_on(cluster: Cluster) -> None:
    with Deployment(cluster, directory(), partitions=2) as deployment:
        sent = list(poisons(deployment))
        for number, poison in enumerate(sent):
            now = NOON + 1_000 * number
            deployment.publish(event(event_id=f"good-{number}", session_id=f"s{number}"), now)
            deployment.send(poison.key, poison.value, poison.headers, now)
        deployment.publish(event(event_id="last", institution_id=OTHER), NOON + 3_600_000)
        deployment.tick(NOON + 7 * 86_400_000)
        deployment.flush()
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        log, found = deployment.log(), deployment.results()

    refused = {place: Reason(reject["reason"]) for place, reject in found.rejects.items()}
    as_sent = {(p.key, p.value, *map(tuple, p.headers)): p.reason for p in sent}
    for (partition, offset), reject in found.rejects.items():
        record = log[partition][offset]
        assert (reject["key"], reject["value"]) == (record.key, record.value)
        assert reject["headers"] == dict(record.headers)
        assert reject["received_at"] == record.timestamp
        named = as_sent[record.key, record.value, *record.headers]
        assert refused[partition, offset] is named, reject["detail"]
    assert len(refused) == len(sent) == len(as_sent)

    told = sorted(p.told for p in sent if p.told is not None)
    rejected = {place: item for place, item in found.receipts.items() if "REJECTED" in item}
    assert sorted(str(item[0]) for item in rejected.values()) == told
    assert {refused[place] for place in rejected} >= {p.reason for p in sent if p.told}
    for place, item in rejected.items():
        assert refused[place].value in item
    accepted = [item for item in found.receipts.values() if "ACCEPTED" in item]
    assert len(accepted) == len(sent) + 1

    assert not differences(replay(log, deployment.rules), found)
    assert not differences_from_check(checked(log, deployment.rules), found)
    assert any(one["state"] == "CONFIRMED" for one in found.findings.values())


@pytest.mark.kafka
def test_what_is_too_large_to_keep_is_named_and_the_stream_goes_on(kafka: Cluster) -> None:
    """A broker measures what is compressed; a record may be any size once it is unpacked."""
    with Deployment(kafka, directory(), partitions=1) as deployment:
        key, mine = MINE.encode(), deployment.rules.directory.institutions[MINE].keys[0]
        largest, bomb = b"\xc3" + bytes(1_999_000), b"\xc3" + bytes(30_000_000)
        for value in (largest, bomb):
            deployment.send(key, value, deployment.sender.headers(mine, key, value), NOON)
            deployment.flush()
        deployment.publish(event(event_id="after"), NOON + 1)
        deployment.flush()
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        found = deployment.results()
    kept = [found.rejects[0, offset] for offset in (0, 1)]
    assert [reject["reason"] for reject in kept] == ["OVERSIZED", "OVERSIZED"]
    assert kept[0]["value"] == largest
    assert kept[1]["value"] is None
    assert kept[1]["detail"].endswith("bytes, not kept here")
    assert "ACCEPTED" in found.receipts[0, 2]


def test_where_most_is_refused_the_worker_stops_and_says_so(embedded: Cluster) -> None:
    """Several hospitals cannot all be wrong at once: the deployment is."""
    hospitals = Directory.generate([(f"I{n}", "医院", "guangxi") for n in range(4)])
    with Deployment(embedded, hospitals, partitions=1) as deployment:
        for number in range(300):
            name = f"I{number % 4}"
            key, value = name.encode(), wire.encode(event(institution_id=name))[:-1]
            headers = deployment.sender.headers(hospitals.institutions[name].keys[0], key, value)
            deployment.send(key, value, headers, NOON + number)
        deployment.flush()
        with deployment.worker() as worker:
            assert worker.wait() == 5
            said = worker.output()
        assert "the worker stops" in said
        assert "records are refused, from 4 institutions: check schemas and registry" in said
        assert deployment.committed() == {0: 0}
