"""What `make bench` rests on, without running it: the load, the peers' lock, the report."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from bench.contenders import CONTENDERS, FLOOR, WORKER, Run
from bench.footprint import record_bytes
from bench.load import make_load
from bench.machine import machine
from bench.pages import pages
from bench.plot import points
from bench.report import document, summary
from schemas.topics import is_tick
from streams.timeline import HOUR
from tests.support.kafka import ROOT


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    return dict(line.split()[0].split("==") for line in lines if line[:1].isalpha())


def test_peers_run_the_core_on_the_same_versions() -> None:
    ours, peers = pins("requirements.lock"), pins("bench/requirements-peers.lock")
    for name in ("fastavro", "msgspec"):
        assert peers[name] == ours[name]
    assert "://" not in (ROOT / "bench/requirements-peers.lock").read_text()


def test_a_smaller_load_is_the_beginning_of_the_larger_one() -> None:
    whole = make_load(each=1, rate=10.0, hours=12.0)
    part = whole.first(2.0)
    assert part.before == whole.before
    events = part.timed[: -part.ticks]
    assert events == whole.timed[: len(events)]
    assert part.end == part.begins + 2 * HOUR
    assert 0 < len(events) < len(whole.timed) - whole.ticks
    assert [key.decode() for key, *_ in part.timed[-part.ticks :]] == [*part.directory.institutions]
    assert all(is_tick(headers, value) for _, value, headers, _ in part.timed[-part.ticks :])


def test_the_report_states_medians_and_ratios_run_by_run() -> None:
    runs = [
        Run(one.name, 1_000, seconds * (2 if one.name == WORKER else 8), 1.0, None)
        for seconds in (1.0, 2.0, 3.0)
        for one in CONTENDERS
    ]
    rows = summary(runs)
    assert [row.name for row in rows] == [one.name for one in CONTENDERS]
    assert rows[0].rate == (250.0, 1_000 / 6, 500.0)
    assert rows[-1].ratio == (4.0, 4.0, 4.0)
    assert rows[-1].name == FLOOR
    assert ET.fromstring(points(rows)).tag.endswith("svg")
    load = {
        "institutions": 5, "sessions_a_day": 20.0, "before": 10, "mean_value_bytes": 170,
    }  # fmt: skip
    parts = dict.fromkeys(("stages", "growth", "sink", "check"), "")
    report = {"date": "2026-03-02", "runs": 3, "machine": machine(), "load": load}
    page = document(report, runs, parts)
    assert "| Bytewax |" in page
    assert "4.00 (4.00 to 4.00)" in page


def test_the_pages_say_what_was_measured_last() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text


def test_footprints_count_what_a_record_takes() -> None:
    assert record_bytes(b"k", b"value") == 15 + 6
    assert record_bytes(None, None, [("name", b"content")]) == 15 + 2 + 11
