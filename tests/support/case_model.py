"""What a case is, once read: events with their receipts, and findings that must exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.codec import Datum
from schemas.directory import Directory
from schemas.flat import from_flat, rfc3339

STAR_RULES = frozenset({"UPL-01", "UPL-06", "PHA-01", "IDV-01", "IDV-02"})
"""A case of one of these lists the findings of all five; any other those of its own rule."""

_REFERENCE, _DIRECTORY = "reference", "institutions.toml"


@dataclass(frozen=True)
class Upload:
    """One event as published, in flat JSON, and when the platform received it (epoch ms)."""

    flat: Mapping[str, Any]
    received_at: int

    @property
    def line(self) -> str:
        """The event as one line of a file for `ihwatch check`."""
        return json.dumps(
            {**self.flat, "received_at": rfc3339(self.received_at)}, ensure_ascii=False
        )

    @property
    def datum(self) -> Datum:
        """The event as raw datum, to be encoded or given to the core."""
        return from_flat(dict(self.flat))[0]

    @property
    def signature_valid(self) -> bool | None:
        """What the platform found of its signature; null for an unsigned event."""
        valid: bool | None = self.flat["signature_valid"]
        return valid


@dataclass(frozen=True)
class Expected:
    """One finding that must exist; `facts` are further fields of it that must be so."""

    rule_id: str
    clause: str | None
    rulebook: str
    institution_id: str
    subject_type: str | None
    subject_id: str
    state: str
    flags: frozenset[str]
    facts: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.rule_id, self.institution_id, self.subject_id, self.clause or ""


@dataclass(frozen=True)
class Checkpoint:
    """Exactly which findings of `rules` exist when the platform clock stops at `as_of`."""

    as_of: int
    findings: tuple[Expected, ...]
    rules: frozenset[str] = STAR_RULES


@dataclass(frozen=True)
class Case:
    """One named case; `sources` are the numbers of the rule's examples in RULES that it shows.

    `institutions` are those that are judged by another rulebook than the case's, `reference` the
    lines of reference files that take the place of the ones supplied.
    """

    name: str
    file: str
    rule: str
    clause: str | None
    kind: str
    sources: tuple[int, ...]
    rulebook: str
    overrides: tuple[str, ...]
    institutions: tuple[tuple[str, str], ...]
    reference: tuple[tuple[str, tuple[str, ...]], ...]
    uploads: tuple[Upload, ...] = field(repr=False)
    checkpoints: tuple[Checkpoint, ...] = field(repr=False)

    @property
    def institution_id(self) -> str:
        return self.name

    @property
    def received(self) -> list[Upload]:
        """The uploads in the order in which a log holds them."""
        return sorted(self.uploads, key=lambda upload: upload.received_at)

    @property
    def is_signed(self) -> bool:
        """Whether every event is validly signed, as a worker demands unless told otherwise."""
        return all(upload.signature_valid for upload in self.uploads)

    def candidates(self) -> dict[str, str]:
        """The rulebook of every institution that the case names."""
        named = {str(upload.flat["institution_id"]): self.rulebook for upload in self.uploads}
        return {self.institution_id: self.rulebook, **named, **dict(self.institutions)}

    def arguments(self, file: Path | str, as_of: int) -> list[str]:
        """The arguments of `ihwatch` that judge this case, written to `file`, at an instant."""
        chosen = [word for item in self.overrides for word in ("--set", item)]
        folder = Path(file).parent
        if self.reference:
            chosen += ["--reference", str(folder / _REFERENCE)]
        if self.institutions:
            chosen += ["--directory", str(folder / _DIRECTORY)]
        return ["check", str(file), "--rulebook", self.rulebook, "--as-of", rfc3339(as_of), *chosen]

    def write(self, path: Path) -> Path:
        """Write the events to a file for `ihwatch check`, in the order of the case, and beside it
        the reference data and the directory of institutions where the case has them.
        """
        path.write_text("".join(f"{upload.line}\n" for upload in self.uploads), encoding="utf-8")
        self.write_reference(path.parent / _REFERENCE)
        if self.institutions:
            listed = ((name, name, book) for name, book in self.candidates().items())
            Directory.generate(listed).write(path.parent / _DIRECTORY)
        return path

    def write_reference(self, folder: Path) -> Path | None:
        """Write the reference files of the case to a folder; None where it has none."""
        if not self.reference:
            return None
        folder.mkdir(exist_ok=True)
        for name, lines in self.reference:
            text = "".join(f"{line}\n" for line in lines)
            (folder / name).write_text(text, encoding="utf-8")
        return folder
