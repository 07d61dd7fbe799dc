"""How ihwatch grows: memory, recovery, and throughput against what there is to supervise.

    python -m bench.scale [--only memory] [--quick] [--runs 3] [--write]

memory        what an open session takes in a worker's memory, and its case files on the disk
sessions      events a CPU second of the core with 10 k, 100 k and 1 M open sessions
institutions  the same with 100, 1,000 and 10,000 institutions and one load
rules         the same with all 60 rules, the five that must exist, and none
recovery      a worker with a million case files in its changelog, on an empty disk and on its own
workers       one worker and two on a real Kafka, each on a core of its own

Case files come from hospitals that the core has supervised, multiplied (bench/population.py). Runs
of the core are processes of their own, alternate, and do with RocksDB what the worker does
(bench/scale_core.py). Writes bench/results/scale.json, one entry for each part.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from bench.contenders import Cluster
from bench.load import make_load
from bench.machine import RESULTS, machine
from bench.population import Population, populations
from bench.report import Spread
from bench.scale_core import Input, on_disk, write
from bench.scale_kafka import recovery, workers
from streams.rulebook import NATIONAL, RULEBOOKS, Library
from streams.simulator.truth import STAR_RULES
from tests.support.kafka import ROOT, RealKafka

RESULT = RESULTS / "scale.json"
Sizes = Mapping[str, tuple[int, int]]
"""Hospitals in each of five jurisdictions and open sessions of each hospital, by name."""

SESSIONS: Sizes = {"10 k": (500, 4), "100 k": (500, 40), "1 M": (500, 400)}
INSTITUTIONS: Sizes = {"100": (20, 200), "1,000": (200, 20), "10,000": (2_000, 2)}
RULES: Sizes = {"1,000": (200, 20)}
FED = 2_000
"""Sessions fed to the hospitals of each jurisdiction: 100,000 events, as an hour of a working day
has. After half of them the case files in use are decoded and the process hardly grows any more.
"""
TRICKLE = 200
"""A tenth of them, where what hospitals do beside sessions matters, or only rules."""
RECOVERED = 1_000_000
KIB = 1024.0


class Variant(NamedTuple):
    """What is different from run to run: overrides of parameters, and what is fed."""

    overrides: tuple[str, ...] = ()
    routine: bool = True
    sessions: int = TRICKLE


class Part:
    """One thing to measure: how, at which size, and what to say of it."""

    def __init__(self, quick: bool, runs: int) -> None:
        self.quick, self.runs = quick, 1 if quick else runs

    def sized(self, sizes: Sizes) -> Sizes:
        """The sizes to measure: a twentieth of the hospitals for a quick look."""
        if not self.quick:
            return sizes
        return {name: (max(1, each // 20), count) for name, (each, count) in sizes.items()}

    # -- the core --------------------------------------------------------------------------------

    def sessions(self) -> dict[str, Any]:
        """What grows with open sessions: memory, and events a CPU second."""
        return self._core(self.sized(SESSIONS), {"": Variant(sessions=FED)})

    def institutions(self) -> dict[str, Any]:
        """The same open sessions and the same load in more and more hospitals.

        First exactly the same load: sessions, and no hospital reports or is asked who is on duty.
        Then a tenth of it, and that with the routine of every hospital, which grows with them.
        """
        alone = Variant(retired({"PHA-01"}), routine=False, sessions=FED)
        trickle = alone._replace(sessions=TRICKLE)
        return self._core(
            self.sized(INSTITUTIONS),
            {"": alone, ", a trickle": trickle, ", a trickle and routine": Variant()},
        )

    def rules(self) -> dict[str, Any]:
        """One population under all rules, five and none."""
        every = sorted(Library.load(()).books[NATIONAL].rules)
        variants = {
            f", all {len(every)} rules": Variant(),
            f", the {len(STAR_RULES)} that must exist": Variant(
                retired(set(every) - {*STAR_RULES})
            ),
            ", no rule": Variant(retired(every)),
        }
        return self._core(self.sized(RULES), variants)

    def _core(self, sizes: Sizes, variants: Mapping[str, Variant]) -> dict[str, Any]:
        """Run the core over each population under each variant of the rulebooks, alternating."""
        measured = []
        with tempfile.TemporaryDirectory(prefix="ihwatch-scale-") as name:
            folder = Path(name)
            made = populations(sizes)
            described = {}
            for size, population in made.items():
                described[size] = self._prepare(folder / size, population, sizes[size])
                for variant, (overrides, routine, sessions) in variants.items():
                    events = population.feed(sessions // 4 if self.quick else sessions, routine)
                    given = Input(population.names, overrides, events)
                    (folder / f"{size}{variant}.input").write_bytes(pickle.dumps(given))
            for _ in range(self.runs):
                for size in sizes:
                    for variant in variants:
                        run = child(folder / size, folder / f"{size}{variant}.input")
                        measured.append({"size": size, "variant": variant, **run})
                        click.echo(said(run, described[size], size + variant))
        return {"populations": described, "measured": measured}

    def _prepare(
        self, folder: Path, population: Population, size: tuple[int, int]
    ) -> dict[str, int]:
        files, stored = write(folder, population.stored())
        institutions = size[0] * len(RULEBOOKS)
        return {
            "institutions": institutions, "sessions": institutions * size[1], "files": files,
            "bytes": stored, "disk": on_disk(folder),
        }  # fmt: skip

    # -- whole workers ---------------------------------------------------------------------------

    def recovery(self) -> dict[str, Any]:
        """A worker that finds nothing on its disk, then one that finds everything."""
        files = RECOVERED // 20 if self.quick else RECOVERED
        each, open_sessions = (20, 40) if self.quick else (400, 40)
        population = populations({"": (each, open_sessions)})[""]
        with RealKafka(heap_mb=768, fast_jit=True) as kafka:
            return recovery(Cluster(kafka), population, files)

    def workers(self) -> dict[str, Any]:
        """One worker and two, alternating; the broker shares the cores with them."""
        load = make_load(each=4 if self.quick else 40, rate=20.0, hours=2.0 if self.quick else 9.0)
        cores = sorted(os.sched_getaffinity(0))
        measured = []
        with RealKafka(heap_mb=768, fast_jit=True) as kafka:
            cluster = Cluster(kafka)
            for _ in range(self.runs):
                for count in (1, 2):
                    run = workers(cluster, load, cores[-count:])
                    measured.append(run)
                    click.echo(
                        f"{count} workers: {run['events'] / run['seconds']:,.0f} events/s,"
                        f" {run['events'] / sum(run['cpu']):,.0f} a CPU second"
                    )
        return {"measured": measured, "cores": len(cores)}


PARTS: Mapping[str, Callable[[Part], dict[str, Any]]] = {
    "sessions": Part.sessions,
    "institutions": Part.institutions,
    "rules": Part.rules,
    "recovery": Part.recovery,
    "workers": Part.workers,
}


def retired(rules: Sequence[str] | set[str]) -> tuple[str, ...]:
    """Overrides that have these rules judged no more, in every rulebook."""
    return tuple(f"{rule.replace('-', '').lower()}.status=retired" for rule in sorted(rules))


def child(database: Path, given: Path) -> dict[str, Any]:
    """Run the core in a process of its own, on a copy of the database."""
    with tempfile.TemporaryDirectory(prefix="ihwatch-scale-", dir=database.parent) as name:
        copy = Path(name) / "database"
        shutil.copytree(database, copy)
        done = subprocess.run(
            [sys.executable, "-m", "bench.scale_core", copy, given],
            check=True, stdout=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_session(run: Mapping[str, Any], population: Mapping[str, int]) -> float:
    """Bytes of memory that the restored core takes for each open session."""
    memory = run["memory"]
    return float(memory["restored"] - memory["empty"]) / population["sessions"]


def rate(run: Mapping[str, Any]) -> float:
    """Events a second of CPU of the core's thread; RocksDB's own threads are left out."""
    return float(run["fed"]["events"] / run["fed"]["thread"])


def said(run: Mapping[str, Any], population: Mapping[str, int], name: str) -> str:
    """One run in a line."""
    return (
        f"{name:>30}: {population['sessions']:,} open sessions of {population['institutions']:,}"
        f" institutions, {population['files']:,} case files, restored in"
        f" {run['restore']['thread']:.1f} s of CPU, {of_session(run, population) / KIB:.2f} KiB of"
        f" memory a session; {run['fed']['events']:,} events, {rate(run):,.0f} a CPU second"
        f" ({run['fed']['events'] / run['fed']['cpu']:,.0f} with RocksDB's threads)"
    )


def summary(part: str, found: Mapping[str, Any]) -> list[str]:
    """What a part comes to, in a few lines."""
    if part == "recovery":
        return [_recovered(found, disk) for disk in ("empty", "warm")]
    runs = found["measured"]
    if part == "workers":
        rates = {
            count: Spread.of([r["events"] / r["seconds"] for r in runs if r["workers"] == count])
            for count in (1, 2)
        }
        each = {
            count: Spread.of([r["events"] / sum(r["cpu"]) for r in runs if r["workers"] == count])
            for count in (1, 2)
        }
        ratio, share = (of[2].median / of[1].median for of in (rates, each))
        return [
            f"two workers: {rates[2]} events/s, {ratio:.2f} times one ({rates[1]})",
            f"for each second of their CPU: {each[2]} events, {share:.2f} times one ({each[1]})",
        ]
    names = list(dict.fromkeys((run["size"], run["variant"]) for run in runs))
    rates_by = {
        name: Spread.of([rate(r) for r in runs if (r["size"], r["variant"]) == name])
        for name in names
    }
    firsts = {variant: rates_by[names[0][0], variant].median for _, variant in names}
    if part == "rules":
        firsts = dict.fromkeys(firsts, firsts[names[0][1]])
    lines = [
        f"{size + variant:>30}: {rates_by[size, variant]} events a CPU second,"
        f" {rates_by[size, variant].median / firsts[variant] - 1:+.1%},"
        f" {_saved(runs, size, variant):.1f} case files written an event"
        for size, variant in names
    ]
    if part == "sessions":
        lines.append(_growth(found))
    return lines


def _saved(runs: Sequence[Mapping[str, Any]], size: str, variant: str) -> float:
    """Case files written for each event: many events of a case file in a batch are one write."""
    mine = [run["fed"] for run in runs if (run["size"], run["variant"]) == (size, variant)]
    return float(sum(fed["saved"] for fed in mine) / sum(fed["events"] for fed in mine))


def _recovered(found: Mapping[str, Any], disk: str) -> str:
    """How a worker came back with such a disk."""
    one = found[disk]
    return (
        f"{found['files']:,} case files, disk {disk}: {one['seconds']:.1f} s from start to done,"
        f" {one['cpu']:.1f} s of CPU, {one['taken_up']:.1f} s of it taking {one['partitions']}"
        f" partitions up; {one['resident'] / KIB**2:,.0f} MiB"
    )


def _growth(found: Mapping[str, Any]) -> str:
    """Memory of a session more, from the smallest to the largest population."""
    names = list(found["populations"])
    restored = {}
    for name in (names[0], names[-1]):
        runs = [run for run in found["measured"] if run["size"] == name]
        restored[name] = Spread.of([r["memory"]["restored"] - r["memory"]["empty"] for r in runs])
    few, many = (found["populations"][name]["sessions"] for name in (names[0], names[-1]))
    more = restored[names[-1]].median - restored[names[0]].median
    return f"memory of each further open session: {more / (many - few) / KIB:.2f} KiB"


def write_down(part: str, found: Mapping[str, Any]) -> None:
    """Put a part into the results, beside the others."""
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known[part] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(), "machine": machine(), **found,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(known, indent=1) + "\n")


@click.command()
@click.option("--only", multiple=True, type=click.Choice(["memory", *PARTS]))
@click.option("--quick", is_flag=True, help="A twentieth of the hospitals, one run.")
@click.option("--runs", default=3, show_default=True, help="Runs of each size.")
@click.option(
    "--write/--no-write", "writes", default=False, help="Write results (not with --quick)."
)
def main(only: tuple[str, ...], quick: bool, runs: int, writes: bool) -> None:
    """Measure how ihwatch grows."""
    wanted = ["sessions" if name == "memory" else name for name in only] or list(PARTS)
    for part in dict.fromkeys(wanted):
        click.echo(f"-- {part} (load before: {os.getloadavg()[0]:.1f})")
        found = PARTS[part](Part(quick, runs))
        for line in summary(part, found):
            click.echo(line)
        if writes and not quick:
            write_down(part, found)


if __name__ == "__main__":
    main()
