"""Migrations: applied once, harmless twice, never silently different."""

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse import rows
from sinks.clickhouse.client import ClickHouseUnavailable, connect
from sinks.clickhouse.migrations import FOLDER, Migration, MigrationError, load, migrate


def test_they_apply_once_and_then_never_again(chdb_url: str) -> None:
    client = connect(chdb_url)
    assert [one.number for one in migrate(client)] == [one.number for one in load()]
    assert migrate(client) == []
    client.close()
    again = connect(chdb_url)
    assert migrate(again) == []
    assert again.database == "ihwatch"
    again.close()


def test_one_that_died_half_way_is_run_again(chdb_url: str) -> None:
    client = connect(chdb_url)
    broken = Migration(1, "half", "CREATE TABLE IF NOT EXISTS a (x Int8) ENGINE = Log;\nNONSENSE;")
    with pytest.raises(ClickHouseUnavailable):
        migrate(client, [broken])
    whole = Migration(1, "half", "CREATE TABLE IF NOT EXISTS a (x Int8) ENGINE = Log;\n")
    assert migrate(client, [whole]) == [whole]
    client.close()


def test_an_edited_migration_is_refused(database: Client) -> None:
    edited = [one._replace(sql=one.sql + "\n-- edited") for one in load()]
    with pytest.raises(MigrationError, match=r"edited since: \[1"):
        migrate(database, edited)


def test_a_database_that_is_newer_is_refused(database: Client) -> None:
    with pytest.raises(MigrationError, match="newer than this program"):
        migrate(database, [])


def test_numbers_have_no_gap(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "0003_b.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="not numbered"):
        load(tmp_path)


def test_statements_end_at_the_end_of_a_line_and_comments_are_none() -> None:
    sql = "-- first;\n\nSELECT ';' AS x,\n  -- inside;\n  1;  \nSELECT 2\n-- the end;\n"
    statements = list(Migration(1, "x", sql).statements())
    assert statements == ["SELECT ';' AS x,\n  1", "SELECT 2"]


def test_every_statement_may_run_twice(database: Client) -> None:
    for one in load():
        for statement in one.statements():
            database.command(statement)


def test_the_writer_fills_exactly_the_columns_of_the_migrations(database: Client) -> None:
    found = database.query(
        "SELECT table, groupArray(name) FROM system.columns "
        "WHERE database = 'ihwatch' AND default_kind = '' AND table != 'schema_migrations' "
        "GROUP BY table"
    ).result_rows
    stored = {table: set(names) for table, names in found}
    assert stored == {table: set(names) for table, names in rows.COLUMNS.items()}


def test_every_table_converges_and_can_drop_repeated_inserts(database: Client) -> None:
    tables = database.query(
        "SELECT name, engine, engine_full FROM system.tables "
        "WHERE database = 'ihwatch' AND name != 'schema_migrations'"
    ).result_rows
    assert {name for name, _, _ in tables} == set(rows.COLUMNS)
    for _, engine, full in tables:
        assert engine == "ReplacingMergeTree"
        assert "non_replicated_deduplication_window = 1000" in full


def test_row_policies_cover_every_table_and_every_region(database: Client) -> None:
    sql = re.sub(r"--.*", "", (FOLDER.parent / "row_policies.sql").read_text(encoding="utf-8"))
    statements = [piece.strip() for piece in sql.split(";") if piece.strip()]
    for statement in statements:  # chDB has no users, but it has the parser
        database.command(f"EXPLAIN AST {statement}")
    for rulebook in ("national", "guangxi", "chongqing", "sichuan", "yinchuan"):
        policies = " ".join(one for one in statements if f"{rulebook}_rows" in one)
        assert policies.count(f"rulebook = '{rulebook}' ") == 1
        for table in rows.COLUMNS:
            assert re.search(rf"\b{table}\b", policies), (rulebook, table)
