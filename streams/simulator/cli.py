"""``ihwatch simulate``: synthetic hospitals to a file, to stdout or to Kafka, with their truth."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from schemas.flat import to_flat
from streams.rulebook import RULEBOOKS
from streams.simulator.config import FILING_TAIL, SimulationConfig
from streams.simulator.pace import Pace, Pacer
from streams.simulator.simulation import Simulation
from streams.simulator.simulation import simulate as begin
from streams.simulator.violations import KINDS
from streams.timeline import MINUTE, format_instant, parse_day, start_of_day

KAFKA = "kafka"


class _Institutions(click.ParamType):
    name = "count"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, int]:
        if isinstance(value, Mapping):
            return value
        text = str(value)
        if text.isdigit():
            return dict.fromkeys(RULEBOOKS, int(text))
        found: dict[str, int] = {}
        for part in text.split(","):
            name, _, count = part.partition("=")
            if name not in RULEBOOKS or not count.isdigit():
                self.fail(f"{part!r}: a number, or {RULEBOOKS[0]}=2,{RULEBOOKS[1]}=1", param, ctx)
            found[name] = int(count)
        return found


class _Speed(click.ParamType):
    name = "factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r}: 'max' or a factor greater than 0 (1 is real time)", param, ctx)
        return speed


class _Day(click.ParamType):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return start_of_day(parse_day(str(value)))
        except ValueError:
            self.fail(f"{value!r}: a date such as 2026-03-02", param, ctx)


def _kinds(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> frozenset[str] | None:
    """Names apart by commas or given one by one; None for all."""
    return frozenset(name for part in value for name in part.split(",") if name) or None


def _list_kinds(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    for kind in KINDS:
        sort = "lawful" if kind.lawful else "violation"
        books = "all" if len(kind.rulebooks) == len(RULEBOOKS) else ",".join(sorted(kind.rulebooks))
        click.echo(f"{kind.name:28} {kind.rule_id}  {sort:9}  {books:24}  {kind.summary}")
    ctx.exit(0)


_SHARE = click.FloatRange(0, 1)


@click.command(help="Write the days of synthetic hospitals: to a file, to stdout or to Kafka.")
@click.option("--out", default="-", show_default=True, help="A file, '-' for stdout, or 'kafka'.")
@click.option("--format", "form", type=click.Choice(["jsonl"]), default="jsonl", show_default=True)
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Truth, JSON lines.")
@click.option(
    "--directory",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the institutions directory with its (synthetic) signing keys, before any event.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--start", type=_Day(), default="2026-03-02", show_default=True, help="First day.")
@click.option("--days", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--institutions",
    type=_Institutions(),
    default="1",
    show_default=True,
    help="How many in each jurisdiction, or guangxi=3,chongqing=2.",
)
@click.option(
    "--rate", type=float, default=40.0, show_default=True, help="Sessions an institution and day."
)
@click.option(
    "--violations", type=_SHARE, default=0.05, show_default=True, help="Share of sessions."
)
@click.option(
    "--look-alikes", type=_SHARE, default=0.0, show_default=True, help="Lawful, as share too."
)
@click.option("--kinds", multiple=True, callback=_kinds, help="Only these kinds; repeat or 'a,b'.")
@click.option("--late", type=_SHARE, default=0.0, show_default=True, help="Lawfully late uploads.")
@click.option("--duplicates", type=_SHARE, default=0.0, show_default=True, help="Sent twice.")
@click.option("--shuffle", type=_SHARE, default=0.0, show_default=True, help="Out of order.")
@click.option("--corrections", type=_SHARE, default=0.0, show_default=True, help="Of ratings.")
@click.option(
    "--tail-days",
    type=click.IntRange(FILING_TAIL),
    default=FILING_TAIL,
    show_default=True,
    help="Closed days at the end, in which all deadlines fall due.",
)
@click.option(
    "--speed",
    type=_Speed(),
    default="max",
    show_default=True,
    help="1 is real time, 1440 a day/min.",
)
@click.option(
    "--tick-minutes",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Kafka: simulated minutes between ticks of every partition.",
)
@click.option("--list-kinds", is_flag=True, is_eager=True, expose_value=False, callback=_list_kinds)
def simulate(
    out: str,
    form: str,
    truth: Path | None,
    directory: Path | None,
    start: int,
    speed: float | None,
    tick_minutes: int,
    **sizes: Any,
) -> None:
    """Prepare, write the directory, write or publish the events, then the truth."""
    try:
        config = SimulationConfig(start=start, **sizes)
        simulation = begin(config)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if directory is not None:
        simulation.directory.write(directory)
    pacer = Pacer(Pace.even(config, speed))
    if out == KAFKA:
        said = _publish(simulation, pacer, tick_minutes * MINUTE)
    else:
        said = f"{_write(simulation, out, pacer)} events"
    if truth is not None:
        lines = [msgspec.json.encode(expected.as_json()) for expected in simulation.truth]
        truth.write_bytes(b"".join(line + b"\n" for line in lines))
    expected = sum(not finding.optional for finding in simulation.truth)
    click.echo(f"{said}; {expected} findings to expect at {format_instant(config.end)}", err=True)


def _write(simulation: Simulation, out: str, pacer: Pacer) -> int:
    """Write flat JSON lines in order of receipt and return how many."""
    if out == "-":
        return _lines(simulation, sys.stdout.buffer, pacer)
    with Path(out).open("wb") as file:
        return _lines(simulation, file, pacer)


def _lines(simulation: Simulation, file: IO[bytes], pacer: Pacer) -> int:
    count = 0
    for upload in simulation.uploads:
        pacer.until(upload.received_at, file.flush)
        line = to_flat(upload.datum, upload.received_at) | {"signature_valid": upload.signed}
        file.write(msgspec.json.encode(line) + b"\n")
        count += 1
    file.flush()
    return count


def _publish(simulation: Simulation, pacer: Pacer, tick_every: int) -> str:
    """Publish to the broker and topic of the settings; say what was sent."""
    from confluent_kafka import Producer

    from schemas.settings import Settings
    from schemas.topics import Topics
    from streams.simulator.publish import PRODUCER_SETTINGS, Publisher

    settings = Settings.from_env(os.environ)
    producer = Producer({"bootstrap.servers": settings.brokers, **PRODUCER_SETTINGS})
    topic = Topics.named(settings.topic_prefix).events.name
    publisher = Publisher(producer, topic, simulation.directory, settings.partitions, tick_every)
    sent = publisher.run(simulation, pacer)
    return (
        f"{sent.events} events, {sent.duplicates} duplicates and {sent.ticks} ticks published"
        f" to {topic}"
    )
