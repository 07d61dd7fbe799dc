"""A receiver on loopback that checks every signature and answers as it is told."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyYg=="
# Part of the address, as with chat robots: it must show up nowhere.
TOKEN = "token-in-the-address"


@dataclass
class Delivery:
    """One request as it came in."""

    id: str
    timestamp: int
    signature: str
    body: bytes
    content: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Answer:
    """What to say: a status, headers, and how long to think before."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False


Say = Callable[[Delivery, int], Answer]


class Receiver:
    """An HTTP server in a thread; `say(delivery, times_this_id_came)` chooses the answer."""

    def __init__(self, say: Say | None = None, port: int = 0) -> None:
        self.say: Say = say or (lambda _delivery, _times: Answer())
        self.deliveries: list[Delivery] = []
        self.accepted: list[Delivery] = []
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/{TOKEN}"

    def ids(self) -> list[str]:
        """The ids in the order in which they came, repetitions included."""
        return [one.id for one in self.deliveries]

    def __enter__(self) -> Self:
        self._thread.start()
        self._await(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._await(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _await(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(10)

    async def _start(self) -> None:
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        content = Webhook(SECRET).verify(body, headers)
        delivery = Delivery(
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            headers["webhook-signature"],
            body,
            content,
            headers,
        )
        self.deliveries.append(delivery)
        answer = self.say(delivery, self.ids().count(delivery.id))
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.hang_up:
            assert request.transport is not None
            request.transport.close()
        elif 200 <= answer.status < 300:
            self.accepted.append(delivery)
        return web.Response(status=answer.status, headers=answer.headers)
