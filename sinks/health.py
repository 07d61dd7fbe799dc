"""A small page for probes and Prometheus: /healthz (200 well, 503 in trouble) and /metrics."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from schemas.errors import IhwatchError
from sinks.status import Status


class PageRefused(IhwatchError):
    """The page cannot be served at this address: somebody else has it, or it is not ours."""

    exit_code = 2


@contextmanager
def page(status: Status, host: str, port: int) -> Iterator[int]:
    """Serve the status while the block runs; gives the port, chosen by the system if 0."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "ihwatch", ""

        def do_GET(self) -> None:
            if self.path == "/healthz":
                well = status.trouble is None
                content = {"ok": well, "trouble": status.trouble, "lag": status.lag}
                self._answer(200 if well else 503, "application/json", json.dumps(content))
            elif self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", status.metrics())
            else:
                self._answer(404, "text/plain", "/healthz or /metrics")

        def _answer(self, code: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep probes, which come every few seconds, out of the log."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise PageRefused(f"{host}:{port}: {error.strerror}; see --web-port") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="health")
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
