"""schemas/settings.py: what the environment may say, and what it must never show."""

import base64
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings, SettingsError, env_name, render_docs
from tests.house.source import ROOT

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return caught.value.faults


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.brokers, settings.partitions, settings.allow_unsigned) == (
        "127.0.0.1:9092",
        8,
        False,
    )


def test_an_empty_value_is_a_value_not_given() -> None:
    """Compose passes `${NAME:-}` through as an empty string."""
    assert Settings.from_env({"IHWATCH_REGISTRY_URL": " ", "IHWATCH_PARTITIONS": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("brokers", "a:9092,b:9092", "a:9092,b:9092"),
        ("partitions", "64", 64),
        ("allow_unsigned", "TRUE", True),
        ("allow_unsigned", "0", False),
        ("directory", "/etc/ihwatch/institutions.toml", Path("/etc/ihwatch/institutions.toml")),
        ("clock", "create", "create"),
        ("reject_ratio_limit", "0.25", 0.25),
        ("overrides", "idv01.a=15m; upl06.b=1h;", ("idv01.a=15m", "upl06.b=1h")),
        ("overrides", "guangxi.lic05.status=shadow", ("guangxi.lic05.status=shadow",)),
        ("overrides", "qlt04.interval[CPR_TRAINING]=1Y", ("qlt04.interval[CPR_TRAINING]=1Y",)),
        ("clickhouse_url", "https://me@host:8443/db", "https://me@host:8443/db"),
        ("clickhouse_url", "chdb:///var/lib/x", "chdb:///var/lib/x"),
        ("webhook_secret", SECRET, SECRET),
        ("webhook_timeout_s", "2.5", 2.5),
    ],
)  # fmt: skip
def test_each_kind_of_value_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(Settings.from_env({env_name(name): text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("brokers", "localhost"),
        ("brokers", "a:9092, b:9092"),
        ("topic_prefix", "a b"),
        ("partitions", "0"),
        ("partitions", "8.0"),
        ("allow_unsigned", "maybe"),
        ("clock", "wall"),
        ("reject_ratio_limit", "nan"),
        ("tick_interval_ms", "1"),
        ("web_port", "65536"),
        ("overrides", "pre_max_age=15m"),
        ("overrides", "guangxi.lic05.status.=shadow"),
        ("clickhouse_url", "me@host"),
        ("clickhouse_url", "http://me:password@host:8123/db"),
        ("clickhouse_url", "http://host:port/db"),
        ("registry_url", "ftp://registry"),
        ("webhook_secret", "whsec_short"),
        ("webhook_secret", SECRET.removeprefix("whsec_")),
        ("webhook_lang", "de"),
    ],
)
def test_a_value_out_of_bounds_is_a_fault_of_that_setting(name: str, text: str) -> None:
    (fault,) = faults({env_name(name): text})
    assert fault.startswith(f"{env_name(name)} must ")


def test_every_fault_is_named_at_once() -> None:
    found = faults(
        {
            "IHWATCH_PARTITIONS": "none",
            "IHWATCH_CLOCK": "wall",
            "IHWATCH_BROKER": "kafka:9092",
            "IHWATCH_WEBHOOK_SECRET_FILE": "/nowhere/at/all",
        }
    )
    assert found == [
        "IHWATCH_PARTITIONS must be a whole number",
        "IHWATCH_CLOCK must be log-append or create",
        "IHWATCH_WEBHOOK_SECRET cannot be read from its file: FileNotFoundError",
        "IHWATCH_BROKER is not a setting; did you mean IHWATCH_BROKERS?",
    ]


def test_what_the_tests_and_benchmarks_read_is_no_fault() -> None:
    environ = {"IHWATCH_REQUIRE_ALL": "1", "IHWATCH_TEST_X": "1", "PATH": "/bin"}
    assert Settings.from_env(environ) == Settings()


def test_a_secret_may_come_from_a_file_but_not_from_both(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    given = {"IHWATCH_WEBHOOK_SECRET_FILE": str(file)}
    assert Settings.from_env(given).webhook_secret == SECRET
    (fault,) = faults({**given, "IHWATCH_WEBHOOK_SECRET": SECRET})
    assert "both" in fault
    file.write_text("\n")
    (fault,) = faults(given)
    assert "empty" in fault


def test_only_a_secret_has_a_file_twin(tmp_path: Path) -> None:
    (fault,) = faults({"IHWATCH_BROKERS_FILE": str(tmp_path)})
    assert "is not a setting" in fault


def test_no_secret_is_shown() -> None:
    secrets = {
        "IHWATCH_CLICKHOUSE_PASSWORD": "clickhouse-password",
        "IHWATCH_WEBHOOK_URL": "https://robot.example/send?access_token=robot-token",
        "IHWATCH_WEBHOOK_SECRET": SECRET,
        "IHWATCH_GRAFANA_TOKEN": "grafana-token",
    }
    settings = Settings.from_env(secrets)
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert not [value for value in secrets.values() if value in shown]
        assert "webhook_secret=********" in shown
        assert "grafana_url=None" in shown


@pytest.mark.parametrize(
    "environ",
    [
        {"IHWATCH_WEBHOOK_SECRET": "whsec_not-base64"},
        {"IHWATCH_WEBHOOK_URL": "robot.example/not-base64"},
        {"IHWATCH_WEBHOOK_URL": "https://[not-base64"},
        {"IHWATCH_WEBHOOK_URL": "https://h:not-base64/"},
        {"IHWATCH_CLICKHOUSE_URL": "http://me:not-base64@host/db"},
    ],
)
def test_a_fault_never_repeats_the_value(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    assert "not-base64" not in str(caught.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().partitions = 9  # type: ignore[misc]


def test_nothing_is_read_at_import() -> None:
    code = "import os; os.environ = None; import schemas.settings; print('imported')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "imported\n", done.stderr


def test_the_page_explains_every_setting_in_both_languages() -> None:
    rows = [line for line in render_docs().splitlines() if line.startswith("| `IHWATCH_")]
    assert len(rows) == len(dataclasses.fields(Settings))
    for row in rows:
        _, _, en, zh = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert en.isascii()
        assert any("一" <= character <= "鿿" for character in zh)
