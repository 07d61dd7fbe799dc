"""From the alerts topic to a real receiver: in order, at least once, and nothing is lost."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from standardwebhooks import Webhook

from sinks.log import LogReader
from sinks.status import Status
from sinks.webhooks.dead import DeadLetters
from sinks.webhooks.delivery import RetryPolicy
from sinks.webhooks.endpoint import Endpoint
from sinks.webhooks.sink import WebhookSink
from tests.sinks import material
from tests.sinks.log import Log
from tests.sinks.receiver import SECRET, TOKEN, Answer, Delivery, Receiver
from tests.sinks.running import running, until
from tests.sinks.test_webhook_endpoint import free_port

QUICK = RetryPolicy(schedule=(0.01, 0.02, 0.03), unreachable=(0.01, 0.05))
Made = Callable[..., WebhookSink]


@pytest.fixture
def make(log: Log) -> Made:
    """Make a sink on the test's broker, for one receiver."""

    def made(url: str, policy: RetryPolicy = QUICK, **options: Any) -> WebhookSink:
        return WebhookSink(
            log.options(log.topics.alerts.name),
            Endpoint(url, SECRET, 2, ()),
            DeadLetters(log.brokers, log.topics.dead_webhooks.name),
            Status("webhooks"),
            policy,
            **options,
        )

    return made


def committed(log: Log) -> int:
    """How many alerts the sink's group has committed, over all partitions."""
    return sum(log.committed().values())


def publish(log: Log, *alerts: dict[str, Any]) -> None:
    """Write alerts; a finding always to the same partition."""
    log.publish(
        material.alert_record(0, one, partition=len(one["finding_id"]) % 2) for one in alerts
    )


def dead_letters(log: Log, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Read dead letters from the beginning: key and content."""
    consumer = Consumer(
        {
            "bootstrap.servers": log.brokers,
            "group.id": "reader-of-the-dead",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(log.topics.dead_webhooks.name, part, 0) for part in (0, 1)])
    found: list[tuple[str, dict[str, Any]]] = []

    def enough() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            key, value = message.key(), message.value()
            assert key is not None
            assert value is not None
            found.append((key.decode(), json.loads(value)))
        return len(found) >= count

    until(enough)
    consumer.close()
    return found


def story(finding: str) -> list[dict[str, Any]]:
    """Five versions of one finding, from suspected to withdrawn."""
    states = ["SUSPECTED", "CONFIRMED", "CONFIRMED", "RESOLVED", "WITHDRAWN"]
    previous = [None, *states]
    return [
        material.alert(finding, at + 1, state=state, previous_state=previous[at])
        for at, state in enumerate(states)
    ]


def test_versions_come_in_order_and_only_what_is_wanted(log: Log, make: Made) -> None:
    stories = [story("a"), story("bb"), story("ccc")]
    alerts = [stories[which][version] for version in range(5) for which in range(3)]
    silent = material.alert("quiet", notify=False)
    with Receiver(lambda *_: Answer(delay=0.01)) as receiver:
        publish(log, *alerts, silent)
        sink = make(receiver.url)
        with running(sink):
            until(lambda: committed(log) == 16)
            assert sink.status.lag == 0
    for finding in ("a", "bb", "ccc"):
        mine = [one for one in receiver.ids() if one.startswith(f"{finding}.")]
        assert mine == [f"{finding}.{version}" for version in (2, 3, 4, 5)]
    assert sink.status.snapshot() == {"delivered": 12, "not_wanted": 4}
    kinds = [one.content["type"] for one in receiver.deliveries if one.id.startswith("a.")]
    assert kinds == ["finding.confirmed", "finding.updated", "finding.resolved",
                     "finding.withdrawn"]  # fmt: skip


def test_provisional_findings_on_demand(log: Log, make: Made) -> None:
    with Receiver() as receiver:
        publish(log, *story("a"))
        with running(make(receiver.url, provisional=True)):
            until(lambda: len(receiver.ids()) == 5)
    assert receiver.deliveries[0].content["type"] == "finding.suspected"


def test_a_version_that_is_not_newer_is_not_sent_again(log: Log, make: Made) -> None:
    """The worker repeats alerts after a crash: the same ids and versions."""
    with Receiver() as receiver:
        alerts = story("a")[1:]
        publish(log, *alerts, *alerts[:3], *alerts[2:])
        sink = make(receiver.url)
        with running(sink):
            until(lambda: committed(log) == 9)
    assert receiver.ids() == ["a.2", "a.3", "a.4", "a.5"]
    assert sink.status.counts["stale"] == 5


@pytest.mark.parametrize("status", [300, 307, 408, 429, 500, 502, 503])
def test_a_failure_is_tried_again_under_the_same_id(log: Log, make: Made, status: int) -> None:
    with Receiver(lambda _, times: Answer(status if times < 3 else 200)) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.counts["delivered"] == 1)
    assert receiver.ids() == ["a.1"] * 3
    assert len({one.body for one in receiver.deliveries}) == 1
    assert sink.status.counts["retried"] == 2
    assert sink.status.trouble is None


@pytest.mark.parametrize("fault", [Answer(delay=5), Answer(hang_up=True)])
def test_no_answer_is_tried_again(log: Log, make: Made, fault: Answer) -> None:
    with Receiver(lambda _, times: fault if times == 1 else Answer()) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        sink._endpoint = Endpoint(receiver.url, SECRET, 0.2)
        with running(sink):
            until(lambda: sink.status.counts["delivered"] == 1)
    assert receiver.ids() == ["a.1", "a.1"]


def test_retry_after_is_honoured_for_the_whole_receiver(log: Log, make: Made) -> None:
    came: list[tuple[str, float]] = []

    def say(delivery: Delivery, _: int) -> Answer:
        came.append((delivery.id, time.monotonic()))
        return Answer(429, {"retry-after": "1"}) if len(came) == 1 else Answer()

    with Receiver(say) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: len(came) == 1)
            publish(log, material.alert("bb"))
            until(lambda: sink.status.counts["delivered"] == 2)
    assert all(at - came[0][1] >= 0.95 for _, at in came[1:])


def test_a_refusal_is_dead_at_once_with_all_that_is_needed_to_send_it_again(
    log: Log, make: Made
) -> None:
    with Receiver(lambda one, _: Answer(422 if one.id == "a.1" else 200)) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.trouble == "RECEIVER_422")
            publish(log, material.alert("a", 2), material.alert("bbb"))
            until(lambda: committed(log) == 3)
            assert sink.status.trouble is None
        ((key, letter),) = dead_letters(log, 1)
        assert receiver.ids().count("a.1") == 1
        assert sorted(one.id for one in receiver.accepted) == ["a.2", "bbb.1"]
        refused = next(one for one in receiver.deliveries if one.id == "a.1")
    assert key == "a"
    assert letter["reason"] == "REFUSED"
    assert letter["webhook_id"] == "a.1"
    assert letter["source"]["topic"] == log.topics.alerts.name
    assert letter["source"]["offset"] == 0
    assert letter["attempts_total"] == 1
    assert letter["attempts"][0]["status"] == 422
    assert letter["attempts"][0]["verdict"] == "REFUSED"
    assert json.dumps(letter["body"], separators=(",", ":"), ensure_ascii=False).encode() == (
        refused.body
    )
    assert TOKEN not in json.dumps(letter)
    assert sink.status.counts["dead"] == 1


def test_one_that_the_receiver_cannot_take_does_not_block_the_others(log: Log, make: Made) -> None:
    """500 for one message only: its schedule is exhausted, then it is dead."""
    with Receiver(lambda one, _: Answer(500 if one.id.startswith("a.") else 200)) as receiver:
        publish(log, material.alert("a"), *(material.alert("b" * n) for n in range(2, 40)))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.counts["delivered"] == 38)
            until(lambda: committed(log) == 39)
        ((_, letter),) = dead_letters(log, 1)
    assert letter["reason"] == "EXHAUSTED"
    assert letter["attempts_total"] >= 4
    assert {one["status"] for one in letter["attempts"]} == {500}


def test_a_receiver_that_fails_for_everything_is_down_and_nothing_dies(
    log: Log, make: Made
) -> None:
    up = False
    with Receiver(lambda *_: Answer(200 if up else 503)) as receiver:
        publish(log, *(material.alert("a" * n) for n in range(1, 9)))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: len(receiver.deliveries) >= 60)
            assert sink.status.trouble == "RECEIVER_503"
            assert committed(log) == 0
            up = True
            until(lambda: sink.status.counts["delivered"] == 8)
            until(lambda: committed(log) == 8)
    assert "dead" not in sink.status.counts
    assert {one.id for one in receiver.accepted} == {f"{'a' * n}.1" for n in range(1, 9)}


def test_with_holding_off_an_outage_ends_in_dead_letters(log: Log, make: Made) -> None:
    policy = RetryPolicy(schedule=(0.01,), unreachable=(0.01,), hold_while_down=False)
    publish(log, material.alert("a"), material.alert("bb"))
    with running(make(f"http://127.0.0.1:{free_port()}/", policy)):
        until(lambda: committed(log) == 2)
    letters = dead_letters(log, 2)
    assert {letter["reason"] for _, letter in letters} == {"EXHAUSTED"}
    assert {letter["attempts"][0]["error"] for _, letter in letters} == {"NO_CONNECTION"}


def test_nobody_listening_then_somebody(log: Log, make: Made) -> None:
    """Also over a restart of the sink in the middle of the outage."""
    port = free_port()
    receiver = Receiver(port=port)
    publish(log, *(material.alert("a" * n, v) for n in range(1, 6) for v in (1, 2)))
    first = make(receiver.url)
    with running(first):
        until(lambda: first.status.counts["retried"] >= 10)
        assert first.status.trouble == "RECEIVER_NO_CONNECTION"
    assert committed(log) == 0
    second = make(receiver.url)
    with running(second):
        until(lambda: second.status.counts["retried"] >= 5)
        with receiver:
            until(lambda: committed(log) == 10)
    assert sorted(receiver.ids()) == sorted(f"{'a' * n}.{v}" for n in range(1, 6) for v in (1, 2))
    assert second.status.trouble is None


def test_a_partition_is_read_no_further_than_its_open_messages(log: Log, make: Made) -> None:
    policy = RetryPolicy(schedule=(0.01,), unreachable=(0.01, 0.05), open_messages=5)
    receiver = Receiver(port=free_port())
    publish(log, *(material.alert(f"{n:03}0") for n in range(200)))
    sink = make(receiver.url, policy)
    with running(sink):
        until(lambda: any(one.paused for one in sink._partitions.values()))
        with receiver:
            until(lambda: sink.status.counts["delivered"] == 200)
    assert len(set(receiver.ids())) == 200


def test_gone_stops_all_requests_and_keeps_the_alerts(log: Log, make: Made) -> None:
    gone = True
    with Receiver(lambda *_: Answer(410 if gone else 200)) as receiver:
        publish(log, *(material.alert("a" * n) for n in range(1, 30)))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.trouble == "RECEIVER_GONE")
            asked = len(receiver.deliveries)
            publish(log, material.alert("later"))
            until(lambda: sink.status.lag >= 1)
        assert len(receiver.deliveries) <= asked + QUICK.requests
        assert committed(log) == 0
        gone = False
        with running(make(receiver.url)):
            until(lambda: committed(log) == 30)


def test_an_alert_that_cannot_be_read_is_dead_and_whole(log: Log, make: Made) -> None:
    record = material.alert_record(0, material.alert("a"))
    broken = record._replace(value=(record.value or b"") + b"\x00")
    with Receiver() as receiver:
        log.publish([broken, record])
        with running(make(receiver.url)):
            until(lambda: committed(log) == 2)
        ((_, letter),) = dead_letters(log, 1)
    assert letter["reason"] == "TRAILING_BYTES"
    assert base64.b64decode(letter["value_base64"]) == broken.value
    assert receiver.ids() == ["a.1"]


def test_stopping_lets_the_request_on_the_way_finish(log: Log, make: Made) -> None:
    begun = threading.Event()

    def say(_delivery: Delivery, _times: int) -> Answer:
        begun.set()
        return Answer(delay=0.5)

    with Receiver(say) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        with running(sink):
            assert begun.wait(20)
        assert sink.status.counts["delivered"] == 1
        assert committed(log) == 1


def test_a_delivery_whose_commit_was_lost_comes_again_under_its_id(
    log: Log, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver tells repetitions by the id; this is what at least once means."""
    with Receiver() as receiver:
        publish(log, material.alert("a"))
        with monkeypatch.context() as patch, running(make(receiver.url)):
            patch.setattr(LogReader, "commit", lambda *_: False)
            until(lambda: len(receiver.accepted) == 1)
        with running(make(receiver.url)):
            until(lambda: len(receiver.accepted) == 2)
    first, second = receiver.accepted
    assert (first.id, first.body) == (second.id, second.body)


def test_a_dead_letter_is_acknowledged_before_its_offset_is_committed(log: Log, make: Made) -> None:
    with Receiver(lambda *_: Answer(400)) as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        broken = DeadLetters("127.0.0.1:9", log.topics.dead_webhooks.name)
        write = broken.write
        monkey = {"down": True}

        def slow(key: bytes | None, value: bytes, timeout_s: float = 0.3) -> None:
            if monkey["down"]:
                write(key, value, timeout_s)
            else:
                DeadLetters(log.brokers, log.topics.dead_webhooks.name).write(key, value)

        sink._dead.write = slow  # type: ignore[method-assign]
        with running(sink):
            until(lambda: sink.status.trouble == "DEAD_LETTER_NOT_WRITTEN")
            assert committed(log) == 0
            monkey["down"] = False
            until(lambda: committed(log) == 1)
    assert len(dead_letters(log, 1)) == 1


def test_a_broker_that_goes_down_is_reported_and_survived(log: Log, make: Made) -> None:
    with Receiver() as receiver:
        publish(log, material.alert("a"))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.counts["delivered"] == 1)
            log.broker.go_down()
            until(lambda: sink.status.trouble is not None)
            log.broker.come_up()
            publish(log, material.alert("bb"))
            until(lambda: sink.status.counts["delivered"] == 2)


def test_no_secret_and_no_address_is_ever_logged(
    log: Log, make: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = Webhook(SECRET)
    with Receiver(
        lambda one, times: Answer(400 if one.id == "a.1" else 500 if times == 1 else 200)
    ) as receiver:
        publish(log, material.alert("a"), material.alert("bb"))
        sink = make(receiver.url)
        with running(sink):
            until(lambda: sink.status.counts["dead"] + sink.status.counts["delivered"] == 2)
        dark = make(f"http://127.0.0.1:{free_port()}/{TOKEN}")
        publish(log, material.alert("ccc"))
        with running(dark):
            until(lambda: dark.status.counts["retried"] >= 3)
    told = "\n".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert "an alert was given up" in told
    for secret in (TOKEN, SECRET, SECRET.removeprefix("whsec_"), repr(webhook._whsecret)):
        assert secret not in told
    for private in (material.alert()["message_zh"], "S-20260302-0001"):
        assert private not in told
