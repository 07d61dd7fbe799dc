"""The one place where a test may be left out: a part of the machine is missing."""

import os

import pytest


def require(condition: bool, what: str) -> None:
    """Go on only if `condition` holds: else skip, or fail where nothing may be missing.

    `what` names the missing part and how to get it ("Chromium: apt-get install chromium").
    A laptop without Java may skip the tests on real Kafka; CI sets IHWATCH_REQUIRE_ALL=1, so a
    part that vanishes from there turns red instead of passing in silence.
    """
    if condition:
        return
    if os.environ.get("IHWATCH_REQUIRE_ALL") == "1":
        pytest.fail(f"missing: {what} (IHWATCH_REQUIRE_ALL=1 allows no skip)", pytrace=False)
    pytest.skip(f"missing: {what}")
