"""Plotly figures for the kinds of panels that are drawn: bars, lines and state timelines.

They are plain dicts, as plotly.js takes them: building plotly's Python objects would check every
value again at each drawing, and takes longer than all queries. A test does that check.
"""

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dashboards.preview.model import SHANGHAI, Panel, Range, Table
from dashboards.preview.values import duration, show

Figure = dict[str, Any]

# The page says which fonts, by language.
_FONTS = "var(--fonts)"
_INK = "#1f2933"
_GRID = "#e4e8ee"
# Ticks of a logarithmic axis of durations, in milliseconds.
_TICKS = [
    10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 6 * 3_600_000, 86_400_000, 7 * 86_400_000,
]  # fmt: skip
_PLAIN = {"gridcolor": _GRID, "zeroline": False, "automargin": True}
_COUNTS = {**_PLAIN, "rangemode": "tozero", "tickformat": ",d", "nticks": 6}
_NAMES = {"autorange": "reversed", "automargin": True, "ticksuffix": "  "}
_LABEL_WIDTH = 26
_DAY = timedelta(days=1)
_MS = timedelta(milliseconds=1)


def draw(panel: Panel, data: Table, range_: Range) -> Figure:
    """Return the figure of a panel that has rows: data and layout for `Plotly.newPlot`."""
    match panel.kind:
        case "barchart":
            figure = _bars(panel, data)
        case "state-timeline":
            figure = _timeline(panel, data, range_)
        case "timeseries" if panel.custom["drawStyle"] == "bars":
            figure = _stacked(panel, data, range_)
        case "timeseries":
            figure = _lines(panel, data, range_)
        case other:
            raise ValueError(f"panels of kind {other} are not drawn")
    bottom = 52 if panel.kind == "barchart" else 64
    legend = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    figure["layout"] |= {
        "font": {"family": _FONTS, "size": 12, "color": _INK},
        "height": max(panel.place[3] * 30, 200),
        "margin": {"l": 8, "r": 16, "t": 8, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {**legend, "traceorder": "normal"},
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": _FONTS}},
    }
    return figure


def _bars(panel: Panel, data: Table) -> Figure:
    category = str(panel.options["xField"])
    look = panel.look(category)
    names = [_wrapped(show(value, look).text) for value in data.column(category)]
    columns = [name for name in data.columns if name != category]
    counts = {name: data.column(name) for name in columns}
    longest = max(sum(row) for row in zip(*counts.values(), strict=True))
    traces = [
        {
            **_bar(panel, name),
            **_inside([f"{n:,}" if n > longest / 40 else "" for n in counts[name]]),
            "orientation": "h",
            "y": names,
            "x": counts[name],
            "hovertemplate": "%{y}<br>%{fullData.name}: %{x:,}<extra></extra>",
            "showlegend": len(columns) > 1 and any(counts[name]),
        }
        for name in columns
    ]
    # A single bar is no thicker than one of five.
    gap = max(0.35, 1 - 0.13 * len(names))
    layout = {"barmode": "stack", "bargap": gap, "xaxis": _COUNTS, "yaxis": _NAMES}
    return {"data": traces, "layout": layout}


def _stacked(panel: Panel, data: Table, range_: Range) -> Figure:
    times = data.column("time")
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    step = min(steps, default=_DAY)
    traces = [
        {
            **_bar(panel, name),
            "x": [_text(at) for at in times],
            "y": data.column(name),
            "offset": step / _MS * 0.08,
            "width": step / _MS * 0.84,
            "hovertemplate": "%{x|%Y-%m-%d %H:%M}<br>%{fullData.name}: %{y:,}<extra></extra>",
            "showlegend": any(data.column(name)),
        }
        for name in data.columns
        if name != "time"
    ]
    axis = _time_axis(range_)
    if step >= _DAY:
        axis |= {
            "range": [_text(times[0]), _text(max(times[-1] + _DAY, range_.end))],
            "ticklabelmode": "period",
            "tickformat": "%m-%d",
        }
        if len(times) < 15:
            axis["dtick"] = _DAY / _MS
    return {"data": traces, "layout": {"barmode": "stack", "xaxis": axis, "yaxis": _COUNTS}}


def _lines(panel: Panel, data: Table, range_: Range) -> Figure:
    pause = timedelta(milliseconds=panel.custom["insertNulls"])
    traces = []
    for name in data.columns:
        if name == "time":
            continue
        xs, ys = _broken(data.column("time"), data.column(name), pause)
        look = panel.look(name)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": xs,
                "y": ys,
                "name": look["displayName"],
                "line": {"color": look["color"]["fixedColor"], "width": 2},
                "marker": {"size": 5},
                "customdata": [duration(y) if y else "" for y in ys],
                "hovertemplate": (
                    "%{x|%Y-%m-%d %H:%M}<br>%{fullData.name}: %{customdata}<extra></extra>"
                ),
            }
        )
    axis = {**_PLAIN, "type": "log", "tickvals": _TICKS}
    layout: dict[str, Any] = {
        "xaxis": _time_axis(range_),
        "yaxis": {**axis, "ticktext": [duration(tick) for tick in _TICKS]},
    }
    for step in panel.raw["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is not None:
            layout |= _limit(step["value"], step["color"])
    return {"data": traces, "layout": layout}


def _broken(
    times: list[datetime], values: list[float | None], pause: timedelta
) -> tuple[list[str], list[float | None]]:
    """Return the points of a line, with a hole wherever longer than `pause` nothing was measured.

    What is not above zero has no logarithm and leaves a hole, too.
    """
    xs: list[str] = []
    ys: list[float | None] = []
    last: datetime | None = None
    for at, value in zip(times, values, strict=True):
        if last is not None and at - last > pause:
            xs.append(_text(last + pause / 2))
            ys.append(None)
        xs.append(_text(at))
        ys.append(value if value and value > 0 else None)
        last = at
    return xs, ys


def _limit(value: float, colour: str) -> dict[str, Any]:
    """Return a dashed line and its name; a note on a logarithmic axis is placed by logarithm."""
    whole = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value}
    note = {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": math.log10(value),
        "yanchor": "bottom",
    }
    font = {"color": colour, "size": 11}
    return {
        "shapes": [{**whole, "line": {"color": colour, "dash": "dash", "width": 1}}],
        "annotations": [{**note, "text": duration(value), "showarrow": False, "font": font}],
    }


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One series in one state, from `since` to `until`."""

    series: str
    since: datetime
    until: datetime
    state: int


def _timeline(panel: Panel, data: Table, range_: Range) -> Figure:
    stretches = _stretches(data, range_)
    wide = (range_.end - range_.start) / 14
    traces = []
    # One trace a state, in the order of the mapping: the legend reads from light to grave.
    for state in sorted({one.state for one in stretches}):
        shown = show(state, panel.look("state"))
        ours = [one for one in stretches if one.state == state]
        traces.append(
            {
                **_inside([shown.text if one.until - one.since > wide else "" for one in ours]),
                "type": "bar",
                "orientation": "h",
                "name": shown.text,
                "y": [_wrapped(one.series) for one in ours],
                "base": [_text(one.since) for one in ours],
                "x": [(one.until - one.since) / _MS for one in ours],
                "marker": {"color": shown.colour, "line": {"color": "#ffffff", "width": 0.5}},
                "hovertext": [
                    f"{one.series}<br>{shown.text}<br>{_text(one.since)} – {_text(one.until)}"
                    for one in ours
                ],
                "hoverinfo": "text",
            }
        )
    names = {**_NAMES, "categoryorder": "category ascending"}
    layout = {"barmode": "overlay", "bargap": 0.35, "xaxis": _time_axis(range_), "yaxis": names}
    return {"data": traces, "layout": layout}


def _stretches(data: Table, range_: Range) -> list[_Stretch]:
    """Merge equal neighbours; a step lasts until the next one, the last one to the end."""
    steps: dict[str, list[tuple[datetime, int]]] = {}
    for at, series, state in data.rows:
        steps.setdefault(series, []).append((max(at, range_.start), state))
    merged: list[_Stretch] = []
    for series, own in steps.items():
        ends = [*(at for at, _ in own[1:]), range_.end]
        for (since, state), until in zip(own, ends, strict=True):
            last = merged[-1] if merged else None
            if last and (last.series, last.state) == (series, state):
                merged[-1] = _Stretch(series, last.since, until, state)
            else:
                merged.append(_Stretch(series, since, until, state))
    return merged


def _bar(panel: Panel, name: str) -> dict[str, Any]:
    look = panel.look(name)
    colour = look["color"]["fixedColor"]
    return {"type": "bar", "name": look["displayName"], "marker": {"color": colour}}


def _inside(texts: list[str]) -> dict[str, Any]:
    """Write texts into bars at full size; pieces too short to hold one get none."""
    place = {"textposition": "inside", "insidetextanchor": "middle", "textangle": 0}
    return {**place, "text": texts, "constraintext": "none", "insidetextfont": {"size": 12}}


def _time_axis(range_: Range) -> dict[str, Any]:
    """Dates as figures, alike in both languages."""
    ends = [_text(range_.start), _text(range_.end)]
    return {
        **_PLAIN,
        "type": "date",
        "range": ends,
        "tickformat": "%m-%d<br>%H:%M",
        "nticks": 9,
        "ticklabelstandoff": 6,
    }


def _text(at: datetime) -> str:
    """Return local time in Shanghai: plotly knows no zones and draws what it is given."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")


def _wrapped(text: str) -> str:
    """Break a long label between words; Chinese titles are short enough for one line."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= _LABEL_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)
