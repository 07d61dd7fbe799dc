"""What Grafana does between a board's JSON and a panel on the screen, as far as our boards use it.

Macros and variables are put into the SQL, and the field configuration (defaults, then overrides by
name) says how a column is shown. Nothing here knows one of our boards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clickhouse_connect.driver.client import Client

from dashboards import committed
from schemas.texts import Lang

# China has had one zone without daylight saving since 1992, so a fixed offset is exact.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

Variables = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Range:
    """The chosen time, both ends included, as Grafana's time picker gives it."""

    start: datetime
    end: datetime

    def interpolate(self, sql: str) -> str:
        """Replace the time macros of the ClickHouse plugin that our boards use."""
        start, end = (f"fromUnixTimestamp64Milli({_ms(at)})" for at in (self.start, self.end))
        sql = re.sub(
            r"\$__timeFilter_ms\(([^()]*)\)",
            lambda m: f"{m[1]} >= {start} AND {m[1]} <= {end}",
            sql,
        )
        sql = re.sub(r"\$__fromTime_ms\b", start, sql)
        sql = re.sub(r"\$__toTime_ms\b", end, sql)
        if left := re.search(r"\$__\w+", sql):
            raise ValueError(f"macro {left[0]} is not known here")
        return sql


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def fill_in(sql: str, variables: Variables) -> str:
    """Replace `${name:singlequote}` by the quoted values, as Grafana does."""

    def quoted(match: re.Match[str]) -> str:
        values = variables[match[1]]
        return ",".join(
            "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values
        )

    return re.sub(r"\$\{(\w+):singlequote\}", quoted, sql)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a query. Instants are aware; the rest is as ClickHouse gave it."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        """Return the values of one column, in order."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """Return each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def ask(client: Client, sql: str) -> Table:
    """Run one query."""
    result = client.query(sql)
    rows = [tuple(_aware(value) for value in row) for row in result.result_rows]
    return Table(tuple(result.column_names), rows)


def _aware(value: Any) -> Any:
    """Mark the driver's naive instants as what they are: UTC (all our columns say so)."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@dataclass(frozen=True)
class Panel:
    """One panel of a board."""

    raw: Mapping[str, Any]

    @property
    def id(self) -> int:
        return int(self.raw["id"])

    @property
    def kind(self) -> str:
        return str(self.raw["type"])

    @property
    def title(self) -> str:
        return str(self.raw["title"])

    @property
    def description(self) -> str:
        return str(self.raw["description"])

    @property
    def place(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) on the grid of 24 columns."""
        grid = self.raw["gridPos"]
        return grid["x"], grid["y"], grid["w"], grid["h"]

    @property
    def sql(self) -> str | None:
        """The query, or None for a text."""
        targets = self.raw.get("targets", [])
        return str(targets[0]["rawSql"]) if targets else None

    @property
    def options(self) -> Mapping[str, Any]:
        return dict(self.raw.get("options", {}))

    @property
    def custom(self) -> Mapping[str, Any]:
        return dict(self.raw["fieldConfig"]["defaults"].get("custom", {}))

    def look(self, name: str) -> dict[str, Any]:
        """Return how a column is shown: the defaults, overridden by what is said of its name."""
        config = self.raw["fieldConfig"]
        said = {key: value for key, value in config["defaults"].items() if key != "custom"}
        for override in config["overrides"]:
            if override["matcher"] == {"id": "byName", "options": name}:
                said |= {one["id"]: one["value"] for one in override["properties"]}
        return said


@dataclass(frozen=True)
class Board:
    """One committed board."""

    kind: str
    lang: Lang
    raw: Mapping[str, Any]

    @classmethod
    def load(cls, kind: str, lang: Lang) -> "Board":
        """Read a committed board."""
        return cls(kind, lang, committed.board(kind, lang))

    @property
    def title(self) -> str:
        return str(self.raw["title"])

    @cached_property
    def panels(self) -> list[Panel]:
        """The panels in reading order."""
        return sorted(
            (Panel(raw) for raw in self.raw["panels"]), key=lambda p: (p.place[1], p.place[0])
        )

    def variable(self, name: str) -> Mapping[str, Any]:
        """Return the definition of one variable."""
        return dict(next(one for one in self.raw["templating"]["list"] if one["name"] == name))

    def choices(self, name: str) -> dict[str, str]:
        """Return value and label of each choice of a fixed variable."""
        pairs = (one.split(" : ") for one in self.variable(name)["query"].split(", "))
        return {value: label for label, value in pairs}

    def variable_sql(self, name: str) -> str:
        """Return the query behind a variable."""
        return str(self.variable(name)["query"]["rawSql"])


@dataclass(frozen=True, slots=True)
class Link:
    """Where a data link leads: a board's uid and the variables it sets to values of the row."""

    uid: str
    sets: dict[str, str] = field(default_factory=dict)


def follow(url: str, row: Mapping[str, Any]) -> Link:
    """Resolve a data link for one row; variables that are merely carried over are left out."""
    parts = urlsplit(url)
    sets = {}
    for key, value in parse_qsl(parts.query):
        if found := re.fullmatch(r"\$\{__data\.fields\.(\w+)\}", value):
            sets[key.removeprefix("var-")] = str(row[found[1]])
    return Link(parts.path.removeprefix("/d/"), sets)
