"""Measure what stock Faust loses and what our transport keeps, and write it into docs/trust.md.

    python -m bench.trust [--times 3] [--only slow_recovery] [--write]

Each experiment (tests/support/experiments.py) runs on the embedded broker and on a real Kafka,
with stock Faust and with ours, every run on a topic and in a group of its own. About 45 minutes
for three times.
"""

import dataclasses
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click

from streams.embedded import EmbeddedBroker
from tests.support import experiments
from tests.support.experiments import Result
from tests.support.kafka import POM, ROOT, RealKafka
from tests.support.trust import Cluster, EmbeddedCluster, RealCluster

DOCUMENT = ROOT / "docs" / "trust.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

EXPERIMENTS: dict[str, tuple[str, Callable[..., Result]]] = {
    "first_batch_of_one": (
        "A, B. One record alone on a fresh partition, then 12,000 in batches of 500",
        experiments.first_batch_of_one,
    ),
    "failing_agent": (
        "D. The agent raises on one record; the worker is started again",
        experiments.failing_agent,
    ),
    "kills": (
        "E. `kill -9` three times in mid flow, the disk wiped each time",
        experiments.kills,
    ),
    "slow_acknowledgement": (
        "F. The broker takes 300 ms to acknowledge, records keep coming",
        experiments.slow_acknowledgement,
    ),
    "join_and_leave": (
        "G. A second worker joins and leaves in good order while records flow",
        partial(experiments.rebalances, crash=False),
    ),
    "out_of_order": (
        "H. The first record is held while later ones are finished, then `kill -9`",
        experiments.out_of_order,
    ),
    "slow_recovery": (
        "K, L. A new worker recovers 64 partitions from a broker 40 ms away",
        experiments.slow_recovery,
    ),
    "join_and_die": (
        "N. A second worker joins and is killed while records flow",
        partial(experiments.rebalances, crash=True),
    ),
}


# The embedded broker cannot serve two workers reliably.
REAL_ONLY = {"join_and_leave", "join_and_die"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One experiment on one broker: the results of each side, None where a run got stuck."""

    title: str
    broker: str
    stock: list[Result | None]
    ours: list[Result | None]

    def markdown(self) -> str:
        return f"| {self.title} | {self.broker} | {_cell(self.stock)} | {_cell(self.ours)} |"


def _cell(results: list[Result | None]) -> str:
    """Name every count that is not nought, run by run; a dash stands for a run that got stuck."""
    said = []
    for field, text in (
        ("lost", "**lost {}**"),
        ("uncommitted", "never committed {}"),
        ("under", "missing from the table {}"),
        ("over", "counted twice in the table {}"),
        ("unacknowledged", "committed with {} state writes unacknowledged"),
        ("violations", "commit ahead of the work in {} samples"),
        ("repeated", "repeated {}"),
    ):
        counts = ["–" if result is None else getattr(result, field) for result in results]
        if any(count not in (0, "–") for count in counts):
            said.append(text.format(" / ".join(map(str, counts))))
    stuck = sum(result is None for result in results)
    if stuck:
        said.append(f"got stuck {stuck} of {len(results)} times")
    return "; ".join(said) or "nothing lost, nothing repeated"


def measure(cluster: Cluster, name: str, times: int) -> Row:
    """Run one experiment, stock and ours in turn, so that both see the same machine."""
    title, experiment = EXPERIMENTS[name]
    row = Row(title, cluster.name, [], [])
    for _ in range(times):
        for results, stock in ((row.stock, True), (row.ours, False)):
            try:
                results.append(experiment(cluster, stock=stock))
            except AssertionError as error:
                click.echo(f"{name}, stock={stock}: {str(error)[-300:]}", err=True)
                results.append(None)
    return row


def write(rows: list[Row], document: Path) -> None:
    """Replace what is between the markers of the document."""
    text = document.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    table = "\n".join(row.markdown() for row in rows)
    header = "| experiment | broker | stock Faust | ihwatch |\n|---|---|---|---|"
    document.write_text(
        f"{head}{BEGIN}\n{_machine()}\n\n{header}\n{table}\n{END}{tail}", encoding="utf-8"
    )


def _machine() -> str:
    pinned = POM.read_text().split("<artifactId>kafka_2.13</artifactId>")[1]
    kafka = pinned.split("<version>")[1].split("<")[0]
    return (
        f"Measured with Python {platform.python_version()}, faust-streaming "
        f"{version('faust-streaming')}, aiokafka {version('aiokafka')}, Apache Kafka {kafka}; "
        f"embedded is the mock cluster of confluent-kafka {version('confluent-kafka')}."
    )


@click.command(help=__doc__)
@click.option("--times", default=3, show_default=True, help="How often each experiment runs.")
@click.option("--only", type=click.Choice(list(EXPERIMENTS)), multiple=True)
@click.option("--write", "into_docs", is_flag=True, help="Put the table into docs/trust.md.")
def main(times: int, only: tuple[str, ...], into_docs: bool) -> None:
    names = list(only or EXPERIMENTS)
    rows = []
    with RealKafka() as kafka, EmbeddedBroker({}) as embedded:
        clusters: list[Cluster] = [EmbeddedCluster(embedded), RealCluster(kafka)]
        for name in names:
            for cluster in clusters[name in REAL_ONLY :]:
                row = measure(cluster, name, times)
                click.echo(row.markdown())
                rows.append(row)
    if into_docs:
        write(rows, DOCUMENT)


if __name__ == "__main__":
    main()
