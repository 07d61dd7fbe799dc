"""Whatever the contract admits can be stored: no event of a hospital can stop the sink."""

import json
from typing import Any

from clickhouse_connect.driver.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import signing, wire
from schemas.catalogue import ENVELOPE, UploadClass, upload_class
from schemas.flat import from_flat
from sinks.clickhouse.writer import Writer, token
from sinks.log import Record
from tests.schemas.strategies import any_data
from tests.sinks import material
from tests.sinks.material import HOSPITAL, NOON, TOPICS


def signed(offset: int, datum: dict[str, Any]) -> Record:
    """The event as that hospital or the supervisor would publish it."""
    supervisor = upload_class(datum["event_type"]) is UploadClass.SUPERVISOR
    key_id = "supervisor-1" if supervisor else f"{HOSPITAL}-1"
    value = wire.encode(datum)
    headers = signing.headers(key_id, material.SECRET, HOSPITAL.encode(), value)
    return Record(
        TOPICS.events.name, 0, offset, NOON + offset, HOSPITAL.encode(), value, [*headers]
    )


def test_any_admitted_event_is_stored_and_read_back_whole(database: Client) -> None:
    decoders, writer = material.decoders(), Writer(lambda: database)

    @settings(max_examples=40)
    @given(st.lists(any_data(), min_size=1, max_size=12))
    def stored(data: list[dict[str, Any]]) -> None:
        database.command("TRUNCATE TABLE events")
        data = [
            {**datum, "event_id": f"{at} {datum['event_id']}", "institution_id": HOSPITAL}
            for at, datum in enumerate(data)
        ]
        records = [signed(at, datum) for at, datum in enumerate(data)]
        rows = decoders.rows_of(records)
        assert not rows.seen
        writer.insert(rows, token(records, rows))
        lines = database.query("SELECT event_id, payload FROM events FINAL ORDER BY offset")
        for datum, (event_id, payload) in zip(data, lines.result_rows, strict=True):
            assert event_id == datum["event_id"]
            envelope = {name: datum[name] for name in ENVELOPE}
            again, _, _ = from_flat({**envelope, **json.loads(payload)})
            assert again == {**datum, "stream_id": datum["stream_id"] or None}

    stored()
