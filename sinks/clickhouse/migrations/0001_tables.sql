-- Tables of the supervision platform. Names are unqualified: `ihwatch migrate` runs them in the configured database.
--
-- Every table converges when the same range of a topic is written again, with the same or with other batch boundaries:
-- the sorting key is the identity of a row and the version decides between copies. Read with FINAL (or argMax), and never
-- with do_not_merge_across_partitions_select_final = 1.
--
-- Partitions are months of a date that no later copy of the same row can change, so that merges may bring copies together.
-- non_replicated_deduplication_window lets the engine drop a retried insert at once, by its token.
-- Absent strings are '' and absent numbers and instants are NULL. All instants are UTC; cut days in Asia/Shanghai.

CREATE TABLE IF NOT EXISTS events
(
    institution_id LowCardinality(String),
    event_id String,
    event_type LowCardinality(String),
    rulebook LowCardinality(String),
    occurred_at DateTime64(3, 'UTC'),
    recorded_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC') COMMENT 'timestamp of the record, given by the broker',
    schema_version Int32,
    stream_id LowCardinality(String),
    stream_seq Nullable(Int64),
    revision Int32,
    supersedes_event_id String,
    session_id String,
    staff_id String COMMENT 'staff_id, doctor_id, prescriber_id or reviewer_id of the event, else empty',
    signer_cert String,
    signature_valid Nullable(Bool) COMMENT 'NULL when the record was admitted unsigned',
    payload String COMMENT 'payload fields as flat JSON: RFC 3339 instants, ISO dates, decimal strings' CODEC(ZSTD(3)),
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    -- The first receipt of an event_id is the one that counts, so it must carry the greatest version:
    -- the complement of (received_at, partition, offset), which is also a total order, whatever the order of inserts.
    precedence UInt128 MATERIALIZED bitNot(
        bitShiftLeft(toUInt128(toUInt64(toUnixTimestamp64Milli(received_at))), 80)
        + bitShiftLeft(toUInt128(toUInt32(partition)), 64)
        + toUInt128(toUInt64(offset)))
)
ENGINE = ReplacingMergeTree(precedence)
-- occurred_at comes from the hospital: outside 2015-2049 it shares the outermost partitions, so that hostile dates cannot
-- open hundreds of them.
PARTITION BY greatest(201501, least(204912, toYYYYMM(occurred_at)))
ORDER BY (institution_id, event_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS alerts
(
    institution_id LowCardinality(String),
    finding_id String,
    version Int32,
    state LowCardinality(String),
    previous_state LowCardinality(String) COMMENT 'empty: the finding is new; equal to state: its content changed',
    rule_id LowCardinality(String),
    clause LowCardinality(String),
    rulebook LowCardinality(String),
    subject_type LowCardinality(String),
    subject_id String,
    severity LowCardinality(String),
    notify Bool,
    opened_at DateTime64(3, 'UTC') COMMENT 'instant of the first state in history: the same for every version',
    changed_at DateTime64(3, 'UTC') COMMENT 'platform clock at this version',
    violation_start Nullable(DateTime64(3, 'UTC')),
    violation_end Nullable(DateTime64(3, 'UTC')),
    evidence Array(String) COMMENT 'event_id of each piece of evidence',
    params Map(String, String),
    flags Array(LowCardinality(String)),
    citations Array(String),
    title_zh String,
    title_en String,
    message_zh String,
    message_en String,
    history Array(Tuple(state LowCardinality(String), at DateTime64(3, 'UTC'))),
    cause_partition Nullable(Int32),
    cause_offset Nullable(Int64),
    topic LowCardinality(String),
    partition Int32,
    offset Int64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(opened_at)
ORDER BY (institution_id, finding_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS aggregates
(
    institution_id LowCardinality(String),
    rulebook LowCardinality(String),
    window_start DateTime64(3, 'UTC') COMMENT 'exclusive: the window is (start, end] of received_at',
    window_end DateTime64(3, 'UTC'),
    metric LowCardinality(String),
    value Float64,
    revision Int64
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(window_start)
ORDER BY (institution_id, window_start, metric)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS rejects
(
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    received_at DateTime64(3, 'UTC'),
    reason LowCardinality(String),
    field LowCardinality(String),
    detail String,
    institution_id LowCardinality(String) COMMENT 'as far as it could be read; not authenticated',
    event_id String,
    event_type LowCardinality(String),
    key Nullable(String) COMMENT 'bytes as they came',
    value Nullable(String) COMMENT 'bytes as they came' CODEC(ZSTD(3)),
    headers Map(String, String)
)
ENGINE = ReplacingMergeTree
-- received_at is part of the identity: a topic that was made anew starts its offsets again.
PARTITION BY toYYYYMM(received_at)
ORDER BY (topic, partition, offset, received_at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS institutions
(
    institution_id String,
    rulebook LowCardinality(String),
    registered_name String,
    institution_form LowCardinality(String),
    filing_kind LowCardinality(String),
    host_institution_id String,
    host_name String,
    licence_no String,
    licence_valid_from Date32,
    licence_valid_to Date32 COMMENT 'at most 2299-12-31, where the type ends',
    registration_authority String,
    occurred_at DateTime64(3, 'UTC') COMMENT 'instant from which this filing is effective',
    received_at DateTime64(3, 'UTC'),
    revision Int32,
    event_id String,
    -- The filing with the latest effect stays; of those with the same effect the latest correction, then the latest receipt.
    precedence UInt128 MATERIALIZED
        bitShiftLeft(toUInt128(toUInt64(toUnixTimestamp64Milli(occurred_at))), 64)
        + bitShiftLeft(toUInt128(toUInt16(least(revision, 65535))), 48)
        + toUInt128(toUInt64(toUnixTimestamp64Milli(received_at)))
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY institution_id
SETTINGS non_replicated_deduplication_window = 1000;
