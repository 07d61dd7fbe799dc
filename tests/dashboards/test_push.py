"""What `ihwatch boards push` says to Grafana, and what it makes of every kind of answer."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dashboards.push import GrafanaDenied, GrafanaRefused, GrafanaUnreachable, push
from schemas.errors import IhwatchError
from streams.cli import run

TOKEN = "glsa_not-a-real-token"
Answer = tuple[int, str]


class Grafana:
    """A stub of the calls that matter, as Grafana 13 answers them; `answer` may say otherwise."""

    def __init__(self, answer: Callable[[str, str], Answer | None] | None = None) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.tokens: set[str | None] = set()
        self.folders: dict[str, str] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self._answer = answer or (lambda method, path: None)
        self.url = ""

    def reply(self, method: str, path: str, body: Any) -> Answer:
        self.asked.append((method, path, body))
        if special := self._answer(method, path):
            return special
        _, _, last = path.rpartition("/")
        if method == "GET" and path.startswith("/api/folders/"):
            if last not in self.folders:
                return 404, json.dumps({"message": "folder not found", "status": "not-found"})
            return 200, json.dumps({"uid": last, "title": self.folders[last]})
        if method == "POST" and path == "/api/folders":
            self.folders[body["uid"]] = body["title"]
            return 200, json.dumps(body)
        if method == "PUT" and path.startswith("/api/folders/"):
            assert body["overwrite"] is True
            self.folders[last] = body["title"]
            return 200, json.dumps({"uid": last, "title": body["title"]})
        if (method, path) == ("POST", "/api/dashboards/db"):
            uid = body["dashboard"]["uid"]
            if uid in self.boards and not body["overwrite"]:
                return 412, json.dumps({"message": "A dashboard with the same uid already exists"})
            self.boards[uid] = body
            return 200, json.dumps({"uid": uid, "url": f"/d/{uid}/x", "status": "success"})
        return 404, json.dumps({"message": "Not found"})


@contextmanager
def serving(grafana: Grafana) -> Iterator[Grafana]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            grafana.tokens.add(self.headers.get("Authorization"))
            status, text = grafana.reply(self.command, self.path, body)
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_folders_and_boards_arrive() -> None:
    with serving(Grafana()) as grafana:
        addresses = list(push(grafana.url, TOKEN))
    assert addresses == [f"{grafana.url}/d/{uid}/x" for uid in grafana.boards]
    assert grafana.tokens == {f"Bearer {TOKEN}"}
    assert grafana.folders == {
        "ihwatch-zh": "互联网诊疗监管",
        "ihwatch-en": "Internet hospital supervision",
    }
    assert list(grafana.boards) == [
        "ih-overview-zh", "ih-institution-zh", "ih-overview-en", "ih-institution-en",
    ]  # fmt: skip
    for uid, sent in grafana.boards.items():
        assert sent["folderUid"] == f"ihwatch-{uid[-2:]}"
        assert sent["overwrite"] is True
        assert sent["dashboard"]["id"] is None
        assert "folderId" not in sent  # Grafana 13 puts the board in the root folder then


def test_it_touches_folders_and_boards_only() -> None:
    with serving(Grafana()) as grafana:
        list(push(grafana.url, TOKEN))
    paths = {path for _, path, _ in grafana.asked}
    assert all(path.startswith(("/api/folders", "/api/dashboards/db")) for path in paths)


def test_a_second_push_replaces_the_first_and_keeps_the_folders() -> None:
    with serving(Grafana()) as grafana:
        list(push(grafana.url, TOKEN, ("zh",)))
        grafana.folders["ihwatch-zh"] = "renamed by hand"
        grafana.asked.clear()
        list(push(grafana.url, TOKEN, ("zh",)))
    assert [(method, path) for method, path, _ in grafana.asked] == [
        ("GET", "/api/folders/ihwatch-zh"),
        ("PUT", "/api/folders/ihwatch-zh"),
        ("POST", "/api/dashboards/db"),
        ("POST", "/api/dashboards/db"),
    ]
    assert grafana.folders["ihwatch-zh"] == "互联网诊疗监管"


def test_grafana_below_a_path() -> None:
    seen: list[str] = []

    def under(method: str, path: str) -> Answer:
        seen.append(path)
        return 200, json.dumps({"title": "互联网诊疗监管", "url": "/grafana/d/x"})

    with serving(Grafana(under)) as grafana:
        list(push(f"{grafana.url}/grafana/", TOKEN, ("zh",)))
    assert set(seen) == {"/grafana/api/folders/ihwatch-zh", "/grafana/api/dashboards/db"}


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (401, '{"message": "Invalid API key"}', GrafanaDenied, 2),
        (403, '{"message": "You need additional permissions"}', GrafanaDenied, 2),
        (400, '{"message": "Cannot save provisioned dashboard"}', GrafanaRefused, 5),
        (412, '{"message": "version mismatch"}', GrafanaRefused, 5),
        (429, '{"message": "slow down"}', GrafanaUnreachable, 4),
        (500, '{"message": "boom"}', GrafanaUnreachable, 4),
        (503, "{}", GrafanaUnreachable, 4),
        (502, "<html>a message from the proxy</html>", GrafanaRefused, 5),
        (200, "", GrafanaRefused, 5),
        (200, "<html>some other page</html>", GrafanaRefused, 5),
        (200, "[]", GrafanaRefused, 5),
    ],
)
def test_every_answer_has_its_exit_code(
    status: int,
    body: str,
    error: type[IhwatchError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(method: str, path: str) -> Answer | None:
        return (status, body) if path == "/api/dashboards/db" else None

    with serving(Grafana(refuse)) as grafana:
        with pytest.raises(error) as caught:
            list(push(grafana.url, TOKEN))
        monkeypatch.setenv("IHWATCH_GRAFANA_URL", grafana.url)
        monkeypatch.setenv("IHWATCH_GRAFANA_TOKEN", TOKEN)
        assert run(["boards", "push"]) == code
    said = capsys.readouterr()
    assert TOKEN not in str(caught.value) + said.out + said.err
    assert said.err.startswith("ihwatch: ")


def test_a_missing_folder_is_not_any_404() -> None:
    """A proxy that knows no /api answers 404 to everything: that must not pass for success."""
    with (
        serving(Grafana(lambda method, path: (404, '{"message": "Not found"}'))) as grafana,
        pytest.raises(GrafanaRefused, match="404"),
    ):
        list(push(grafana.url, TOKEN))


def test_nobody_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("IHWATCH_GRAFANA_TOKEN", TOKEN)
        assert run(["boards", "push", "--grafana-url", url]) == 4
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["--grafana-url", "grafana:3000"], ["--grafana-url", "http://g"]]
)
def test_an_incomplete_wish_is_a_usage_error(arguments: list[str]) -> None:
    assert run(["boards", "push", *arguments]) == 2
