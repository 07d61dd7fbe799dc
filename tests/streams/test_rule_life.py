"""The life of a rule: only recorded in shadow, told of when live, judged no more when retired.

A worker is started anew with other settings, over the case files of the one before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.flat import from_flat
from schemas.texts import text
from schemas.topics import Topics
from schemas.wire import decode_output
from sinks.webhooks.message import wanted
from streams import cli
from streams.events import Event
from streams.intake import Intake, LogRecord, Sorted
from streams.processing import Processor
from streams.rulebook import Library
from streams.supervisor import Supervisor, Tick
from streams.timeline import HOUR, MINUTE

EVENTS = Path(__file__).parents[1] / "fixtures" / "events"
OPENED: dict[str, Any] = {
    **json.loads((EVENTS / "SessionOpened.json").read_text("utf-8")),
    "stream_id": None,
    "stream_seq": None,
    "mode": "TEXT_IMAGE",
}
CHECKED: dict[str, Any] = {
    **json.loads((EVENTS / "DoctorIdentityVerified.json").read_text("utf-8")),
    "stream_id": None,
    "stream_seq": None,
    "session_id": OPENED["session_id"],
    "doctor_id": OPENED["doctor_id"],
    "result": "PASS",
    "phase": "PRE_SESSION",
}
TRIAL = "guangxi.idv01.status=shadow"
GIVEN_UP = "guangxi.idv01.status=retired"

Alerts = list[dict[str, Any]]


class Given:
    """An intake that hands on what it was given."""

    def __init__(self) -> None:
        self.records: list[Event | Tick] = []

    def sort(self, batch: Sequence[LogRecord]) -> Sorted:
        return Sorted(list(self.records), [])


class Hospital:
    """One hospital of Guangxi, supervised by one worker after the other over the same table."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}
        self.offset = 0

    def worker(self, *overrides: str, rulebook: str = "guangxi") -> None:
        """Start a worker with these settings."""
        supervisor = Supervisor(
            Library.load(overrides), {OPENED["institution_id"]: rulebook}, load=self.table.get
        )
        supervisor.restore(self.table.items())
        self.intake = Given()
        self._processor = Processor(0, Topics.named(), cast(Intake, self.intake), supervisor)

    def upload(self, event: dict[str, Any], received_at: int) -> Alerts:
        """What is published of IDV-01 because of an event."""
        return self._take(Event(from_flat(event)[0], received_at, 0, self.offset))

    def tick(self, clock: int) -> Alerts:
        """What is published of IDV-01 because time has passed."""
        return self._take(Tick(clock, self.offset))

    def _take(self, record: Event | Tick) -> Alerts:
        self.intake.records = [record]
        self.offset += 1
        processed = self._processor.process([])
        self.table |= processed.saves
        published = [decode_output(effect.value) for effect in processed.effects]
        self.all = [datum for name, datum in published if name == "Alert"]
        return [alert for alert in self.all if alert["rule_id"] == "IDV-01"]


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


START = from_flat(OPENED)[0]["occurred_at"]
SUSPECTED = START + 10 * MINUTE
ESTABLISHED = START + 25 * HOUR


def told(alerts: Alerts) -> list[tuple[str, bool, bool]]:
    """States, whether on-call is told by the webhook sink, and whether the trial is flagged."""
    return [
        (one["state"], wanted(one, provisional=one["notify"]), "shadow" in one["flags"])
        for one in alerts
    ]


def test_a_live_rule_tells_of_what_is_established(hospital: Hospital) -> None:
    hospital.worker()
    assert hospital.upload(OPENED, START + 1_000) == []
    assert told(hospital.tick(SUSPECTED)) == [("SUSPECTED", False, False)]
    assert told(hospital.tick(ESTABLISHED)) == [("CONFIRMED", True, False)]


def test_a_rule_in_shadow_is_recorded_and_nobody_is_told(hospital: Hospital) -> None:
    hospital.worker(TRIAL)
    hospital.upload(OPENED, START + 1_000)
    assert told(hospital.tick(SUSPECTED)) == [("SUSPECTED", False, True)]
    assert told(hospital.tick(ESTABLISHED)) == [("CONFIRMED", False, True)]
    others = [one for one in hospital.all if one["rule_id"] != "IDV-01"]
    assert any(one["notify"] for one in others), "the others are told as ever"
    assert not any("shadow" in one["flags"] for one in others)
    assert told(hospital.upload(CHECKED, ESTABLISHED + HOUR)) == []
    withdrawn = hospital.tick(ESTABLISHED + 2 * HOUR)
    assert told(withdrawn) == [("WITHDRAWN", False, True)]


def test_a_trial_in_one_rulebook_is_none_in_another(hospital: Hospital) -> None:
    hospital.worker(TRIAL, rulebook="sichuan")
    hospital.upload(OPENED, START + 1_000)
    hospital.tick(SUSPECTED)
    assert told(hospital.tick(ESTABLISHED)) == [("CONFIRMED", True, False)]


def test_a_rule_goes_live_with_what_happens_from_then_on(hospital: Hospital) -> None:
    hospital.worker(TRIAL)
    hospital.upload(OPENED, START + 1_000)
    hospital.tick(SUSPECTED)
    hospital.worker()
    assert told(hospital.tick(ESTABLISHED)) == [("CONFIRMED", True, False)]


def test_a_rule_that_is_retired_leaves_its_findings_as_they_were(hospital: Hospital) -> None:
    """Neither withdrawn, as if evidence had come, nor led any further."""
    hospital.worker()
    hospital.upload(OPENED, START + 1_000)
    hospital.tick(SUSPECTED)
    hospital.worker(GIVEN_UP)
    assert hospital.tick(ESTABLISHED) == []
    assert hospital.upload(CHECKED, ESTABLISHED + HOUR) == []
    assert hospital.tick(ESTABLISHED + 2 * HOUR) == []
    assert any(one["rule_id"] != "IDV-01" for one in hospital.all), "others are judged on"
    again = {**OPENED, "event_id": "again", "session_id": "again"}
    hospital.upload(again, ESTABLISHED + 3 * HOUR)
    assert hospital.tick(ESTABLISHED + 4 * HOUR) == []


def test_a_retired_rule_that_returns_takes_up_its_findings(hospital: Hospital) -> None:
    hospital.worker()
    hospital.upload(OPENED, START + 1_000)
    (first,) = hospital.tick(SUSPECTED)
    hospital.worker(GIVEN_UP)
    hospital.tick(ESTABLISHED)
    hospital.worker()
    found = hospital.upload(CHECKED, ESTABLISHED + HOUR) + hospital.tick(ESTABLISHED + 2 * HOUR)
    assert [one["state"] for one in found] == ["CLEARED"]
    assert (found[0]["finding_id"], found[0]["version"]) == (first["finding_id"], 2)


def test_check_shows_that_a_rule_is_on_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    file = tmp_path / "e.jsonl"
    file.write_text(json.dumps(OPENED), encoding="utf-8")
    arguments = ["check", str(file), "--rulebook", "guangxi", "--as-of", str(ESTABLISHED)]
    arguments += ["--set", "idv01.status=shadow"]
    with pytest.raises(SystemExit, match="3"):
        cli.run(arguments)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["rule_id"] for one in found if one["flags"].get("shadow")} == {"IDV-01"}
    with pytest.raises(SystemExit, match="3"):
        cli.run([*arguments, "--format", "table"])
    table = capsys.readouterr().out.splitlines()
    (zh,) = [row for row in table if text("flag.shadow", "zh") in row]
    assert "IDV-01" in zh
    assert sum(text("flag.shadow", "en") in row for row in table) == 1
