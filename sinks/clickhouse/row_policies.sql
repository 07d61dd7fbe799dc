-- Each region sees its own rows. For a real server; chDB has no users. Run once as an administrator:
--   clickhouse-client --database ihwatch --multiquery < row_policies.sql
-- Data sources in Grafana then log in as a user with one of these roles (one data source per region).
-- A filter in a board is a convenience; this is the access control.

CREATE ROLE IF NOT EXISTS ihwatch_nation;
CREATE ROLE IF NOT EXISTS ihwatch_national;
CREATE ROLE IF NOT EXISTS ihwatch_guangxi;
CREATE ROLE IF NOT EXISTS ihwatch_chongqing;
CREATE ROLE IF NOT EXISTS ihwatch_sichuan;
CREATE ROLE IF NOT EXISTS ihwatch_yinchuan;
CREATE ROLE IF NOT EXISTS ihwatch_writer;

GRANT SELECT ON events TO ihwatch_nation, ihwatch_national, ihwatch_guangxi, ihwatch_chongqing, ihwatch_sichuan, ihwatch_yinchuan;
GRANT SELECT ON alerts TO ihwatch_nation, ihwatch_national, ihwatch_guangxi, ihwatch_chongqing, ihwatch_sichuan, ihwatch_yinchuan;
GRANT SELECT ON aggregates TO ihwatch_nation, ihwatch_national, ihwatch_guangxi, ihwatch_chongqing, ihwatch_sichuan, ihwatch_yinchuan;
GRANT SELECT ON institutions TO ihwatch_nation, ihwatch_national, ihwatch_guangxi, ihwatch_chongqing, ihwatch_sichuan, ihwatch_yinchuan;
-- A reject keeps the bytes as they came, which are not authenticated: readers get what describes it, never the bytes.
GRANT SELECT(topic, partition, offset, received_at, reason, field, detail, institution_id, event_id, event_type)
    ON rejects TO ihwatch_nation, ihwatch_national, ihwatch_guangxi, ihwatch_chongqing, ihwatch_sichuan, ihwatch_yinchuan;
-- ALTER, CREATE and DROP belong to whoever runs `ihwatch migrate`; the sink only inserts and reads column types.
GRANT INSERT, SELECT ON events TO ihwatch_writer;
GRANT INSERT, SELECT ON alerts TO ihwatch_writer;
GRANT INSERT, SELECT ON aggregates TO ihwatch_writer;
GRANT INSERT, SELECT ON rejects TO ihwatch_writer;
GRANT INSERT, SELECT ON institutions TO ihwatch_writer;

-- The nation and the writer see every row. Permissive policies add up; a role with none of them sees nothing.
CREATE ROW POLICY IF NOT EXISTS ihwatch_all ON events, alerts, aggregates, rejects, institutions
    USING 1 TO ihwatch_nation, ihwatch_writer;

CREATE ROW POLICY IF NOT EXISTS ihwatch_national_rows ON events, alerts, aggregates, institutions
    USING rulebook = 'national' TO ihwatch_national;
CREATE ROW POLICY IF NOT EXISTS ihwatch_guangxi_rows ON events, alerts, aggregates, institutions
    USING rulebook = 'guangxi' TO ihwatch_guangxi;
CREATE ROW POLICY IF NOT EXISTS ihwatch_chongqing_rows ON events, alerts, aggregates, institutions
    USING rulebook = 'chongqing' TO ihwatch_chongqing;
CREATE ROW POLICY IF NOT EXISTS ihwatch_sichuan_rows ON events, alerts, aggregates, institutions
    USING rulebook = 'sichuan' TO ihwatch_sichuan;
CREATE ROW POLICY IF NOT EXISTS ihwatch_yinchuan_rows ON events, alerts, aggregates, institutions
    USING rulebook = 'yinchuan' TO ihwatch_yinchuan;

-- A reject has no rulebook of its own: it follows the institution it names. One that names none is the nation's.
CREATE ROW POLICY IF NOT EXISTS ihwatch_national_rows ON rejects
    USING institution_id IN (SELECT institution_id FROM institutions WHERE rulebook = 'national') TO ihwatch_national;
CREATE ROW POLICY IF NOT EXISTS ihwatch_guangxi_rows ON rejects
    USING institution_id IN (SELECT institution_id FROM institutions WHERE rulebook = 'guangxi') TO ihwatch_guangxi;
CREATE ROW POLICY IF NOT EXISTS ihwatch_chongqing_rows ON rejects
    USING institution_id IN (SELECT institution_id FROM institutions WHERE rulebook = 'chongqing') TO ihwatch_chongqing;
CREATE ROW POLICY IF NOT EXISTS ihwatch_sichuan_rows ON rejects
    USING institution_id IN (SELECT institution_id FROM institutions WHERE rulebook = 'sichuan') TO ihwatch_sichuan;
CREATE ROW POLICY IF NOT EXISTS ihwatch_yinchuan_rows ON rejects
    USING institution_id IN (SELECT institution_id FROM institutions WHERE rulebook = 'yinchuan') TO ihwatch_yinchuan;
