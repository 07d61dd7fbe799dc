"""The institution drill-down (L1): one hospital, its findings, and the evidence of each (L2).

Read from the top: who it is, what is open, how each rule went over time, every finding with its
citation, then for the finding clicked on: the facts, its history and the events it rests on; at
last how the institution uploads and what of it was refused.
"""

from dashboards.board import board, query_choice, select_finding
from dashboards.overview import DAY_MS
from dashboards.panels import (
    Column,
    Frame,
    Panel,
    bars,
    lines,
    note,
    stacked_times,
    stat,
    table,
    timeline,
)
from dashboards.queries import (
    FEW,
    FINDING,
    HOURS,
    INSTITUTION,
    NAMES,
    RULEBOOKS,
    RULES,
    SEVERITIES,
    STATE_COUNTS,
    WEIGHT,
    findings,
)
from dashboards.sdk import dashboard
from dashboards.style import (
    COMPLIANT,
    LATE,
    LIGHT,
    PLAIN,
    SETTLED,
    STATES,
    UNKNOWN,
    VIOLATED,
    codes,
    label,
    mapping,
)
from schemas.texts import Lang, text

# --- variables ------------------------------------------------------------------------------------
# Without time macros: Grafana may ask for them before it knows the range.

INSTITUTIONS = f"""SELECT institution_id, if(names.registered_name = '', institution_id,
  concat(names.registered_name, ' · ', institution_id)) AS label
FROM (SELECT DISTINCT institution_id FROM aggregates WHERE {RULEBOOKS}) AS known
LEFT JOIN {NAMES} USING (institution_id)
ORDER BY label"""

RULES_SEEN = f"SELECT DISTINCT rule_id FROM alerts WHERE {INSTITUTION} ORDER BY rule_id"

FINDINGS_SEEN = f"""SELECT finding_id, concat(rule_id, ' · ', subject_id) AS label
FROM (
  SELECT *, state AS state_then, {WEIGHT} FROM alerts FINAL
  WHERE {INSTITUTION} AND {RULES} AND {SEVERITIES}
)
ORDER BY turn, weight, changed_at DESC, finding_id
LIMIT 200"""

# --- SQL -----------------------------------------------------------------------------------------

_THEIRS = findings(INSTITUTION, RULES, SEVERITIES)

HEADER = f"""SELECT if(i.registered_name = '', institution_id, i.registered_name) AS institution,
  i.institution_form AS form, if(i.rulebook = '', known.book, i.rulebook) AS rulebook,
  institution_id, i.host_name AS host, i.licence_no AS licence,
  if(i.licence_no = '', '', toString(i.licence_valid_to)) AS licence_to
FROM (
  SELECT institution_id, any(rulebook) AS book FROM aggregates
  WHERE {INSTITUTION} GROUP BY institution_id
) AS known
LEFT JOIN (SELECT * FROM institutions FINAL WHERE {INSTITUTION}) AS i USING (institution_id)"""

STATES_NOW = f"""WITH {_THEIRS}
SELECT {STATE_COUNTS}
FROM findings
WHERE state_then IN ('CONFIRMED', 'SUSPECTED')
  OR arrayExists(step -> step.at >= $__fromTime_ms AND step.at <= $__toTime_ms, history)"""

UPLOADS = f"""SELECT
  toUnixTimestamp64Milli(maxOrNullIf(window_start, metric = 'events' AND value > 0)) AS last_upload,
  sumIf(value, metric = 'events') AS accepted,
  (SELECT count() FROM rejects FINAL
    WHERE {INSTITUTION} AND $__timeFilter_ms(received_at)) AS rejected,
  sumIf(value, metric = 'clinical') AS clinical, sumIf(value, metric = 'judged') AS judged,
  if(judged = 0, NULL, sumIf(value, metric = 'late')) AS late,
  if(judged >= {FEW}, late / judged, NULL) AS late_rate,
  sumIf(value, metric = 'sessions_opened') AS sessions
FROM aggregates FINAL
WHERE {INSTITUTION} AND {HOURS}"""


def states_over_time(lang: Lang) -> str:
    """Return the worst state that any finding of a rule had, in each step of the range.

    The range is cut in at most 200 steps of whole quarters of an hour. A state that lasts no time
    (a late upload is resolved at once) fills its step.
    """
    return f"""WITH {_THEIRS},
  toUnixTimestamp64Milli($__fromTime_ms) AS t0, toUnixTimestamp64Milli($__toTime_ms) AS t1,
  900000 * (1 + intDiv(t1 - t0, 200 * 900000)) AS width,
  intDiv(t0, width) AS first_step, intDiv(t1 - 1, width) AS last_step,
names AS (SELECT rule_id, argMax(title_{lang}, changed_at) AS title FROM findings GROUP BY rule_id),
stretches AS (
  SELECT rule_id, transform(step.state, ['SUSPECTED', 'CONFIRMED'], [1, 2], 0) AS code,
    toUnixTimestamp64Milli(step.at) AS since,
    if(i = length(history), t1, toUnixTimestamp64Milli(history[i + 1].at)) AS next,
    greatest(since + 1, next) AS until
  FROM findings ARRAY JOIN history AS step, arrayEnumerate(history) AS i
  WHERE until > t0 AND since < t1
)
SELECT fromUnixTimestamp64Milli(step * width, 'UTC') AS time,
  concat(rule_id, ' ', names.title) AS rule, max(code) AS state
FROM (
  SELECT rule_id, code,
    arrayJoin(range(greatest(first_step, intDiv(since, width)),
      least(last_step, intDiv(until - 1, width)) + 1)) AS step
  FROM stretches WHERE code > 0
  UNION ALL
  SELECT DISTINCT rule_id, 0, arrayJoin(range(first_step, last_step + 1)) FROM stretches
) AS cells
INNER JOIN names USING (rule_id)
GROUP BY time, rule
ORDER BY time, rule"""


UPLOADS_BY_HOUR = f"""SELECT time, whole - slow AS on_time, slow AS late,
  everything - whole AS other
FROM (
  SELECT window_start AS time, sumIf(value, metric = 'clinical') AS whole,
    sumIf(value, metric = 'late') AS slow, sumIf(value, metric = 'events') AS everything
  FROM aggregates FINAL WHERE {INSTITUTION} AND {HOURS}
  GROUP BY time
)
WHERE everything > 0
ORDER BY time"""

LATENCY = f"""SELECT window_start AS time, maxIf(value, metric = 'latency_p50_ms') AS p50,
  maxIf(value, metric = 'latency_p95_ms') AS p95, maxIf(value, metric = 'latency_max_ms') AS longest
FROM aggregates FINAL
WHERE {INSTITUTION} AND {HOURS}
GROUP BY time
HAVING countIf(metric = 'latency_p50_ms') > 0
ORDER BY time"""

REJECTS = f"""SELECT received_at, reason, field, event_type, event_id, topic, partition, offset,
  detail
FROM rejects FINAL
WHERE {INSTITUTION} AND $__timeFilter_ms(received_at)
ORDER BY received_at DESC, partition, offset DESC
LIMIT 100"""

REJECTS_BY_REASON = f"""SELECT reason, count() AS rejected
FROM rejects FINAL
WHERE {INSTITUTION} AND $__timeFilter_ms(received_at)
GROUP BY reason
ORDER BY rejected DESC, reason"""

HISTORY = f"""SELECT finding_id, step.at AS at, step.state AS state
FROM alerts FINAL
ARRAY JOIN history AS step, arrayEnumerate(history) AS i
WHERE {INSTITUTION} AND {FINDING}
ORDER BY finding_id, i"""

# The sorting key of events is (institution, event): only the evidence is read.
EVIDENCE = f"""WITH pieces AS (
  SELECT DISTINCT finding_id, institution_id, arrayJoin(evidence) AS event_id FROM alerts FINAL
  WHERE {INSTITUTION} AND {FINDING}
)
SELECT pieces.finding_id AS finding_id, e.occurred_at AS occurred_at,
  toUnixTimestamp64Milli(e.received_at) - toUnixTimestamp64Milli(e.occurred_at) AS delay,
  e.event_type AS event_type, e.staff_id AS staff_id, e.session_id AS session_id,
  e.revision AS revision, e.stream_seq AS stream_seq, e.event_id AS event_id, e.payload AS payload
FROM (
  SELECT * FROM events FINAL
  WHERE {INSTITUTION} AND event_id IN (SELECT event_id FROM pieces)
) AS e
INNER JOIN pieces ON pieces.institution_id = e.institution_id AND pieces.event_id = e.event_id
ORDER BY finding_id, occurred_at, event_id
LIMIT 100 BY finding_id"""


def _flags(lang: Lang) -> str:
    """Return an expression for the flags of a finding in words."""
    known = codes("flag")
    names = ", ".join(f"'{label('flag', code, lang)}'" for code in known)
    ids = ", ".join(f"'{code}'" for code in known)
    return f"arrayStringConcat(arrayMap(f -> transform(f, [{ids}], [{names}], f), flags), '; ')"


def findings_list(lang: Lang) -> str:
    return f"""WITH {_THEIRS}
SELECT state_then AS state, severity, concat(rule_id, ' ', title_{lang}) AS rule, clause,
  subject_type, subject_id, violation_start, violation_end,
  arrayStringConcat(citations, '\\n') AS citations, {_flags(lang)} AS flags,
  length(evidence) AS pieces, finding_id
FROM (
  SELECT *, {WEIGHT} FROM findings
  WHERE state_then IN ('CONFIRMED', 'SUSPECTED')
    OR arrayExists(step -> step.at >= $__fromTime_ms AND step.at <= $__toTime_ms, history)
)
ORDER BY turn, weight, changed_at DESC, finding_id
LIMIT 200"""


def facts(lang: Lang) -> str:
    """Return one row for each fact of the chosen finding, in reading order."""
    shanghai = "formatDateTime({}, '%Y-%m-%d %H:%i:%S', 'Asia/Shanghai')"
    start = f"ifNull({shanghai.format('violation_start')}, '')"
    end = f"ifNull({shanghai.format('violation_end')}, '')"
    return f"""SELECT finding_id, fact.1 AS item, fact.2 AS value
FROM (
  SELECT finding_id, arrayJoin([
    ('rule', concat(rule_id, ' ', title_{lang})),
    ('message', message_{lang}),
    ('citations', arrayStringConcat(citations, '\\n')),
    ('state', toString(state)),
    ('severity', toString(severity)),
    ('rulebook', toString(rulebook)),
    ('clause', toString(clause)),
    ('subject', subject_id),
    ('violation_start', {start}),
    ('violation_end', {end}),
    ('params', arrayStringConcat(
      arrayMap((k, v) -> concat(k, ' = ', v), mapKeys(params), mapValues(params)), '; ')),
    ('flags', {_flags(lang)})
  ]) AS fact
  FROM alerts FINAL WHERE {INSTITUTION} AND {FINDING}
)
WHERE value != ''"""


# --- panels --------------------------------------------------------------------------------------


def build(lang: Lang) -> dashboard.Dashboard:
    """Return the drill-down in one language."""
    built = board(
        "institution",
        lang,
        [
            _header(lang),
            _states_now(lang),
            _uploads(lang),
            _timeline(lang),
            _findings(lang),
            _facts(lang),
            _history(lang),
            _evidence(lang),
            _uploads_by_hour(lang),
            _latency(lang),
            _rejects_by_reason(lang),
            _rejects(lang),
            _reading(lang),
        ],
    )
    return (
        built.with_variable(query_choice("institution", lang, INSTITUTIONS))
        .with_variable(query_choice("rule", lang, RULES_SEEN, several=True))
        .with_variable(query_choice("finding", lang, FINDINGS_SEEN))
    )


def _frame(number: int, name: str, lang: Lang, place: tuple[int, int, int, int]) -> Frame:
    return Frame(number, f"boards.institution.{name}", lang, place)


def _header(lang: Lang) -> Panel:
    columns = [
        Column("institution"),
        Column("form", mappings=mapping(lang, "form")),
        Column("rulebook", mappings=mapping(lang, "rulebook")),
        Column("institution_id"),
        Column("host"),
        Column("licence"),
        Column("licence_to"),
    ]
    return stat(_frame(1, "header", lang, (0, 0, 24, 3)), HEADER, columns, text_only=True)


def _states_now(lang: Lang) -> Panel:
    columns = [
        Column(state.lower(), unit="short", alarm=colour) for state, colour in STATES.items()
    ]
    return stat(_frame(2, "states_now", lang, (0, 3, 10, 4)), STATES_NOW, columns)


def _uploads(lang: Lang) -> Panel:
    columns = [
        Column("last_upload", unit="dateTimeAsIso", colour=PLAIN),
        Column("accepted", unit="short", decimals=0, colour=PLAIN),
        Column("rejected", unit="short", alarm=VIOLATED),
        Column("clinical", unit="short", decimals=0, colour=PLAIN),
        Column("judged", unit="short", decimals=0, colour=PLAIN),
        Column("late", unit="short", decimals=0, alarm=LATE, nothing="boards.not_judged"),
        Column("late_rate", unit="percentunit", decimals=2, colour=PLAIN, nothing="boards.no_rate"),
        Column("sessions", unit="short", decimals=0, colour=PLAIN),
    ]
    return stat(_frame(3, "uploads", lang, (10, 3, 14, 4)), UPLOADS, columns)


def _timeline(lang: Lang) -> Panel:
    frame = _frame(4, "timeline", lang, (0, 7, 24, 8))
    return timeline(frame, states_over_time(lang), "rule", mapping(lang, "timeline"))


def _findings(lang: Lang) -> Panel:
    link = select_finding(lang)
    columns = [
        Column("state", mappings=mapping(lang, "state"), tint=True, width=90),
        Column("severity", mappings=mapping(lang, "severity"), tint=True, width=90),
        Column("rule", link=link, wrap=True, width=240),
        Column("clause", width=60),
        Column("subject_type", mappings=mapping(lang, "subject"), width=80),
        Column("subject_id", width=200),
        Column("violation_start", unit="dateTimeAsIso", nothing="boards.none", width=165),
        Column("violation_end", unit="dateTimeAsIso", nothing="boards.none", width=165),
        Column("citations", wrap=True, width=380),
        Column("flags", wrap=True, width=120),
        Column("pieces", unit="short", width=80),
        Column("finding_id", link=link, width=200),
    ]
    return table(_frame(5, "findings", lang, (0, 15, 24, 11)), findings_list(lang), columns)


def _facts(lang: Lang) -> Panel:
    columns = [
        Column("finding_id", width=150),
        Column("item", mappings=mapping(lang, "fact"), width=120),
        Column(
            "value",
            mappings=mapping(lang, "state", "severity", "rulebook"),
            wrap=True,
            heading="content",
        ),
    ]
    return table(_frame(6, "facts", lang, (0, 26, 16, 10)), facts(lang), columns)


def _history(lang: Lang) -> Panel:
    columns = [
        Column("finding_id", width=150),
        Column("at", unit="dateTimeAsIso", width=190),
        Column("state", mappings=mapping(lang, "state"), tint=True),
    ]
    return table(_frame(7, "history", lang, (16, 26, 8, 10)), HISTORY, columns)


def _evidence(lang: Lang) -> Panel:
    columns = [
        Column("finding_id", width=150),
        Column("occurred_at", unit="dateTimeAsIso", width=190),
        Column("delay", unit="ms", decimals=1, width=110),
        Column("event_type", mappings=mapping(lang, "event"), width=220),
        Column("staff_id", width=120),
        Column("session_id", width=160),
        Column("revision", unit="short", width=70),
        Column("stream_seq", unit="none", width=90),
        Column("event_id", width=220),
        Column("payload", json=True),
    ]
    return table(_frame(8, "evidence", lang, (0, 36, 24, 10)), EVIDENCE, columns)


def _uploads_by_hour(lang: Lang) -> Panel:
    columns = [
        Column("on_time", unit="short", colour=COMPLIANT),
        Column("late", unit="short", colour=LATE),
        Column("other", unit="short", colour=LIGHT),
    ]
    frame = _frame(9, "uploads_by_hour", lang, (0, 46, 12, 8))
    return stacked_times(frame, UPLOADS_BY_HOUR, columns)


def _latency(lang: Lang) -> Panel:
    columns = [
        Column("p50", unit="ms", colour=SETTLED),
        Column("p95", unit="ms", colour=LATE),
        Column("longest", unit="ms", colour=VIOLATED),
    ]
    return lines(_frame(10, "latency", lang, (12, 46, 12, 8)), LATENCY, columns, limit=DAY_MS)


def _rejects_by_reason(lang: Lang) -> Panel:
    columns = [
        Column("reason", mappings=mapping(lang, "reason")),
        Column("rejected", unit="short", colour=UNKNOWN),
    ]
    frame = _frame(11, "rejects_by_reason", lang, (0, 54, 8, 9))
    return bars(frame, REJECTS_BY_REASON, "reason", columns)


def _rejects(lang: Lang) -> Panel:
    columns = [
        Column("received_at", unit="dateTimeAsIso", width=190),
        Column("reason", mappings=mapping(lang, "reason"), width=200),
        Column("field", width=140),
        Column("event_type", mappings=mapping(lang, "event"), width=180),
        Column("event_id", width=200),
        Column("topic", width=100),
        Column("partition", unit="none", width=70),
        Column("offset", unit="none", width=90),
        Column("detail", wrap=True),
    ]
    return table(_frame(12, "rejects", lang, (8, 54, 16, 9)), REJECTS, columns)


def _reading(lang: Lang) -> Panel:
    frame = _frame(13, "reading", lang, (0, 63, 24, 6))
    return note(frame, text("boards.institution.reading.text", lang))
