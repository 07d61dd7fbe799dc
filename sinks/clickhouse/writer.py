"""Rows into ClickHouse, columnar, one insert a table; an insert that returned is durable.

Delivery: at least once, and converging. The same rows may be written again with any batch
boundaries; every table keeps one row per identity (see the migrations). An insert that is repeated
with the same boundaries is dropped by the engine itself, by its token.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.clickhouse.client import unavailable
from sinks.clickhouse.rows import COLUMNS, Columns, Rows
from sinks.log import Record

if TYPE_CHECKING:
    from clickhouse_connect.datatypes.base import ClickHouseType
    from clickhouse_connect.driver.client import Client

# Sent with every insert, since defaults differ between versions of the server (an asynchronous
# insert is acknowledged, but its token is not kept on all of them).
SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    # Hospitals choose occurred_at. A batch that spans many months must not be refused for ever.
    "max_partitions_per_insert_block": 0,
}


class Writer:
    """Inserts rows; owns the client, which is opened when first needed and again after an error.

    Not thread-safe. Every failure of ClickHouse is raised as ClickHouseUnavailable (retriable).
    """

    def __init__(self, connect: Callable[[], "Client"]) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._types: dict[str, Sequence[ClickHouseType]] = {}

    def insert(self, rows: Rows, token: str) -> None:
        """Write rows of several tables; some may be written when it fails: repeat all of them."""
        try:
            client = self._client = self._client or self._connect()
            for table, columns in rows.by_table.items():
                if rows.count(table):
                    self._insert(client, table, columns, token)
        except (ClickHouseError, OSError) as error:
            self.close()
            raise unavailable(error) from error

    def _insert(self, client: "Client", table: str, columns: Columns, token: str) -> None:
        """Write one table; its column types are asked for once, not with each insert."""
        context = client.create_insert_context(
            table,
            COLUMNS[table],
            column_types=self._types.get(table),
            column_oriented=True,
            settings={**SETTINGS, "insert_deduplication_token": token},
            data=columns,
        )
        self._types[table] = context.column_types
        client.insert(context=context)

    def close(self) -> None:
        """Close the client; the next insert opens another and asks for the column types again."""
        client, self._client = self._client, None
        self._types.clear()
        if client is not None:
            client.close()


def token(records: Sequence[Record], rows: Rows) -> str:
    """Name the content of a batch: its range in the log, and a digest of what stood there.

    The range alone is not enough. Offsets start again when a topic is made anew, and the engine
    would silently drop a different batch that comes under a known token. The number of rows is in
    it because another directory of institutions may admit other events of the same range.
    """
    first, last = records[0], records[-1]
    digest = hashlib.blake2b(digest_size=12)
    for record in records:
        digest.update(record.timestamp.to_bytes(8, "big", signed=True))
        digest.update(record.value or b"")
    counts = ".".join(str(rows.count(table)) for table in rows.by_table)
    place = f"{first.topic}-{first.partition}-{first.offset}-{last.offset}"
    return f"{place}-{counts}-{digest.hexdigest()}"
