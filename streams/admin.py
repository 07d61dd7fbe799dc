"""`ihwatch topics`: the topics of a deployment exist as the contract wants them.

The worker declares nothing itself: a topic made by chance, with the wrong number of partitions or
with the producer's timestamps, would be wrong in silence. This command makes what is missing,
changes nothing that exists, and names every difference.
"""

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

import click
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.errors import IhwatchError
from schemas.settings import Settings
from schemas.topics import Topics

# The one Faust table (streams/app.py): case files of every kind.
TABLE = "cases"
# Deletions stay a week for a worker that comes back late; the same as the transport's
# CHANGELOG_CONFIG, which cannot be imported here without Faust (a test compares the two).
_CHANGELOG = {
    "cleanup.policy": "compact",
    "delete.retention.ms": "604800000",
    "max.message.bytes": "8000000",
}
_PRODUCERS_CLOCK = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}


class KafkaUnreachable(IhwatchError):
    """No broker answered in time; nothing was changed that a second run would not repeat."""

    retriable = True


class Wanted(NamedTuple):
    """One topic as it should be."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


def plan(settings: Settings) -> tuple[Wanted, ...]:
    """Every topic of this deployment, the worker's changelog included.

    All have the partitions of the events topic: Faust demands it of the changelog, and it lets as
    many sinks as workers share the outputs. With three copies a write needs two of them. Where the
    producer's clock counts (simulated days), old timestamps must not age the events away.
    """
    named = Topics.named(settings.topic_prefix)
    configs = {topic.name: dict(topic.config) for topic in named.all()}
    configs[f"{settings.group}-{TABLE}-changelog"] = dict(_CHANGELOG)
    if settings.clock == "create":
        configs[named.events.name] |= _PRODUCERS_CLOCK
    in_sync = {"min.insync.replicas": "2" if settings.replication > 2 else "1"}
    return tuple(
        Wanted(name, settings.partitions, settings.replication, config | in_sync)
        for name, config in configs.items()
    )


def create(admin: AdminClient, wanted: tuple[Wanted, ...], timeout_s: float) -> list[str]:
    """Make the topics that are missing and return their names; one that exists stays as it is."""
    new = [NewTopic(w.name, w.partitions, w.replication, config=dict(w.config)) for w in wanted]
    created = []
    for name, future in admin.create_topics(new, operation_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def differences(admin: AdminClient, wanted: tuple[Wanted, ...], timeout_s: float) -> list[str]:
    """Say in one line each where the broker's topics are not as wanted; empty if all are."""
    there = admin.list_topics(timeout=timeout_s).topics
    found = [f"{w.name}: missing" for w in wanted if w.name not in there]
    existing = [w for w in wanted if w.name in there]
    for w in existing:
        partitions = len(there[w.name].partitions)
        if partitions != w.partitions:
            found.append(f"{w.name}: {partitions} partitions, wanted {w.partitions}")
    resources = {ConfigResource(ResourceType.TOPIC, w.name): w for w in existing}
    for resource, future in admin.describe_configs(list(resources)).items() if resources else ():
        w, actual = resources[resource], future.result(timeout_s)
        for key, value in sorted(w.config.items()):
            if actual[key].value != value:
                found.append(f"{w.name}: {key}={actual[key].value}, wanted {value}")
    return found


@click.group()
def topics() -> None:
    """Create the topics, or compare them with the contract."""


_timeout = click.option(
    "--timeout", default=30.0, show_default=True, help="Seconds to wait for the brokers."
)


@topics.command("create")
@_timeout
def create_command(timeout: float) -> int:
    """Create what is missing; exit 3 if something that exists differs from the contract."""
    return _run(timeout, create_missing=True)


@topics.command("check")
@_timeout
def check_command(timeout: float) -> int:
    """Change nothing; exit 3 if a topic is missing or differs from the contract."""
    return _run(timeout, create_missing=False)


def settled(admin: AdminClient, wanted: tuple[Wanted, ...], timeout_s: float) -> list[str]:
    """The differences that are left once brokers had a moment to hear of what was just made."""
    deadline = time.monotonic() + min(timeout_s, 5.0)
    while (wrong := differences(admin, wanted, timeout_s)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return wrong


def _run(timeout_s: float, create_missing: bool) -> int:
    settings = Settings.from_env(os.environ)
    wanted = plan(settings)
    # log_level 2: the call that fails says so itself, librdkafka need not on every attempt.
    admin = AdminClient({"bootstrap.servers": settings.brokers, "log_level": 2})
    try:
        admin.list_topics(timeout=timeout_s)
        created = create(admin, wanted, timeout_s) if create_missing else []
        for name in created:
            click.echo(f"created {name}")
        wrong = (settled if created else differences)(admin, wanted, timeout_s)
    except KafkaException as error:
        raise KafkaUnreachable(f"Kafka at {settings.brokers}: {error.args[0].str()}") from error
    for line in wrong:
        click.echo(line, err=True)
    return 3 if wrong else 0
