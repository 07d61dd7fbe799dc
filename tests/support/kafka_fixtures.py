"""The real broker as a pytest fixture; load it as plugin "tests.support.kafka_fixtures"."""

from collections.abc import Iterator

import pytest

from tests.support.kafka import KafkaMissingError, RealKafka
from tests.support.require import require


@pytest.fixture(scope="session")
def real_kafka() -> Iterator[RealKafka]:
    """One real broker for the whole session; tests keep apart by names of topics and groups.

    Tests that use it carry the marker `kafka`.
    """
    try:
        kafka = RealKafka()
    except KafkaMissingError as missing:
        require(False, str(missing))
        raise
    with kafka:
        yield kafka
