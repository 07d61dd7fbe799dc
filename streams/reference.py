"""Reference data: the lists of codes by which the rules judge, as of a day (RULES 1.8).

No hospital publishes them and no regulation contains them: the supervising authority decides what
they hold. A small set ships with the product (``streams/reference/*.csv``); a folder of the
authority's own files replaces it list by list. Every row may carry ``valid_from`` and ``valid_to``
(Shanghai days, inclusive) and ``removed``. Of the rows of one code that have begun by a day, the
one that began last governs, the later in the file at the same start; so a change applies from its
date, and what was judged before it stays judged as it was.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Generic, TypeVar

from schemas.errors import IhwatchError
from streams.timeline import parse_day, weekday

SHIPPED = Path(__file__).with_name("reference")
"""Folder of the lists that come with the product."""

HIGH_RISK = "HIGH_RISK"
ORDINARY = "ORDINARY"
ALWAYS_FROM, ALWAYS_TO = -(10**6), 10**6
"""Days before and after all others: the validity of a row without dates."""

_YES, _NO = {"true", "1", "yes", "y", "是"}, {"false", "0", "no", "n", "否"}
_DATES = ("valid_from", "valid_to", "removed")
_DIAGNOSIS = re.compile(r"[A-Z][0-9][0-9A-Z]+(/[0-9])?")
_PREFIX = re.compile(r"[A-Z]([0-9][0-9A-Z]*(/[0-9])?)?")

V = TypeVar("V")


class DataError(IhwatchError):
    """A file cannot be used; the text names the file, the line and the column. Exit code 5."""


@dataclass(frozen=True, slots=True)
class Drug:
    """What the catalogue says of a drug; the class a hospital sends is never taken."""

    drug_class: str
    prescription_only: bool
    high_risk: bool
    name: str

    @property
    def classes(self) -> frozenset[str]:
        """The class, and HIGH_RISK where the catalogue marks the drug so (CQ 26)."""
        return frozenset((self.drug_class, HIGH_RISK) if self.high_risk else (self.drug_class,))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list, read: ``key`` names the code, ``cells`` are its values as written.

    ``since`` and ``until`` are days since 1970-01-01, both inclusive.
    """

    line: int
    key: tuple[str, ...]
    cells: tuple[str, ...]
    since: int = ALWAYS_FROM
    until: int = ALWAYS_TO
    removed: bool = False

    def same_content(self, other: Row) -> bool:
        """Whether both say the same of a code, whatever their lines and starts."""
        mine = (self.cells, self.until, self.removed)
        return mine == (other.cells, other.until, other.removed)


@dataclass(frozen=True, slots=True)
class ListSpec:
    """A list: its file is ``<name>.csv``; columns of its code, of its values, and optional ones.

    ``closed`` lists are complete: what a newly loaded file does not name has ended. The calendar is
    not: a file of next year's holidays says nothing of this year's.
    """

    name: str
    keys: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    closed: bool = True

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, *self.required, *self.optional)

    @property
    def known(self) -> tuple[str, ...]:
        """Every column that means something in this file."""
        return (*self.columns, *_DATES)


LISTS: Mapping[str, ListSpec] = {
    spec.name: spec
    for spec in (
        ListSpec(
            "drug_catalogue",
            ("drug_code",),
            ("class", "prescription_only"),
            ("name", "high_risk"),
        ),
        ListSpec("department_codes", ("dept_code",), (), ("name",)),
        ListSpec("icd10", ("code",), (), ("name",)),
        # A scope may open a department to several categories: each is a row of its own.
        ListSpec("scope_to_department", ("scope_code", "dept_code", "practice_category")),
        ListSpec("working_days", ("date",), ("is_working_day",), (), closed=False),
        ListSpec("allowed_diagnoses", ("code_prefix",), (), ("name",)),
        ListSpec("region_codes", ("region_code",), (), ("name",)),
    )
}
_MAY_BE_EMPTY = {"practice_category"}


class Table(Generic[V]):
    """Codes to what they mean as of a day."""

    __slots__ = ("_versions",)

    def __init__(self, rows: Iterable[tuple[str, Row, V]]) -> None:
        versions: dict[str, list[tuple[int, int, V | None]]] = {}
        for key, row, value in rows:
            kept = None if row.removed else value
            versions.setdefault(key, []).append((row.since, row.until, kept))
        for several in versions.values():
            several.sort(key=lambda version: version[0])
            several.reverse()
        # Sorting keeps rows of one start in file order; reversed, the later in the file is first.
        self._versions = versions

    def get(self, key: str, day: int) -> V | None:
        """What the code means on that day; None where it is not in force."""
        for since, until, value in self._versions.get(key, ()):
            if since <= day:
                return value if day <= until else None
        return None

    def governed(self, key: str, day: int) -> bool:
        """Whether some row of the code has begun by that day, be it one that ends it."""
        return any(since <= day for since, _, _ in self._versions.get(key, ()))

    def codes(self, day: int) -> list[str]:
        """The codes in force on that day, in the order of the file."""
        return [key for key in self._versions if self.get(key, day) is not None]

    def __len__(self) -> int:
        return len(self._versions)


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """All lists, read once and never changed; every question is asked as of a Shanghai day.

    Days are days since 1970-01-01. An optional list that is not there answers None: the rule that
    would ask it does not judge.
    """

    drugs: Table[Drug]
    departments: Table[str]
    diagnoses: Table[str]
    calendar: Table[bool]
    allowed: Table[str] | None
    regions: Table[str] | None
    _pairs: Table[bool]
    _by_scope: Mapping[str, tuple[tuple[str, str], ...]]
    _by_department: Mapping[str, tuple[tuple[str, str], ...]]

    @classmethod
    def load(cls, folder: Path | None = None) -> ReferenceData:
        """Read a folder of lists; what it lacks is taken from the shipped set, as all is for None.

        DataError if a file cannot be used or the folder holds no list at all: silently judging by
        the sample would be worse than not starting.
        """
        return _shipped() if folder is None else cls.of(read_folder(folder))

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[Row]]) -> ReferenceData:
        """The data in these rows; a list that is not named is absent."""
        scopes = lists.get("scope_to_department", ())
        by_scope: dict[str, dict[tuple[str, str], None]] = {}
        by_department: dict[str, dict[tuple[str, str], None]] = {}
        for row in scopes:
            scope, dept, category = row.key
            pair = "\0".join(row.key)
            by_scope.setdefault(scope, {})[dept, pair] = None
            if category:
                by_department.setdefault(dept, {})[category, pair] = None
        allowed, regions = lists.get("allowed_diagnoses"), lists.get("region_codes")
        return cls(
            drugs=_table(lists.get("drug_catalogue", ()), _drug),
            departments=_named(lists.get("department_codes", ())),
            diagnoses=_named(lists.get("icd10", ())),
            calendar=_table(lists.get("working_days", ()), lambda row: row.cells[0] == "true"),
            allowed=None if allowed is None else _named(allowed),
            regions=None if regions is None else _named(regions),
            _pairs=Table(("\0".join(row.key), row, True) for row in scopes),
            _by_scope={scope: tuple(pairs) for scope, pairs in by_scope.items()},
            _by_department={dept: tuple(pairs) for dept, pairs in by_department.items()},
        )

    # -- drugs -------------------------------------------------------------------------------------

    def drug(self, code: str, day: int) -> Drug | None:
        """The drug of that code; None if the catalogue does not hold it."""
        return self.drugs.get(code, day)

    def classes(self, code: str, day: int) -> frozenset[str]:
        """Class of the drug, with HIGH_RISK where it is marked so; empty for an unknown code."""
        drug = self.drugs.get(code, day)
        return frozenset() if drug is None else drug.classes

    # -- departments and scopes --------------------------------------------------------------------

    def knows_department(self, code: str, day: int) -> bool:
        return self.departments.get(code, day) is not None

    def knows_scope(self, code: str, day: int) -> bool:
        return bool(self.departments_of(code, day))

    def departments_of(self, scope_code: str, day: int) -> frozenset[str]:
        """The departments (诊疗科目) that a scope of practice (执业范围) opens."""
        pairs = self._by_scope.get(scope_code, ())
        return frozenset(dept for dept, pair in pairs if self._pairs.get(pair, day))

    def category_allows(self, category: str | None, dept_code: str, day: int) -> bool:
        """Whether a category of practice (执业类别) may serve in a department.

        None never may. Where the map lists no category for the department, any may.
        """
        if category is None:
            return False
        pairs = self._by_department.get(dept_code, ())
        listed = {name for name, pair in pairs if self._pairs.get(pair, day)}
        return not listed or category in listed

    # -- diagnoses ---------------------------------------------------------------------------------

    def knows_diagnosis(self, code: str, day: int) -> bool:
        """Whether an ICD-10 code is listed, itself or by an ancestor down to its category.

        The dot is optional and case does not matter. The nearest listed ancestor decides, so a
        code that was ended stays unknown below a category in force.
        """
        plain = plain_diagnosis(code)
        for size in range(len(plain), 2, -1):
            if self.diagnoses.governed(plain[:size], day):
                return self.diagnoses.get(plain[:size], day) is not None
        return False

    def diagnosis_allowed(self, code: str, day: int) -> bool | None:
        """Whether a code begins with an allowed prefix; None if no such list is in force."""
        if self.allowed is None:
            return None
        plain = plain_diagnosis(code)
        if any(
            self.allowed.get(plain[:size], day) is not None for size in range(1, len(plain) + 1)
        ):
            return True
        return False if self.allowed.codes(day) else None

    # -- places and days ---------------------------------------------------------------------------

    def knows_region(self, code: str, day: int) -> bool | None:
        """Whether a region code is listed; None if no such list was loaded."""
        return None if self.regions is None else self.regions.get(code, day) is not None

    def is_working_day(self, day: int) -> bool:
        """Whether people work that day: as listed, else Monday to Friday."""
        listed = self.calendar.get(str(day), day)
        return weekday(day) <= 5 if listed is None else listed

    def nth_working_day_after(self, day: int, n: int) -> int:
        """The n-th working day after a day, which itself is not counted; the day itself for 0."""
        while n > 0:
            day += 1
            n -= self.is_working_day(day)
        return day


def plain_diagnosis(code: str) -> str:
    """An ICD-10 code without its dot and its dagger or asterisk, in capitals."""
    return code.strip().rstrip("*+†").replace(".", "").upper()


# -- reading ---------------------------------------------------------------------------------------


@cache
def _shipped() -> ReferenceData:
    return ReferenceData.of({name: rows for name, rows in _shipped_rows() if rows is not None})


def _shipped_rows() -> Iterator[tuple[str, list[Row] | None]]:
    for name, spec in LISTS.items():
        path = SHIPPED / spec.file
        yield name, _shipped_list(name) if path.exists() else None


def read_folder(folder: Path) -> dict[str, list[Row]]:
    """Every list: the folder's own, else the shipped one; DataError if it holds none of them."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of reference data")
    if not any((folder / spec.file).exists() for spec in LISTS.values()):
        files = ", ".join(spec.file for spec in LISTS.values())
        raise DataError(f"{folder}: holds no reference data; it may hold {files}")
    found = {}
    for name, spec in LISTS.items():
        path = source(folder, spec)
        if path is not None:
            found[name] = _shipped_list(name) if path.parent == SHIPPED else read_list(path, spec)
    return found


@cache
def _shipped_list(name: str) -> list[Row]:
    """A list of the shipped set, read once (do not change)."""
    return read_list(SHIPPED / LISTS[name].file, LISTS[name])


def source(folder: Path | None, spec: ListSpec) -> Path | None:
    """The file that a list is read from; None if there is neither an own nor a shipped one."""
    places = (SHIPPED,) if folder is None else (folder, SHIPPED)
    return next((place / spec.file for place in places if (place / spec.file).exists()), None)


def header(path: Path) -> list[str]:
    """The names of a file's columns, in lower case; empty for an empty file."""
    with _reading(path) as file:
        return [name.strip().lower() for name in next(csv.reader(file), [])]


def read_list(path: Path, spec: ListSpec) -> list[Row]:
    """The rows of a list, each checked; DataError names the file, the line and the column."""
    try:
        with _reading(path) as file:
            return list(_rows(csv.reader(file, strict=True), path, spec))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__})") from error


def _reading(path: Path) -> IO[str]:
    return path.open(encoding="utf-8-sig", newline="")


def _rows(lines: Iterator[list[str]], path: Path, spec: ListSpec) -> Iterator[Row]:
    names = [name.strip().lower() for name in next(lines, [])]
    needed = [n for n in (*spec.keys, *spec.required) if n not in _MAY_BE_EMPTY]
    for name in needed:
        if name not in names:
            raise DataError(f"{path}, line 1, column {name}: is missing")
    for name in names:
        if name and names.count(name) > 1:
            raise DataError(f"{path}, line 1, column {name}: is there twice")
    at = {name: names.index(name) for name in spec.known if name in names}
    number = 1
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            raise DataError(f"{path}, line {number}, column {len(names) + 1}: is one too many")
        given = {n: cells[i].strip() if i < len(cells) else "" for n, i in at.items()}
        yield _row(given, spec, path, number)


def _row(given: Mapping[str, str], spec: ListSpec, path: Path, line: int) -> Row:
    def read(column: str, parse: Callable[[str], str]) -> str:
        try:
            return parse(given.get(column, ""))
        except ValueError as error:
            raise DataError(f"{path}, line {line}, column {column}: {error}") from None

    def day(column: str, default: int) -> int:
        text = given.get(column, "")
        return int(read(column, _day)) if text else default

    key = tuple(read(name, _KEYS.get(name, _filled)) for name in spec.keys)
    removed = read("removed", _flag) == "true"
    values = (*spec.required, *spec.optional)
    # An empty answer ends the exception: the day is as any other of its weekday.
    removed = removed or (spec.name == "working_days" and not given.get("is_working_day", ""))
    cells = tuple("" if removed else read(name, _VALUES.get(name, str)) for name in values)
    since, until = day("valid_from", ALWAYS_FROM), day("valid_to", ALWAYS_TO)
    if until < since:
        raise DataError(f"{path}, line {line}, column valid_to: lies before valid_from")
    return Row(line, key, cells, since, until, removed)


def _filled(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _day(text: str) -> str:
    try:
        return str(parse_day(text))
    except ValueError:
        raise ValueError(f"must be a date such as 2026-03-02, not {text!r}") from None


def _flag(text: str) -> str:
    if text.lower() in _YES:
        return "true"
    if text.lower() in _NO or not text:
        return "false"
    raise ValueError(f"must be true or false, not {text!r}")


def _diagnosis(text: str) -> str:
    plain = plain_diagnosis(text)
    if not _DIAGNOSIS.fullmatch(plain):
        raise ValueError(f"must be an ICD-10 code such as E11 or E11.9, not {text!r}")
    return plain


def _prefix(text: str) -> str:
    plain = plain_diagnosis(text)
    if not _PREFIX.fullmatch(plain):
        raise ValueError(f"must be the beginning of an ICD-10 code, not {text!r}")
    return plain


_KEYS: Mapping[str, Callable[[str], str]] = {
    "code": _diagnosis,
    "code_prefix": _prefix,
    "date": _day,
    "practice_category": str,
}
_VALUES: Mapping[str, Callable[[str], str]] = {
    "class": lambda text: text.upper() or ORDINARY,
    "prescription_only": lambda text: _flag(_filled(text)),
    "high_risk": _flag,
    "is_working_day": _flag,
}


def _table(rows: Iterable[Row], value: Callable[[Row], V]) -> Table[V]:
    return Table((row.key[0], row, value(row)) for row in rows)


def _named(rows: Iterable[Row]) -> Table[str]:
    return _table(rows, lambda row: row.cells[-1])


def _drug(row: Row) -> Drug:
    drug_class, prescription_only, name, high_risk = row.cells
    return Drug(drug_class, prescription_only == "true", high_risk == "true", name)
