"""Simulated days are valid, reproducible, lawful where they should be, and add up."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from statistics import mean
from typing import Any

import msgspec
import pytest

from schemas.catalogue import EVENT_TYPES
from schemas.flat import from_flat, to_flat
from schemas.registry import LocalRegistry
from schemas.validate import validate
from schemas.wire import Framing, decode, encode
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, Upload, simulate
from streams.simulator.config import MONDAY
from streams.timeline import DAY, HOUR, MINUTE, SECOND, day_of, end_of_day, start_of_day
from tests.streams.simulator_oracle import CLINICAL, first_receipts

SMALL = SimulationConfig(days=2, rate=15, institutions=dict.fromkeys(RULEBOOKS, 2))
ROUGH = SimulationConfig(
    seed=5,
    days=3,
    rate=25,
    institutions=dict.fromkeys(RULEBOOKS, 4),
    late=0.05,
    duplicates=0.03,
    shuffle=0.2,
    corrections=0.2,
)
BUSY = SimulationConfig(
    seed=9,
    days=6,
    rate=400,
    institutions={"sichuan": 1},
    violations=0.02,
    look_alikes=0.02,
    late=0.02,
    corrections=0.1,
)


@pytest.fixture(scope="module")
def rough() -> list[Upload]:
    return list(simulate(ROUGH).uploads)


@pytest.fixture(scope="module")
def busy() -> list[Upload]:
    return list(simulate(BUSY).uploads)


def digest(uploads: Iterable[Upload]) -> str:
    whole = sha256()
    for upload in uploads:
        whole.update(msgspec.json.encode(upload))
    return whole.hexdigest()


def by_institution(uploads: Iterable[Upload]) -> dict[str, list[Upload]]:
    found: dict[str, list[Upload]] = defaultdict(list)
    for upload in uploads:
        found[upload.institution_id].append(upload)
    return found


def test_a_seed_determines_everything(rough: list[Upload]) -> None:
    again = simulate(ROUGH)
    assert digest(again.uploads) == digest(rough)
    one, two = simulate(SMALL), simulate(SMALL)
    assert digest(one.uploads) == digest(two.uploads)
    assert one.truth == two.truth
    keys = [simulation.directory.institutions for simulation in (one, two)]
    assert keys[0] == keys[1]
    other = simulate(SimulationConfig(seed=2, days=2, rate=15, institutions=SMALL.institutions))
    assert digest(other.uploads) != digest(simulate(SMALL).uploads)
    assert other.directory.institutions != keys[0]


def test_institutions_do_not_disturb_each_other() -> None:
    alone = simulate(SimulationConfig(days=1, rate=15, institutions={"guangxi": 1}))
    among = simulate(SimulationConfig(days=1, rate=15, institutions=dict.fromkeys(RULEBOOKS, 2)))
    (name,) = alone.directory.institutions
    assert digest(alone.uploads) == digest(by_institution(among.uploads)[name])


def test_every_event_is_valid_and_survives_the_wire(busy: list[Upload]) -> None:
    registry = LocalRegistry()
    # Every type and every institution is here; the sample keeps the test short.
    for upload in [*busy[:3_000], *busy[3_000::7], *simulate(SMALL).uploads]:
        validate(upload.datum)
        for framing in Framing:
            assert decode(encode(upload.datum, framing), registry) == upload.datum
        text = msgspec.json.encode(to_flat(upload.datum, upload.received_at))
        again = from_flat(msgspec.json.decode(text))
        assert again == (upload.datum, upload.received_at, [])


def test_every_event_type_happens(busy: list[Upload]) -> None:
    assert {upload.datum["event_type"] for upload in busy} == set(EVENT_TYPES)


def test_arrivals_are_in_order_and_after_the_fact(rough: list[Upload]) -> None:
    assert all(a.received_at <= b.received_at for a, b in pairwise(rough))
    for upload in rough:
        event = upload.datum
        assert event["occurred_at"] <= event["recorded_at"] <= upload.received_at
        assert upload.institution_id == event["institution_id"]
    assert rough[0].received_at >= simulate(ROUGH).start
    assert rough[-1].received_at < simulate(ROUGH).end


def test_duplicates_repeat_an_earlier_upload(rough: list[Upload]) -> None:
    seen: dict[str, dict[str, Any]] = {}
    repeated = 0
    for upload in rough:
        event_id = upload.datum["event_id"]
        assert upload.duplicate == (event_id in seen)
        if upload.duplicate:
            assert seen[event_id] == upload.datum
            repeated += 1
        seen[event_id] = upload.datum
    assert 0.02 < repeated / len(rough) < 0.04


def test_lawful_delays_stay_within_their_windows(rough: list[Upload]) -> None:
    hours_late = 0
    for upload in first_receipts(rough):
        event = upload.datum
        basis = event["recorded_at"] if event["revision"] else event["occurred_at"]
        if event["event_type"] in CLINICAL:
            assert upload.received_at - basis <= 24 * HOUR
            hours_late += upload.received_at - basis > HOUR
        elif "change_completed_on" in event:
            assert upload.received_at < start_of_day(event["change_completed_on"] + 8)
    assert hours_late / len(rough) > 0.03


def test_stream_numbers_have_no_gap_that_lasts(rough: list[Upload]) -> None:
    overtaken = 0
    for uploads in by_institution(first_receipts(rough)).values():
        stream = [(u.datum["stream_seq"], u.received_at) for u in uploads if u.datum["stream_id"]]
        numbers = sorted(number for number, _ in stream)
        # What the end of the simulation cuts off is at most the last few minutes' overtaking.
        assert numbers == list(range(1, len(numbers) + 1))
        newest = 0
        first_evidence: dict[int, int] = {}
        for number, received_at in stream:
            for missing in range(newest + 1, number):
                first_evidence[missing] = received_at
            newest = max(newest, number)
            waited = received_at - first_evidence.get(number, received_at)
            overtaken += waited > 0
            assert waited < 15 * MINUTE
    assert overtaken > 100


def test_manifests_count_what_was_sent(rough: list[Upload]) -> None:
    for uploads in by_institution(first_receipts(rough)).values():
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        manifests = {}
        numbers: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for upload in uploads:
            event = upload.datum
            day = day_of(event["occurred_at"])
            if event["event_type"] == "DailyManifestPublished":
                manifests[event["business_date"]] = upload
                continue
            if event["event_type"] in CLINICAL and event["revision"] == 0:
                counts[day][event["event_type"]] += 1
            if event["stream_id"]:
                numbers[day].append((event["stream_seq"], upload.received_at))
        days = range(ROUGH.filing_day, ROUGH.final_day)
        assert sorted(manifests) == list(days)
        for day, upload in manifests.items():
            manifest = upload.datum
            assert manifest["occurred_at"] == end_of_day(day)
            assert upload.received_at <= end_of_day(day) + 2 * HOUR
            assert manifest["counts"] == dict(counts[day])
            before = [n for n, _ in numbers[day] if n < manifest["stream_seq"]]
            stated = (manifest["first_seq"], manifest["last_seq"])
            assert stated == ((min(before), max(before)) if before else (None, None))


def test_nothing_begins_outside_the_lived_days(rough: list[Upload]) -> None:
    for upload in rough:
        event = upload.datum
        if event["event_type"] in ("SessionOpened", "PrescriptionIssued"):
            assert ROUGH.start <= event["occurred_at"] < end_of_day(ROUGH.last_day)
    declared = [u.datum for u in rough if u.datum["event_type"] == "BusinessHoursDeclared"]
    closed = {ROUGH.filing_day, ROUGH.last_day + 1, ROUGH.final_day}
    for hours in declared:
        assert closed <= {e["date"] for e in hours["exceptions"] if e["intervals"] == []}


def test_volumes_are_realistic(busy: list[Upload]) -> None:
    kinds = Counter(upload.datum["event_type"] for upload in first_receipts(busy))
    sessions = kinds["SessionOpened"] / BUSY.days
    assert 380 < sessions < 440
    assert 0.5 < kinds["PrescriptionIssued"] / kinds["SessionOpened"] < 0.75
    assert 0.9 < kinds["PrescriptionReviewed"] / kinds["PrescriptionIssued"] <= 1.0
    assert 10 < sum(kinds.values()) / kinds["SessionOpened"] < 18
    modes = Counter(u.datum["mode"] for u in busy if u.datum["event_type"] == "SessionOpened")
    assert min(modes.values()) / sum(modes.values()) > 0.1
    delays = [u.received_at - u.datum["occurred_at"] for u in busy if not u.duplicate]
    assert mean(delay < 30 * SECOND for delay in delays) > 0.9


def test_forms_and_rulebooks_vary() -> None:
    simulation = simulate(SimulationConfig(rate=5, institutions=dict.fromkeys(RULEBOOKS, 4)))
    filed = {
        u.institution_id: u.datum["institution_form"]
        for u in simulation.uploads
        if u.datum["event_type"] == "InstitutionFiled"
    }
    books = {i.id: i.rulebook for i in simulation.directory.institutions.values()}
    assert filed.keys() == books.keys()
    assert Counter(books.values()) == dict.fromkeys(RULEBOOKS, 4)
    assert len({(books[name], form) for name, form in filed.items()}) == 15


def test_truth_waits_for_the_uploads() -> None:
    simulation = simulate(SMALL)
    next(simulation.uploads)
    with pytest.raises(RuntimeError, match="consumed"):
        _ = simulation.truth
    for _ in simulation.uploads:
        pass
    assert simulation.truth == []


def test_ticks_end_with_the_simulation() -> None:
    simulation = simulate(SMALL)
    ticks = list(simulation.ticks(HOUR))
    assert ticks[0] == simulation.start + HOUR
    assert ticks[-1] == simulation.end == SMALL.end
    assert all(b - a == HOUR for a, b in pairwise(ticks))
    assert list(simulation.ticks(700 * DAY)) == [simulation.end]


def test_secrets_stay_out_of_sight() -> None:
    directory = simulate(SMALL).directory
    (key,) = next(iter(directory.institutions.values())).keys
    assert len(key.secret) == 32
    assert repr(key.secret) not in repr(list(directory.institutions.values()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"violations": 1.1}, "violations"),
        ({"late": -0.1}, "late"),
        ({"start": MONDAY + 1}, "midnight"),
        ({"days": 0}, "days"),
        ({"rate": -1.0}, "rate"),
        ({"institutions": {"atlantis": 1}}, "atlantis"),
        ({"institutions": {"guangxi": -1}}, "negative"),
        ({"tail_days": 7}, "tail_days"),
        ({"lead_days": 7}, "lead_days"),
        ({"kinds": frozenset({"idv01_mising"})}, "idv01_mising"),
    ],
)
def test_impossible_sizes_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(SimulationConfig(**wrong))
