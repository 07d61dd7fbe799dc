"""Events, alerts, aggregates and rejects in ClickHouse: migrations, rows, writer, process."""
