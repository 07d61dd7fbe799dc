"""What a person sees while the demo runs, and the summary at its end."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.texts import text
from streams.demo.audit import Match
from streams.demo.wiring import Platform
from streams.findings import State
from streams.rule_docs import SEVERITIES
from streams.simulator import scope
from streams.simulator.truth import Comparison
from streams.timeline import format_instant

_EXAMPLES = 5
_STYLE = {"CONFIRMED": "bold red", "RESOLVED": "yellow", "WITHDRAWN": "cyan", "SUSPECTED": "white"}


def _family(rule_id: str) -> str:
    return rule_id.partition("-")[0]


FAMILIES = {name: tuple(rules) for name, rules in itertools.groupby(scope.RULES, key=_family)}
"""The rules of each family, such as IDV."""


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
        _by_family(platform),
        _recent(platform),
    )


def line(platform: Platform, elapsed: float) -> str:
    """The same in one line, where nobody watches a terminal."""
    seen = platform.auditor.seen
    return (
        f"{elapsed:5.0f} s  {format_instant(max(platform.clock, platform.simulation.start))}"
        f"  events {platform.publisher.published.events}  findings {len(seen.alerts)}"
        f" of {len({alert['rule_id'] for alert in list(seen.alerts.values())})} rules"
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


def _by_family(platform: Platform) -> Table:
    """How many rules of each family have found something, and in which states it is."""
    rules: dict[str, set[str]] = defaultdict(set)
    counts: Counter[tuple[str, str]] = Counter()
    for alert in list(platform.auditor.seen.alerts.values()):
        family = _family(alert["rule_id"])
        rules[family].add(alert["rule_id"])
        counts[family, alert["state"]] += 1
    table = Table(title=both("demo.findings"), box=box.SIMPLE_HEAD, expand=True)
    table.add_column(both("demo.family"), no_wrap=True)
    table.add_column(both("demo.rules"), justify="right", no_wrap=True)
    for state in State:
        table.add_column(
            text(f"state.{state}", "zh"), style=_STYLE.get(state, "dim"), justify="right"
        )
    for family, known in FAMILIES.items():
        found = [f"{counts[family, state] or '·'}" for state in State]
        share = f"{len(rules[family])}/{len(known)}"
        table.add_row(f"{family} {both(f'demo.family.{family}')}", share, *found)
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
    console.print(_held_against_truth(platform, comparisons))
    for rule, held in comparisons.items():
        if not held.exact:
            console.print(_difference(rule, held), style="red")
    console.print(_examples(platform))
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


def _held_against_truth(platform: Platform, comparisons: dict[str, Comparison]) -> Table:
    """Precision and recall by family, and over all rules in the last row."""
    table = Table(title=both("demo.truth"))
    names = ("rules", "kinds", "matched", "missing", "unexpected", "wrong", "precision", "recall")
    table.add_column(both("demo.family"))
    for name in names:
        table.add_column(name, justify="right")
    groups = {f"{name} {both(f'demo.family.{name}')}": FAMILIES[name] for name in FAMILIES}
    for name, known in {**groups, both("demo.family.all"): scope.RULES}.items():
        injected = [one for one in platform.simulation.truth if one.rule_id in known]
        held = _together([comparisons[rule] for rule in known if rule in comparisons])
        counts = (held.matched, len(held.missing), len(held.unexpected), len(held.wrong))
        rates = (f"{held.precision:.3f}", f"{held.recall:.3f}")
        rules = f"{len({one.rule_id for one in injected})}/{len(known)}"
        kinds = str(len({one.kind for one in injected}))
        if known == scope.RULES:
            table.add_section()
        table.add_row(name, rules, kinds, *map(str, counts), *rates)
    return table


def _together(parts: list[Comparison]) -> Comparison:
    return Comparison(
        sum(part.matched for part in parts),
        [one for part in parts for one in part.missing],
        [one for part in parts for one in part.unexpected],
        [one for part in parts for one in part.wrong],
    )


def _difference(rule: str, held: Comparison) -> str:
    """What does not agree, by institution and subject."""
    parts = [f"missing {one.institution_id} {one.subject_id}" for one in held.missing]
    parts += [f"unexpected {one['institution_id']} {one['subject_id']}" for one in held.unexpected]
    parts += [f"{one.subject_id} is {state}, not {one.state}" for one, state in held.wrong]
    return f"{rule}: " + "; ".join(parts)


def _examples(platform: Platform) -> Panel:
    """Some established findings in words, the gravest of a family each."""
    gravest: dict[str, Any] = {}
    for alert in sorted(platform.auditor.seen.alerts.values(), key=_gravity):
        if alert["state"] == State.CONFIRMED:
            gravest.setdefault(_family(alert["rule_id"]), alert)
    lines = Text()
    for alert in sorted(gravest.values(), key=_gravity)[:_EXAMPLES]:
        head = f"{alert['rule_id']} {alert['title_zh']} · {alert['title_en']}"
        lines.append(f"{head} · {alert['institution_id']}\n", style="bold")
        lines.append(f"{alert['message_zh']}\n{alert['message_en']}\n\n")
    lines.rstrip()
    return Panel(lines, title=both("demo.examples"), border_style="blue")


def _gravity(alert: dict[str, Any]) -> tuple[int, str, str]:
    return SEVERITIES.index(alert["severity"]), alert["rule_id"], alert["finding_id"]
