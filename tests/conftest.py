"""Every test runs on loopback only, with no setting of this machine, and repeatably."""

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["tests.support.kafka_fixtures"]

# The same examples on every run: a red test stays red until it is mended. No deadline: two busy
# cores make the time of one example meaningless.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("house")


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over the thousands of cases that stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection of this process that would leave the machine.

    It sees Python's sockets (aiokafka, aiohttp, urllib3), not librdkafka's own.
    """
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            pytest.fail(f"a test tried to leave the machine: {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    """Hide IHWATCH_* of the shell that started the tests; only what the tests read stays."""
    kept = ("IHWATCH_REQUIRE_ALL", "IHWATCH_TEST_")
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.startswith("IHWATCH_") and not name.startswith(kept):
                patch.delenv(name)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
