"""A ClickHouse query for Grafana: the SDK has no type for this data source.

Form of grafana-clickhouse-datasource 4.20 (`src/types/sql.ts`): the backend reads `format`;
`queryType` is for Explore; without `editorType: sql` the query builder opens instead of the text.
"""

from typing import Literal

from dashboards.sdk import Builder, Dataquery, common_model

PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.20.0"
# Fixed, so that boards and links of any installation agree.
DATASOURCE_UID = "ihwatch-clickhouse"
_FORMATS = {"timeseries": 0, "table": 1}

Shape = Literal["timeseries", "table"]


def datasource() -> common_model.DataSourceRef:
    """Return a reference to the source chosen on the board (variable `datasource`)."""
    return common_model.DataSourceRef(type_val=PLUGIN, uid="${datasource}")


class Query(Dataquery):
    """One SQL text and the shape in which the panel wants its rows."""

    def __init__(self, sql: str, shape: Shape) -> None:
        self.sql = sql
        self.shape = shape

    def to_json(self) -> dict[str, object]:
        return {
            "refId": "A",
            "datasource": datasource().to_json(),
            "editorType": "sql",
            "queryType": self.shape,
            "format": _FORMATS[self.shape],
            "rawSql": self.sql,
            "pluginVersion": PLUGIN_VERSION,
            "meta": {"timezone": "Asia/Shanghai"},
        }


class QueryBuilder(Builder[Dataquery]):
    """What the SDK's panels take as a target."""

    def __init__(self, sql: str, shape: Shape = "table") -> None:
        self._query = Query(sql, shape)

    def build(self) -> Dataquery:
        return self._query


def variable_query(sql: str) -> dict[str, object]:
    """Return the query of a board variable: first column the value, second the label."""
    return {"editorType": "sql", "rawSql": sql}
