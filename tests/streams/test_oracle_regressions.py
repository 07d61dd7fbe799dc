"""What the oracle found in the core, each as its smallest case."""

from __future__ import annotations

from typing import Any

from streams.check import judge
from streams.rulebook import Library
from streams.supervisor import Supervisor
from tests.support.scenarios import DAY, HOUR, MIDNIGHT, MINUTE, Published, example, log

HOSPITAL = "h1"


def event(event_type: str, at: int, received: int, **fields: Any) -> Published:
    """An event by minutes of Monday."""
    occurred_at = MIDNIGHT + at * MINUTE
    fields = {"event_id": f"{event_type}{at}", "recorded_at": occurred_at, **fields}
    datum = example(event_type, institution_id=HOSPITAL, occurred_at=occurred_at, **fields)
    return Published(datum, MIDNIGHT + received * MINUTE)


def declared(at: int, received: int, *hours: tuple[int, int, int]) -> Published:
    """Declared hours as (weekday, first minute, last minute)."""
    weekly = [{"weekday": d, "start_minute": s, "end_minute": e} for d, s, e in hours]
    return event("BusinessHoursDeclared", at, received, weekly=weekly, exceptions=[])


def histories(published: list[Published], as_of: int) -> list[list[tuple[str, int]]]:
    """The histories of the findings of PHA-01 by minutes of Monday, the earliest gap first."""
    library = Library.load()
    findings = judge(log(published), Supervisor(library, {}, "chongqing"), as_of)
    gaps = sorted((f for f in findings if f.rule_id == "PHA-01"), key=lambda f: f.start or 0)
    return [[(str(s.state), (s.at - MIDNIGHT) // MINUTE) for s in f.history] for f in gaps]


def test_a_gap_is_not_over_while_only_its_established_part_is() -> None:
    """An unfiled pharmacist at 9:00 leaves the night before established, but nobody has come."""
    day_and_night = declared(-1440, -1440, (1, 0, 1440), (2, 0, 1440))
    unfiled = event(
        "DutyStatusReported",
        *(540, 540),
        staff_id="p1",
        shift_id="x",
        duty_kind="RX_REVIEW",
        phase="SIGN_ON",
    )
    suspected_and_confirmed = [("SUSPECTED", 10), ("CONFIRMED", 1455)]
    events = [day_and_night, unfiled]
    assert histories(events, MIDNIGHT + 2 * DAY - 1) == [suspected_and_confirmed]
    over = [*suspected_and_confirmed, ("RESOLVED", 2880)]
    assert histories(events, MIDNIGHT + 2 * DAY) == [over]


def test_hours_declared_anew_do_not_withdraw_a_gap_for_the_length_of_the_wait() -> None:
    first = declared(-1440, -1440, (1, 480, 540))
    again = declared(-720, 3 * 1440, (1, 480, 540))
    whole = [("SUSPECTED", 490), ("CONFIRMED", 480 + 5 + 1450), ("RESOLVED", 480 + 5 + 1450)]
    assert histories([first, again], MIDNIGHT + 5 * DAY) == [whole]


def test_a_gap_that_begins_earlier_than_known_stays_the_same_finding() -> None:
    """A session before opening time, uploaded while the gap after it is suspected."""
    hours = declared(-1440, -1440, (1, 480, 540))
    session: dict[str, Any] = {"session_id": "s1"}
    opened = event("SessionOpened", 450, 491, **session, mode="VIDEO", service_kind="FOLLOW_UP")
    closed = event("SessionClosed", 485, 492, **session, outcome="COMPLETED", diagnosis_codes=[])
    found = histories([hours, opened, closed], MIDNIGHT + 10 * HOUR)
    assert found == [[("SUSPECTED", 490)]]


def test_gaps_of_long_ago_are_not_forgotten_while_they_wait() -> None:
    """Hours uploaded eleven days late: the Monday before is established after the wait."""
    received = 11 * 1440
    monday_only = declared(-1440, received, (1, 480, 540))
    whole = [("CONFIRMED", received + 5), ("RESOLVED", received + 5)]
    found = histories([monday_only], MIDNIGHT + 12 * DAY)
    assert found == [whole, whole]
