"""The time model (RULES 1.5): Shanghai days, calendar arithmetic, deadlines."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.timeline import (
    DAY,
    HOUR,
    MINUTE,
    Deadlines,
    Period,
    add_months,
    day_of,
    end_of_day,
    format_day,
    format_duration,
    format_instant,
    parse_duration,
    start_of_day,
    weekday,
)

SHANGHAI = dt.timezone(dt.timedelta(hours=8))
EPOCH = dt.date(1970, 1, 1)
DAYS = st.integers(-20_000, 60_000)
TIMES = Deadlines(
    clinical=24 * HOUR, file_days=7, grace=10 * MINUTE, wait=5 * MINUTE, correction=24 * HOUR
)


def instant(text: str) -> int:
    return round(dt.datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


def day(text: str) -> int:
    return (dt.date.fromisoformat(text) - EPOCH).days


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    assert day_of(instant("2026-03-02T00:00:00.000")) == day("2026-03-02")
    assert day_of(instant("2026-03-01T23:59:59.999")) == day("2026-03-01")
    assert start_of_day(day("2026-03-02")) == instant("2026-03-02T00:00:00.000")
    assert end_of_day(day("2026-03-02")) == instant("2026-03-03T00:00:00.000")


@given(DAYS)
def test_every_instant_lies_in_its_day(number: int) -> None:
    assert day_of(start_of_day(number)) == number == day_of(end_of_day(number) - 1)
    assert end_of_day(number) - start_of_day(number) == DAY


@given(DAYS)
def test_weekdays_are_those_of_the_calendar(number: int) -> None:
    assert weekday(number) == (EPOCH + dt.timedelta(days=number)).isoweekday()


def test_the_example_week_begins_on_a_monday() -> None:
    assert weekday(day("2026-03-02")) == 1


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [
        ("2026-09-30", -3, "2026-06-30"),
        ("2026-05-31", -3, "2026-02-28"),  # clipped: RULES LIC-04
        ("2028-05-31", -3, "2028-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2026-11-30", 1, "2026-12-30"),
        ("2026-12-01", 1, "2027-01-01"),
        ("2026-03-31", 0, "2026-03-31"),
        ("9999-11-30", 1, "9999-12-30"),
        ("9999-12-31", 12, "9999-12-31"),  # the calendar ends, the worker does not
    ],
)
def test_months_are_those_of_the_calendar(begin: str, months: int, end: str) -> None:
    assert add_months(day(begin), months) == day(end)


def test_what_lies_beyond_the_calendar_is_written_as_its_end() -> None:
    assert format_day(day("9999-12-31") + 1) == "9999-12-31"
    midnight = end_of_day(day("9999-12-31"))
    assert format_instant(midnight) == "9999-12-31T23:59:59.999+08:00"


@given(DAYS, st.integers(-600, 600))
def test_month_arithmetic_keeps_the_day_or_clips_it(number: int, months: int) -> None:
    before = EPOCH + dt.timedelta(days=number)
    after = EPOCH + dt.timedelta(days=add_months(number, months))
    assert after.year * 12 + after.month == before.year * 12 + before.month + months
    assert after.day <= before.day
    if after.day < before.day:
        assert (after + dt.timedelta(days=1)).month != after.month


def test_an_absence_of_a_clinical_event_is_confirmed_24h_and_10min_later() -> None:
    due = instant("2026-03-02T10:00:00.000")
    assert TIMES.clinical_confirmed(due) == instant("2026-03-03T10:10:00.000")


def test_the_seventh_following_day_counts_in_full() -> None:
    """RULES UPL-02: completed 03-02, received 03-09 23:59:59.999 is in time, 03-10 is not."""
    assert TIMES.filing_deadline(day("2026-03-02")) == instant("2026-03-10T00:00:00.000")
    for time in ("2026-03-02T00:00:00.000", "2026-03-02T23:59:59.999"):
        assert TIMES.filing_confirmed(instant(time)) == instant("2026-03-10T00:10:00.000")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1ms", 1),
        ("90s", 90_000),
        ("15m", 15 * MINUTE),
        ("24h", DAY),
        ("7d", 7 * DAY),
        ("0s", 0),
        ("3M", Period(3)),
        ("1Y", Period(12)),
    ],
)
def test_durations_are_read(text: str, value: int | Period) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "15", "m", "1.5h", "-5m", "15 m", "1h30m", "15min", "1w"])
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 10**13))
def test_a_duration_is_written_as_it_is_read(millis: int) -> None:
    assert parse_duration(format_duration(millis)) == millis


@pytest.mark.parametrize(
    ("millis", "text"),
    [(DAY, "1d"), (25 * HOUR, "25h"), (90 * MINUTE, "90m"), (5_001, "5001ms"), (0, "0ms")],
)
def test_a_duration_is_written_in_the_largest_unit_that_divides_it(millis: int, text: str) -> None:
    assert format_duration(millis) == text


@pytest.mark.parametrize(("months", "text"), [(3, "3M"), (12, "1Y"), (24, "2Y"), (18, "18M")])
def test_a_period_is_written_as_it_is_read(months: int, text: str) -> None:
    assert str(Period(months)) == text
    assert parse_duration(text) == Period(months)


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_is_written_in_shanghai_time_with_milliseconds(millis: int) -> None:
    text = format_instant(millis)
    assert text.endswith("+08:00")
    assert text[-10] == "."
    assert round(dt.datetime.fromisoformat(text).timestamp() * 1000) == millis


def test_an_instant_reads_as_the_rules_write_it() -> None:
    assert format_instant(instant("2026-03-02T12:00:00.000")) == "2026-03-02T12:00:00.000+08:00"
    assert format_instant(instant("2026-03-02T12:05:00.001")) == "2026-03-02T12:05:00.001+08:00"
