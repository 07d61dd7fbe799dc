"""``ihwatch demo``: starts the platform, shows it at work, and says whether everything agreed."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from dashboards.preview import render_preview
from streams.demo import view
from streams.demo.audit import compare_findings, compare_tables
from streams.demo.wiring import PartFailed, Platform
from streams.rulebook import RULEBOOKS
from streams.simulator.config import SimulationConfig

DISAGREES = 1
INTERRUPTED = 130
_PATIENCE = 40.0


@click.command(help="Show the whole way in one process, within two minutes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("ihwatch-demo"))
@click.option("--seconds", type=click.FloatRange(min=10), default=45.0, help="Length of the run.")
@click.option("--days", type=click.IntRange(1, 5), default=2, help="Simulated days.")
@click.option("--institutions", type=click.IntRange(1, 10), default=2, help="Per jurisdiction.")
@click.option("--rate", type=click.FloatRange(1, 500), default=25.0, help="Sessions a day each.")
@click.option("--seed", type=int, default=2026)
def demo(out: Path, seconds: float, days: int, institutions: int, rate: float, seed: int) -> int:
    """Run, watch, compare, leave the pages; 0 only if all comparisons are equal."""
    console = Console()
    config = SimulationConfig(
        seed=seed,
        days=days,
        institutions=dict.fromkeys(RULEBOOKS, institutions),
        rate=rate,
        violations=0.25,
        look_alikes=0.25,
        late=0.03,
        duplicates=0.02,
        shuffle=0.05,
        corrections=0.05,
    )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    _log_to(out / "demo.log")
    console.print(view.both("demo.warning"), style="dim")
    platform = Platform(config, out.resolve(), seconds * 0.8, seconds * 0.2)
    started = time.monotonic()
    try:
        with platform.running():
            _watch(platform, console, started)
            matches = compare_tables(platform.client, platform.auditor.seen)
            found = compare_findings(platform.client, platform.simulation.truth)
            pages = render_preview(platform.client, out / "boards")
            elapsed = time.monotonic() - started
            good = view.summary(console, platform, matches, found, pages[0], elapsed)
    except KeyboardInterrupt:
        console.print(view.both("demo.interrupted"))
        return INTERRUPTED
    except PartFailed as error:
        console.print(f"[bold red]{error}[/] (see {out / 'demo.log'})")
        return DISAGREES
    return 0 if good else DISAGREES


def _watch(platform: Platform, console: Console, started: float) -> None:
    """Show the platform until everything published has been judged, delivered and stored."""
    last_line = 0.0
    settled_at = None
    live = None
    if console.is_terminal:
        live = Live(console=console, refresh_per_second=4, transient=True)
    try:
        if live is not None:
            live.start()
        while settled_at is None or time.monotonic() < settled_at + 1.5:
            platform.check()
            elapsed = time.monotonic() - started
            done = platform.judged_all and platform.delivered_all
            settled_at = (settled_at or time.monotonic()) if done else None
            if platform.published_all and elapsed > platform.patience_from + _PATIENCE:
                raise PartFailed("what was published is not all judged, delivered and stored")
            if live is not None:
                live.update(view.screen(platform, elapsed))
            elif elapsed - last_line >= 5.0:
                last_line = elapsed
                click.echo(view.line(platform, elapsed), err=True)
            time.sleep(0.25)
    finally:
        if live is not None:
            live.stop()


def _log_to(path: Path) -> None:
    """Keep the terminal for the picture; the parts' logs go to a file beside the pages."""
    logging.basicConfig(
        filename=path,
        level=logging.INFO,
        force=True,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
