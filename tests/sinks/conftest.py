"""A ClickHouse inside the process and a broker inside the process, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from streams.embedded import EmbeddedBroker
from tests.sinks.log import Log


@pytest.fixture
def chdb_url(tmp_path: Path) -> str:
    """Where a chDB of this test's own is, or will be."""
    return f"chdb://{tmp_path}/chdb"


@pytest.fixture
def database(chdb_url: str) -> Iterator[Client]:
    """A migrated ClickHouse. All clients must be closed: chDB has one path at a time."""
    client = connect(chdb_url)
    migrate(client)
    yield client
    client.close()


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """One broker for all tests of the sinks: closing one takes librdkafka a second."""
    with EmbeddedBroker({}) as running:
        yield running


@pytest.fixture
def log(embedded: EmbeddedBroker) -> Log:
    """Topics of this test's own, two partitions each."""
    return Log(embedded)
