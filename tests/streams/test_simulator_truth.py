"""The simulator's truth, held against brute force over its uploads, kind by kind."""

import pytest

from streams.rulebook import RULEBOOKS
from streams.simulator import Expected, Simulation, SimulationConfig, Upload, compare, simulate
from streams.simulator.outbox import Draft
from streams.simulator.truth import LATENESS_RULEBOOKS, STAR_RULES, Lateness
from streams.simulator.violations import KINDS, Kind
from streams.timeline import HOUR, MINUTE, format_instant
from tests.streams import simulator_oracle as oracle

PAIRS = [(kind, book) for kind in KINDS for book in sorted(kind.rulebooks)]
HARD = {"CONFIRMED", "RESOLVED"}


def lived(config: SimulationConfig) -> tuple[Simulation, list[Upload]]:
    simulation = simulate(config)
    return simulation, list(simulation.uploads)


def applied(simulation: Simulation, institution_id: str) -> str:
    candidate = simulation.directory.rulebook(institution_id)
    assert candidate is not None
    number = int(institution_id[-3:]) - 1
    own_doctors = number % 3 == 2
    return "national" if own_doctors and candidate in ("chongqing", "yinchuan") else candidate


def by_force(simulation: Simulation, uploads: list[Upload]) -> oracle.Found:
    """All that the rules call for in a set of uploads, but for rates and states."""
    events = [upload.datum for upload in uploads]

    def rulebook(institution_id: str) -> str:
        return applied(simulation, institution_id)

    found = oracle.identity(events, rulebook)
    for institution_id in simulation.directory.institutions:
        mine = [event for event in events if event["institution_id"] == institution_id]
        if rulebook(institution_id) == "chongqing":
            found |= oracle.pharmacists(mine)
        if rulebook(institution_id) in LATENESS_RULEBOOKS:
            found |= oracle.lateness([u for u in uploads if u.institution_id == institution_id])
    return found


def stated(truth: list[Expected], states: set[str]) -> oracle.Found:
    return {
        (
            finding.rule_id,
            finding.clause,
            finding.institution_id,
            str(finding.violation_start) if finding.rule_id == "PHA-01" else finding.subject_id,
        )
        for finding in truth
        if finding.state in states and finding.rule_id != "UPL-06"
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_truth_is_what_brute_force_finds(seed: int) -> None:
    config = SimulationConfig(
        seed=seed,
        days=2,
        rate=25,
        institutions=dict.fromkeys(RULEBOOKS, 3),
        violations=0.08,
        look_alikes=0.08,
        late=0.03,
        duplicates=0.02,
        shuffle=0.1,
        corrections=0.2,
    )
    simulation, uploads = lived(config)
    assert by_force(simulation, oracle.first_receipts(uploads)) == stated(simulation.truth, HARD)


@pytest.mark.parametrize("institutions", [dict.fromkeys(RULEBOOKS, 4)])
def test_a_compliant_simulation_has_no_truth(institutions: dict[str, int]) -> None:
    config = SimulationConfig(
        days=2,
        rate=30,
        institutions=institutions,
        late=0.05,
        duplicates=0.03,
        shuffle=0.2,
        corrections=0.2,
    )
    simulation, uploads = lived(config)
    assert simulation.truth == []
    assert by_force(simulation, oracle.first_receipts(uploads)) == set()


@pytest.mark.parametrize(
    ("kind", "book"), PAIRS, ids=[f"{kind.name}-{book}" for kind, book in PAIRS]
)
def test_each_kind_is_exactly_what_it_says(kind: Kind, book: str) -> None:
    config = SimulationConfig(
        seed=7,
        days=6,
        rate=12,
        institutions={book: 2},
        kinds=frozenset({kind.name}),
        violations=0.0 if kind.lawful else 0.15,
        look_alikes=0.15 if kind.lawful else 0.0,
    )
    simulation, uploads = lived(config)
    truth, known = simulation.truth, oracle.first_receipts(uploads)
    assert by_force(simulation, known) == stated(truth, HARD)
    assert all(finding.optional == (finding.state == "CLEARED") for finding in truth)
    must = [finding for finding in truth if not finding.optional]
    if kind.lawful:
        assert not must
    else:
        assert any(finding.rule_id == kind.rule_id for finding in must)
    # Evidence that comes too late is an upload that comes too late, wherever that is judged.
    beside = {"UPL-01", "UPL-06"} if book in LATENESS_RULEBOOKS else set()
    assert {finding.rule_id for finding in truth} <= {kind.rule_id} | beside
    assert {finding.kind for finding in truth} <= {kind.name}


def test_withdrawn_findings_were_violations_when_they_were_confirmed() -> None:
    names = frozenset(kind.name for kind in KINDS if kind.name.endswith("_too_late"))
    config = SimulationConfig(
        days=4, rate=12, institutions=dict.fromkeys(RULEBOOKS, 2), kinds=names, violations=0.2
    )
    simulation, uploads = lived(config)
    withdrawn = [finding for finding in simulation.truth if finding.state == "WITHDRAWN"]
    assert {finding.kind for finding in withdrawn} == names
    known = oracle.first_receipts(uploads)
    deadline = 24 * HOUR + 10 * MINUTE
    starts = {
        u.datum["session_id"]: u.datum["occurred_at"]
        for u in known
        if u.datum["event_type"] == "SessionOpened"
    }
    for finding in withdrawn:
        mine = [u for u in known if u.institution_id == finding.institution_id]
        if finding.rule_id == "PHA-01":
            early = [u for u in mine if u.received_at - u.datum["occurred_at"] < deadline]
            gaps = oracle.pharmacists([u.datum for u in early])
            assert finding.subject_id in {format_instant(int(gap)) for *_, gap in gaps}
        else:
            due = starts[finding.subject_id] + deadline
            then = [
                u.datum
                for u in mine
                if u.received_at <= due or u.datum["event_type"] != "DoctorIdentityVerified"
            ]
            books = {finding.institution_id: finding.rulebook}
            found = oracle.identity(then, books.__getitem__)
            assert stated([finding], {"WITHDRAWN"}) <= found


def drafts(count: int, late: int, first: int = 0) -> list[Draft]:
    """Ratings received on the hour, the last of them late by a millisecond."""
    received = 1_000_000 * HOUR
    made = []
    for number in range(count):
        delay = 24 * HOUR + (number >= count - late)
        event_id = f"e{first + number}"
        datum = {
            "event_type": "ServiceRated",
            "revision": 0,
            "event_id": event_id,
            "occurred_at": received - delay,
        }
        made.append(Draft(datum, received, received, None))
    return made


@pytest.mark.parametrize(
    ("count", "late", "violated"),
    [(1000, 10, False), (1000, 11, True), (49, 49, False), (50, 1, True), (100, 1, False)],
)
def test_rate_limits_are_those_of_the_rule(count: int, late: int, violated: bool) -> None:
    counting = Lateness("H", "guangxi")
    for draft in drafts(count, late):
        counting.receive(draft)
    found = list(counting.findings(1_000_100 * HOUR))
    assert sum(finding.rule_id == "UPL-01" for finding in found) == late
    rates = [finding for finding in found if finding.rule_id == "UPL-06"]
    assert [finding.state for finding in rates] == (["RESOLVED"] if violated else [])
    assert [finding.subject_id for finding in rates] == (
        [format_instant(1_000_000 * HOUR)] if violated else []
    )
    assert list(Lateness("H", "chongqing").findings(1_000_100 * HOUR)) == []


def test_a_rate_finding_is_open_until_a_whole_window_was_quiet() -> None:
    counting = Lateness("H", "sichuan")
    for draft in drafts(50, 1):
        counting.receive(draft)
    # The violating windows end at hours 0 to 23, so the 24th quiet one ends at hour 47.
    for hours, state in ((46, "CONFIRMED"), (47, "RESOLVED")):
        *_, rate = counting.findings((1_000_000 + hours) * HOUR)
        assert (rate.rule_id, rate.state) == ("UPL-06", state)


def as_found(finding: Expected, state: str | None = None) -> dict[str, str | None]:
    fields = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")
    return {name: getattr(finding, name) for name in fields} | {"state": state or finding.state}


def test_comparison_names_every_difference() -> None:
    sure = Expected("IDV-01", None, "national", "H", "session", "S1", "CONFIRMED", "k")
    gone = Expected("IDV-01", None, "national", "H", "session", "S2", "CLEARED", "k", optional=True)
    extra = Expected("PHA-01", None, "chongqing", "H", "gap", "G", "RESOLVED", "k")
    other = Expected("LIC-05", None, "chongqing", "H", "session", "S1", "CONFIRMED", "k")
    perfect = compare([sure, gone], [as_found(sure), as_found(other)])
    assert (perfect.exact, perfect.precision, perfect.recall) == (True, 1.0, 1.0)
    assert compare([sure, gone], [as_found(sure), as_found(gone)]).exact
    assert compare([sure], [as_found(sure), as_found(extra, "CLEARED")]).exact
    missed = compare([sure, gone], [])
    assert (missed.missing, missed.recall, missed.precision) == ([sure], 0.0, 1.0)
    invented = compare([sure], [as_found(sure), as_found(extra)])
    assert [f["subject_id"] for f in invented.unexpected] == ["G"]
    assert invented.precision == 0.5
    wrong = compare([sure, gone], [as_found(sure, "SUSPECTED"), as_found(gone, "CONFIRMED")])
    assert [state for _, state in wrong.wrong] == ["SUSPECTED", "CONFIRMED"]


def test_kinds_are_well_described() -> None:
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names))
    assert {kind.rule_id for kind in KINDS} == set(STAR_RULES)
    for kind in KINDS:
        assert kind.name.startswith(kind.rule_id.replace("-", "").lower())
        assert kind.summary.endswith(".")
    # Every star rule is broken in every rulebook where it is on.
    broken = {(kind.rule_id, book) for kind in KINDS if not kind.lawful for book in kind.rulebooks}
    timely = sorted(LATENESS_RULEBOOKS)
    assert broken == {
        *(("IDV-01", book) for book in RULEBOOKS),
        ("IDV-02", "guangxi"),
        ("PHA-01", "chongqing"),
        *((rule, book) for rule in ("UPL-01", "UPL-06") for book in timely),
    }
