"""Whole workers on a real Kafka: how long one takes to recover, and what a second one adds.

The broker shares the cores with the workers. What recovers has a changelog with case files of a
population (bench/population.py), written as workers write it; the events it rests on are replaced
by ticks, so that offsets are as far as the case files say.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.contenders import PARTITIONS, Cluster, cpu_seconds, publish, started, wait_for
from bench.load import Load
from bench.population import Population
from bench.scale_core import on_disk
from schemas.topics import TICK_HEADER, TICK_VALUE
from streams.admin import plan
from streams.cases.base import glance
from tests.support.worker import IHWATCH, Deployment

WORKER = [str(IHWATCH), "worker", "--settle=0"]
_SENT_AT_ONCE = 20_000
_PATIENCE = 600.0  # seconds
_SETTLING = 5.0  # seconds in which a group of workers shares out its partitions


def recovery(cluster: Cluster, population: Population, files: int) -> dict[str, Any]:
    """Start a worker on an empty disk, and again on the disk it left."""
    with Deployment(
        cluster, population.directory, partitions=PARTITIONS, log_format="json"
    ) as deployment:
        written, size, applied = _changelog(deployment, population, files)
        _pass_over(deployment, applied + 1, population.begins)
        found: dict[str, Any] = {"files": written, "bytes": size}
        for disk in ("empty", "warm"):
            deployment.tick(population.begins)  # a partition is taken up with its first record
            deployment.flush()
            found[disk] = _recovered(deployment)
        return found | {"disk": on_disk(deployment.folder / "disk")}


def _changelog(deployment: Deployment, population: Population, files: int) -> tuple[int, int, int]:
    """Write case files to the changelog: how many, how many bytes, how far their log is applied."""
    topic = plan(deployment.settings)[-1].name
    producer = Producer(
        {
            "bootstrap.servers": deployment.cluster.address, "linger.ms": 50, "log_level": 0,
            "queue.buffering.max.messages": 5 * _SENT_AT_ONCE,
        }
    )  # fmt: skip
    written = size = applied = 0
    places: dict[bytes, int] = {}
    for key, value in islice(population.stored(), files):
        institution = key.partition(b"\x1f")[0]
        partition = places.setdefault(institution, len(places) % PARTITIONS)
        producer.produce(topic, key=key, value=value, partition=partition)
        applied = max(applied, glance(value).applied)
        written, size = written + 1, size + len(key) + len(value)
        if written % _SENT_AT_ONCE == 0:
            producer.flush(_PATIENCE)
    assert not producer.flush(_PATIENCE)
    return written, size, applied


def _pass_over(deployment: Deployment, records: int, clock: int) -> None:
    """Have so many records in each partition of the events, all of them done."""
    headers = [(TICK_HEADER, TICK_VALUE)]
    for partition in range(PARTITIONS):
        for _ in range(records):
            deployment.send(None, None, headers, clock, partition)
    deployment.flush()
    topic = deployment.topics.events.name
    reader = Consumer(
        {"bootstrap.servers": deployment.cluster.address, "group.id": deployment.settings.group}
    )
    places = [TopicPartition(topic, partition, records) for partition in range(PARTITIONS)]
    reader.commit(offsets=places, asynchronous=False)
    reader.close()


def _recovered(deployment: Deployment) -> dict[str, Any]:
    """Start a worker and wait until it has done what waits for it; where the time went."""
    begun = time.time()
    with started(WORKER, deployment, None) as process:
        wait_for(lambda: deployment.finished, process, deployment)
        seconds = time.time() - begun
        cpu, resident = cpu_seconds(process.pid), _resident(process.pid)
    said = list(_log(deployment.folder / "stderr"))
    taken_up = [line["seconds"] for line in said if line["message"] == "partition taken up"]
    return {
        "seconds": seconds, "cpu": cpu, "resident": resident,
        "taken_up": sum(taken_up), "partitions": len(taken_up),
    }  # fmt: skip


def workers(cluster: Cluster, load: Load, cores: Sequence[int | None]) -> dict[str, Any]:
    """Time as many workers as there are cores named over the timed part of a load.

    All of them are held while it is published, and the clock runs from their release until the
    group has committed everything.
    """
    with (
        Deployment(cluster, load.directory, partitions=PARTITIONS) as deployment,
        ExitStack() as up,
    ):
        publish(deployment, load.before)
        processes = [
            up.enter_context(started(WORKER, deployment, core, name=f"-{number}"))
            for number, core in enumerate(cores)
        ]

        def finished() -> None:
            wait_for(lambda: deployment.finished, processes[0], deployment)

        finished()
        time.sleep(_SETTLING)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            publish(deployment, load.timed)
        finally:
            begun, used = time.perf_counter(), [cpu_seconds(process.pid) for process in processes]
            for process in processes:
                process.send_signal(signal.SIGCONT)
        finished()
        seconds = time.perf_counter() - begun
        cpu = [cpu_seconds(p.pid) - before for p, before in zip(processes, used, strict=True)]
    return {"workers": len(processes), "events": len(load.timed), "seconds": seconds, "cpu": cpu}


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def _log(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            yield json.loads(line)
