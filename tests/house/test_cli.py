"""streams/cli.py: it starts at once, loads one command only, and keeps the exit codes."""

import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import streams.cli as cli
from schemas.directory import Directory, Institution, Key
from schemas.errors import ContractError, IhwatchError, Reason
from schemas.settings import SettingsError
from tests.house.source import ROOT

HEAVY = ("faust", "aiokafka", "aiohttp", "clickhouse_connect", "confluent_kafka", "plotly", "rich")


def ihwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))


def loaded_by(code: str) -> set[str]:
    code += f"\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_command_loads_nothing_heavy() -> None:
    assert loaded_by("import streams.cli") == set()


def test_help_loads_no_command() -> None:
    assert loaded_by("from streams.cli import run; run(['--help'])") == set()


def test_check_loads_no_faust_and_no_database() -> None:
    heavy = loaded_by("from streams.cli import run; run(['check', '--help'])")
    assert heavy <= {"rich"}


def test_check_starts_in_a_fifth_of_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of four, in processor time: the promise is of our imports, not of a busy machine."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))  # compiled by the first, as installed
    times = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = ihwatch("check", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.2


def test_help_lists_every_command_with_its_line() -> None:
    done = ihwatch("--help")
    assert done.returncode == 0
    for name, lazy in cli.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert lazy.help in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_line_of_the_table_leads_to_a_command(name: str) -> None:
    command = cli.COMMANDS[name].load()
    assert isinstance(command, click.Command)
    assert command.help


def test_the_console_script_is_this_main() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"ihwatch": "streams.cli:main"}


def test_an_unknown_command_is_a_usage_error() -> None:
    done = ihwatch("chekc")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "chekc" in done.stderr


class OutOfReach(IhwatchError):
    retriable = True


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, 0),
        (0, 0),
        (3, 3),
        (ContractError(Reason.TRUNCATED), 5),
        (IhwatchError("the data"), 5),
        (OutOfReach("the broker"), 4),
        (SettingsError(["IHWATCH_X is not a setting"]), 2),
        (click.UsageError("no"), 2),
        (click.exceptions.Exit(3), 3),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_how_a_command_ends_is_its_exit_code(
    outcome: int | BaseException | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> int | None:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(cli.Lazy, "load", lambda _: command)
    assert cli.run(["check"]) == code


def test_a_worker_with_an_override_of_nothing_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = Institution("H1", "h", "guangxi", (Key("k", "H1", bytes(range(32))),))
    Directory([hospital], []).write(tmp_path / "institutions.toml")
    monkeypatch.setenv("IHWATCH_DIRECTORY", str(tmp_path / "institutions.toml"))
    monkeypatch.setenv("IHWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("IHWATCH_OVERRIDES", "guangxi.idv01.pre_max_agee=5m")
    done = ihwatch("worker")
    assert done.returncode == 2
    assert "IHWATCH_OVERRIDES: unknown parameter" in done.stderr
    assert "did you mean idv01.pre_max_age?" in done.stderr


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.Lazy, "load", lambda _: command)
    with pytest.raises(ZeroDivisionError):
        cli.run(["check"])


def test_a_reader_that_went_away_is_no_traceback() -> None:
    """`ihwatch ... | head -1` closes the pipe early."""
    command = f"'{sys.executable}' -c 'from streams.cli import main; main()' --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


def test_completion_imports_no_command() -> None:
    context = click.Context(cli.cli)
    offered = cli.cli.shell_complete(context, "si")
    assert [item.value for item in offered] == ["simulate", "sink"]
