"""The Faust app of the worker: settings in, agents, table, metrics and health page out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import faust
from faust.exceptions import ConsumerNotStarted
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.tables.manager import TableManager
from faust.web import Request, Response, View
from prometheus_client import CollectorRegistry

from schemas.admission import Admission
from schemas.directory import Directory
from schemas.errors import IhwatchError
from schemas.registry import ConfluentRegistry, LocalRegistry
from schemas.settings import Settings
from schemas.topics import Topics
from streams.agents import Shell
from streams.intake import Intake
from streams.metrics import Metrics
from streams.reference import ReferenceData
from streams.rulebook import Library
from streams.transport import app_options, install

log = logging.getLogger(__name__)


class NoDirectoryError(IhwatchError):
    """Signed events cannot be told from forged ones without the institutions' keys."""

    retriable = False

    def __init__(self) -> None:
        super().__init__("IHWATCH_DIRECTORY is not set: no key to verify any signature with")


def read_directory(settings: Settings) -> Directory:
    """The institutions directory; an empty one only where unsigned events are allowed."""
    if settings.directory is not None:
        return Directory.load(settings.directory)
    if settings.allow_unsigned:
        return Directory(())
    raise NoDirectoryError


def build(
    settings: Settings,
    directory: Directory,
    *,
    recovery_delay: float = 1.0,
    session_timeout: float = 30.0,
    web: bool = True,
) -> Shell:
    """Make the worker's app; nothing is connected or started yet.

    ``recovery_delay`` (seconds) lets a group settle before tables are restored.
    """
    options = app_options(
        settings.group,
        settings.brokers,
        Path(settings.data_dir) / "tables",
        store=settings.table_store,
        partitions=settings.partitions,
        web_host=settings.web_host,
        web_port=settings.web_port,
        recovery_delay=recovery_delay,
        session_timeout=session_timeout,
    )
    app = faust.App(**options, web_enabled=web)
    topics = Topics.named(settings.topic_prefix)
    install(app, [topics.events.name, topics.practice.name])
    shell = Shell(
        app,
        settings,
        make_intake(settings, directory),
        Library.load(settings.overrides),
        {name: i.rulebook for name, i in directory.institutions.items()},
        Metrics(CollectorRegistry()),
        ReferenceData.load(settings.reference_dir),
    )
    broker_clock = settings.clock == "log-append"
    shell.declare(ticks=broker_clock)
    if web:
        _pages(app, shell)
    return shell


def make_intake(settings: Settings, directory: Directory) -> Intake:
    """Intake as the settings want it: registry, keys, clock and ratio of refusals."""
    url = settings.registry_url
    registry = LocalRegistry() if url is None else ConfluentRegistry(url)
    return Intake(
        Admission(registry, directory, allow_unsigned=settings.allow_unsigned),
        Topics.named(settings.topic_prefix).events.name,
        settings.clock == "log-append",
        settings.reject_ratio_limit,
    )


def ready(app: faust.App) -> dict[str, bool]:
    """What readiness consists of; Faust's own flags say ready before the first assignment."""
    recovery = cast(TableManager, app.tables).recovery
    return {
        "recovered": recovery.completed.is_set() and not recovery.in_recovery,
        "settled": not app.rebalancing,
        "assigned": _assigned(app),
    }


def _assigned(app: faust.App) -> bool:
    try:
        return bool(app.started and app.consumer.assignment())
    except ConsumerNotStarted:
        return False


def _pages(app: faust.App, shell: Shell) -> None:
    """``/metrics`` for Prometheus, ``/healthz`` alive, ``/readyz`` taking part."""
    registry = shell.metrics.registry
    setup_prometheus_sensors(app, registry=registry, name_prefix="ihwatch_faust")

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        return view.json({"status": "alive"})

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        state: dict[str, Any] = ready(app)
        status = 200 if all(state.values()) else 503
        return view.json(state, status=status)
