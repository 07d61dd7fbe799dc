"""Brokers for the tests of the transport: one inside the process, and a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.embedded import EmbeddedBroker
from tests.support.kafka import RealKafka
from tests.support.trust import Cluster, EmbeddedCluster, RealCluster


@pytest.fixture
def embedded() -> Iterator[Cluster]:
    with EmbeddedBroker({}) as broker:
        yield EmbeddedCluster(broker)


@pytest.fixture
def real(real_kafka: RealKafka) -> Cluster:
    return RealCluster(real_kafka)
