"""What a person sees while the demo runs, and the summary at its end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.texts import text
from streams.demo.audit import Match
from streams.demo.wiring import Platform
from streams.findings import State
from streams.simulator.truth import Comparison
from streams.timeline import format_instant

_STYLE = {"CONFIRMED": "bold red", "RESOLVED": "yellow", "WITHDRAWN": "cyan", "SUSPECTED": "white"}


def both(key: str, **values: object) -> str:
    """A text in Chinese and English."""
    return f"{text(key, 'zh', **values)} · {text(key, 'en', **values)}"


def screen(platform: Platform, elapsed: float) -> Group:
    """One picture of the running platform."""
    progress = _share(platform)
    head = Table.grid(expand=True)
    head.add_row(both("demo.clock"), format_instant(max(platform.clock, platform.simulation.start)))
    head.add_row(ProgressBar(total=1.0, completed=progress, width=60), f"{elapsed:5.0f} s")
    return Group(
        Panel(head, title=_title(platform), border_style="blue"),
        _numbers(platform),
        _by_rule(platform),
        _recent(platform),
    )


def line(platform: Platform, elapsed: float) -> str:
    """The same in one line, where nobody watches a terminal."""
    seen = platform.auditor.seen
    return (
        f"{elapsed:5.0f} s  {format_instant(max(platform.clock, platform.simulation.start))}"
        f"  events {platform.publisher.published.events}  findings {len(seen.alerts)}"
        f"  webhooks {platform.receiver.counts['verified']}  lag {platform.sink_status.lag}"
    )


def _title(platform: Platform) -> str:
    config = platform.config
    count = sum(config.institutions.values())
    speed = round(platform.speed)
    return both("demo.title", institutions=count, speed=speed)


def _share(platform: Platform) -> float:
    start, end = platform.simulation.start, platform.simulation.end
    return min(1.0, max(0.0, (platform.clock - start) / (end - start)))


def _numbers(platform: Platform) -> Table:
    seen, published = platform.auditor.seen, platform.publisher.published
    table = Table(expand=True, box=None)
    for name in ("events", "findings", "webhooks", "latency", "lag"):
        table.add_column(both(f"demo.{name}"), justify="right")
    table.add_row(
        f"{published.events:,}",
        f"{len(seen.alerts):,}",
        f"{platform.receiver.counts['verified']:,}",
        latency(platform),
        f"{platform.sink_status.lag:,}",
    )
    return table


def latency(platform: Platform) -> str:
    """p50 and p99 from append to webhook, in milliseconds."""
    found = platform.stopwatch.quantiles(0.5, 0.99)
    return " / ".join("–" if value is None else f"{value * 1000:.0f} ms" for value in found)


def _by_rule(platform: Platform) -> Table:
    counts: Counter[tuple[str, str, str]] = Counter()
    for alert in list(platform.auditor.seen.alerts.values()):
        counts[alert["rulebook"], alert["rule_id"], alert["state"]] += 1
    table = Table(title=both("demo.findings"), expand=True)
    for name in ("rulebook", "rule", *State):
        table.add_column(name, justify="left" if name in ("rulebook", "rule") else "right")
    for book, rule in sorted({(book, rule) for book, rule, _ in counts}):
        row = [str(counts[book, rule, state]) for state in State]
        title = f"{rule} {text(f'rule.{rule}.title', 'zh')}"
        table.add_row(book, title, *row)
    return table


def _recent(platform: Platform) -> Panel:
    lines = Text()
    for data in platform.receiver.latest():
        lines.append("✓ ", style="green")
        lines.append(f"{data['state']:<10}", style=_STYLE.get(data["state"], "white"))
        said = f" {data['rule_id']} {data['title_zh']} · {data['institution_id']}"
        lines.append(f"{said} · {data['subject_id']}\n")
    return Panel(lines, title=both("demo.recent"), border_style="green", height=10)


def summary(
    console: Console,
    platform: Platform,
    matches: list[Match],
    comparisons: dict[str, Comparison],
    pages: Any,
    elapsed: float,
) -> bool:
    """Print how it ended; True when everything agrees."""
    table = Table(title=both("demo.audit"))
    for name in ("", "ClickHouse", "Kafka", "="):
        table.add_column(name, justify="right" if name else "left")
    for match in matches:
        mark = "[green]✓[/]" if match.equal else "[bold red]✗[/]"
        table.add_row(match.what, f"{match.found:,}", f"{match.expected:,}", mark)
    console.print(table)
    table = Table(title=both("demo.truth"))
    for name in ("rule", "matched", "missing", "unexpected", "wrong", "precision", "recall"):
        table.add_column(name, justify="right")
    for rule, held in comparisons.items():
        counts = (held.matched, len(held.missing), len(held.unexpected), len(held.wrong))
        rates = (f"{held.precision:.3f}", f"{held.recall:.3f}")
        table.add_row(rule, *map(str, counts), *rates)
    console.print(table)
    published, receiver = platform.publisher.published, platform.receiver
    refused = receiver.counts["refused"]
    console.print(
        f"{published.events:,} events, {published.duplicates:,} duplicates, {published.ticks:,}"
        f" ticks; {receiver.counts['verified']:,} webhooks verified, {refused} refused"
    )
    console.print(f"{both('demo.latency')}: {latency(platform)}")
    console.print(f"{elapsed:.0f} s · {both('demo.pages', path=pages)}")
    exact = all(held.exact for held in comparisons.values())
    good = all(match.equal for match in matches) and exact and refused == 0
    good = good and receiver.counts["verified"] > 0
    console.print(f"[bold {'green' if good else 'red'}]{both('demo.good' if good else 'demo.bad')}")
    return good
