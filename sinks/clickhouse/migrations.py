"""Numbered SQL files, applied once each and in order; `migrate` may be run again at any time.

A file is `migrations/NNNN_name.sql`: plain SQL with unqualified names, statements apart by a `;` at
the end of a line. A file that was released is never edited: what was applied is remembered with
its hash, and a difference is refused. ClickHouse has no transactions for DDL, so every statement
must be harmless when it runs twice (IF NOT EXISTS): one that died half-way is simply run again.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import IhwatchError
from sinks.clickhouse.client import unavailable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FOLDER = Path(__file__).parent / "migrations"
_JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    hash String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
"""


class MigrationError(IhwatchError):
    """The database was migrated with other files than these; nothing was changed."""

    exit_code = 5


class Migration(NamedTuple):
    """One file: its number, name, text and hash."""

    number: int
    name: str
    sql: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text as released."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """The statements in order; lines that are comments are left out."""
        lines = [line for line in self.sql.splitlines() if not line.lstrip().startswith("--")]
        for piece in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)):
            if piece.strip():
                yield piece.strip()


def load(folder: Path = FOLDER) -> list[Migration]:
    """All migrations by number; numbers must be 1, 2, 3 ... without gaps."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    numbers = [one.number for one in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations are not numbered 1 to {len(found)}: {numbers}")
    return found


def migrate(client: "Client", migrations: list[Migration] | None = None) -> list[Migration]:
    """Create the client's database if need be, apply what is missing, and return that.

    Raises MigrationError when the database knows a migration that these files do not have, or has
    it with another text; ClickHouseUnavailable when a statement fails.
    """
    wanted = load() if migrations is None else migrations
    try:
        _make_database(client)
        client.command(_JOURNAL)
        rows = client.query("SELECT number, hash FROM schema_migrations FINAL").result_rows
        applied = {int(number): str(digest) for number, digest in rows}
        _compare(wanted, applied)
        missing = [one for one in wanted if one.number not in applied]
        for one in missing:
            for statement in one.statements():
                client.command(statement)
            client.insert(
                "schema_migrations",
                [[one.number, one.name, one.hash]],
                column_names=["number", "name", "hash"],
            )
    except ClickHouseError as error:
        raise unavailable(error) from error
    return missing


def _make_database(client: "Client") -> None:
    """Create the database first; a user without that right may use one that is already there."""
    name = client.database
    assert name is not None
    client.database = None
    try:
        known = client.command(
            "SELECT count() FROM system.databases WHERE name = {name:String}",
            parameters={"name": name},
        )
        if int(str(known)) == 0:
            client.command(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    finally:
        client.database = name


def _compare(wanted: list[Migration], applied: dict[int, str]) -> None:
    ours = {one.number: one.hash for one in wanted}
    strange = sorted(number for number in applied if number not in ours)
    if strange:
        raise MigrationError(f"the database is newer than this program: migrations {strange}")
    changed = sorted(number for number, digest in applied.items() if ours[number] != digest)
    if changed:
        raise MigrationError(f"applied migrations were edited since: {changed}")
