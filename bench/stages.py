"""Where the time of one event goes in the worker's core, by stage.

    python -m bench.stages [--write]

A day through intake, core and encoding as in a worker, without Kafka and Faust, in batches; every
4 ms of CPU the stack is looked at and counted for the first stage that it belongs to.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from types import FrameType

import click

from bench.footprint import Traffic, log_of
from bench.machine import RESULTS, machine
from schemas.memory import collect_seldom
from streams.supervisor import DECODED_LIMIT
from tests.support.replay import Rules, process

RESULT = RESULTS / "stages.json"
TRAFFIC = Traffic(each=4, sessions=100, batch=1_000)
EVERY = 0.004
STAGES = (
    ("roster of pharmacists on duty (PHA-01)", "rosters.py", ""),
    ("rules, with what they look up", "streams/checks/", ""),
    ("facts told to other case files", "", "Bench._tell"),
    ("views of case files", "", "Bench._subjects"),
    ("judging: who is called, contexts, findings, watches", "", "Bench."),
    ("receiving: places, folding, counting, watchers", "", "Institution."),
    ("case files written", "", "Shelf.drain"),
    ("due instants, aggregates", "", "Supervisor."),
    ("decoding, signatures, values", "", "Intake."),
    ("outputs encoded", "", "Processor."),
)
"""Stage, and what marks it: part of a file's path, or how a function's qualified name begins."""
OTHER = "other"


def stage_of(frame: FrameType | None) -> str:
    """The first stage that any frame of the stack belongs to."""
    files, names = [], []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    for stage, file, name in STAGES:
        if file and any(file in one for one in files):
            return stage
        if name and any(one.startswith(name) for one in names):
            return stage
    return OTHER


def sample(traffic: Traffic) -> tuple[int, float, Counter[str]]:
    """Events, CPU seconds, and how many looks found which stage."""
    directory, records = log_of(traffic)
    table: dict[str, bytes] = {}
    processor = Rules(directory).processor(0, table, limit=DECODED_LIMIT)
    found: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda _, frame: found.update((stage_of(frame),)))
    collect_seldom()
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    for _, processed in process(processor, records, lambda: traffic.batch):
        table |= processed.saves
    signal.setitimer(signal.ITIMER_PROF, 0)
    return len(records), time.process_time() - begun, found


@click.command()
@click.option("--write/--no-write", default=False, help=f"Write {RESULT.name} in bench/results.")
def main(write: bool) -> None:
    """Print microseconds an event by stage."""
    events, seconds, found = sample(TRAFFIC)
    each = seconds / events * 1e6
    stages = {name: found[name] / found.total() for name in (*(s for s, *_ in STAGES), OTHER)}
    click.echo(f"{TRAFFIC.described}: {events:,} events, {each:.0f} µs each")
    for name, share in stages.items():
        click.echo(f"{share:6.1%} {share * each:6.1f} µs  {name}")
    if write:
        report = {
            "machine": machine(), "traffic": TRAFFIC.described, "events": events,
            "microseconds": each, "shares": stages,
        }  # fmt: skip
        RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
