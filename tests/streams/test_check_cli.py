"""The contract of `ihwatch check`: what goes in, what comes out, and how it ends."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.flat import to_flat
from streams.rulebook import RULEBOOKS
from streams.simulator import SimulationConfig, simulate
from streams.timeline import format_instant
from tests.support.cases import FOLDER, all_cases, differences
from tests.support.check_cli import IDENTITY, LATER, OPENED, changed, run, write

FIELDS = [
    "rule_id", "clause", "rulebook", "institution_id", "subject_type", "subject_id", "state",
    "severity", "violation_start", "violation_end", "evidence", "params", "citations", "title_zh",
    "title_en", "flags",
]  # fmt: skip


# -- how it ends -----------------------------------------------------------------------------------


def test_nothing_open_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    code, out, err = run(["check", file, "--rulebook", "guangxi"], capsys)
    assert (code, out) == (0, "")
    assert "1 events, 0 bad, 0 findings, 0 open" in err


@pytest.mark.parametrize("rulebook", RULEBOOKS)
def test_a_compliant_hospital_ends_with_0(
    rulebook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By all rules of its rulebook, at any later instant; lawful lateness only raises doubts."""
    house = SimulationConfig(seed=5, institutions={rulebook: 1}, rate=6, late=0.1, shuffle=0.1)
    simulation = simulate(house)
    lines = [
        to_flat(upload.datum, upload.received_at) | {"signature_valid": upload.signed}
        for upload in simulation.uploads
    ]
    file = write(tmp_path / "e.jsonl", *lines)
    end = format_instant(simulation.end)
    code, out, err = run(["check", file, "--rulebook", rulebook, "--as-of", end], capsys)
    assert code == 0
    assert f"{len(lines)} events, 0 bad" in err
    assert {json.loads(line)["state"] for line in out.splitlines()} <= {"CLEARED"}


def test_a_bare_opening_breaks_many_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is known of hospital and doctor, and the session never goes on."""
    file = write(tmp_path / "e.jsonl", OPENED)
    code, out, err = run(["check", file, "--rulebook", "guangxi", "--as-of", LATER], capsys)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert {"IDV-01", "LIC-01", "SEC-01", "STF-01"} <= {finding["rule_id"] for finding in found}
    assert f"{len(found)} findings" in err
    keys = [(f["rule_id"], f["clause"], f["subject_type"], f["subject_id"]) for f in found]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("as_of", ["2026-03-02T10:10:00+08:00", LATER])
def test_a_finding_suspected_or_confirmed_ends_with_3(
    as_of: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    code, out, _ = run(["check", file, *IDENTITY, "--as-of", as_of], capsys)
    assert code == 3
    assert len(out.splitlines()) == 1


def test_a_finding_that_is_over_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", changed(received_at="2026-03-03T10:00:00.001+08:00"))
    code, out, _ = run(["check", file, "--rulebook", "guangxi"], capsys)
    assert code == 0
    assert json.loads(out)["state"] == "RESOLVED"


def test_bad_events_end_with_5_and_the_others_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", "{", OPENED, "[]")
    code, out, err = run(["check", file, *IDENTITY, "--as-of", LATER], capsys)
    assert code == 5
    assert json.loads(out)["state"] == "CONFIRMED"
    assert "line 1" in err
    assert "line 3" in err
    assert "line 2" not in err


def test_no_events_are_no_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.jsonl")
    assert run(["check", file], capsys)[:2] == (0, "")
    assert run(["check", file, "--as-of", LATER], capsys)[:2] == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["FILE", "--rulebook", "tibet"], "tibet"),
        (["FILE", "--as-of", "yesterday"], "yesterday"),
        (["FILE", "--as-of", "2026-03-04T00:00:00"], "offset"),
        (["FILE", "--as-of", "2026-13-04T00:00:00+08:00"], "2026-13-04"),
        (["FILE", "--format", "xml"], "xml"),
        (["FILE", "--reference", "nowhere"], "nowhere"),
        (["FILE", "--set", "idv01.pre_max_agee=1m"], "did you mean idv01.pre_max_age?"),
        (["FILE", "--set", "idv01.pre_max_age"], "NAME.PARAMETER=VALUE"),
        (["FILE", "--set", "idv01.pre_max_age=soon"], "duration"),
        (["FILE", "--set", "global.u_clin=1M"], "duration"),
        (["FILE", "--what"], "--what"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    given = [file if word == "FILE" else word for word in arguments]
    code, out, err = run(["check", *given], capsys)
    assert (code, out) == (2, "")
    assert said in err


# -- what comes out --------------------------------------------------------------------------------


def test_a_finding_has_these_fields_in_this_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    arguments = ["check", file, *IDENTITY, "--as-of", LATER]
    found = json.loads(run(arguments, capsys)[1])
    assert list(found) == FIELDS
    assert found["violation_start"] == "2026-03-02T10:00:00.000+08:00"
    assert found["evidence"] == [OPENED["event_id"]]
    assert found["title_zh"] == "接诊前医师身份核验缺失"
    assert found["title_en"] == "Doctor identity not verified before reception"
    assert found["flags"] == {}
    assert any(citation.startswith("GX 19 「") for citation in found["citations"])
    assert "接诊" in run(arguments, capsys)[1], "Chinese is written as it is"


def test_history_is_printed_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    arguments = ["check", file, *IDENTITY, "--as-of", LATER, "--history"]
    found = json.loads(run(arguments, capsys)[1])
    assert list(found) == [*FIELDS, "history"]
    assert found["history"] == [
        {"state": "SUSPECTED", "at": "2026-03-02T10:05:02.000+08:00"},
        {"state": "CONFIRMED", "at": "2026-03-03T10:10:00.000+08:00"},
    ]


def test_a_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    arguments = ["check", file, *IDENTITY, "--as-of", LATER, "--format", "table"]
    code, out, _ = run(arguments, capsys)
    assert code == 3
    for word in ("IDV-01", "CONFIRMED", "critical"):
        assert word in out


def test_a_table_shows_names_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    file = write(tmp_path / "e.jsonl", changed(session_id="[/red] [bold]s[1]"))
    arguments = ["check", file, *IDENTITY, "--as-of", LATER, "--format", "table"]
    code, out, _ = run(arguments, capsys)
    assert code == 3
    assert "session [/red] [bold]s[1]" in out


@pytest.mark.parametrize(
    "as_of", ["2026-03-03T10:10:00+08:00", "2026-03-03T02:10:00Z", "1772503800000"]
)
def test_as_of_is_an_instant_however_written(
    as_of: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    arguments = ["check", file, *IDENTITY, "--as-of", as_of]
    assert json.loads(run(arguments, capsys)[1])["state"] == "CONFIRMED"


def test_the_clock_stops_at_the_last_receipt_unless_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(event_id="other", session_id="other", received_at="2026-03-02T10:05:02+08:00")
    file = write(tmp_path / "e.jsonl", OPENED, other)
    found = json.loads(run(["check", file, *IDENTITY], capsys)[1])
    assert (found["subject_id"], found["state"]) == (OPENED["session_id"], "SUSPECTED")


def test_events_received_later_are_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    arguments = ["check", file, "--rulebook", "guangxi", "--as-of", "2026-03-02T10:00:01.999+08:00"]
    assert run(arguments, capsys)[:2] == (0, "")


def test_the_order_of_lines_does_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in all_cases() if case.name == "pha01-nobody-all-day")
    lines = [upload.line for upload in case.uploads]
    outs = set()
    for number, order in enumerate((lines, lines[::-1], sorted(lines), lines + lines)):
        file = write(tmp_path / f"{number}.jsonl", *order)
        arguments = case.arguments(file, case.checkpoints[-1].as_of)
        outs.add(run([*arguments, "--history"], capsys)[1])
    assert len(outs) == 1


# -- what goes in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ("no json", None, "BAD_JSON"),
        ('{"event_type": NaN', None, "BAD_JSON"),
        ("[]", None, "BAD_JSON"),
        ('"text"', None, "BAD_JSON"),
        ("{}", "event_type", "MISSING_FIELD"),
        (changed(event_type="SessionLost"), "event_type", "UNKNOWN_EVENT_TYPE"),
        (changed(event_type=7), "event_type", "UNKNOWN_EVENT_TYPE"),
        (changed(session_id=None), "session_id", "MISSING_FIELD"),
        (changed(received_at=None), "received_at", "MISSING_FIELD"),
        (changed(received_at="soon"), "received_at", "BAD_TIMESTAMP"),
        (changed(received_at=17), "received_at", "BAD_TIMESTAMP"),
        (changed(occurred_at="2026-03-02T10:00:00"), "occurred_at", "BAD_TIMESTAMP"),
        (changed(occurred_at="2026-03-02"), "occurred_at", "BAD_TIMESTAMP"),
        (changed(occurred_at=True), "occurred_at", "WRONG_TYPE"),
        (changed(occurred_at="1999-12-31T00:00:00Z", recorded_at=None), "occurred_at", "BAD_TIM"),
        (changed(mode="HOLOGRAM"), "mode", "UNKNOWN_ENUM"),
        (changed(mode="UNKNOWN"), "mode", "UNKNOWN_ENUM"),
        (changed(mode=["VIDEO"]), "mode", "WRONG_TYPE"),
        (changed(patient_age_years="63"), "patient_age_years", "WRONG_TYPE"),
        (changed(patient_age_years=-1), "patient_age_years", "OUT_OF_RANGE"),
        (changed(patient_age_years=6.5), "patient_age_years", "WRONG_TYPE"),
        (changed(patient_full_capacity="yes"), "patient_full_capacity", "WRONG_TYPE"),
        (changed(assisting_staff_ids="n1"), "assisting_staff_ids", "WRONG_TYPE"),
        (changed(assisting_staff_ids=[None]), "assisting_staff_ids[0]", "MISSING_FIELD"),
        (changed(event_id=""), "event_id", "OUT_OF_RANGE"),
        (changed(revision=1, recorded_at=None), "recorded_at", "MISSING_RECORDED_AT"),
        (changed(revision=1, supersedes_event_id=None), None, "BAD_REVISION"),
        (changed(revision=0, supersedes_event_id="x"), None, "BAD_REVISION"),
        (changed(revision=-1, supersedes_event_id="x"), "revision", ""),
        ('{"event_type": "SessionOpened", "session_id": "\\ud800"}', None, ""),
        (json.dumps(OPENED).replace("63", "NaN"), "patient_age_years", "NOT_A_NUMBER"),
        (json.dumps(OPENED).replace("63", "1e400"), "patient_age_years", ""),
    ],
)
def test_a_bad_line_is_named_with_line_field_and_reason(
    event: Any,
    field: str | None,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path / "e.jsonl", OPENED, event)
    code, out, err = run(["check", file], capsys)
    assert (code, out) == (5, "")
    (said,) = [line for line in err.splitlines() if line.startswith("bad event:")]
    assert said.startswith("bad event: line 2")
    assert reason in said
    if field:
        assert f"field {field}:" in said
    assert "63" not in said, "a value may identify a person"


def test_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(json.dumps(OPENED).encode() + b'\n{"event_type": "\xff\xfe"}\n\n')
    code, _, err = run(["check", str(path)], capsys)
    assert code == 5
    assert "line 2: BAD_UTF8" in err


def test_a_prescription_with_an_absurd_quantity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER.parent / "fixtures/events/PrescriptionIssued.json").read_text("utf-8")
    issued = json.loads(text)
    for quantity, reason in ((0.0001, "OUT_OF_RANGE"), ("many", "NOT_A_NUMBER"), (None, "MISSING")):
        issued["items"][1]["quantity"] = quantity
        code, _, err = run(["check", write(tmp_path / "e.jsonl", issued)], capsys)
        assert code == 5
        assert "line 1, field items[1].quantity" in err
        assert reason in err


def test_unknown_and_platform_fields_are_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = changed(mood="good", schema_valid=True, signature_valid=None, rulebook="sichuan")
    code, _, err = run(["check", write(tmp_path / "e.jsonl", event)], capsys)
    assert code == 0
    assert "warning: line 1: unknown field mood ignored" in err
    assert "schema_valid" not in err


def test_the_signature_is_what_the_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filing = json.loads((FOLDER.parent / "fixtures/events/DepartmentApproved.json").read_text())
    for signed, found in ((True, 0), (False, 1), (None, 1)):
        file = write(tmp_path / "e.jsonl", filing | {"signature_valid": signed})
        _, out, _ = run(["check", file, "--rulebook", "chongqing"], capsys)
        findings = [json.loads(line) for line in out.splitlines()]
        assert sum((f["rule_id"], f["clause"]) == ("UPL-05", "f") for f in findings) == found
    file = write(tmp_path / "e.jsonl", filing | {"signature_valid": "yes"})
    code, _, err = run(["check", file], capsys)
    assert (code, "field signature_valid: WRONG_TYPE" in err) == (5, True)


def test_reference_data_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, lists = write(tmp_path / "e.jsonl", OPENED), tmp_path / "lists"
    lists.mkdir()
    assert run(["check", file, "--reference", str(lists)], capsys)[0] == 5
    (lists / "department_codes.csv").write_text("dept_code,name\n77,x\n", encoding="utf-8")
    code, out, _ = run(["check", file, "--reference", str(lists)], capsys)
    assert code == 3
    assert '"field": "dept_code"' in out


def test_what_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = {
        key: value
        for key, value in OPENED.items()
        if value is not None and key not in ("recorded_at", "revision", "schema_version")
    }
    code, _, err = run(["check", write(tmp_path / "e.jsonl", short)], capsys)
    assert code == 0
    assert "warning" not in err


def test_blank_lines_and_windows_line_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"\r\n\n" + json.dumps(OPENED).encode() + b"\r\n   \r\n{\r\n")
    code, _, err = run(["check", str(path)], capsys)
    assert code == 5
    assert "1 events, 1 bad" in err
    assert "line 5: BAD_JSON" in err


def test_a_file_without_a_last_line_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(json.dumps(OPENED).encode())
    assert "1 events, 0 bad" in run(["check", str(path)], capsys)[2]


def test_stdin() -> None:
    arguments = ["check", "-", *IDENTITY, "--as-of", LATER]
    ended = spawn(arguments, json.dumps(OPENED).encode())
    assert ended.returncode == 3
    assert json.loads(ended.stdout)["state"] == "CONFIRMED"


# -- the command itself ----------------------------------------------------------------------------


IHWATCH = (sys.executable, "-c", "from streams.cli import main; main()")


def spawn(arguments: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [*IHWATCH, *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def test_it_imports_neither_faust_nor_a_database(tmp_path: Path) -> None:
    file = write(tmp_path / "e.jsonl", OPENED)
    program = (
        "import sys\n"
        "from streams import cli\n"
        "try:\n"
        f"    cli.run(['check', {file!r}, '--rulebook', 'guangxi'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(ended.stdout.split())
    assert "streams" in loaded
    heavy = {
        "faust", "mode", "aiokafka", "aiohttp", "chdb", "clickhouse_connect", "confluent_kafka",
        "plotly", "fastavro", "numpy", "pandas", "pyarrow", "hypothesis", "pytest",
    }  # fmt: skip
    assert not loaded & heavy


def test_it_starts_in_under_half_a_second(tmp_path: Path) -> None:
    """Measured against a bare start of Python in the same run, in processor time: machines and
    their load differ. Where this was written Python starts in 13 ms, so half a second is 38 times
    that; the command took 14 times.
    """
    file = write(tmp_path / "e.jsonl", OPENED)
    bare = min(_processor_time([sys.executable, "-c", "pass"]) for _ in range(3))
    check = min(_processor_time([*IHWATCH, "check", file]) for _ in range(3))
    assert check / bare < 30


def _processor_time(command: list[str]) -> float:
    """Seconds that a command keeps a processor busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "name",
    [
        "upl01-received-one-ms-later-guangxi",
        "upl06-50-received-all-late",
        "idv01-suspected-and-confirmed-to-the-ms",
        "idv02-checks-ten-minutes-and-a-ms-apart",
        "pha01-handover-of-five-minutes-and-a-ms",
    ],
)
def test_a_case_through_the_command_itself(name: str, tmp_path: Path) -> None:
    """The other cases run in this process; these show that it is the same as a real one."""
    case = next(case for case in all_cases() if case.name == name)
    file = case.write(tmp_path / "events.jsonl")
    point = case.checkpoints[-1]
    ended = spawn([*case.arguments(file, point.as_of), "--history"])
    findings = [json.loads(line) for line in ended.stdout.splitlines()]
    assert not differences(point, findings)
    is_open = any(finding["state"] in ("SUSPECTED", "CONFIRMED") for finding in findings)
    assert ended.returncode == (3 if is_open else 0)
