"""Headless Chromium, driven over its DevTools pipe: no driver program, no port, no package."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# The sandbox cannot be set up by root in a container. The rest keeps Chromium off the network.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


def program() -> str | None:
    """Return the path of Chromium, or None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One browser with an empty profile; a context manager that ends it."""

    def __init__(self, profile: Path, *, timeout_s: float = 60) -> None:
        binary = program()
        assert binary is not None
        self._timeout_s = timeout_s
        self._last = 0
        self._buffer = b""
        self._messages: list[dict[str, Any]] = []
        for_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # Chromium talks on the descriptors 3 and 4; bash moves ours there (dash cannot above 9).
        moved = f'exec "$@" 3<&{for_browser} 4>&{from_browser}'
        command = ["bash", "-c", moved, "bash", binary, *_FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [*command, "--remote-debugging-pipe", "about:blank"],
            pass_fds=(for_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(for_browser)
        os.close(from_browser)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._send("Browser.close", {})
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        os.close(self._read)
        os.close(self._write)

    def open(self, page: Path | str, *, width: int = 1440, height: int = 900) -> "Tab":
        """Load a page in a tab of its own and wait until it has settled."""
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        tab = Tab(self, session["sessionId"], target)
        for domain in ("Runtime", "Log", "Network", "Page"):
            tab.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        tab.call("Emulation.setDeviceMetricsOverride", **size)
        url = page.as_uri() if isinstance(page, Path) else page
        tab.call("Page.navigate", url=url)
        self._await("Page.loadEventFired", tab.session)
        tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        return tab

    def close(self, tab: "Tab") -> None:
        """Close a tab."""
        self._call("Target.closeTarget", {"targetId": tab.target})

    def seen(self, session: str) -> list[dict[str, Any]]:
        """Return the events of a tab so far."""
        return [one for one in self._messages if one.get("sessionId") == session]

    def _call(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        number = self._send(method, params, session)
        while True:
            message = self._receive()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._messages.append(message)

    def _await(self, event: str, session: str) -> None:
        while not any(one.get("method") == event for one in self.seen(session)):
            self._messages.append(self._receive())

    def _send(self, method: str, params: dict[str, Any], session: str | None = None) -> int:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        return self._last

    def _receive(self) -> dict[str, Any]:
        until = time.monotonic() + self._timeout_s
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise ConnectionError("Chromium has ended")
            self._buffer += piece
        whole, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(whole)
        return message


class Tab:
    """One loaded page."""

    def __init__(self, browser: Chromium, session: str, target: str) -> None:
        self._browser = browser
        self.session = session
        self.target = target

    def call(self, method: str, **params: Any) -> Any:
        """Call a DevTools method of this tab."""
        return self._browser._call(method, params, self.session)

    def evaluate(self, script: str) -> Any:
        """Return the value of a script (awaited), or raise with what it threw."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def complaints(self) -> list[str]:
        """Return console errors and warnings, uncaught exceptions and failed loads."""
        found = []
        for event in self._browser.seen(self.session):
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(str(params["entry"]["text"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(str(params["args"]))
            elif method == "Network.loadingFailed":
                found.append(f"failed to load: {params['errorText']}")
        return found

    def requests(self) -> list[str]:
        """Return the address of everything the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.seen(self.session)
            if event["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, path: Path) -> None:
        """Write the whole page, not only the window, as PNG."""
        height = int(self.evaluate("document.documentElement.scrollHeight"))
        width = int(self.evaluate("innerWidth"))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        path.write_bytes(base64.b64decode(shot["data"]))
