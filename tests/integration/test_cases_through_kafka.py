"""Every case of `tests/cases` through Kafka and a worker, with the findings `check` must print.

The cases with the same parameters share one worker: their hospitals differ, and so does nothing
else. Those that set parameters are too many sets for a worker each; every sixth set is tried. A
published finding says when it changed, so one run answers for all instants of all cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from schemas.directory import Directory
from schemas.flat import rfc3339
from tests.support.cases import Case, all_cases, differences, held_at
from tests.support.trust import Cluster
from tests.support.worker import Deployment

LATEST = 1_780_000_000_000  # a broker takes no record from the future
LONG = 300.0  # seconds: the cases reach over years, and every hospital falls silent in them
CASES = [
    case
    for case in all_cases()
    if case.is_signed and all(point.as_of < LATEST for point in case.checkpoints)
]
PLAIN = [case for case in CASES if not case.overrides and not case.reference]
TUNED = sorted({(c.overrides, c.reference) for c in CASES if c.overrides or c.reference})[::6]
"""Some of the parameters and lists that cases set; each set of them wants a worker of its own."""


def directory_of(cases: Iterable[Case]) -> Directory:
    """Keys for every hospital that the cases name."""
    known = {name: book for case in cases for name, book in case.candidates().items()}
    return Directory.generate((name, name, rulebook) for name, rulebook in known.items())


def reference_of(case: Case, folder: Path) -> dict[str, Any]:
    """The setting for the reference data of a case; none where it has the supplied ones."""
    written = case.write_reference(folder)
    return {} if written is None else {"reference_dir": written}


def faults_through(cluster: Cluster, cases: Sequence[Case]) -> list[str]:
    """Publish the cases side by side, and say what is wrong with the findings of which case."""
    uploads = [upload for case in cases for upload in case.received]
    uploads.sort(key=lambda upload: upload.received_at)
    ends = max(point.as_of for case in cases for point in case.checkpoints)
    with (
        TemporaryDirectory() as folder,
        Deployment(
            cluster,
            directory_of(cases),
            partitions=8,
            overrides=cases[0].overrides,
            **reference_of(cases[0], Path(folder) / "reference"),
        ) as deployment,
    ):
        for upload in uploads:
            deployment.publish(upload.datum, upload.received_at)
        deployment.tick(max(ends, uploads[-1].received_at) + 1)
        deployment.flush()
        with deployment.worker() as worker:
            worker.until(lambda: deployment.finished, patience=LONG)
            assert worker.stop() == 0
        found = deployment.results()
    assert not found.conflicts
    assert not found.rejects
    return _faults(cases, [*found.alerts.values(), *found.shared.values()])


def _faults(cases: Sequence[Case], alerts: Sequence[dict[str, object]]) -> list[str]:
    owner = {
        str(upload.flat["institution_id"]): case.name for case in cases for upload in case.uploads
    }
    mine: dict[str, list[dict[str, object]]] = {case.name: [] for case in cases}
    for alert in alerts:
        mine[owner[str(alert["institution_id"])]].append(alert)
    return [
        f"{case.name} at {rfc3339(point.as_of)}: {fault}"
        for case in cases
        for point in case.checkpoints
        for fault in differences(point, held_at(mine[case.name], point.as_of))
    ]


def test_some_cases_through_the_embedded_broker(embedded: Cluster) -> None:
    assert faults_through(embedded, PLAIN[::25]) == []


@pytest.mark.kafka
def test_some_cases_through_kafka(kafka: Cluster) -> None:
    assert faults_through(kafka, PLAIN[3::15]) == []


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(2 * LONG)
def test_every_case_through_kafka(kafka: Cluster) -> None:
    assert faults_through(kafka, PLAIN) == []


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.parametrize(("overrides", "reference"), TUNED)
def test_cases_with_other_parameters(
    kafka: Cluster, overrides: tuple[str, ...], reference: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    alike = [c for c in CASES if (c.overrides, c.reference) == (overrides, reference)]
    assert faults_through(kafka, alike) == []
