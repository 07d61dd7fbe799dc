"""The contract as its authors write it; `python -m schemas.build` turns it into Avro schemas and
documents.
"""

from __future__ import annotations

from schemas.catalogue import EVENT_TYPES
from schemas.contract import adverse, documents, evaluation, institution, sessions, staff, supply
from schemas.contract.model import Event
from schemas.contract.outputs import OUTPUTS

__all__ = ["EVENTS", "OUTPUTS"]


def _events() -> tuple[Event, ...]:
    """Every event of the group modules, in the order of the catalogue; both lists must name the
    same types.
    """
    found = {
        value.name: value
        for module in (institution, staff, documents, sessions, supply, evaluation, adverse)
        for value in vars(module).values()
        if isinstance(value, Event)
    }
    if set(found) != set(EVENT_TYPES):
        raise ValueError(f"contract and catalogue differ: {set(found) ^ set(EVENT_TYPES)}")
    return tuple(found[name] for name in EVENT_TYPES)


EVENTS: tuple[Event, ...] = _events()
