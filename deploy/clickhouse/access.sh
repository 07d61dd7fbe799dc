# Who may do what in ClickHouse: the roles and row policies of the product, and the users of this
# deployment. Runs after every migration and may run again; a changed password takes effect.
# Passwords are hexadecimal (deploy/make-env), so they need no quoting in SQL.
set -euo pipefail

for password in "$SINK_PASSWORD" "$GRAFANA_PASSWORD"; do
  [[ "$password" =~ ^[0-9A-Za-z]{16,}$ ]] || {
    echo "a ClickHouse password must be 16 or more letters and digits" >&2
    exit 2
  }
done

sql() {
  clickhouse-client --host clickhouse --user ihwatch_admin --password "$ADMIN_PASSWORD" \
    --database ihwatch --multiquery
}

sql </access/row_policies.sql

# Grafana's plugin sets max_execution_time itself, so a plain readonly user would fail every query.
sql <<END
CREATE USER IF NOT EXISTS ihwatch_sink IDENTIFIED WITH sha256_password BY '$SINK_PASSWORD';
ALTER USER ihwatch_sink IDENTIFIED WITH sha256_password BY '$SINK_PASSWORD';
GRANT ihwatch_writer TO ihwatch_sink;

CREATE USER IF NOT EXISTS grafana_reader IDENTIFIED WITH sha256_password BY '$GRAFANA_PASSWORD';
ALTER USER grafana_reader IDENTIFIED WITH sha256_password BY '$GRAFANA_PASSWORD'
    SETTINGS readonly = 1, max_execution_time = 60 CHANGEABLE_IN_READONLY;
GRANT ihwatch_nation TO grafana_reader;
END
