"""docker-compose.yml: it is whole, pinned, without a password, and agrees with the rest."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.settings import Settings
from streams.cli import COMMANDS
from tests.house.source import ROOT
from tests.support.require import require

FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("ihwatch:")}
JOBS = {"topics", "migrate", "access", "simulator"}


def compose(env_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    require(shutil.which("docker-compose") is not None, "docker-compose (apt-get install)")
    command = ["docker-compose", "-f", str(FILE), "--env-file", str(env_file), *arguments]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(command, capture_output=True, text=True, env=kept)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """What deploy/make-env writes, in a folder of its own."""
    script = tmp_path / "make-env"
    shutil.copy(ROOT / "deploy" / "make-env", script)
    subprocess.run([script, "https://on-call.example/hook"], check=True, capture_output=True)
    return tmp_path / ".env"


def variables(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


def test_compose_accepts_the_file_with_what_make_env_writes(env_file: Path) -> None:
    done = compose(env_file, "--profile", "simulator", "config")
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert set(resolved) == set(SERVICES)
    secret = variables(env_file)["WEBHOOK_SECRET"]
    assert resolved["sink-webhooks"]["environment"]["IHWATCH_WEBHOOK_SECRET"] == secret


def test_rules_and_lists_of_ones_own_reach_the_worker(env_file: Path, tmp_path: Path) -> None:
    def worker() -> dict[str, Any]:
        done = compose(env_file, "config")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]["worker"]
        return found

    shipped = Settings.from_env(worker()["environment"])
    assert (shipped.overrides, shipped.reference_dir) == ((), None)
    with env_file.open("a", encoding="utf-8") as file:
        file.write("OVERRIDES=guangxi.lic05.status=shadow;idv01.pre_max_age=5m\n")
        file.write(f"REFERENCE_DIR={tmp_path}\n")
    ours = worker()
    settings = Settings.from_env(ours["environment"])
    assert settings.overrides == ("guangxi.lic05.status=shadow", "idv01.pre_max_age=5m")
    assert settings.reference_dir is not None
    mounted = [
        volume.split(":")[:2] if isinstance(volume, str) else [volume["source"], volume["target"]]
        for volume in ours["volumes"]
    ]
    assert [str(tmp_path), str(settings.reference_dir)] in mounted
    assert "/etc/ihwatch/institutions.toml" in [target for _, target in mounted]


def test_the_simulator_runs_only_on_demand() -> None:
    assert [name for name, one in SERVICES.items() if "profiles" in one] == ["simulator"]


def test_each_variable_that_must_be_set_is_asked_for(env_file: Path) -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert wanted == set(variables(env_file)) == set(variables(ROOT / "deploy" / ".env.example"))
    whole = env_file.read_text()
    for name in sorted(wanted):
        env_file.write_text(re.sub(rf"^{name}=.*$", f"{name}=", whole, flags=re.MULTILINE))
        done = compose(env_file, "config", "--quiet")
        assert done.returncode != 0, name
        assert f"set {name}" in done.stderr


def test_no_password_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|URL$", key) and "://" not in value:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?set [A-Z_]+\}", value), (name, key)
            assert not re.search(r"://[^/@]+:[^/@]+@", value), (name, key)


def test_make_env_writes_new_secrets_for_its_owner_only(env_file: Path) -> None:
    assert env_file.stat().st_mode & 0o077 == 0
    first = variables(env_file)
    script = env_file.parent / "make-env"
    again = subprocess.run([script, "https://x.example"], capture_output=True, text=True)
    assert again.returncode == 1
    assert variables(env_file) == first, "secrets in use were overwritten"
    env_file.unlink()
    subprocess.run([script, "https://x.example"], check=True, capture_output=True)
    second = variables(env_file)
    assert not [name for name in first if first[name] == second[name]]
    assert all(len(value) >= 16 for value in second.values())


def test_make_env_writes_what_the_settings_accept(env_file: Path) -> None:
    made = variables(env_file)
    environ = {
        "IHWATCH_WEBHOOK_URL": made["WEBHOOK_URL"],
        "IHWATCH_WEBHOOK_SECRET": made["WEBHOOK_SECRET"],
        "IHWATCH_CLICKHOUSE_PASSWORD": made["CLICKHOUSE_SINK_PASSWORD"],
    }
    assert Settings.from_env(environ).webhook_secret == made["WEBHOOK_SECRET"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+(?:[.-]\w+)*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - JOBS))
def test_every_service_that_stays_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "test" in service.get("healthcheck", {}) or (
        name in OURS and "HEALTHCHECK" in dockerfile
    )
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_job_runs_to_its_end(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "user" not in service, "the image's own user is not root"


@pytest.mark.parametrize("name", OURS)
def test_our_processes_are_told_only_what_we_know(name: str) -> None:
    """A misspelt setting in the file would stop the container; here it stops the test."""
    given = {
        key: value for key, value in SERVICES[name]["environment"].items() if "${" not in value
    }
    Settings.from_env(given)
    assert SERVICES[name]["command"][0] in COMMANDS


def test_ports_are_bound_to_this_machine_by_default() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(re.match(r"\$\{[A-Z_]+_BIND:-127\.0\.0\.1\}:", port) for port in ports)


def test_what_is_mounted_from_here_exists() -> None:
    mounts = re.findall(r"^ +- (\./[^:$]+):", TEXT, flags=re.MULTILINE)
    assert len(mounts) >= 4
    assert not [mount for mount in mounts if not (ROOT / mount).exists()]


def test_the_broker_is_the_one_the_tests_run() -> None:
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    versions = re.findall(
        r"<artifactId>kafka_2\.13</artifactId>\s*<version>([\d.]+)</version>", pom
    )
    assert versions == [SERVICES["kafka"]["image"].split(":")[1]]


def test_our_image_carries_our_version() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "([\d.]+)"$', project, flags=re.MULTILINE)
    assert {one["image"] for one in OURS.values()} == {f"ihwatch:{version}"}


def test_grafana_is_told_what_its_data_source_asks_for() -> None:
    provisioning = (ROOT / "dashboards/provisioning/datasources/clickhouse.yaml").read_text()
    asked = set(re.findall(r"\$(IHWATCH_\w+)", provisioning))
    assert asked
    assert asked <= set(SERVICES["grafana"]["environment"])
    (user,) = re.findall(r"username: (\w+)", provisioning)
    access = (ROOT / "deploy" / "clickhouse" / "access.sh").read_text(encoding="utf-8")
    assert f"CREATE USER IF NOT EXISTS {user} IDENTIFIED" in access
