"""Brokers for whole workers: the embedded one, and a real Kafka under the marker `kafka`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.embedded import EmbeddedBroker
from tests.support.trust import Cluster, EmbeddedCluster, RealCluster


@pytest.fixture(scope="session")
def embedded() -> Iterator[Cluster]:
    """One embedded broker for the session; deployments keep apart by the names of their topics."""
    with EmbeddedBroker({}) as broker:
        yield EmbeddedCluster(broker)


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Cluster:
    """The real broker; tests that use it carry the marker `kafka`."""
    return RealCluster(request.getfixturevalue("real_kafka"))


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each of the two brokers in turn."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
