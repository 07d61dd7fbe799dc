"""One way to open ClickHouse: a server over HTTP, or chDB in this process, by the same URL."""

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from schemas.errors import IhwatchError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

logger = logging.getLogger(__name__)

DATABASE = "ihwatch"
_PORTS = {"http": 8123, "https": 8443}


class ClickHouseUnavailable(IhwatchError):
    """ClickHouse did not answer, or refused a statement; `code` is its error number, if any.

    The text of the engine is left out: it may quote the rows.
    """

    retriable = True

    def __init__(self, code: int | None, kind: str) -> None:
        super().__init__(f"ClickHouse: {kind}" + (f" (code {code})" if code else ""))
        self.code = code
        self.kind = kind


def connect(url: str, password: str | None = None, *, timeout_s: float = 30) -> "Client":
    """Open a client whose default database is that of `url` (`ihwatch` if it names none).

    The database need not exist yet: `sinks.clickhouse.migrations.migrate` makes it. chDB allows one
    engine path in a process, and one process on a path. A client belongs to one thread.
    """
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import ClickHouseError

    parts = urlsplit(url)
    try:
        if parts.scheme == "chdb":
            client = clickhouse_connect.get_client(interface="chdb", path=unquote(parts.path))
            database = DATABASE
        else:
            database = parts.path.strip("/") or DATABASE
            client = clickhouse_connect.get_client(
                interface=parts.scheme,
                host=parts.hostname,
                port=parts.port or _PORTS[parts.scheme],
                username=unquote(parts.username or "default"),
                password=password or "",
                connect_timeout=10,
                send_receive_timeout=timeout_s,
                # Inserts of one client must not wait for a session that a lost connection holds.
                autogenerate_session_id=False,
                query_limit=0,
                client_name="ihwatch",
            )
    except ClickHouseError as error:
        raise unavailable(error) from None
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", database):
        raise ValueError("a database name has only letters, digits and _")
    client.database = database
    return client


def unavailable(error: Exception) -> ClickHouseUnavailable:
    """Our error for one of the driver's, without its text."""
    code = getattr(error, "code", None)
    return ClickHouseUnavailable(code if isinstance(code, int) else None, type(error).__name__)
