"""The commands `ihwatch sink clickhouse`, `ihwatch sink webhooks` and `ihwatch migrate`.

A sink runs until SIGTERM or ^C, then writes what it holds, commits and leaves with 0. It serves
/healthz and /metrics meanwhile.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import click

from schemas.memory import collect_seldom
from schemas.settings import Settings, env_name
from schemas.topics import Topics
from sinks.status import Status

logger = logging.getLogger(__name__)

# The group of each sink, after the prefix of the topics: sinks never share offsets with workers.
CLICKHOUSE_GROUP = "sink-clickhouse"
WEBHOOKS_GROUP = "sink-webhooks"


@click.group()
def sink() -> None:
    """Run one sink: rows to ClickHouse, or alerts to the webhook receiver."""


@sink.command()
@click.option("--web-port", type=int, help="Port of /healthz and /metrics; 0 picks a free one.")
def clickhouse(web_port: int | None) -> None:
    """Carry events, alerts, aggregates and rejects into ClickHouse, for ever.

    ClickHouse being down delays rows and never loses any. Run `ihwatch migrate` first.
    """
    from schemas.admission import Admission
    from schemas.directory import Directory
    from schemas.registry import ConfluentRegistry, LocalRegistry
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.rows import Decoders
    from sinks.clickhouse.sink import ClickHouseSink
    from sinks.clickhouse.writer import Writer
    from sinks.log import LogOptions

    collect_seldom()
    settings = Settings.from_env(os.environ)
    url = _need(settings, "clickhouse_url")
    directory = Directory.load(_need(settings, "directory"))
    registry_url = settings.registry_url
    registry = ConfluentRegistry(registry_url) if registry_url else LocalRegistry()
    decoders = Decoders(
        Topics.named(settings.topic_prefix),
        Admission(registry, directory, settings.allow_unsigned),
        directory,
    )
    status = Status("clickhouse")
    running = ClickHouseSink(
        LogOptions(
            settings.brokers, f"{settings.topic_prefix}-{CLICKHOUSE_GROUP}", decoders.topics
        ),
        decoders,
        Writer(lambda: connect(url, settings.clickhouse_password)),
        status,
    )
    _run(running.run, status, settings, web_port)


@sink.command()
@click.option("--web-port", type=int, help="Port of /healthz and /metrics; 0 picks a free one.")
@click.option(
    "--allow",
    multiple=True,
    metavar="CIDR|HOST",
    help="The only addresses that may be dialled; default: the host of the webhook URL.",
)
@click.option("--provisional", is_flag=True, help="Also send SUSPECTED and CLEARED findings.")
@click.option(
    "--retry",
    metavar="SECONDS,...",
    callback=lambda _context, _parameter, value: _seconds(value),
    help="Pauses after failed requests; default 5,30,120,300,300.",
)
@click.option(
    "--give-up-while-down",
    is_flag=True,
    help="Send to the dead letters when the schedule is exhausted, though the receiver is down.",
)
def webhooks(
    web_port: int | None,
    allow: Sequence[str],
    provisional: bool,
    retry: Sequence[float] | None,
    give_up_while_down: bool,
) -> None:
    """Carry alerts to the webhook receiver as signed Standard Webhooks, for ever.

    The receiver being down delays alerts and never loses any; what it refuses goes to the dead
    letter topic.
    """
    from sinks.log import LogOptions
    from sinks.webhooks.dead import DeadLetters
    from sinks.webhooks.delivery import RetryPolicy
    from sinks.webhooks.endpoint import Endpoint
    from sinks.webhooks.sink import WebhookSink

    settings = Settings.from_env(os.environ)
    endpoint = Endpoint(
        _need(settings, "webhook_url"),
        _need(settings, "webhook_secret"),
        settings.webhook_timeout_s,
        allow,
    )
    topics = Topics.named(settings.topic_prefix)
    policy = RetryPolicy(hold_while_down=not give_up_while_down)
    if retry is not None:
        policy = RetryPolicy(schedule=retry, hold_while_down=not give_up_while_down)
    status = Status("webhooks")
    running = WebhookSink(
        LogOptions(
            settings.brokers, f"{settings.topic_prefix}-{WEBHOOKS_GROUP}", [topics.alerts.name]
        ),
        endpoint,
        DeadLetters(settings.brokers, topics.dead_webhooks.name),
        status,
        policy,
        lang=settings.webhook_lang,
        provisional=provisional,
    )
    _run(running.run, status, settings, web_port)


@click.command()
def migrate() -> None:
    """Bring the ClickHouse schema up to date; may be run at any time, also twice."""
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.migrations import migrate as apply

    settings = Settings.from_env(os.environ)
    client = connect(_need(settings, "clickhouse_url"), settings.clickhouse_password)
    try:
        applied = apply(client)
    finally:
        client.close()
    for one in applied:
        click.echo(f"applied {one.number:04} {one.name}", err=True)
    click.echo(f"{client.database} is up to date", err=True)


def _need(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        raise click.UsageError(f"{env_name(name)} is not set")
    return str(value)


def _seconds(value: str | None) -> Sequence[float] | None:
    if value is None:
        return None
    try:
        pauses = tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter("seconds, apart by commas") from None
    if any(pause < 0 for pause in pauses):
        raise click.BadParameter("a pause is not negative")
    return pauses


def _run(
    run: Callable[[threading.Event], None], status: Status, settings: Settings, port: int | None
) -> None:
    """Run until SIGTERM or SIGINT; a second ^C ends at once."""
    from schemas.logs import configure
    from sinks.health import page

    configure(settings.log_format)
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    with page(status, settings.web_host, settings.web_port if port is None else port) as bound:
        logger.info("sink started", extra={"sink": status.name, "web_port": bound})
        run(stop)
    logger.info("sink ended", extra={"sink": status.name, "lag": status.lag})
