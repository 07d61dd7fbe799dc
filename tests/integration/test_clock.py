"""The platform's clock is the broker's: it moves by records alone, and by ticks where none come."""

from __future__ import annotations

import time
from typing import Any

import pytest

from schemas.directory import Directory
from schemas.topics import is_tick
from tests.schemas.examples import example
from tests.support.replay import (
    Results,
    checked,
    differences,
    differences_from_check,
    replay,
)
from tests.support.trust import Cluster
from tests.support.worker import Deployment, WorkerProcess

HOSPITAL = "I-live"
# A day in seconds: suspected a second after the receipt, established two and a half after the act.
SOON = ("global.provisional_wait=1s", "global.u_clin=2s", "global.grace=500ms")
SUSPECTED_AFTER, CONFIRMED_AFTER = 1_000, 2_500


def event(event_type: str, occurred_at: int, **changes: Any) -> dict[str, Any]:
    plain = {"institution_id": HOSPITAL, "stream_id": None, "stream_seq": None}
    times = {"occurred_at": occurred_at, "recorded_at": occurred_at}
    return {**example(event_type).datum, **plain, **times, **changes}


def opened(session_id: str, doctor_id: str, occurred_at: int) -> dict[str, Any]:
    return event(
        "SessionOpened",
        occurred_at,
        event_id=f"opened-{session_id}",
        session_id=session_id,
        doctor_id=doctor_id,
    )


def enrolled(doctor_id: str, occurred_at: int) -> dict[str, Any]:
    return event(
        "DoctorIdentityVerified",
        occurred_at,
        event_id=f"enrolled-{doctor_id}",
        session_id=None,
        staff_id=doctor_id,
        matched_staff_id=doctor_id,
        phase="ENROLMENT",
        method="FACE",
        result="PASS",
    )


def history(found: Results, session_id: str) -> list[tuple[str, int]]:
    """States of the finding that a session was held unverified, with the instants of change."""
    mine = [
        one
        for one in found.findings.values()
        if (one["rule_id"], one["subject_id"]) == ("IDV-01", session_id)
    ]
    return [(step["state"], step["at"]) for one in mine for step in one["history"]]


def reached(deployment: Deployment, session_id: str, state: str) -> bool:
    """Whether the finding has been published in that state by now."""
    found = Results(deployment.topics)
    for message in deployment.read(deployment.topics.alerts.name):
        found.take(deployment.topics.alerts.name, message.value() or b"")
    return any(state == name for name, _ in history(found, session_id))


def wait_for(deployment: Deployment, worker: WorkerProcess, session_id: str, state: str) -> None:
    worker.until(lambda: reached(deployment, session_id, state))


@pytest.mark.kafka
def test_ticks_alone_let_absences_ripen(kafka: Cluster) -> None:
    """Nothing is sent after the sessions, yet what is missing is suspected, then established."""
    hospitals = Directory.generate([(HOSPITAL, "医院", "national")])
    with Deployment(
        kafka, hospitals, partitions=2, clock="log-append", overrides=SOON, tick_interval_ms=200
    ) as deployment:
        with deployment.worker().wait_ready() as worker:
            now = time.time_ns() // 1_000_000
            deployment.publish(opened("s-quiet", "d1", now), 0)
            deployment.publish(opened("s-cleared", "d2", now), 0)
            deployment.flush()
            wait_for(deployment, worker, "s-cleared", "SUSPECTED")
            deployment.publish(enrolled("d2", now - 1), 0)
            deployment.flush()
            wait_for(deployment, worker, "s-quiet", "CONFIRMED")
            deployment.publish(enrolled("d1", now - 1), 0)
            deployment.flush()
            wait_for(deployment, worker, "s-quiet", "WITHDRAWN")
            worker.until(lambda: deployment.finished)
            assert worker.stop() == 0
        log, found = deployment.log(), deployment.results()

    received = {record.value: record.timestamp for records in log.values() for record in records}
    opening = received[deployment.sender.record(opened("s-quiet", "d1", now))[1]]
    assert history(found, "s-quiet")[:2] == [
        ("SUSPECTED", opening + SUSPECTED_AFTER),
        ("CONFIRMED", max(now + CONFIRMED_AFTER, opening + SUSPECTED_AFTER)),
    ]
    assert [state for state, _ in history(found, "s-cleared")] == ["SUSPECTED", "CLEARED"]
    assert not differences(replay(log, deployment.rules), found)
    assert not differences_from_check(checked(log, deployment.rules), found)
    ticks = [r for records in log.values() for r in records if is_tick(r.headers, r.value)]
    assert 2 <= len(ticks) <= 40, "a tick moves the clock where something waits for it, no more"


@pytest.mark.kafka
def test_refused_records_do_not_hold_up_the_clock(kafka: Cluster) -> None:
    """They move no clock, and do not keep ticks away from a partition where nothing else comes."""
    hospitals = Directory.generate([(HOSPITAL, "医院", "national")])
    with Deployment(
        kafka, hospitals, partitions=1, clock="log-append", overrides=SOON, tick_interval_ms=500
    ) as deployment:
        now = int(time.time() * 1_000)
        deployment.publish(opened("s1", "d1", now), now)
        deployment.flush()
        with deployment.worker() as worker:

            def suspected() -> bool:
                deployment.send(HOSPITAL.encode(), b"?", [], now)
                deployment.flush()
                return reached(deployment, "s1", "SUSPECTED")

            worker.until(suspected, patience=30)
            assert worker.stop() == 0


def test_a_log_without_the_brokers_clock_is_refused(embedded: Cluster) -> None:
    """Whoever stamps a record sets the clock that a hospital is judged by."""
    hospitals = Directory.generate([(HOSPITAL, "医院", "national")])
    with Deployment(
        embedded, hospitals, partitions=1, clock="log-append", topic_clock="create"
    ) as deployment:
        deployment.publish(opened("s1", "d1", 1_772_424_000_000), 1_772_424_000_000)
        deployment.flush()
        with deployment.worker() as worker:
            assert worker.wait() == 5
            said = worker.output()
        assert "is not stamped by the broker: set message.timestamp.type to LogAppendTime" in said
        assert deployment.committed() == {0: 0}
        assert not deployment.results().published


def test_a_wrong_number_of_partitions_is_refused(embedded: Cluster) -> None:
    """What hospitals share is judged when every partition has told it: none must be forgotten."""
    hospitals = Directory.generate([(HOSPITAL, "医院", "national")])
    with Deployment(embedded, hospitals, partitions=2) as deployment:
        deployment.publish(opened("s1", "d1", 1_772_424_000_000), 1_772_424_000_000)
        deployment.flush()
        with deployment.worker(partitions=1) as worker:
            assert worker.wait() == 5
            assert "has 2 partitions, IHWATCH_PARTITIONS=1" in worker.output()
        assert not any(deployment.committed().values())
