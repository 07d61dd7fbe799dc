"""Bars of rates as SVG, on a logarithmic scale: the contenders lie far apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bench.report import Row

_WIDTH, _LABEL, _LEFT, _RIGHT = 760, 120, 130, 90
_BAR, _STEP, _TOP, _FOOT = 18, 34, 28, 34
_STYLE = (
    "text{font:13px sans-serif;fill:#333}.scale{font-size:11px;fill:#666}"
    ".bar{fill:#7a9cc6}.ours{fill:#2f6f4f}.grid{stroke:#ddd}.spread{stroke:#333;stroke-width:1.5}"
)


def bars(rows: Sequence[Row]) -> str:
    """A bar to the median of each row's rate, with a line from its lowest to its highest."""
    first = math.floor(math.log10(min(row.rate.low for row in rows)))
    last = math.ceil(math.log10(max(row.rate.high for row in rows)))
    bottom = _TOP + _STEP * len(rows)

    def x(value: float) -> float:
        share = (math.log10(value) - first) / (last - first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [f'<text x="{_LEFT}" y="16">events per second, one core, logarithmic</text>']
    for power in range(first, last + 1):
        at = x(10**power)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="scale" x="{at}" y="{bottom + 16}" text-anchor="middle">'
            f"{10**power:,}</text>"
        )
    for number, row in enumerate(rows):
        parts += _bar(row, _TOP + _STEP * number + (_STEP - _BAR) // 2, x(row.rate.median), number)
        middle = _TOP + _STEP * number + _STEP // 2
        low, high = x(row.rate.low), x(row.rate.high)
        parts.append(f'<line class="spread" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
    body = "\n".join(parts)
    size = f'width="{_WIDTH}" height="{bottom + _FOOT}" viewBox="0 0 {_WIDTH} {bottom + _FOOT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH}" height="{bottom + _FOOT}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _bar(row: Row, top: int, end: float, number: int) -> list[str]:
    kind = "bar ours" if number == 0 else "bar"
    base = top + _BAR - 4
    return [
        f'<text x="{_LABEL}" y="{base}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_BAR}"/>',
        f'<text x="{_WIDTH - 6}" y="{base}" text-anchor="end">{row.rate.median:,.0f}</text>',
    ]
