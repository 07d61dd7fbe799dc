"""Where the schema that a record was written with comes from: our own files, or a
Confluent-compatible registry.

A record names its writer's schema by a fingerprint (single-object encoding) or by a number
(Confluent framing). Both registries know the fingerprints of every published version; only
`ConfluentRegistry` asks a server what a number means.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from schemas import avro, catalogue, evolution
from schemas.codec import Decoder
from schemas.errors import RegistryUnavailable

MISS_LIFETIME_S = 60.0
"""How long an id that the server does not know is remembered, so that bad records cannot flood it
with questions.
"""

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_NO_SUCH_SCHEMA = 40403
_MAX_ANSWER = 4_000_000


class Registry(Protocol):
    """Finds decoders; None where the schema is unknown or not a version of the contract."""

    def by_fingerprint(self, fingerprint: bytes) -> Decoder | None:
        """The decoder for a CRC-64-AVRO fingerprint, 8 bytes little-endian."""
        ...

    def by_id(self, schema_id: int, ask: bool = True) -> Decoder | None:
        """The decoder for the number in Confluent framing; a server is asked only if `ask`."""
        ...


class LocalRegistry:
    """Knows exactly the published versions in our own files, with the numbers assigned there."""

    def __init__(self) -> None:
        versions = avro.published()
        self._by_fingerprint = {bytes.fromhex(v.fingerprint): v for v in versions}
        self._by_id = {v.id: v for v in versions}
        self._made: dict[int, Decoder] = {}

    def by_fingerprint(self, fingerprint: bytes) -> Decoder | None:
        """The decoder for a CRC-64-AVRO fingerprint, 8 bytes little-endian."""
        return self._decoder(self._by_fingerprint.get(fingerprint))

    def by_id(self, schema_id: int, ask: bool = True) -> Decoder | None:
        """The decoder for a number assigned in `schemas/published.json`."""
        return self._decoder(self._by_id.get(schema_id))

    def _decoder(self, version: avro.Version | None) -> Decoder | None:
        if version is None:
            return None
        if version.id not in self._made:
            reader = catalogue.schema(version.name)
            self._made[version.id] = Decoder(version.schema, reader)
        return self._made[version.id]


class ConfluentRegistry:
    """Asks a schema registry for numbers, once each; fingerprints are still ours.

    Raises RegistryUnavailable (retriable) when the server does not answer within `timeout_s`
    seconds. A schema is accepted only when it is a version of the contract: same record, and our
    schema or it may replace the other. `url` is `http(s)://[user:password@]host[:port][/path]`.
    """

    def __init__(
        self, url: str, *, timeout_s: float = 5.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = _Server(url, timeout_s)
        self._monotonic = monotonic
        self._local = LocalRegistry()
        self._known: dict[int, Decoder | None] = {}
        self._missed: dict[int, float] = {}

    def by_fingerprint(self, fingerprint: bytes) -> Decoder | None:
        """The decoder for a CRC-64-AVRO fingerprint of a published version."""
        return self._local.by_fingerprint(fingerprint)

    def by_id(self, schema_id: int, ask: bool = True) -> Decoder | None:
        """The decoder for the schema that the server keeps under this number."""
        if schema_id in self._known:
            return self._known[schema_id]
        now = self._monotonic()
        if not ask or now < self._missed.get(schema_id, now):
            return None
        answer = self._server.ask("GET", f"/schemas/ids/{schema_id}")
        if answer is None:
            self._missed[schema_id] = now + MISS_LIFETIME_S
            return None
        self._missed.pop(schema_id, None)
        self._known[schema_id] = accepted(str(answer.get("schema")))
        return self._known[schema_id]

    def register(self, name: str) -> int:
        """Registers our schema under its full name (RecordNameStrategy) and returns its number."""
        schema = catalogue.schema(name)
        body = {"schema": json.dumps(schema, ensure_ascii=False), "schemaType": "AVRO"}
        answer = self._server.ask("POST", f"/subjects/{avro.full_name(schema)}/versions", body)
        if answer is None or not isinstance(answer.get("id"), int):
            raise RegistryUnavailable(f"the schema registry gave no number for {name}")
        return int(answer["id"])


class _Server:
    """The two requests of the registry's REST interface that we need.

    confluent-kafka has a client for it, but only with an HTTP library of its own choice and
    versions.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the schema registry's address must be http(s)://host[:port]")
        self._connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path, self._timeout_s = parts.path.rstrip("/"), timeout_s
        self._headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(user).decode()}"

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The answer's JSON object; None only when the registry itself says that there is no such
        schema.
        """
        content = None if body is None else json.dumps(body).encode()
        connection = self._connection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, self._path + path, content, self._headers)
            response = connection.getresponse()
            answer = json.loads(response.read(_MAX_ANSWER))
        except (OSError, HTTPException, ValueError) as fault:
            raise RegistryUnavailable(f"schema registry: {type(fault).__name__}") from fault
        finally:
            connection.close()
        if response.status == HTTPStatus.OK and isinstance(answer, dict):
            return answer
        if isinstance(answer, dict) and answer.get("error_code") == _NO_SUCH_SCHEMA:
            return None
        raise RegistryUnavailable(f"schema registry answered {response.status}")


def accepted(text: str) -> Decoder | None:
    """A decoder for a writer's schema in JSON; None unless it is a version of the contract."""
    try:
        writer = json.loads(text)
        name = avro.full_name(writer).rpartition(".")[2]
        ours = catalogue.schema(name)
        if evolution.faults(writer, ours) and evolution.faults(ours, writer):
            return None
        return Decoder(writer, ours)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
