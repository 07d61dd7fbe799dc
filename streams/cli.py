"""The `ihwatch` command: it imports the one subcommand that is invoked, and nothing else.

`ihwatch check` must start in under half a second on a hospital's laptop, while the worker needs
Faust and the sinks a database; so commands are named here as "module:attribute" and loaded when
they run. A subcommand is an ordinary click command; it ends by returning its exit code (an int, or
None for 0), by `ctx.exit(n)`, or by raising one of the errors below.

Exit codes, the same for every command: 0 all well; 1 unexpected; 2 usage; 3 a check found
something; 4 a dependency is unreachable; 5 bad data or a broken contract; 130 interrupted (^C).
"""

import importlib
import sys
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from schemas.errors import IhwatchError


class Lazy(NamedTuple):
    """Where a subcommand lives, and its line in `ihwatch --help`."""

    target: str
    help: str

    def load(self) -> click.Command:
        """Import the command; ImportError or AttributeError if the table is wrong."""
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), self.target
        return command


COMMANDS: dict[str, Lazy] = {
    "check": Lazy("streams.check:check", "Judge a file of events by a rulebook, without Kafka."),
    "simulate": Lazy("streams.simulator.cli:simulate", "Write synthetic hospitals' days."),
    "demo": Lazy("streams.demo:demo", "Show the whole way in one process, within two minutes."),
    "worker": Lazy("streams.worker:worker", "Run the Faust worker: intake, checks, findings."),
    "sink": Lazy("sinks.cli:sink", "Run one sink: ClickHouse or webhooks."),
    "migrate": Lazy("sinks.cli:migrate", "Bring the ClickHouse schema up to date."),
    "topics": Lazy("streams.admin:topics", "Create the topics, or compare them with the contract."),
    "rules": Lazy("streams.rules_cli:rules", "Show the rules, and what becomes of every article."),
    "score": Lazy(
        "streams.score:command", "Hold findings against the truth: precision and recall."
    ),
    "reference": Lazy(
        "streams.reference_cli:reference", "Install the lists of drugs, departments, ICD-10, days."
    ),
    "boards": Lazy("dashboards.cli:boards", "Build, push or preview the Grafana boards."),
}


class LazyGroup(click.Group):
    """Lists every command from the table and imports only the one that is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        return lazy.load() if lazy else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=lazy.help)
            for name, lazy in COMMANDS.items()
            if name.startswith(incomplete)
        ]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ihwatch")
def cli() -> None:
    """Supervision of internet hospitals: events in, findings out.

    Exit codes: 0 all well, 1 unexpected, 2 usage, 3 a check found something, 4 a dependency is
    unreachable, 5 bad data or a broken contract, 130 interrupted.
    """


def exit_code(error: IhwatchError) -> int:
    """4 if waiting can help (a dependency is unreachable), 2 for settings, else 5: the data."""
    if error.retriable:
        return 4
    code: int = getattr(error, "exit_code", 5)
    return code


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` defaults to those of the process."""
    try:
        result = cli.main(args=arguments, prog_name="ihwatch", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except IhwatchError as error:
        click.echo(f"ihwatch: {error}", err=True)
        return exit_code(error)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())
