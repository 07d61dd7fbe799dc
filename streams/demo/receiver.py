"""The demo's on-call side: receives webhooks and verifies every signature with the library."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from streams.demo.stopwatch import Stopwatch


class Receiver:
    """Answers 204 to a webhook whose signature holds and 401 to any other."""

    def __init__(self, secret: str, stopwatch: Stopwatch) -> None:
        self._webhook = Webhook(secret)
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self.recent: deque[dict[str, Any]] = deque(maxlen=8)
        self.states: dict[str, tuple[int, str]] = {}
        self.counts: Counter[str] = Counter()
        self.port = 0

    async def start(self) -> web.AppRunner:
        """Listen on a free loopback port; the caller cleans the runner up."""
        app = web.Application()
        app.router.add_post("/alerts", self._post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.text()
        try:
            self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            with self._lock:
                self.counts["refused"] += 1
            return web.Response(status=401)
        self._take(json.loads(body)["data"])
        return web.Response(status=204)

    def _take(self, data: dict[str, Any]) -> None:
        if data["cause_offset"] is not None:
            self._stopwatch.arrived((data["cause_partition"], data["cause_offset"]))
        with self._lock:
            self.counts["verified"] += 1
            known = self.states.get(data["finding_id"])
            if known is None or known[0] < data["version"]:
                self.states[data["finding_id"]] = data["version"], data["state"]
            self.recent.append(data)

    def latest(self) -> list[dict[str, Any]]:
        """The newest webhooks, oldest first."""
        with self._lock:
            return list(self.recent)
