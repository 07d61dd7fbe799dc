"""The rules, one family a file. To add a rule: its check here, its cases, its rulebooks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.checks import identity, pharmacists, uploads
from streams.checks.base import Rule

RULES: tuple[Rule, ...] = (*uploads.RULES, *identity.RULES, *pharmacists.RULES)
BY_SUBJECT: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {kind: tuple(r for r in RULES if r.subject == kind) for kind in {r.subject for r in RULES}}
)


def fields_read(subject: str) -> dict[str, tuple[str, ...]]:
    """Event type to payload fields that the rules about a subject read."""
    fields: dict[str, dict[str, None]] = {}
    for rule in BY_SUBJECT.get(subject, ()):
        for event_type, names in rule.reads.items():
            fields.setdefault(event_type, {}).update(dict.fromkeys(names))
    return {event_type: tuple(names) for event_type, names in fields.items()}
