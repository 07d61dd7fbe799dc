"""One signed request to the receiver, and what its answer means.

The answer is one of five: delivered (2xx); refused for good (4xx but 408, 425 and 429); failed, to
be tried again (3xx, 408, 425, 429, 5xx, no answer in time, connection lost on the way); unreachable
(no connection was made, so nothing of the message was seen); gone (410: the receiver wants nothing
any more). Neither the address nor the secret is ever logged or kept in an attempt.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Self

import aiohttp
from standardwebhooks import Webhook

from sinks.webhooks.guard import AddressRefused, Guard
from sinks.webhooks.message import Message

_LONGEST_RETRY_AFTER_S = 3600.0


class Verdict(StrEnum):
    """What became of one request."""

    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    UNREACHABLE = "UNREACHABLE"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the attempt log; `error` is a stable code, never text of the receiver's."""

    at: str
    verdict: Verdict
    status: int | None
    error: str | None
    elapsed_ms: int
    retry_after_s: float | None = None

    @property
    def busy(self) -> bool:
        """Whether the receiver asked for a pause of everything, not just of this message."""
        return self.status in (429, 503) and self.retry_after_s is not None


class Endpoint:
    """Posts messages to one URL; open it with `async with`.

    A fresh connection for each request: alerts are few, so the guard sees every dial and no request
    is lost on a connection that the receiver has just closed.
    """

    def __init__(self, url: str, secret: str, timeout_s: float, allow: Sequence[str] = ()) -> None:
        self._url = url
        self._webhook = Webhook(secret)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s)
        self._guard = Guard(url, allow)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return "Endpoint(url=********, secret=********)"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._guard.socket_factory, force_close=True, limit=0
            ),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            # No proxy, password or address from the environment of this process.
            trust_env=False,
            auto_decompress=False,
            headers={"content-type": "application/json", "user-agent": "ihwatch-webhooks/1"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, message: Message) -> Attempt:
        """Send once; every outcome is an Attempt, only cancellation is raised."""
        assert self._session is not None, "open the endpoint first"
        now = datetime.now(UTC)
        headers = {
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            # `sign` takes any datetime for UTC, so it must be UTC.
            "webhook-signature": self._webhook.sign(message.id, now, message.body.decode()),
        }
        status, error, retry_after = None, None, None
        started = time.monotonic()
        try:
            async with self._session.post(
                self._url, data=message.body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                retry_after = _retry_after(response.headers.get("retry-after"), now)
            verdict = _verdict(status)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as problem:
            verdict, error = Verdict.UNREACHABLE, _unreachable(problem)
        except TimeoutError:
            verdict, error = Verdict.FAILED, "TIMEOUT"
        except (aiohttp.ClientError, OSError):
            verdict, error = Verdict.FAILED, "CONNECTION_LOST"
        elapsed = round((time.monotonic() - started) * 1000)
        at = now.isoformat(timespec="milliseconds")
        return Attempt(at, verdict, status, error, elapsed, retry_after)


def _verdict(status: int) -> Verdict:
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.GONE
    if 400 <= status < 500 and status not in (408, 425, 429):
        return Verdict.REFUSED
    return Verdict.FAILED


def _unreachable(problem: Exception) -> str:
    """Name why no connection was made."""
    cause = getattr(problem, "os_error", None)
    if isinstance(cause, AddressRefused):
        return "ADDRESS_NOT_ALLOWED"
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "NAME_NOT_FOUND"
    if isinstance(problem, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "TLS"
    if isinstance(problem, TimeoutError):
        return "CONNECT_TIMEOUT"
    return "NO_CONNECTION"


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; at most an hour, None if it says nothing."""
    if value is None:
        return None
    if value.strip().isdigit():
        seconds = float(value)
    else:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
