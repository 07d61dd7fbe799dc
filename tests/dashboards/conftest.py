"""A migrated chDB with four days of seven institutions, made once for each test file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import connect
from sinks.clickhouse.migrations import migrate
from tests.support import board_data


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Closed at the end of the file: chDB opens one path at a time in a process."""
    folder: Path = tmp_path_factory.mktemp("boards")
    client = connect(f"chdb://{folder}/chdb")
    migrate(client)
    board_data.load(client)
    yield client
    client.close()
