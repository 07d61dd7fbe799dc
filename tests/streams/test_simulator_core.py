"""Simulated days through the core, in all five rulebooks: what is found is exactly the truth.

Two independent readings of RULES meet here: the platform's rules and the simulator's injectors
(which brute force checks in test_simulator_truth). The size of batches must not matter.
"""

from typing import Any

import pytest

from streams.events import Event
from streams.rulebook import RULEBOOKS, Library
from streams.simulator import Comparison, SimulationConfig, compare, simulate
from streams.supervisor import Supervisor

LIBRARY = Library.load()
ROUGH: dict[str, Any] = {"late": 0.03, "duplicates": 0.02, "shuffle": 0.2, "corrections": 0.2}


def held_against_truth(config: SimulationConfig, batch: int) -> Comparison:
    simulation = simulate(config)
    rulebooks = {i.id: i.rulebook for i in simulation.directory.institutions.values()}
    supervisor = Supervisor(LIBRARY, rulebooks)
    events = [
        Event(upload.datum, upload.received_at, 0, offset, upload.signed)
        for offset, upload in enumerate(simulation.uploads)
    ]
    for start in range(0, len(events), batch):
        supervisor.apply(events[start : start + batch])
    supervisor.advance(simulation.end)
    found = [
        {
            "rule_id": finding.rule_id,
            "clause": finding.clause,
            "institution_id": finding.institution_id,
            "subject_type": finding.subject_type,
            "subject_id": finding.subject_id,
            "state": str(finding.state),
        }
        for finding in supervisor.findings()
    ]
    return compare(simulation.truth, found)


def assert_exact(comparison: Comparison) -> None:
    assert comparison.missing == []
    assert comparison.unexpected == []
    assert comparison.wrong == []


@pytest.mark.parametrize("batch", [1, 100, 100_000])
def test_findings_are_the_truth(batch: int) -> None:
    config = SimulationConfig(
        seed=11,
        days=2,
        rate=4,
        institutions=dict.fromkeys(RULEBOOKS, 2),
        violations=0.5,
        look_alikes=0.3,
        **ROUGH,
    )
    comparison = held_against_truth(config, batch)
    assert_exact(comparison)
    assert comparison.matched > 100


def test_compliant_days_lead_to_no_finding() -> None:
    config = SimulationConfig(rate=12, institutions=dict.fromkeys(RULEBOOKS, 3), **ROUGH)
    comparison = held_against_truth(config, 500)
    assert_exact(comparison)
    assert comparison.matched == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 26))
def test_findings_are_the_truth_for_many_seeds(seed: int) -> None:
    config = SimulationConfig(
        seed=seed,
        days=5,
        rate=4,
        institutions=dict.fromkeys(RULEBOOKS, 2),
        violations=0.4,
        look_alikes=0.3,
        **ROUGH,
    )
    assert_exact(held_against_truth(config, 2_000))
