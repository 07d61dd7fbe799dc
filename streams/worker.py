"""``ihwatch worker``: one supervising process; start as many as there are partitions to share."""

from __future__ import annotations

import logging
import os

import click

from schemas.logs import config
from schemas.memory import collect_seldom
from schemas.settings import Settings


@click.command(help="Run one supervising worker (Faust); settings come from IHWATCH_*.")
@click.option(
    "--session-timeout",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    help="Seconds after which others take over from a worker that died.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Seconds to wait for more workers before tables are restored.",
)
def worker(session_timeout: float, settle: float) -> None:
    """Serve until SIGTERM or SIGINT; finish the batch in hand, commit, leave the group.

    Exits 4 when Kafka or the schema registry is unreachable, 5 when the log contradicts the
    settings, 2 when those name no parameter, 1 when anything else went wrong; starting it again
    repeats work and loses none.
    """
    from aiokafka.errors import KafkaConnectionError
    from faust.worker import Worker

    from streams.admin import KafkaUnreachable
    from streams.app import build, read_directory
    from streams.rulebook import ParameterError

    collect_seldom()
    settings = Settings.from_env(os.environ)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        shell = build(
            settings,
            read_directory(settings),
            recovery_delay=settle,
            session_timeout=session_timeout,
        )
    except ParameterError as error:
        raise click.UsageError(f"IHWATCH_OVERRIDES: {error}") from error
    try:
        Worker(
            shell.app,
            loglevel=logging.INFO,
            logging_config=config(settings.log_format),
            redirect_stdouts=False,
            quiet=True,
        ).execute_from_commandline()
    except SystemExit as ended:
        if shell.fault is not None:
            raise shell.fault from ended
        if isinstance(ended.__context__, KafkaConnectionError):
            raise KafkaUnreachable(f"Kafka at {settings.brokers} does not answer") from ended
        raise
