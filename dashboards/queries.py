"""What the SQL of all boards shares: filters, and findings as they stood at the end of the range.

Rules that hold for every query (tests/dashboards/test_boards.py):
- tables are ReplacingMergeTrees, so they are read with FINAL wherever copies would count;
- `$__fromTime_ms` and `$__toTime_ms` bound the time, since the macros in seconds lose the last one;
- days are cut with `toStartOfDay(t, 'Asia/Shanghai')`, never with `$__timeInterval`, which cuts at
  midnight UTC; instants leave as DateTime64 in UTC and the board shows them in its own zone;
- lists are `IN (${name:singlequote})`, right for one value, several and All; an empty one is legal;
- the state of a finding is the one it had at the end of the chosen time, by its history, so that
  a board of last week shows last week;
- rates come with numerator, denominator and what is undecided; with fewer than 30 cases in the
  denominator a rate is NULL, since one case more would turn it over;
- `events` is read only for evidence: everything else comes from aggregates, alerts and rejects.
"""

# Below this denominator no rate and no rank is given.
FEW = 30

RULEBOOKS = "rulebook IN (${rulebook:singlequote})"
SEVERITIES = "severity IN (${severity:singlequote})"
RULES = "rule_id IN (${rule:singlequote})"
INSTITUTION = "institution_id IN (${institution:singlequote})"
FINDING = "finding_id IN (${finding:singlequote})"

# Hours are the windows of the aggregates, (start, end]; one belongs to the range by its start.
HOURS = "window_start >= $__fromTime_ms AND window_start < $__toTime_ms"

# To be joined by institution_id; one that has filed nothing yet is shown by its number.
NAMES = "(SELECT institution_id, registered_name FROM institutions FINAL) AS names"
NAME = "if(names.registered_name = '', institution_id, names.registered_name)"

SEVERITY_COUNTS = ", ".join(
    f"countIf(severity = '{severity}') AS {severity}"
    for severity in ("critical", "major", "minor", "info")
)
STATE_COUNTS = ", ".join(
    f"countIf(state_then = '{state}') AS {state.lower()}"
    for state in ("CONFIRMED", "SUSPECTED", "RESOLVED", "WITHDRAWN", "CLEARED")
)
# Sort keys of a list of findings: what is open first, then by severity.
WEIGHT = (
    "transform(severity, ['critical', 'major', 'minor', 'info'], [0, 1, 2, 3], 4) AS weight, "
    "transform(state_then, ['CONFIRMED', 'SUSPECTED', 'RESOLVED', 'WITHDRAWN', 'CLEARED'], "
    "[0, 1, 2, 3, 4], 5) AS turn"
)


def findings(*conditions: str) -> str:
    """Return a CTE of the findings known at the end of the range, with the state each had then."""
    where = " AND ".join(("opened_at <= $__toTime_ms", *conditions))
    return f"""findings AS (
  SELECT *, arrayLast(step -> step.at <= $__toTime_ms, history).state AS state_then
  FROM alerts FINAL
  WHERE {where}
)"""


def rejects(*columns: str) -> str:
    """Return a select of the rejects in the range whose rulebook is chosen or cannot be known.

    A reject names its institution as far as it could be read, unauthenticated. Only described
    columns are read: a regulator's role is not granted the raw bytes.
    """
    return f"""SELECT {", ".join(columns)}
  FROM rejects AS r FINAL
  LEFT JOIN (SELECT institution_id, rulebook FROM institutions FINAL) AS i
    ON r.institution_id = i.institution_id
  WHERE $__timeFilter_ms(received_at)
    AND (i.rulebook = '' OR i.rulebook IN (${{rulebook:singlequote}}))"""
