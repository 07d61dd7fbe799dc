"""Whether a contender found what `ihwatch check` finds, and told the hospitals what came.

One run of the check serves every contender with the same load: findings name events, and not where
in the log they lie. The check supervises all hospitals at once, so what several of them share is
compared too (IDV-04, LIC-07).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from bench.load import Load
from schemas import wire
from streams.cases.base import FOREVER
from streams.check import judge, read_events
from streams.publication import finding_object
from tests.support.cases import held_at
from tests.support.replay import (
    NOT_CHECKED,
    SHARED_CLAUSES,
    Logged,
    Rules,
    flat_lines,
    unequal,
)
from tests.support.worker import Deployment

IDENTITY = ("rule_id", "clause", "institution_id", "subject_type", "subject_id")

Findings = dict[tuple[Any, ...], dict[str, Any]]


def check(load: Load) -> Findings:
    """What `ihwatch check` prints for the load's events as of its end."""
    rules = Rules(load.directory)
    log = (
        Logged(0, offset, timestamp, 0, key, value, headers)
        for offset, (key, value, headers, timestamp) in enumerate(load.before + load.timed)
    )
    reading = read_events(io.BytesIO(b"".join(flat_lines(log, rules))))
    assert not reading.bad, reading.bad[:3]
    findings = judge(reading.events, rules.supervisor(), load.end)
    return _by_identity(finding_object(finding, history=True) for finding in findings)


def published(deployment: Deployment) -> Findings:
    """What a contender said last about each finding."""
    held = held_at(_outputs(deployment, deployment.topics.alerts.name), FOREVER)
    return _by_identity({k: v for k, v in one.items() if k not in NOT_CHECKED} for one in held)


def differences(expected: Findings, load: Load, deployment: Deployment) -> list[str]:
    """Where a contender's findings or receipts are not as they must be; empty when nowhere.

    Whoever reads one partition before another may suspect what the other one clears: such a finding
    is no difference, and how long a shared one was suspected is none either.
    """
    found = published(deployment)
    for key in [*found]:
        if key[:2] in SHARED_CLAUSES:
            if key not in expected and found[key]["state"] == "CLEARED":
                del found[key]
            elif key in expected:
                found[key] = {**found[key], "history": expected[key]["history"]}
    wrong = unequal("finding", expected, found)
    receipts = _outputs(deployment, deployment.topics.receipts.name)
    said = {(datum["partition"], item["offset"]) for datum in receipts for item in datum["items"]}
    if len(said) != load.events:
        wrong.append(f"{len(said)} of {load.events} events have a receipt")
    return wrong


def _outputs(deployment: Deployment, topic: str) -> Iterator[dict[str, Any]]:
    for message in deployment.read(topic):
        yield wire.decode_output(message.value() or b"")[1]


def _by_identity(findings: Iterable[dict[str, Any]]) -> Findings:
    return {tuple(one[name] for name in IDENTITY): one for one in findings}
