"""Rates as SVG, points on a logarithmic scale: the contenders lie far apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bench.report import Row

_WIDTH, _LABEL, _LEFT, _RIGHT = 760, 120, 130, 90
_STEP, _TOP, _FOOT = 30, 28, 34
_STYLE = (
    "text{font:13px sans-serif;fill:#333}.scale{font-size:11px;fill:#666}.grid{stroke:#ddd}"
    "circle,.spread{fill:#7a9cc6;stroke:#7a9cc6;stroke-width:3}"
    ".ours circle,.ours .spread{fill:#2f6f4f;stroke:#2f6f4f}"
)


def points(rows: Sequence[Row]) -> str:
    """A point at the median of each row's rate, on a line from its lowest to its highest."""
    first = math.floor(math.log10(min(row.rate.low for row in rows)))
    last = math.ceil(math.log10(max(row.rate.high for row in rows)))
    bottom = _TOP + _STEP * len(rows)

    def x(value: float) -> float:
        share = (math.log10(value) - first) / (last - first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [f'<text x="{_LEFT}" y="16">records per second on one core, logarithmic scale</text>']
    for power in range(first, last + 1):
        at = x(10**power)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="scale" x="{at}" y="{bottom + 16}" text-anchor="middle">'
            f"{10**power:,}</text>"
        )
    for number, row in enumerate(rows):
        y = _TOP + _STEP * number + _STEP // 2
        median, low, high = (x(value) for value in row.rate)
        parts += [
            f'<g class="{"ours" if number == 0 else "other"}">',
            f'<text x="{_LABEL}" y="{y + 4}" text-anchor="end">{escape(row.name)}</text>',
            f'<line class="spread" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>',
            f'<circle cx="{median}" cy="{y}" r="4"/>',
            f'<text x="{_WIDTH - 6}" y="{y + 4}" text-anchor="end">{row.rate.median:,.0f}</text>',
            "</g>",
        ]
    body = "\n".join(parts)
    size = f'width="{_WIDTH}" height="{bottom + _FOOT}" viewBox="0 0 {_WIDTH} {bottom + _FOOT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH}" height="{bottom + _FOOT}" fill="#fff"/>\n{body}\n</svg>\n'
    )
