"""The jurisdiction overview (L0): how many findings are open, of which rules, where, and how sure.

Read from the top: is the data fresh, what is open, is it getting better, at which rate, who is
worst (with a way to each), how late uploads come, what was refused.
"""

from dashboards.board import board, drill_down
from dashboards.panels import (
    Column,
    Frame,
    Panel,
    bars,
    lines,
    note,
    severity_columns,
    stacked_times,
    stat,
    table,
)
from dashboards.queries import (
    FEW,
    HOURS,
    NAME,
    NAMES,
    RULEBOOKS,
    SEVERITIES,
    SEVERITY_COUNTS,
    STATE_COUNTS,
    findings,
    rejects,
)
from dashboards.sdk import dashboard
from dashboards.style import (
    LATE,
    PLAIN,
    SETTLED,
    STATES,
    UNKNOWN,
    VIOLATED,
    mapping,
)
from dashboards.style import SEVERITIES as SEVERITY_COLOURS
from schemas.texts import Lang, text

# The upload window of RULES UPL-01: the law of Guangxi, a default elsewhere.
DAY_MS = 24 * 3_600_000

# --- SQL -----------------------------------------------------------------------------------------

# The newest instant that the platform has surely reached: a change of a finding, a reject, or the
# start of the newest hour with uploads (its end may lie ahead). `events` is not scanned for this.
AS_OF = f"""SELECT toUnixTimestamp64Milli(newest) AS as_of,
  greatest(0, dateDiff('second', newest, least(now64(3), $__toTime_ms))) AS lag
FROM (
  SELECT maxOrNull(at) AS newest FROM (
    SELECT changed_at AS at FROM alerts WHERE {RULEBOOKS} AND changed_at <= $__toTime_ms
    UNION ALL
    SELECT received_at FROM rejects WHERE received_at <= $__toTime_ms
    UNION ALL
    SELECT window_start FROM aggregates WHERE {RULEBOOKS} AND window_start < $__toTime_ms
  )
)"""

OPEN_NOW = f"""WITH {findings(RULEBOOKS, SEVERITIES)}
SELECT countIf(state_then = 'CONFIRMED' AND severity = 'critical') AS critical,
  countIf(state_then = 'CONFIRMED' AND severity = 'major') AS major,
  countIf(state_then = 'CONFIRMED' AND severity IN ('minor', 'info')) AS lesser,
  countIf(state_then = 'SUSPECTED') AS suspected
FROM findings"""

VOLUME = f"""SELECT uniqExactIf(institution_id, metric = 'events' AND value > 0) AS institutions,
  sumIf(value, metric = 'events') AS uploads,
  (SELECT count() FROM ({rejects("offset")})) AS rejected
FROM aggregates FINAL
WHERE {RULEBOOKS} AND {HOURS}"""


def open_by_rule(lang: Lang) -> str:
    return f"""WITH {findings(RULEBOOKS, SEVERITIES)}
SELECT concat(rule_id, ' ', argMax(title_{lang}, changed_at)) AS rule, {SEVERITY_COUNTS}
FROM findings
WHERE state_then = 'CONFIRMED'
GROUP BY rule_id
ORDER BY count() DESC, rule_id
LIMIT 15"""


def states_by_rule(lang: Lang) -> str:
    return f"""WITH {findings(RULEBOOKS, SEVERITIES, "opened_at >= $__fromTime_ms")}
SELECT concat(rule_id, ' ', argMax(title_{lang}, changed_at)) AS rule, {STATE_COUNTS}
FROM findings
GROUP BY rule_id
ORDER BY count() DESC, rule_id
LIMIT 15"""


CONFIRMED_BY_DAY = f"""WITH {findings(RULEBOOKS, SEVERITIES)}
SELECT toDateTime64(toStartOfDay(step.at, 'Asia/Shanghai'), 3, 'UTC') AS time, {SEVERITY_COUNTS}
FROM findings
ARRAY JOIN history AS step
WHERE step.state = 'CONFIRMED' AND step.at >= $__fromTime_ms AND step.at <= $__toTime_ms
GROUP BY time
ORDER BY time"""

IDENTITY_RATE = f"""WITH {findings(RULEBOOKS, "rule_id = 'IDV-01'")},
judged AS (
  SELECT rulebook, institution_id, subject_id,
    max(state_then IN ('CONFIRMED', 'RESOLVED')) AS violated,
    max(state_then = 'SUSPECTED') AS open
  FROM findings
  WHERE ifNull(violation_start, opened_at) >= $__fromTime_ms
    AND ifNull(violation_start, opened_at) < $__toTime_ms
  GROUP BY rulebook, institution_id, subject_id
)
SELECT rulebook, sum(opened) AS sessions, sum(bad) AS violated, sum(unsure) AS undecided,
  if(sessions >= {FEW}, violated / sessions, NULL) AS rate
FROM (
  SELECT rulebook, value AS opened, 0 AS bad, 0 AS unsure
  FROM aggregates FINAL WHERE {RULEBOOKS} AND {HOURS} AND metric = 'sessions_opened'
  UNION ALL
  SELECT rulebook, 0, violated, open AND NOT violated FROM judged
)
GROUP BY rulebook
ORDER BY rate DESC NULLS LAST, rulebook"""

LATE_RATE = f"""SELECT rulebook, sum(clinical) AS uploads, sum(counted) AS judged,
  if(judged = 0, NULL, sum(behind)) AS late, sum(refused) AS undecided,
  if(judged >= {FEW}, late / judged, NULL) AS rate
FROM (
  SELECT rulebook, if(metric = 'clinical', value, 0) AS clinical,
    if(metric = 'judged', value, 0) AS counted, if(metric = 'late', value, 0) AS behind,
    0 AS refused
  FROM aggregates FINAL
  WHERE {RULEBOOKS} AND {HOURS} AND metric IN ('clinical', 'judged', 'late')
  UNION ALL
  {rejects("if(i.rulebook = '', 'unidentified', i.rulebook)", "0", "0", "0", "1")}
)
GROUP BY rulebook
ORDER BY rate DESC NULLS LAST, rulebook"""

# Open findings join the volume as metrics of their own, so that one that fell silent is still seen.
WORST = f"""WITH {findings(RULEBOOKS, SEVERITIES)},
totals AS (
  SELECT institution_id, any(book) AS rulebook,
    sumIf(value, metric = 'open.critical') AS critical,
    sumIf(value, metric = 'open.major') AS major,
    sumIf(value, startsWith(metric, 'open.')) AS open,
    sumIf(value, metric = 'clinical') AS uploads,
    sumIf(value, metric = 'sessions_opened') AS sessions,
    sumIf(value, metric = 'judged') AS judged,
    sumIf(value, metric = 'late') AS late,
    if(uploads = 0, NULL, maxIf(value, metric = 'latency_p95_ms')) AS p95
  FROM (
    SELECT institution_id, rulebook AS book, toString(metric) AS metric, value
    FROM aggregates FINAL WHERE {RULEBOOKS} AND {HOURS}
    UNION ALL
    SELECT institution_id, rulebook, concat('open.', severity), 1
    FROM findings WHERE state_then = 'CONFIRMED'
  )
  GROUP BY institution_id
)
SELECT if(uploads >= {FEW}, row_number() OVER (
    PARTITION BY uploads >= {FEW} ORDER BY open / uploads DESC, critical DESC, institution_id
  ), NULL) AS rank,
  {NAME} AS institution, rulebook, critical, major,
  if(uploads >= {FEW}, 1000 * open / uploads, NULL) AS per_thousand,
  uploads, sessions, if(judged >= {FEW}, late / judged, NULL) AS late_rate, p95, institution_id
FROM totals
LEFT JOIN {NAMES} USING (institution_id)
ORDER BY rank ASC NULLS LAST, critical DESC, major DESC, institution_id
LIMIT 10"""

# Hourly figures of institutions cannot be merged into an exact quantile of all; so the board says
# the hour of the typical institution (weighted by its uploads) and of the slowest one.
LATENCY = f"""SELECT time, quantileExactWeighted(0.5)(half, toUInt64(n)) AS p50, max(most) AS p95
FROM (
  SELECT institution_id, window_start AS time, maxIf(value, metric = 'events') AS n,
    maxIf(value, metric = 'latency_p50_ms') AS half, maxIf(value, metric = 'latency_p95_ms') AS most
  FROM aggregates FINAL WHERE {RULEBOOKS} AND {HOURS}
  GROUP BY institution_id, time
)
WHERE n > 0
GROUP BY time
ORDER BY time"""

REJECTS_BY_REASON = f"""SELECT reason, count() AS rejected FROM (
  {rejects("reason")}
)
GROUP BY reason
ORDER BY rejected DESC, reason
LIMIT 15"""


# --- panels ---------------------------------------------------------------------------------------


def build(lang: Lang) -> dashboard.Dashboard:
    """Return the overview in one language."""
    return board(
        "overview",
        lang,
        [
            _as_of(lang),
            _open_now(lang),
            _volume(lang),
            _open_by_rule(lang),
            _states_by_rule(lang),
            _worst(lang),
            _confirmed_by_day(lang),
            _latency(lang),
            _identity_rate(lang),
            _late_rate(lang),
            _rejects(lang),
            _reading(lang),
        ],
    )


def _frame(number: int, name: str, lang: Lang, place: tuple[int, int, int, int]) -> Frame:
    return Frame(number, f"boards.overview.{name}", lang, place)


def _as_of(lang: Lang) -> Panel:
    columns = [
        Column("as_of", unit="dateTimeAsIso", colour=PLAIN),
        Column("lag", unit="s", decimals=0, colour=PLAIN),
    ]
    return stat(_frame(1, "as_of", lang, (0, 0, 8, 4)), AS_OF, columns)


def _open_now(lang: Lang) -> Panel:
    columns = [
        Column("critical", unit="short", alarm=SEVERITY_COLOURS["critical"]),
        Column("major", unit="short", alarm=SEVERITY_COLOURS["major"]),
        Column("lesser", unit="short", alarm=SEVERITY_COLOURS["minor"]),
        Column("suspected", unit="short", colour=PLAIN),
    ]
    return stat(_frame(2, "open_now", lang, (8, 0, 8, 4)), OPEN_NOW, columns)


def _volume(lang: Lang) -> Panel:
    columns = [
        Column("institutions", unit="short", colour=PLAIN),
        Column("uploads", unit="short", decimals=0, colour=PLAIN),
        Column("rejected", unit="short", colour=PLAIN),
    ]
    return stat(_frame(3, "volume", lang, (16, 0, 8, 4)), VOLUME, columns)


def _open_by_rule(lang: Lang) -> Panel:
    frame = _frame(4, "open_by_rule", lang, (0, 4, 12, 9))
    return bars(frame, open_by_rule(lang), "rule", [Column("rule"), *severity_columns()])


def _states_by_rule(lang: Lang) -> Panel:
    frame = _frame(5, "states_by_rule", lang, (12, 4, 12, 9))
    columns = [
        Column(state.lower(), unit="short", colour=colour) for state, colour in STATES.items()
    ]
    return bars(frame, states_by_rule(lang), "rule", [Column("rule"), *columns])


def _worst(lang: Lang) -> Panel:
    columns = [
        Column("rank", unit="short", nothing="boards.few", width=70),
        Column("institution", link=drill_down(lang)),
        Column("rulebook", mappings=mapping(lang, "rulebook"), width=90),
        Column("critical", unit="short", alarm=SEVERITY_COLOURS["critical"], width=90),
        Column("major", unit="short", alarm=SEVERITY_COLOURS["major"], width=90),
        Column("per_thousand", unit="short", decimals=2, nothing="boards.few", width=130),
        Column("uploads", unit="short", decimals=0, width=100, heading="clinical"),
        Column("sessions", unit="short", decimals=0, width=100),
        Column("late_rate", unit="percentunit", decimals=2, nothing="boards.no_rate", width=130),
        Column("p95", unit="ms", decimals=1, width=120, heading="worst_p95"),
        Column("institution_id", width=190),
    ]
    return table(_frame(6, "worst", lang, (0, 13, 24, 9)), WORST, columns)


def _confirmed_by_day(lang: Lang) -> Panel:
    frame = _frame(7, "confirmed_by_day", lang, (0, 22, 12, 8))
    return stacked_times(frame, CONFIRMED_BY_DAY, severity_columns())


def _latency(lang: Lang) -> Panel:
    columns = [
        Column("p50", unit="ms", colour=SETTLED, heading="typical_p50"),
        Column("p95", unit="ms", colour=VIOLATED, heading="slowest_p95"),
    ]
    frame = _frame(8, "latency", lang, (12, 22, 12, 8))
    return lines(frame, LATENCY, columns, limit=DAY_MS)


def _identity_rate(lang: Lang) -> Panel:
    columns = [
        Column("rulebook", mappings=mapping(lang, "rulebook")),
        Column("sessions", unit="short", decimals=0, heading="sessions_denominator"),
        Column("violated", unit="short", alarm=VIOLATED),
        Column("undecided", unit="short", alarm=LATE),
        Column("rate", unit="percentunit", decimals=2, nothing="boards.few"),
    ]
    return table(_frame(9, "identity_rate", lang, (0, 30, 12, 7)), IDENTITY_RATE, columns)


def _late_rate(lang: Lang) -> Panel:
    columns = [
        Column("rulebook", mappings=mapping(lang, "rulebook", "no_rulebook")),
        Column("uploads", unit="short", decimals=0, heading="clinical"),
        Column("judged", unit="short", decimals=0, heading="judged_denominator"),
        Column(
            "late",
            unit="short",
            decimals=0,
            nothing="boards.not_judged",
            alarm=LATE,
            heading="late_numerator",
        ),
        Column("undecided", unit="short", heading="unjudgeable"),
        Column("rate", unit="percentunit", decimals=2, nothing="boards.no_rate"),
    ]
    return table(_frame(10, "late_rate", lang, (12, 30, 12, 7)), LATE_RATE, columns)


def _rejects(lang: Lang) -> Panel:
    columns = [
        Column("reason", mappings=mapping(lang, "reason")),
        Column("rejected", unit="short", colour=UNKNOWN),
    ]
    frame = _frame(11, "rejects", lang, (0, 37, 12, 8))
    return bars(frame, REJECTS_BY_REASON, "reason", columns)


def _reading(lang: Lang) -> Panel:
    frame = _frame(12, "reading", lang, (12, 37, 12, 8))
    return note(frame, text("boards.overview.reading.text", lang))
