"""One request: how it is signed, which addresses it may go to, and what each answer means."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest

from sinks.webhooks.endpoint import Attempt, Endpoint, Verdict
from sinks.webhooks.guard import AddressRefused, Guard
from sinks.webhooks.message import Message, message
from tests.sinks import material
from tests.sinks.receiver import SECRET, TOKEN, Answer, Receiver

MESSAGE = message(material.alert())


def post(url: str, *, timeout_s: float = 5, allow: tuple[str, ...] = (), times: int = 1,
         sent: Message = MESSAGE) -> list[Attempt]:  # fmt: skip
    async def go() -> list[Attempt]:
        async with Endpoint(url, SECRET, timeout_s, allow) as endpoint:
            return [await endpoint.post(sent) for _ in range(times)]

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((code, Verdict.DELIVERED) for code in (200, 201, 202, 204, 299)),
        *((code, Verdict.FAILED) for code in (300, 301, 302, 304, 307, 308)),
        *((code, Verdict.REFUSED) for code in (400, 401, 403, 404, 405, 409, 413, 422, 451, 499)),
        *((code, Verdict.FAILED) for code in (408, 425, 429)),
        (410, Verdict.GONE),
        *((code, Verdict.FAILED) for code in (500, 501, 502, 503, 504, 511, 599)),
    ],
)
def test_every_class_of_status(status: int, verdict: Verdict) -> None:
    """A redirect is a failure and is not followed."""
    with Receiver(lambda *_: Answer(status, {"location": "/elsewhere"})) as receiver:
        (attempt,) = post(receiver.url)
    assert (attempt.verdict, attempt.status, attempt.error) == (verdict, status, None)
    assert len(receiver.deliveries) == 1


def test_the_signature_holds_and_the_id_stays_while_the_timestamp_moves() -> None:
    """The receiver verifies with `standardwebhooks`; a bad signature would be a 500 there."""
    with Receiver() as receiver:
        before = int(datetime.now(UTC).timestamp())
        attempts = post(receiver.url, times=2)
        assert [one.verdict for one in attempts] == [Verdict.DELIVERED] * 2
        first, second = receiver.deliveries
        assert first.id == second.id == MESSAGE.id
        assert first.body == second.body == MESSAGE.body
        assert before <= first.timestamp <= second.timestamp
        assert first.signature.startswith("v1,")
        assert first.headers["content-type"] == "application/json"


def test_a_forged_body_is_not_verified() -> None:
    """So the receiver of these tests can tell."""
    other = Receiver()
    with other as receiver:

        async def forge() -> int:
            headers = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
            async with (
                aiohttp.ClientSession() as session,
                session.post(receiver.url, data=b"{}", headers=headers) as response,
            ):
                return response.status

        assert asyncio.run(forge()) == 500
        assert receiver.deliveries == []


def test_an_answer_that_does_not_come_is_a_failure() -> None:
    with Receiver(lambda *_: Answer(delay=5)) as receiver:
        (attempt,) = post(receiver.url, timeout_s=0.2)
    assert (attempt.verdict, attempt.error) == (Verdict.FAILED, "TIMEOUT")
    assert 150 <= attempt.elapsed_ms < 4000


def test_a_connection_lost_after_the_request_is_a_failure() -> None:
    """The receiver may have seen the message: this counts as a try."""
    with Receiver(lambda *_: Answer(hang_up=True)) as receiver:
        (attempt,) = post(receiver.url)
    assert (attempt.verdict, attempt.error) == (Verdict.FAILED, "CONNECTION_LOST")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_nobody_listening_is_unreachable_and_says_nothing_of_the_message() -> None:
    (attempt,) = post(f"http://127.0.0.1:{free_port()}/")
    assert (attempt.verdict, attempt.error) == (Verdict.UNREACHABLE, "NO_CONNECTION")


def test_a_name_without_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", unknown)
    (attempt,) = post("http://nowhere.invalid/")
    assert (attempt.verdict, attempt.error) == (Verdict.UNREACHABLE, "NAME_NOT_FOUND")


def test_plain_http_where_tls_is_expected_is_unreachable() -> None:
    with Receiver() as receiver:
        (attempt,) = post(receiver.url.replace("http://", "https://"))
    assert (attempt.verdict, attempt.error) == (Verdict.UNREACHABLE, "TLS")


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("999999", 3600, 3600),
        (timedelta(seconds=60), 50, 60),
        (timedelta(seconds=-60), 0, 0),
        ("soon", None, None),
        ("-5", None, None),
    ],
)
def test_retry_after(value: str | timedelta, low: float | None, high: float | None) -> None:
    if isinstance(value, timedelta):
        value = format_datetime(datetime.now(UTC) + value, usegmt=True)
    headers = {"retry-after": value}
    with Receiver(lambda *_: Answer(429, headers)) as receiver:
        (attempt,) = post(receiver.url)
    if low is None or high is None:
        assert attempt.retry_after_s is None
    else:
        assert attempt.retry_after_s is not None
        assert low <= attempt.retry_after_s <= high


@pytest.mark.parametrize(
    ("host", "allow", "reached"),
    [
        ("127.0.0.1", (), True),
        ("localhost", (), True),
        ("127.0.0.1", ("127.0.0.0/8",), True),
        ("localhost", ("127.0.0.0/8", "::1"), True),
        ("localhost", ("localhost",), True),
        ("127.0.0.1", ("10.0.0.0/8",), False),
        ("localhost", ("10.0.0.0/8", "receiver.example"), False),
        ("0.0.0.0", (), False),
        ("[::ffff:127.0.0.1]", ("10.0.0.0/8",), False),
        ("0x7f.1", ("10.0.0.0/8",), False),
    ],
)
def test_only_allowed_addresses_are_dialled(
    host: str, allow: tuple[str, ...], reached: bool
) -> None:
    with Receiver() as receiver:
        (attempt,) = post(receiver.url.replace("127.0.0.1", host), allow=allow)
        assert len(receiver.deliveries) == int(reached)
    if not reached:
        assert (attempt.verdict, attempt.error) == (Verdict.UNREACHABLE, "ADDRESS_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("allow", "address", "allowed"),
    [
        ((), "203.0.113.9", True),
        ((), "10.1.2.3", True),
        ((), "169.254.169.254", False),
        ((), "fe80::1%eth0", False),
        ((), "::ffff:169.254.169.254", False),
        ((), "224.0.0.1", False),
        ((), "::", False),
        (("169.254.0.0/16",), "169.254.1.1", True),
        (("10.20.0.0/16",), "10.20.255.1", True),
        (("10.20.0.0/16",), "::ffff:10.20.255.1", True),
        (("10.20.0.0/16",), "10.21.0.1", False),
        (("other.example",), "10.21.0.1", False),
        (("HOOK.example", "10.0.0.0/8"), "203.0.113.9", True),
    ],
)
def test_the_guard(allow: tuple[str, ...], address: str, allowed: bool) -> None:
    guard = Guard("https://hook.example/x", allow)
    assert guard.allows(address) is allowed
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    info = (family, socket.SOCK_STREAM, 0, "", (address, 443))
    if allowed:
        guard.socket_factory(info).close()
    else:
        with pytest.raises(AddressRefused):
            guard.socket_factory(info)


def test_neither_address_nor_secret_is_shown() -> None:
    endpoint = Endpoint(f"http://127.0.0.1:1/{TOKEN}", SECRET, 1)
    assert TOKEN not in repr(endpoint)
    attempts = post(f"http://127.0.0.1:{free_port()}/{TOKEN}")
    assert TOKEN not in repr(attempts)
    assert SECRET not in repr(attempts)
