"""`ihwatch simulate` as people call it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, TopicPartition

from schemas.directory import Directory
from schemas.flat import from_flat
from schemas.validate import validate
from streams.embedded import EmbeddedBroker
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, simulate
from streams.simulator.cli import simulate as command
from streams.simulator.violations import KINDS
from streams.timeline import HOUR


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), standalone_mode=True)


def test_files_hold_the_events_the_truth_and_the_directory(tmp_path: Path) -> None:
    out, truth, directory = (tmp_path / name for name in ("e.jsonl", "t.jsonl", "d.toml"))
    result = run(
        *("--out", str(out), "--truth", str(truth), "--directory", str(directory)),
        *("--seed", "4", "--days", "2", "--rate", "12", "--institutions", "guangxi=1,chongqing=2"),
        *("--violations", "0.2", "--look-alikes", "0.1", "--late", "0.03", "--shuffle", "0.1"),
        *("--duplicates", "0.02", "--corrections", "0.1"),
    )
    assert result.exit_code == 0, result.output
    config = SimulationConfig(
        seed=4,
        days=2,
        rate=12,
        institutions={"guangxi": 1, "chongqing": 2},
        violations=0.2,
        look_alikes=0.1,
        late=0.03,
        shuffle=0.1,
        duplicates=0.02,
        corrections=0.1,
    )
    expected = simulate(config)
    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    for line, upload in zip(lines, expected.uploads, strict=True):
        datum, received_at, warnings = from_flat(line)
        validate(datum)
        assert (datum, received_at, warnings) == (upload.datum, upload.received_at, [])
    found = [json.loads(line) for line in truth.read_bytes().splitlines()]
    assert found == [finding.as_json() for finding in expected.truth] != []
    assert f"{len(lines)} events" in result.stderr
    loaded = Directory.load(directory)
    assert loaded.institutions == expected.directory.institutions
    assert len(loaded.supervisor) == 1


def test_stdout_holds_only_events() -> None:
    result = run("--rate", "2", "--institutions", "1", "--violations", "0")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len({line["institution_id"] for line in lines}) == len(RULEBOOKS)
    assert result.stderr.splitlines()[-1].startswith(f"{len(lines)} events; 0 findings")


def test_kinds_are_listed_and_limit_what_happens(tmp_path: Path) -> None:
    listed = run("--list-kinds")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [k.name for k in KINDS]
    truth = tmp_path / "t.jsonl"
    arguments = ("--out", str(tmp_path / "e"), "--truth", str(truth), "--violations", "0.5")
    result = run(*arguments, "--kinds", "idv01_missing,idv01_failed", "--kinds", "pha01_silent")
    assert result.exit_code == 0
    kinds = {json.loads(line)["kind"] for line in truth.read_bytes().splitlines()}
    assert {"idv01_missing", "idv01_failed"} <= kinds
    assert kinds <= {"idv01_missing", "idv01_failed", "pha01_silent"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kinds", "idv01_mising"), "idv01_mising"),
        (("--institutions", "atlantis=1"), "atlantis"),
        (("--speed", "0"), "real time"),
        (("--speed", "quick"), "real time"),
        (("--start", "soon"), "2026-03-02"),
        (("--violations", "2"), "0<=x<=1"),
        (("--rate", "-1"), "rate"),
    ],
)
def test_wrong_use_is_named(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_kafka_gets_the_events_and_the_ticks() -> None:
    topic = "trial.events"
    with EmbeddedBroker({topic: 2}) as broker:
        environment = {
            "IHWATCH_BROKERS": broker.address,
            "IHWATCH_TOPIC_PREFIX": "trial",
            "IHWATCH_PARTITIONS": "2",
        }
        result = CliRunner().invoke(
            command,
            ["--out", "kafka", "--rate", "2", "--tick-minutes", "720"],
            env=environment,
        )
        assert result.exit_code == 0, result.output
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "trial"})
        stored = sum(
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            for partition in range(2)
        )
        consumer.close()
    uploads = list(simulate(SimulationConfig(rate=2, violations=0.05)).uploads)
    simulation = simulate(SimulationConfig(rate=2))
    ticks = 2 * len(list(simulation.ticks(12 * HOUR)))
    assert f"{len(uploads)} events, 0 duplicates and {ticks} ticks" in result.stderr
    assert stored == len(uploads) + ticks
