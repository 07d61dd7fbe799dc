"""streams/admin.py on a real Kafka: what is missing is made, what is there is left and compared."""

import dataclasses
import time
import uuid

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas.settings import Settings
from schemas.topics import Topics
from streams.admin import TABLE, create, differences, plan, settled
from tests.house.test_cli import ihwatch
from tests.support.kafka import RealKafka

TIMEOUT = 30.0


def test_the_plan_holds_every_topic_of_the_contract_and_the_changelog() -> None:
    wanted = {one.name: one for one in plan(Settings())}
    names = [topic.name for topic in Topics.named("ih").all()]
    assert list(wanted) == [*names, "ihwatch-worker-cases-changelog"]
    assert wanted["ih.events"].config["message.timestamp.type"] == "LogAppendTime"
    assert wanted["ihwatch-worker-cases-changelog"].config["cleanup.policy"] == "compact"
    assert {one.partitions for one in wanted.values()} == {8}


def test_three_copies_must_be_written_twice() -> None:
    three = plan(dataclasses.replace(Settings(), replication=3))
    assert {one.config["min.insync.replicas"] for one in three} == {"2"}
    assert {one.config["min.insync.replicas"] for one in plan(Settings())} == {"1"}


def test_simulated_days_keep_their_own_time_and_never_age_away() -> None:
    events = plan(dataclasses.replace(Settings(), clock="create"))[0]
    assert events.config["message.timestamp.type"] == "CreateTime"
    assert events.config["retention.ms"] == "-1"


def test_the_changelog_is_that_of_the_workers_table() -> None:
    from streams.agents import CASES

    assert TABLE == CASES


def test_a_broker_out_of_reach_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IHWATCH_BROKERS", "127.0.0.1:1")
    done = ihwatch("topics", "check", "--timeout", "0.5")
    assert done.returncode == 4
    assert done.stderr.startswith("ihwatch: Kafka at 127.0.0.1:1: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.kafka
def test_topics_are_made_once_and_compared(
    real_kafka: RealKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    settings = dataclasses.replace(
        Settings(), topic_prefix=prefix, group=f"{prefix}-worker", partitions=3
    )
    wanted = plan(settings)
    admin = AdminClient({"bootstrap.servers": real_kafka.address})

    assert differences(admin, wanted, TIMEOUT) == [f"{one.name}: missing" for one in wanted]
    assert sorted(create(admin, wanted, TIMEOUT)) == sorted(one.name for one in wanted)
    assert settled(admin, wanted, TIMEOUT) == []
    assert create(admin, wanted, TIMEOUT) == []

    entry = ConfigEntry(
        "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, f"{prefix}.events", incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(TIMEOUT)
    deadline = time.monotonic() + 5
    while not differences(admin, wanted[:1], TIMEOUT) and time.monotonic() < deadline:
        time.sleep(0.05)
    more = tuple(one._replace(partitions=4) for one in wanted[1:2])
    assert differences(admin, (wanted[0], *more), TIMEOUT) == [
        f"{prefix}.alerts: 3 partitions, wanted 4",
        f"{prefix}.events: message.timestamp.type=CreateTime, wanted LogAppendTime",
    ]

    monkeypatch.setenv("IHWATCH_BROKERS", real_kafka.address)
    monkeypatch.setenv("IHWATCH_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("IHWATCH_GROUP", settings.group)
    monkeypatch.setenv("IHWATCH_PARTITIONS", "3")
    done = ihwatch("topics", "create")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.strip() == (
        f"{prefix}.events: message.timestamp.type=CreateTime, wanted LogAppendTime"
    )


def test_changelogs_are_made_as_the_transport_needs_them() -> None:
    from streams.transport import CHANGELOG_CONFIG, changelog_topic

    settings = Settings.from_env({})
    made = {one.name: one for one in plan(settings)}[changelog_topic(settings.group, "cases")]
    assert {name: made.config.get(name) for name in CHANGELOG_CONFIG} == CHANGELOG_CONFIG
