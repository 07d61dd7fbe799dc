"""Numbers come from a registry over HTTP, once each; only versions of the contract are used."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from schemas import avro, catalogue, registry, wire
from schemas.catalogue import EVENT_TYPES, OUTPUT_TYPES
from schemas.errors import ContractError, Reason, RegistryUnavailable
from schemas.registry import MISS_LIFETIME_S, ConfluentRegistry, LocalRegistry
from schemas.wire import Framing
from tests.schemas.examples import example


def test_every_event_and_output_is_found_by_fingerprint_and_number() -> None:
    local = LocalRegistry()
    for name in (*EVENT_TYPES, *OUTPUT_TYPES):
        version = [v for v in avro.published() if v.name == name][-1]
        by_fingerprint = local.by_fingerprint(bytes.fromhex(version.fingerprint))
        assert by_fingerprint is local.by_id(version.id)
        assert by_fingerprint is not None
        assert by_fingerprint.name == name
    assert local.by_id(0) is None
    assert local.by_id(2**32 - 1) is None
    assert local.by_fingerprint(bytes(8)) is None


class Server(ThreadingHTTPServer):
    """The part of a schema registry's REST interface that is used."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, int] = {}
        self.asked: list[str] = []
        self.failing = False
        self.authorisations: set[str | None] = set()


class Handler(BaseHTTPRequestHandler):
    """Answers `GET /schemas/ids/N` and `POST /subjects/S/versions`."""

    server: Server

    def do_GET(self) -> None:
        """A schema by its number."""
        self.server.asked.append(self.path)
        self.server.authorisations.add(self.headers["Authorization"])
        number = int(self.path.rpartition("/")[2])
        if self.server.failing:
            self.answer(404, {"message": "the answer of some proxy"})
        elif number in self.server.schemas:
            self.answer(200, {"schema": self.server.schemas[number]})
        else:
            self.answer(404, {"error_code": 40403, "message": "Schema not found"})

    def do_POST(self) -> None:
        """A number for a schema."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        subject = self.path.split("/")[2]
        number = self.server.subjects.setdefault(subject, 500 + len(self.server.subjects))
        self.server.schemas[number] = body["schema"]
        self.answer(200, {"id": number})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        """A JSON answer."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Silence."""


@contextmanager
def running() -> Iterator[tuple[Server, str]]:
    """A registry on loopback."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Clock:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_a_number_is_asked_for_once_and_decodes() -> None:
    with running() as (server, url):
        remote = ConfluentRegistry(url)
        number = remote.register("SessionOpened")
        assert server.subjects == {"cn.ihwatch.events.v1.SessionOpened": number}
        datum = example("SessionOpened").datum
        value = wire.encode(datum, Framing.CONFLUENT, number)
        fresh = ConfluentRegistry(url)
        assert [wire.decode(value, fresh) for _ in range(3)] == [datum] * 3
        assert len(server.asked) == 1
        assert wire.decode(wire.encode(datum), fresh) == datum, "fingerprints need no server"
        assert len(server.asked) == 1


def test_a_user_in_the_address_is_sent_and_a_path_is_kept() -> None:
    with running() as (server, url):
        server.schemas[5] = json.dumps(catalogue.schema("SessionOpened"))
        remote = ConfluentRegistry(url.replace("//", "//ih:p%40ss@") + "/apis/ccompat/v7/")
        assert remote.by_id(5) is not None
        assert server.asked == ["/apis/ccompat/v7/schemas/ids/5"]
        assert server.authorisations == {"Basic aWg6cEBzcw=="}


@pytest.mark.parametrize("url", ["", "localhost:8081", "ftp://host", "http://"])
def test_an_address_of_another_kind_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ConfluentRegistry(url)


def test_numbers_of_our_own_files_mean_nothing_where_there_is_a_registry() -> None:
    with running() as (_, url):
        value = wire.encode(example("SessionOpened").datum, Framing.CONFLUENT)
        with pytest.raises(ContractError) as caught:
            wire.decode(value, ConfluentRegistry(url))
        assert caught.value.reason is Reason.UNKNOWN_SCHEMA


def test_an_unknown_number_is_not_asked_again_for_a_while() -> None:
    with running() as (server, url):
        clock = Clock()
        remote = ConfluentRegistry(url, monotonic=clock)
        for _ in range(5):
            assert remote.by_id(77) is None
        assert len(server.asked) == 1
        server.schemas[77] = json.dumps(catalogue.schema("SessionOpened"))
        clock.now = MISS_LIFETIME_S + 1
        assert remote.by_id(78, ask=False) is None
        assert remote.by_id(77) is not None
        assert len(server.asked) == 2


def test_a_failing_or_absent_server_is_retriable_and_recovers() -> None:
    with running() as (server, url):
        server.schemas[5] = json.dumps(catalogue.schema("SessionOpened"))
        server.failing = True
        remote = ConfluentRegistry(url, timeout_s=2.0)
        with pytest.raises(RegistryUnavailable):
            remote.by_id(5)
        server.failing = False
        assert remote.by_id(5) is not None
    with pytest.raises(RegistryUnavailable):
        ConfluentRegistry(url, timeout_s=2.0).by_id(6)
    with pytest.raises(RegistryUnavailable):
        ConfluentRegistry(url, timeout_s=2.0).register("SessionOpened")


def test_a_writer_with_another_scale_or_unit_is_no_version_of_the_contract() -> None:
    schema = copy.deepcopy(catalogue.schema("SessionOpened"))
    assert registry.accepted(json.dumps(schema)) is not None
    schema["fields"][4]["type"]["logicalType"] = "timestamp-micros"
    assert registry.accepted(json.dumps(schema)) is None


def test_a_newer_version_of_the_contract_is_used() -> None:
    schema = copy.deepcopy(catalogue.schema("ServiceRated"))
    schema["fields"].append({"name": "newer", "type": ["null", "string"], "default": None})
    decoder = registry.accepted(json.dumps(schema))
    assert decoder is not None
    body = example("ServiceRated").wire[Framing.SINGLE_OBJECT][10:]
    assert decoder(body + b"\x00") == example("ServiceRated").datum


RECURSIVE = json.dumps(
    {
        "type": "record",
        "name": "cn.ihwatch.events.v1.SessionOpened",
        "fields": [{"name": "a", "type": "SessionOpened"}],
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "5",
        "[]",
        '"string"',
        "{}",
        '{"type": "record"}',
        '{"type": "record", "name": "SessionOpened", "fields": []}',
        '{"type": "record", "name": "cn.ihwatch.events.v1.Nothing", "fields": []}',
        '{"type": "record", "name": "cn.ihwatch.events.v1.SessionOpened", "fields": [5]}',
        '{"type": "enum", "name": "cn.ihwatch.events.v1.SessionOpened", "symbols": ["A"]}',
        RECURSIVE,
    ],
)
def test_whatever_else_a_registry_holds_is_not_used(text: str) -> None:
    assert registry.accepted(text) is None
