"""The commands as processes of their own: settings in, SIGTERM out, nothing left undone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sinks.clickhouse.client import connect
from sinks.health import PageRefused, page
from sinks.status import Status
from tests.sinks import material
from tests.sinks.log import Log
from tests.sinks.receiver import SECRET, TOKEN, Receiver
from tests.sinks.running import until

COMMAND = [sys.executable, "-c", "from streams.cli import main; main()"]


def environment(**settings: str) -> dict[str, str]:
    return {**os.environ, **{f"IHWATCH_{name.upper()}": value for name, value in settings.items()}}


def ihwatch(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(**settings), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


class Process:
    """A sink as a process; its log lines are read when it has ended."""

    def __init__(self, popen: subprocess.Popen[str], log: Path) -> None:
        self.popen = popen
        self._log = log

    def lines(self) -> list[dict[str, object]]:
        """The log so far; every line must be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def port(self) -> int:
        """Where its page is, once it is there."""
        until(lambda: any(line["message"] == "sink started" for line in self.lines()))
        started = next(line for line in self.lines() if line["message"] == "sink started")
        return int(str(started["web_port"]))

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def process(folder: Path, *arguments: str, **settings: str) -> Iterator[Process]:
    """Run a sink and, once it runs, end it with SIGTERM, which it must answer with 0."""
    log = folder / "log"
    with log.open("w") as stderr:
        popen = subprocess.Popen(
            [*COMMAND, *arguments, "--web-port", "0"], env=environment(**settings), stderr=stderr,
            text=True,
        )  # fmt: skip
        started = Process(popen, log)
        try:
            started.port()
            yield started
            popen.send_signal(signal.SIGTERM)
            assert popen.wait(30) == 0
        finally:
            popen.kill()
            popen.wait()


def test_migrate_makes_the_tables_and_may_run_again(chdb_url: str) -> None:
    first, second = (ihwatch("migrate", clickhouse_url=chdb_url) for _ in range(2))
    assert first.returncode == second.returncode == 0
    assert "applied 0001 tables" in first.stderr
    assert "applied" not in second.stderr
    assert first.stdout == ""
    client = connect(chdb_url)
    assert client.command("SELECT count() FROM events") == 0
    client.close()


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("migrate",), "IHWATCH_CLICKHOUSE_URL"),
        (("sink", "clickhouse"), "IHWATCH_CLICKHOUSE_URL"),
        (("sink", "webhooks"), "IHWATCH_WEBHOOK_URL"),
    ],
)
def test_a_missing_setting_is_named(arguments: tuple[str, ...], missing: str) -> None:
    result = ihwatch(*arguments)
    assert result.returncode == 2
    assert f"{missing} is not set" in result.stderr


def test_clickhouse_that_does_not_answer_is_exit_code_4() -> None:
    result = ihwatch("migrate", clickhouse_url="http://nobody@127.0.0.1:9/ihwatch")
    assert result.returncode == 4
    assert "ClickHouse" in result.stderr


def records_read(metrics: str) -> int:
    found = re.search(r'what="records"} (\d+)', metrics)
    return int(found[1]) if found else 0


def test_the_clickhouse_sink_as_a_process(log: Log, chdb_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "institutions.toml"
    material.directory().write(directory)
    assert ihwatch("migrate", clickhouse_url=chdb_url).returncode == 0
    records = [material.event(n) for n in range(50)]
    records += [material.alert_record(0, material.alert("a")), material.reject_record(0, 3)]
    log.publish(records)
    with process(
        tmp_path, "sink", "clickhouse", brokers=log.brokers, topic_prefix=log.prefix,
        clickhouse_url=chdb_url, directory=str(directory),
    ) as running:  # fmt: skip
        until(lambda: 'what="records"} 52' in running.get("/metrics")[1])
        assert running.get("/healthz")[0] == 200
        log.publish([material.event(n) for n in range(50, 60)])
        # SIGTERM comes while the last ones are on their way: they are written or read again.
    client = connect(chdb_url)
    stored = client.command("SELECT count() FROM events FINAL")
    client.close()
    assert 50 <= int(str(stored)) <= 60
    with process(
        tmp_path, "sink", "clickhouse", brokers=log.brokers, topic_prefix=log.prefix,
        clickhouse_url=chdb_url, directory=str(directory),
    ) as running:  # fmt: skip
        # Rows whose offsets were not committed in time are read again, so it may be more.
        missing = 60 - int(str(stored))
        until(lambda: missing == 0 or records_read(running.get("/metrics")[1]) >= missing)
    client = connect(chdb_url)
    assert client.command("SELECT count() FROM events FINAL") == 60
    assert client.command("SELECT count() FROM alerts FINAL") == 1
    assert client.command("SELECT count() FROM rejects FINAL") == 1
    client.close()


def test_the_webhook_sink_as_a_process(log: Log, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    log.publish([material.alert_record(0, material.alert("a"))])
    with Receiver() as receiver, process(
        tmp_path, "sink", "webhooks", brokers=log.brokers, topic_prefix=log.prefix,
        webhook_url=receiver.url, webhook_secret_file=str(secret), webhook_lang="en",
    ) as running:  # fmt: skip
        until(lambda: len(receiver.accepted) == 1)
        until(lambda: 'what="delivered"} 1' in running.get("/metrics")[1])
        assert "before reception" in receiver.accepted[0].content["data"]["text"]
    told = json.dumps(running.lines())
    assert TOKEN not in told
    assert SECRET not in told
    assert running.lines()[-1]["message"] == "sink ended"


def test_health_turns_red_in_trouble() -> None:
    status = Status("webhooks")
    with page(status, "127.0.0.1", 0) as port:

        def health() -> tuple[int, dict[str, object]]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as got:
                    return got.status, json.load(got)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        assert health() == (200, {"ok": True, "trouble": None, "lag": 0})
        status.own_trouble, status.lag = "RECEIVER_NO_CONNECTION", 7
        assert health() == (503, {"ok": False, "trouble": "RECEIVER_NO_CONNECTION", "lag": 7})
        with pytest.raises(PageRefused, match="--web-port"), page(status, "127.0.0.1", port):
            pass


def test_a_second_interrupt_is_not_needed(log: Log, tmp_path: Path) -> None:
    """^C ends a sink that has nothing to do, and whose ClickHouse is away, just as well."""
    directory = tmp_path / "institutions.toml"
    material.directory().write(directory)
    log.publish([material.event(0)])
    with process(
        tmp_path, "sink", "clickhouse", brokers=log.brokers, topic_prefix=log.prefix,
        clickhouse_url="http://nobody@127.0.0.1:9/ihwatch", directory=str(directory),
    ) as running:  # fmt: skip
        until(lambda: running.get("/healthz")[0] == 503)
        assert "ClickHouseUnavailable" in running.get("/healthz")[1]
        began = time.monotonic()
        running.popen.send_signal(signal.SIGINT)
        assert running.popen.wait(20) == 0
    assert time.monotonic() - began < 20
    assert log.committed() == {}
