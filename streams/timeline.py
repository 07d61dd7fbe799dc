"""The time model of the rules: instants, Shanghai days, calendar arithmetic and deadlines.

Every instant is an ``int`` of UTC epoch milliseconds and every day an ``int`` of days since
1970-01-01 on the Shanghai calendar (UTC+8, no daylight saving), so that the core never meets a
time-zone database, a naive datetime or the machine's clock. Source: RULES 1.5.
"""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from dataclasses import dataclass

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SHANGHAI_OFFSET = 8 * HOUR
SHANGHAI = dt.timezone(dt.timedelta(hours=8))

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
LAST_DAY = dt.date.max.toordinal() - _EPOCH_ORDINAL
"""The last day that the calendar knows, 9999-12-31; what would end later ends there."""
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_PERIOD = re.compile(r"(\d+)([MY])")
_UNIT = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True, slots=True)
class Period:
    """A span of calendar months; unlike a duration its length depends on where it starts."""

    months: int

    def __str__(self) -> str:
        return f"{self.months // 12}Y" if self.months % 12 == 0 else f"{self.months}M"


def day_of(instant: int) -> int:
    """The Shanghai calendar day of an instant (``day(x)``)."""
    return (instant + SHANGHAI_OFFSET) // DAY


def start_of_day(day: int) -> int:
    """First instant of a Shanghai day (``sod(d)``)."""
    return day * DAY - SHANGHAI_OFFSET


def end_of_day(day: int) -> int:
    """First instant after a Shanghai day (``eod(d)``, exclusive)."""
    return start_of_day(day + 1)


def weekday(day: int) -> int:
    """ISO weekday of a day, 1 (Monday) to 7 (Sunday)."""
    return (day + 3) % 7 + 1


def add_months(day: int, months: int) -> int:
    """Calendar arithmetic ``d ⊕ nM``; a day that does not exist is clipped to the month's last, and
    one after the last that the calendar knows to that.
    """
    date = dt.date.fromordinal(min(day, LAST_DAY) + _EPOCH_ORDINAL)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    if year > dt.MAXYEAR:
        return LAST_DAY
    last = monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(date.day, last)).toordinal() - _EPOCH_ORDINAL


def parse_day(text: str) -> int:
    """A day written YYYY-MM-DD; ValueError for anything else."""
    if len(text) != 10:
        raise ValueError(text)
    return dt.date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


def format_day(day: int) -> str:
    """Write a day as YYYY-MM-DD; one after the last of the calendar as that."""
    return dt.date.fromordinal(min(day, LAST_DAY) + _EPOCH_ORDINAL).isoformat()


def parse_duration(text: str) -> int | Period | None:
    """Read ``90s 15m 24h 7d`` (milliseconds) or ``3M 1Y`` (a Period); None for anything else."""
    if match := _DURATION.fullmatch(text):
        return int(match[1]) * _UNIT[match[2]]
    if match := _PERIOD.fullmatch(text):
        return Period(int(match[1]) * (12 if match[2] == "Y" else 1))
    return None


def format_duration(millis: int) -> str:
    """Write milliseconds in the largest unit that divides them, as ``parse_duration`` reads it."""
    for unit in ("d", "h", "m", "s"):
        if millis and millis % _UNIT[unit] == 0:
            return f"{millis // _UNIT[unit]}{unit}"
    return f"{millis}ms"


def format_instant(instant: int) -> str:
    """Write an instant as RFC 3339 in Shanghai time with milliseconds; one after the last of the
    calendar as that.
    """
    instant = min(instant, end_of_day(LAST_DAY) - 1)
    moment = dt.datetime.fromtimestamp(instant // 1000, SHANGHAI)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}+08:00"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """When an absence may be suspected and when it is established (RULES 1.5 and 1.6).

    All fields are milliseconds but ``file_days``, the whole days of the filing window.
    """

    clinical: int
    file_days: int
    grace: int
    wait: int
    correction: int

    def clinical_confirmed(self, due: int) -> int:
        """``C_c(D)``: from here no lawful upload can still show a clinical act due by D."""
        return due + self.clinical + self.grace

    def filing_deadline(self, day: int) -> int:
        """``F(d)``: exclusive end of the lawful upload of a change completed on day d."""
        return start_of_day(day + self.file_days + 1)

    def filing_confirmed(self, due: int) -> int:
        """``C_f(D)``: from here no lawful filing can still show the state needed at instant D."""
        return self.filing_deadline(day_of(due)) + self.grace
