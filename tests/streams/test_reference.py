"""Reference data: what is in force on which day, what a broken file says, how lists are loaded."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from streams import cli
from streams.reference import LISTS, SHIPPED, DataError, ReferenceData
from streams.simulator import profiles
from streams.timeline import format_day, parse_day

OURS = ReferenceData.load()


def on(text: str) -> int:
    return parse_day(text)


TODAY = on("2026-03-02")


def data(folder: Path, **files: str) -> ReferenceData:
    """The reference data of a folder with these files (name without .csv)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    return ReferenceData.load(folder)


# -- the shipped set -------------------------------------------------------------------------------


def test_every_code_of_the_simulated_hospitals_is_known() -> None:
    for dept in profiles.DEPARTMENTS:
        assert OURS.knows_department(dept, TODAY)
        assert dept in OURS.departments_of(profiles.scope(dept), TODAY)
        assert OURS.category_allows("临床", dept, TODAY)
        assert all(OURS.knows_diagnosis(code, TODAY) for code in profiles.DIAGNOSES[dept])
        for code in profiles.DRUGS[dept]:
            drug = OURS.drug(code, TODAY)
            assert drug is not None
            assert drug.prescription_only
            assert drug.classes == {profiles.DRUG_CLASS}


def test_there_is_a_drug_of_every_class_that_rules_ask_for() -> None:
    classes = {name for code in OURS.drugs.codes(TODAY) for name in OURS.classes(code, TODAY)}
    assert classes >= {
        "NARCOTIC", "PSYCHOTROPIC_1", "PSYCHOTROPIC_2", "OTHER_SPECIAL", "HIGH_RISK",
        "SPECIAL_RULE", "ORDINARY",
    }  # fmt: skip
    assert OURS.classes("D0907", TODAY) == {"ORDINARY", "HIGH_RISK"}
    free = OURS.drug("D0007", TODAY)
    assert free is not None
    assert not free.prescription_only
    assert OURS.drug("no such drug", TODAY) is None
    assert OURS.classes("no such drug", TODAY) == frozenset()


def test_the_statutory_departments_are_there() -> None:
    names = {code: OURS.departments.get(code, TODAY) for code in OURS.departments.codes(TODAY)}
    assert names["03"] == "内科"
    assert names["13"] == "皮肤科"
    assert names["03.04"] == "内科·心血管内科专业"
    assert len([code for code in names if "." not in code]) == 34
    assert not OURS.knows_department("29", TODAY)
    assert not OURS.knows_department("03.99", TODAY)


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("I10", True), ("I10.x00", True), ("I10X00", True), ("e11.9", True), ("J45.901", True),
        ("G63.2*", True), ("A45", False), ("I14.0", False), ("I1", False), ("", False),
        ("高血压", False), ("D48.9", True),
    ],
)  # fmt: skip
def test_a_diagnosis_is_known_by_its_category(code: str, known: bool) -> None:
    assert OURS.knows_diagnosis(code, TODAY) is known


def test_every_category_of_icd10_is_there_once() -> None:
    lines = (SHIPPED / "icd10.csv").read_text(encoding="utf-8").splitlines()[1:]
    codes = [line.partition(",")[0] for line in lines]
    assert len(codes) == len(set(codes)) > 2000
    assert all(re.fullmatch(r"[A-Z]\d\d", code) for code in codes)
    assert {code[0] for code in codes} == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-03-02", True), ("2026-03-07", False),
        ("2024-02-09", True), ("2024-02-12", False), ("2024-02-18", True),
        ("2025-01-28", False), ("2025-01-26", True), ("2025-10-08", False), ("2025-10-09", True),
        ("2026-02-14", True), ("2026-02-15", False), ("2026-02-23", False), ("2026-02-24", True),
        ("2026-10-10", True), ("2026-09-25", False), ("2027-02-08", True),
    ],
)  # fmt: skip
def test_working_days_of_the_statutory_calendar(day: str, works: bool) -> None:
    assert OURS.is_working_day(on(day)) is works


def test_make_up_days_are_weekends_and_each_year_has_its_days() -> None:
    exceptions = [
        (int(code), OURS.is_working_day(int(code))) for code in OURS.calendar.codes(10**5)
    ]
    dates = [(dt.date.fromisoformat(format_day(day)), works) for day, works in exceptions]
    assert all(date.isoweekday() > 5 for date, works in dates if works)
    working = {
        year: sum(
            OURS.is_working_day(day) for day in range(on(f"{year}-01-01"), on(f"{year + 1}-01-01"))
        )
        for year in (2024, 2025, 2026)
    }
    assert working == {2024: 251, 2025: 248, 2026: 248}


def test_the_nth_working_day_is_counted_as_the_rules_do() -> None:
    assert format_day(OURS.nth_working_day_after(TODAY, 15)) == "2026-03-23"  # QLT-01
    assert format_day(OURS.nth_working_day_after(TODAY, 10)) == "2026-03-16"  # FEE-01
    assert format_day(OURS.nth_working_day_after(on("2026-09-30"), 1)) == "2026-10-08"
    assert OURS.nth_working_day_after(TODAY, 0) == TODAY


def test_optional_lists_that_are_not_there_say_nothing() -> None:
    assert OURS.diagnosis_allowed("I10", TODAY) is None
    assert OURS.knows_region("450000", TODAY) is None


# -- a folder of one's own -------------------------------------------------------------------------


def test_a_file_replaces_the_shipped_list_and_a_missing_one_does_not(tmp_path: Path) -> None:
    own = data(tmp_path, department_codes="dept_code,name\n99,别的\n")
    assert own.knows_department("99", TODAY)
    assert not own.knows_department("03", TODAY)
    assert own.drug("D0001", TODAY) == OURS.drug("D0001", TODAY)


def test_changes_apply_from_their_date(tmp_path: Path) -> None:
    own = data(
        tmp_path,
        drug_catalogue=(
            "drug_code,class,prescription_only,high_risk,valid_from,valid_to,removed\n"
            "A,NARCOTIC,true,,2026-03-05,,\n"
            "A,,false,,,,\n"
            "B,ORDINARY,true,yes,2026-03-03,2026-03-04,\n"
            "C,ORDINARY,true,,,,\n"
            "C,,,,2026-03-05,,true\n"
        ),
    )
    days = [on(f"2026-03-0{n}") for n in range(2, 7)]
    assert [own.classes("A", day) for day in days] == [{"ORDINARY"}] * 3 + [{"NARCOTIC"}] * 2
    two = {"ORDINARY", "HIGH_RISK"}
    assert [set(own.classes("B", day)) for day in days] == [set(), two, two, set(), set()]
    assert [own.drug("C", day) is not None for day in days] == [True, True, True, False, False]


def test_of_two_rows_from_the_same_day_the_later_line_wins(tmp_path: Path) -> None:
    own = data(
        tmp_path,
        working_days="date,is_working_day\n2026-03-02,0\n2026-03-02,1\n2026-03-03,0\n2026-03-03,\n",
    )
    assert own.is_working_day(TODAY)
    assert own.is_working_day(TODAY + 1)


def test_scopes_and_categories(tmp_path: Path) -> None:
    own = data(
        tmp_path,
        scope_to_department=(
            "scope_code,dept_code,practice_category,valid_from\n"
            "S,03,临床,\nS,03,中医,2026-03-04\nS,13,,\nT,14,口腔,2026-03-04\n"
        ),
    )
    assert own.departments_of("S", TODAY) == {"03", "13"}
    assert not own.knows_scope("T", TODAY)
    assert own.knows_scope("T", TODAY + 2)
    assert [own.category_allows("中医", "03", day) for day in (TODAY, TODAY + 2)] == [False, True]
    assert own.category_allows("口腔", "13", TODAY)  # no category listed there
    assert own.category_allows("临床", "14", TODAY)  # not listed yet
    assert not own.category_allows("临床", "14", TODAY + 2)
    assert not own.category_allows(None, "13", TODAY)


def test_a_scope_file_needs_no_categories(tmp_path: Path) -> None:
    own = data(tmp_path, scope_to_department="scope_code,dept_code\nS,03\n")
    assert own.category_allows("whatever", "03", TODAY)
    assert own.departments_of("S", TODAY) == {"03"}


def test_allowed_diagnoses_are_prefixes(tmp_path: Path) -> None:
    own = data(tmp_path, allowed_diagnoses="code_prefix,valid_from\nI10,2026-03-02\nE11.9,\n")
    assert own.diagnosis_allowed("I10.x00", TODAY)
    assert not own.diagnosis_allowed("I10.x00", TODAY - 1)
    assert own.diagnosis_allowed("E11900", TODAY)
    assert own.diagnosis_allowed("E11.2", TODAY) is False


def test_an_allowed_list_that_has_not_begun_is_no_list(tmp_path: Path) -> None:
    own = data(tmp_path, allowed_diagnoses="code_prefix,valid_from\nI10,2026-03-02\n")
    assert own.diagnosis_allowed("J06", TODAY - 1) is None
    assert own.diagnosis_allowed("J06", TODAY) is False


def test_a_code_that_ended_stays_unknown_below_its_category(tmp_path: Path) -> None:
    own = data(tmp_path, icd10="code,removed\nE11,\nE11.9,yes\n")
    assert own.knows_diagnosis("E11.2", TODAY)
    assert not own.knows_diagnosis("E11.901", TODAY)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("drug_catalogue", "drug_code,class\nA,X\n",
         "line 1, column prescription_only: is missing"),
        ("drug_catalogue", "drug_code,class,prescription_only\nA,X,perhaps\n",
         "line 2, column prescription_only: must be true or false, not 'perhaps'"),
        ("drug_catalogue", "drug_code,class,prescription_only\nA,X,\n",
         "line 2, column prescription_only: is empty"),
        ("drug_catalogue", "drug_code,class,prescription_only\n\n,X,1\n",
         "line 3, column drug_code: is empty"),
        ("working_days", "date,is_working_day\n2026-02-30,1\n",
         "line 2, column date: must be a date such as 2026-03-02, not '2026-02-30'"),
        ("icd10", "code,name\nhigh,x\n", "line 2, column code: must be an ICD-10 code"),
        ("icd10", "", "line 1, column code: is missing"),
        ("department_codes", "dept_code,dept_code\n03,04\n", "column dept_code: is there twice"),
        ("department_codes", "dept_code,name\n03,a,b\n", "line 2, column 3: is one too many"),
        ("department_codes", "dept_code,valid_from,valid_to\n03,2026-03-02,2026-03-01\n",
         "line 2, column valid_to: lies before valid_from"),
        ("department_codes", "dept_code,name\n\"03,a\n", "is no CSV"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        data(tmp_path, **{name: content})
    assert f"{name}.csv" in str(caught.value)
    assert said in str(caught.value)
    assert cli.exit_code(caught.value) == 5


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "department_codes.csv").write_bytes("dept_code,name\n03,内科\n".encode("gbk"))
    with pytest.raises(DataError, match=r"department_codes\.csv: is not UTF-8"):
        ReferenceData.load(tmp_path)


def test_the_mark_that_spreadsheets_put_first_is_no_fault(tmp_path: Path) -> None:
    content = "﻿dept_code,name\r\n03,内科\r\n"
    assert data(tmp_path, department_codes=content).knows_department("03", TODAY)


def test_a_folder_without_any_list_is_no_reference_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no reference data"):
        ReferenceData.load(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        ReferenceData.load(tmp_path / "absent")


# -- ihwatch reference -----------------------------------------------------------------------------


def ihwatch(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = cli.run([str(argument) for argument in ("reference", *arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


CATALOGUE = "drug_code,name,class,prescription_only\n"


def test_loading_keeps_what_was_in_force_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, own = tmp_path / "new", tmp_path / "own"
    data(new, drug_catalogue=CATALOGUE + "A,a,ORDINARY,1\nB,b,ORDINARY,1\nC,c,ORDINARY,1\n")
    load = ("load", new, "--into", own, "--lang", "en")
    assert ihwatch(capsys, *load)[:2] == (
        0, "drug_catalogue.csv: 3 added, 0 changed, 0 removed, in force from the beginning\n",
    )  # fmt: skip
    data(new, drug_catalogue=CATALOGUE + "A,a,ORDINARY,1\nB,b,NARCOTIC,1\nD,d,ORDINARY,0\n")
    assert ihwatch(capsys, *load, "--valid-from", "2026-03-02")[:2] == (
        0, "drug_catalogue.csv: 1 added, 1 changed, 1 removed, in force from 2026-03-02\n",
    )  # fmt: skip
    loaded = ReferenceData.load(own)
    before = {code: loaded.classes(code, TODAY - 1) for code in "ABCD"}
    after = {code: loaded.classes(code, TODAY) for code in "ABCD"}
    ordinary, none = {"ORDINARY"}, frozenset[str]()
    assert before == {"A": ordinary, "B": ordinary, "C": ordinary, "D": none}
    assert after == {"A": ordinary, "B": {"NARCOTIC"}, "C": none, "D": ordinary}
    # The same again changes nothing, byte for byte; a correction of that day replaces it.
    file = own / "drug_catalogue.csv"
    content = file.read_bytes()
    assert "nothing changed" in ihwatch(capsys, *load, "--valid-from", "2026-03-02")[1]
    assert file.read_bytes() == content
    data(new, drug_catalogue=CATALOGUE + "B,b,PSYCHOTROPIC_1,1\n")
    said = ihwatch(capsys, *load, "--valid-from", "2026-03-02", "--keep")[1]
    assert said.startswith("drug_catalogue.csv: 0 added, 1 changed, 0 removed")
    assert ReferenceData.load(own).classes("B", TODAY) == {"PSYCHOTROPIC_1"}
    assert ReferenceData.load(own).classes("B", TODAY - 1) == ordinary


def test_rows_with_their_own_dates_keep_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, own = tmp_path / "new", tmp_path / "own"
    data(new, department_codes="dept_code,name\n03,内科\n")
    ihwatch(capsys, "load", new, "--into", own)
    rows = "dept_code,name,valid_from\n03,新,2026-03-10\n03,内科,2026-03-20\n"
    data(new, department_codes=rows)
    code, said, _ = ihwatch(capsys, "load", new, "--into", own, "--lang", "en")
    assert (code, said.split(", in force")[0]) == (
        0, "department_codes.csv: 0 added, 2 changed, 0 removed",
    )  # fmt: skip
    names = ReferenceData.load(own).departments
    days = ("2026-03-09", "2026-03-10", "2026-03-19", "2026-03-20")
    assert [names.get("03", on(day)) for day in days] == ["内科", "新", "新", "内科"]


def test_a_first_load_from_a_date_leaves_the_days_before_to_the_shipped_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data(tmp_path / "new", department_codes="dept_code,name\n03,内科\n")
    arguments = ("load", tmp_path / "new", "--into", tmp_path / "own", "--valid-from", "2026-03-02")
    assert ihwatch(capsys, *arguments)[0] == 0
    loaded = ReferenceData.load(tmp_path / "own")
    assert [loaded.knows_department("13", day) for day in (TODAY - 1, TODAY)] == [True, False]


def test_next_years_calendar_leaves_this_years_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data(tmp_path / "new", working_days="date,is_working_day\n2027-02-08,false\n")
    arguments = ("load", tmp_path / "new", "--into", tmp_path / "own", "--valid-from", "2026-11-25")
    assert ihwatch(capsys, *arguments)[0] == 0
    loaded = ReferenceData.load(tmp_path / "own")
    assert not loaded.is_working_day(on("2027-02-08"))
    assert not loaded.is_working_day(on("2026-10-01"))


def test_nothing_is_installed_when_one_file_is_at_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, own = tmp_path / "new", tmp_path / "own"
    new.mkdir()
    (new / "department_codes.csv").write_text("dept_code\n03\n", encoding="utf-8")
    (new / "working_days.csv").write_text("date,is_working_day\nyesterday,1\n", encoding="utf-8")
    code, _, said = ihwatch(capsys, "load", new, "--into", own)
    assert code == 5
    assert "working_days.csv, line 2, column date" in said
    assert not own.exists()


def test_what_is_not_understood_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "new"
    data(new, department_codes="dept_code,nmae\n03,x\n")
    (new / "drugs.csv").write_text("x\n", encoding="utf-8")
    monkeypatch.setenv("IHWATCH_REFERENCE_DIR", str(tmp_path / "own"))
    code, _, said = ihwatch(capsys, "load", new)
    assert code == 0
    assert "column nmae is left out; did you mean name?" in said
    assert "drugs.csv is no list of ours" in said
    assert ReferenceData.load(tmp_path / "own").knows_department("03", TODAY)
    assert ihwatch(capsys, "load", tmp_path / "own")[0] == 2
    monkeypatch.delenv("IHWATCH_REFERENCE_DIR")
    assert ihwatch(capsys, "load", new)[0] == 2


def test_show_names_every_list_and_the_codes_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data(tmp_path, department_codes="dept_code,name,valid_from\n03,内科,\n04,外科,2026-03-03\n")
    code, said, _ = ihwatch(capsys, "show", "--into", tmp_path, "--day", "2026-03-02")
    assert code == 0
    flat = re.sub(r"[\s│┃]", "", said)
    assert all(name in flat for name in LISTS)
    assert "2026-03-03" in flat
    shown = ihwatch(capsys, "show", "department_codes", "--into", tmp_path, "--day", "2026-03-02")
    assert shown[:2] == (0, "dept_code,name\n03,内科\n")


def test_the_page_names_every_list_and_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    for spec in LISTS.values():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{spec.file}` |")]
        assert set(re.findall(r"`(\w+)`", row)) == set(spec.columns)
        wanted = {*spec.keys, *spec.required} - {"practice_category"}
        assert set(re.findall(r"`(\w+)`\*", row)) == wanted
