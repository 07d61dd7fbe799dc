"""The worker's pages: alive, ready only once it takes part, and figures for Prometheus."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from schemas.directory import Directory
from streams.embedded import EmbeddedBroker
from tests.schemas.examples import example
from tests.support.trust import EmbeddedCluster
from tests.support.worker import Answer, Deployment

NOON = 1_772_424_000_000
HOSPITAL = "I-pages"
OURS = {
    "ihwatch_records", "ihwatch_rejects", "ihwatch_findings", "ihwatch_partition_clock_seconds",
    "ihwatch_batch_seconds", "ihwatch_batch_records", "ihwatch_saved_bytes",
    "ihwatch_shared_clock_seconds",
}  # fmt: skip


def samples(page: Answer) -> dict[tuple[str, str], float]:
    """Our samples that have at most one label, by name and its value."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(page.text)
        if family.name in OURS
        for sample in family.samples
        if len(sample.labels) < 2
    }


def test_a_worker_is_ready_when_it_takes_part_and_counts_what_it_does() -> None:
    with EmbeddedBroker({}) as broker:
        cluster = EmbeddedCluster(broker)
        hospitals = Directory.generate([(HOSPITAL, "医院", "guangxi")])
        with Deployment(cluster, hospitals, partitions=2) as deployment:
            for number in range(20):
                datum = example("SessionOpened").datum | {
                    "institution_id": HOSPITAL, "event_id": f"e{number % 18}",
                    "session_id": f"s{number}", "stream_id": None, "stream_seq": None,
                }  # fmt: skip
                deployment.publish(datum, NOON + number)
            deployment.send(HOSPITAL.encode(), b"?", [], NOON + 20)
            deployment.tick(NOON + 86_400_000)
            deployment.flush()
            broker.set_round_trip(0.3)  # so that there is a time before the assignment
            with deployment.worker() as worker:
                worker.until(lambda: worker.get("/healthz") is not None)
                first = worker.get("/readyz")
                assert first is not None
                assert first.status == 503
                assert '"assigned":false' in first.text
                alive = worker.get("/healthz")
                assert alive == Answer(200, '{"status":"alive"}')
                broker.set_round_trip(0.0)
                worker.wait_ready()
                worker.until(lambda: deployment.finished)
                page = worker.get("/metrics")
                assert page is not None
                for closed in ("/tables/", "/table/cases/", "/graph", "/router/"):
                    answer = worker.get(closed)
                    assert answer is not None
                    assert answer.status == 404, closed
                begun = time.monotonic()
                assert worker.stop() == 0
                assert time.monotonic() - begun < 20
    found = samples(page)
    assert {name for name in OURS if name in page.text} == OURS
    assert found["ihwatch_records_total", "accepted"] == 18
    assert found["ihwatch_records_total", "duplicate"] == 2
    assert found["ihwatch_records_total", "tick"] == 2
    assert found["ihwatch_rejects_total", "SIGNATURE_MISSING"] == 1
    assert found["ihwatch_partition_clock_seconds", "0"] == (NOON + 86_400_000) / 1_000
    assert found["ihwatch_shared_clock_seconds", "1"] == (NOON + 86_400_000) / 1_000
    assert found["ihwatch_batch_records_sum", ""] == 23
    assert found["ihwatch_saved_bytes_total", ""] > 0
