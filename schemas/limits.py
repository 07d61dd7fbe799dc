"""The ranges that every value of a kind must lie in; a value outside is absurd, whatever the rules
say.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

UNKNOWN = "UNKNOWN"
"""First symbol of every enumeration and its default; no accepted event carries it."""

MAX_ID = 256
"""Characters of an identifier. What names events must stay small: case files, receipts and findings
repeat it, and one that outgrew its topic would stop the worker.
"""

EPOCH = date(1970, 1, 1)

MIN_INSTANT = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1000
MAX_INSTANT = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1000
"""Instants in epoch milliseconds. Internet hospitals are younger than 2000; the far end allows an
`occurred_at` in the future, which UPL-05 judges.
"""

MIN_DATE = (date(1900, 1, 1) - EPOCH).days
MAX_DATE = (date(9999, 12, 31) - EPOCH).days
"""Dates in days since 1970. Careers begin long before 2000, and 9999-12-31 is the usual way to
write 长期 (no end).
"""

MIN_INT, MAX_INT = -(2**31), 2**31 - 1
MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1
MAX_DECIMAL = 10**18 - 1
"""Precision 18: thousandths."""
