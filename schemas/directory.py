"""The institutions the platform knows: their rulebook, their names and the keys they sign with.

A TOML file. An institution may have several keys, so that one can be replaced while both are
accepted; removing a key from the file ends it. A `secret` is base64 of at least 16 bytes; with
`secret_file` it is read from a file of its own, relative to the directory file. Secrets never
appear in a repr, a log or an error.

    [[institution]]
    id = "PDY00000145010011A5182"
    name = "某某互联网医院"
    rulebook = "guangxi"
    keys = [{ id = "gx-1-2026", secret_file = "gx-1-2026.key" }]

    [supervisor]
    keys = [{ id = "supervisor-2026", secret = "..." }]
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import DirectoryError

MIN_SECRET_BYTES = 16
NEW_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key; `institution_id` is None for a key of the supervisor."""

    id: str
    institution_id: str | None
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution; `rulebook` is its candidate local rulebook (RULES 1.2)."""

    id: str
    name: str
    rulebook: str
    keys: tuple[Key, ...]


class Directory:
    """Every institution and key of a deployment."""

    def __init__(self, institutions: Iterable[Institution], supervisor: Iterable[Key] = ()) -> None:
        self.institutions: Mapping[str, Institution] = {i.id: i for i in institutions}
        self.supervisor = tuple(supervisor)
        self._keys = {key.id: key for i in self.institutions.values() for key in i.keys}
        self._keys |= {key.id: key for key in self.supervisor}

    def __repr__(self) -> str:
        return f"Directory({len(self.institutions)} institutions, {len(self._keys)} keys)"

    def rulebook(self, institution_id: str) -> str | None:
        """The candidate rulebook of an institution; None for one that is not in the directory."""
        institution = self.institutions.get(institution_id)
        return None if institution is None else institution.rulebook

    def key(self, key_id: str) -> Key | None:
        """The key with this id; None for one that is not, or no longer, in the directory."""
        return self._keys.get(key_id)

    @classmethod
    def load(cls, path: Path | str) -> Directory:
        """The directory in a file; DirectoryError with every fault in it."""
        source = Path(path)
        try:
            data = tomllib.loads(source.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
            raise DirectoryError(f"{source.name}: {fault}") from fault
        loader = _Loader(source.parent)
        directory = loader.directory(data)
        if loader.faults:
            raise DirectoryError(f"{source.name}: " + "; ".join(loader.faults))
        return directory

    @classmethod
    def generate(cls, institutions: Iterable[tuple[str, str, str]]) -> Directory:
        """A directory of (id, name, rulebook) with a random key for each and for the supervisor."""
        made = [
            Institution(
                id_, name, rulebook, (Key(f"{id_}-1", id_, secrets.token_bytes(NEW_SECRET_BYTES)),)
            )
            for id_, name, rulebook in institutions
        ]
        return cls(made, [Key("supervisor-1", None, secrets.token_bytes(NEW_SECRET_BYTES))])

    def write(self, path: Path | str) -> None:
        """Writes the file that `load` reads, secrets included; readable by its owner only."""
        blocks = [
            f"[[institution]]\nid = {_quoted(i.id)}\nname = {_quoted(i.name)}\n"
            f"rulebook = {_quoted(i.rulebook)}\nkeys = {_inline(i.keys)}\n"
            for i in self.institutions.values()
        ]
        if self.supervisor:
            blocks.append(f"[supervisor]\nkeys = {_inline(self.supervisor)}\n")
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(blocks))
        partial.replace(target)


class _Loader:
    """Reads parsed TOML and gathers every fault instead of stopping at the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.seen_keys: set[str] = set()

    def directory(self, data: dict[str, Any]) -> Directory:
        """The directory, usable only if no fault was found."""
        self.only(data, {"institution", "supervisor"}, "the file")
        found: dict[str, Institution] = {}
        for number, entry in enumerate(self.tables(data.get("institution", []), "institution"), 1):
            where = f"institution {number}"
            self.only(entry, {"id", "name", "rulebook", "keys"}, where)
            id_ = self.text(entry, "id", where)
            if id_ in found:
                self.faults.append(f"institution {id_} is there twice")
            found[id_] = Institution(
                id_,
                self.text(entry, "name", where),
                self.text(entry, "rulebook", where),
                self.keys(entry.get("keys", []), id_, where),
            )
        supervisor = data.get("supervisor", {})
        if not isinstance(supervisor, dict):
            self.faults.append("supervisor must be a table")
            supervisor = {}
        self.only(supervisor, {"keys"}, "supervisor")
        return Directory(found.values(), self.keys(supervisor.get("keys", []), None, "supervisor"))

    def keys(self, entries: Any, institution_id: str | None, where: str) -> tuple[Key, ...]:
        """The keys of one owner."""
        made = []
        for number, entry in enumerate(self.tables(entries, f"{where} keys"), 1):
            place = f"{where} key {number}"
            self.only(entry, {"id", "secret", "secret_file"}, place)
            id_ = self.text(entry, "id", place)
            if id_ in self.seen_keys:
                self.faults.append(f"key {id_} is there twice")
            self.seen_keys.add(id_)
            made.append(Key(id_, institution_id, self.secret(entry, place)))
        return tuple(made)

    def secret(self, entry: dict[str, Any], where: str) -> bytes:
        """The secret of a key, from the file itself or from one of its own."""
        if ("secret" in entry) == ("secret_file" in entry):
            self.faults.append(f"{where}: give either secret or secret_file")
            return b""
        encoded = self.text(entry, "secret" if "secret" in entry else "secret_file", where)
        if "secret_file" in entry:
            try:
                encoded = (self.folder / encoded).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as fault:
                self.faults.append(f"{where}: secret_file cannot be read: {type(fault).__name__}")
                return b""
        try:
            secret = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            self.faults.append(f"{where}: the secret is not base64")
            return b""
        if len(secret) < MIN_SECRET_BYTES:
            self.faults.append(f"{where}: the secret has less than {MIN_SECRET_BYTES} bytes")
        return secret

    def text(self, entry: dict[str, Any], name: str, where: str) -> str:
        """A string that must be there."""
        value = entry.get(name)
        if isinstance(value, str) and value:
            return value
        self.faults.append(f"{where}: {name} must be a string that is not empty")
        return ""

    def tables(self, value: Any, where: str) -> list[dict[str, Any]]:
        """A list of tables."""
        if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            return value
        self.faults.append(f"{where} must be a list of tables")
        return []

    def only(self, entry: dict[str, Any], allowed: set[str], where: str) -> None:
        """No other names than the allowed: a slip of the pen must not be ignored."""
        for name in sorted(entry.keys() - allowed):
            self.faults.append(f"{where}: unknown name {name}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(keys: Iterable[Key]) -> str:
    entries = (
        f"{{ id = {_quoted(k.id)}, secret = {_quoted(base64.b64encode(k.secret).decode())} }}"
        for k in keys
    )
    return "[" + ", ".join(entries) + "]"
