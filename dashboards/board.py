"""What both boards share: identity, language, time, variables and the links between them.

Uids are fixed, so links survive every rebuild and agree between installations.
"""

from collections.abc import Sequence

from dashboards.clickhouse import DATASOURCE_UID, PLUGIN, datasource, variable_query
from dashboards.committed import KINDS, uid
from dashboards.panels import Panel
from dashboards.sdk import dashboard, model
from dashboards.style import codes, label
from schemas.texts import Lang, text

# Every installation shows Chinese legal days.
TIMEZONE = "Asia/Shanghai"
_ALL = model.VariableOption(selected=True, text=["All"], value=["$__all"])


def drill_down(lang: Lang) -> str:
    """Return the address of the institution of a row, with time and filters carried over."""
    return (
        f"/d/{uid('institution', lang)}?var-institution=${{__data.fields.institution_id}}"
        "&${datasource:queryparam}&${rulebook:queryparam}&${severity:queryparam}"
        "&${__url_time_range}"
    )


def select_finding(lang: Lang) -> str:
    """Return the address of the same board with the finding of a row chosen."""
    return (
        f"/d/{uid('institution', lang)}?var-finding=${{__data.fields.finding_id}}"
        "&${datasource:queryparam}&${rulebook:queryparam}&${severity:queryparam}"
        "&${institution:queryparam}&${rule:queryparam}&${__url_time_range}"
    )


def board(kind: str, lang: Lang, panels: Sequence[Panel]) -> dashboard.Dashboard:
    """Return a board without its own variables: identity, zone, links, panels."""
    built = (
        dashboard.Dashboard(text(f"boards.{kind}.title", lang))
        .uid(uid(kind, lang))
        .description(text(f"boards.{kind}.description", lang))
        .tags(["ihwatch", kind, lang])
        .timezone(TIMEZONE)
        .week_start("monday")
        .time("now-7d", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.TOOLTIP)
        .readonly()
        .with_variable(_source(lang))
        .with_variable(choice("rulebook", lang))
        .with_variable(choice("severity", lang))
    )
    for other_kind in KINDS:
        for other_lang in ("zh", "en"):
            if (other_kind, other_lang) != (kind, lang) and (
                other_kind == kind or other_lang == lang
            ):
                built.link(_link(other_kind, other_lang, switch=other_lang != lang))
    for panel in panels:
        built.with_panel(panel)
    return built


def choice(name: str, lang: Lang) -> dashboard.CustomVariable:
    """Return a filter over the fixed codes of a kind; several or All may be chosen."""
    values = ", ".join(f"{label(name, code, lang)} : {code}" for code in codes(name))
    return (
        dashboard.CustomVariable(name)
        .label(text(f"boards.variable.{name}", lang))
        .values(values)
        .multi(True)
        .include_all(True)
        .allow_custom_value(False)
        .current(_ALL)
    )


def query_choice(
    name: str, lang: Lang, sql: str, *, several: bool = False
) -> dashboard.QueryVariable:
    """Return a filter over what a query finds: first column the value, second the label."""
    variable = (
        dashboard.QueryVariable(name)
        .label(text(f"boards.variable.{name}", lang))
        .datasource(datasource())
        .query(variable_query(sql))
        .definition(sql)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.DISABLED)
        .multi(several)
        .include_all(several)
        .allow_custom_value(False)
    )
    return variable.current(_ALL) if several else variable


def _source(lang: Lang) -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable("datasource")
        .label(text("boards.variable.datasource", lang))
        .type(PLUGIN)
        .current(model.VariableOption(selected=True, text="ClickHouse", value=DATASOURCE_UID))
    )


def _link(kind: str, lang: Lang, *, switch: bool) -> dashboard.DashboardLink:
    title = text("boards.language" if switch else f"boards.{kind}.title", lang)
    return (
        dashboard.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(f"/d/{uid(kind, lang)}")
        .icon("external link")
        .keep_time(True)
        .include_vars(True)
        .target_blank(False)
    )
