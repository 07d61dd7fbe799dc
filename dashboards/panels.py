"""Panels as we use them: a frame (what every panel must say) and the columns it shows.

Boards never touch the SDK's panel builders themselves, so that a change of Grafana's board model
stays in this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dashboards import sdk
from dashboards.clickhouse import QueryBuilder, Shape, datasource
from dashboards.sdk import common, common_model, model
from dashboards.style import PLAIN, SEVERITIES, VIOLATED
from schemas.texts import Lang, text

Panel = sdk.Builder[model.Panel]
P = TypeVar("P")

# A pause longer than this breaks a line: at night there is no latency, not the evening's.
NIGHT_MS = 2 * 3_600_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel of a board must have; `key` finds its title and description in the texts.

    `place` is (x, y, width, height) on Grafana's grid of 24 columns. `nothing` is shown where a
    query gives no value.
    """

    id: int
    key: str
    lang: Lang
    place: tuple[int, int, int, int]
    nothing: str = "boards.nothing"

    @property
    def title(self) -> str:
        return text(f"{self.key}.title", self.lang)

    @property
    def description(self) -> str:
        return text(f"{self.key}.description", self.lang)


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a query is shown. Its heading is the text `boards.column.<name>`.

    `unit` is Grafana's id of the unit; a number must have one. `alarm` is the colour of a figure
    from 1 on; 0 stays plain. `nothing` is the key of the text for NULL, where that says more than
    "no data". `tint` colours the text by its value mapping. `link` is the address of a data link.
    """

    name: str
    unit: str | None = None
    decimals: int | None = None
    colour: str | None = None
    alarm: str | None = None
    mappings: Sequence[model.ValueMapping] = ()
    nothing: str | None = None
    width: int | None = None
    tint: bool = False
    json: bool = False
    wrap: bool = False
    link: str | None = None
    heading: str | None = None

    def properties(self, lang: Lang) -> list[model.DynamicConfigValue]:
        """Return the overrides of Grafana's field configuration that say all this."""
        heading = text(f"boards.column.{self.heading or self.name}", lang)
        said: dict[str, object] = {"displayName": heading}
        if self.unit:
            said["unit"] = self.unit
        if self.decimals is not None:
            said["decimals"] = self.decimals
        if self.colour:
            said["color"] = {"mode": "fixed", "fixedColor": self.colour}
        if self.alarm:
            steps = [{"value": None, "color": PLAIN}, {"value": 1, "color": self.alarm}]
            said["color"] = {"mode": "thresholds"}
            said["custom.cellOptions"] = {"type": "color-text"}
            said["thresholds"] = {"mode": "absolute", "steps": steps}
        if self.mappings:
            said["mappings"] = list(self.mappings)
        if self.nothing:
            said["noValue"] = text(self.nothing, lang)
        if self.width:
            said["custom.width"] = self.width
        if self.tint:
            said["custom.cellOptions"] = {"type": "color-text"}
        if self.json:
            said["custom.cellOptions"] = {"type": "json-view"}
        if self.wrap:
            said["custom.cellOptions"] = {"type": "auto", "wrapText": True}
        if self.link:
            title = text("boards.open", lang)
            said["links"] = [{"title": title, "url": self.link, "targetBlank": False}]
        return [model.DynamicConfigValue(id_val=key, value=said[key]) for key in sorted(said)]


def severity_columns() -> list[Column]:
    """Return one column of counts for each severity, in the order of weight."""
    return [Column(name, unit="short", colour=colour) for name, colour in SEVERITIES.items()]


def stat(frame: Frame, sql: str, columns: Sequence[Column], *, text_only: bool = False) -> Panel:
    """One row of figures, side by side, each with its name."""
    panel = _framed(sdk.stat.Panel(), frame, sql, columns)
    return (
        panel.reduce_options(
            common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False)
        )
        .text_mode(common_model.BigValueTextMode.VALUE_AND_NAME)
        .color_mode(
            common_model.BigValueColorMode.NONE
            if text_only
            else common_model.BigValueColorMode.VALUE
        )
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .justify_mode(common_model.BigValueJustifyMode.AUTO)
        .orientation(common_model.VizOrientation.VERTICAL)
        .text(common.VizTextDisplayOptions().title_size(13).value_size(16 if text_only else 26))
    )


def bars(frame: Frame, sql: str, category: str, columns: Sequence[Column]) -> Panel:
    """Horizontal bars, stacked: one bar for each row, one colour for each column."""
    panel = _framed(sdk.barchart.Panel(), frame, sql, columns)
    return (
        panel.x_field(category)
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .stacking(common_model.StackingMode.NORMAL)
        .show_value(common_model.VisibilityMode.AUTO)
        .fill_opacity(85)
        .line_width(0)
        .x_tick_label_max_length(40)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def stacked_times(frame: Frame, sql: str, columns: Sequence[Column]) -> Panel:
    """Bars over time, stacked; a bar starts at its instant."""
    panel = _framed(sdk.timeseries.Panel(), frame, sql, columns)
    return (
        panel.draw_style(common_model.GraphDrawStyle.BARS)
        .bar_alignment(common_model.BarAlignment.AFTER)
        .stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
        .fill_opacity(85)
        .line_width(0)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def lines(
    frame: Frame, sql: str, columns: Sequence[Column], *, limit: float | None = None
) -> Panel:
    """Lines over time on a logarithmic axis, since latencies run from seconds to days.

    `limit` draws a dashed line, in the unit of the columns.
    """
    panel = _framed(sdk.timeseries.Panel(), frame, sql, columns)
    panel = (
        panel.draw_style(common_model.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common_model.VisibilityMode.ALWAYS)
        .point_size(5)
        .insert_nulls(NIGHT_MS)
        .scale_distribution(
            common.ScaleDistributionConfig().type(common_model.ScaleDistribution.LOG).log(10)
        )
        .legend(_legend())
        .tooltip(_tooltip())
    )
    if limit is None:
        return panel
    steps = [
        model.Threshold(value=None, color="transparent"),
        model.Threshold(value=limit, color=VIOLATED),
    ]
    return panel.thresholds(
        sdk.dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    ).thresholds_style(
        common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
    )


def timeline(frame: Frame, sql: str, series: str, mappings: list[model.ValueMapping]) -> Panel:
    """Coloured stretches of time, one line for each value of the column `series`.

    The query gives time, `series` and a number; the mapping gives text and colour of the number.
    """
    panel = _framed(sdk.statetimeline.Panel(), frame, sql, (), shape="timeseries")
    return (
        panel.display_name(f"${{__field.labels.{series}}}")
        .unit("short")
        .mappings(mappings)
        .merge_values(True)
        .show_value(common_model.VisibilityMode.AUTO)
        .row_height(0.85)
        .fill_opacity(85)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def table(frame: Frame, sql: str, columns: Sequence[Column]) -> Panel:
    """Rows and columns; numbers right, texts wrapped where a column asks for it."""
    panel = _framed(sdk.table.Panel(), frame, sql, columns)
    return panel.show_header(True).cell_height(common_model.TableCellHeight.SM)


def note(frame: Frame, markdown: str) -> Panel:
    """A text for the reader."""
    return _placed(sdk.text.Panel(), frame).mode(sdk.text_model.TextMode.MARKDOWN).content(markdown)


def _framed(
    panel: P, frame: Frame, sql: str, columns: Sequence[Column], shape: Shape = "table"
) -> P:
    """Apply what all panels with data share."""
    builder: Any = _placed(panel, frame)
    builder.datasource(datasource()).with_target(QueryBuilder(sql, shape))
    builder.no_value(text(frame.nothing, frame.lang))
    for column in columns:
        builder.override_by_name(column.name, column.properties(frame.lang))
    return panel


def _placed(panel: P, frame: Frame) -> P:
    """Apply what a panel must have. The SDK's builders change in place and have no common base."""
    x, y, w, h = frame.place
    builder: Any = panel
    builder.id(frame.id).title(frame.title).description(frame.description)
    builder.grid_pos(model.GridPos(x=x, y=y, w=w, h=h))
    return panel


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions()
        .mode(common_model.TooltipDisplayMode.MULTI)
        .sort(common_model.SortOrder.NONE)
    )
