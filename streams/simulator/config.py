"""What to simulate: one frozen object that determines every byte of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from streams.rulebook import RULEBOOKS
from streams.timeline import day_of, end_of_day, start_of_day

MONDAY = start_of_day(20_514)
"""2026-03-02T00:00:00+08:00, the default first day."""

FILING_TAIL = 8
"""Days after which even the absence of a filing is established: ``F(d)`` plus grace (RULES 1.5)."""

_SHARES = ("violations", "look_alikes", "late", "duplicates", "shuffle", "corrections")


def one_each() -> Mapping[str, int]:
    """One institution in every jurisdiction."""
    return MappingProxyType(dict.fromkeys(RULEBOOKS, 1))


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """The dice and the size of a simulation; ValueError names everything that is wrong with it.

    ``start`` is a Shanghai midnight (epoch ms). Filings are uploaded in the ``lead_days`` before
    it; ``days`` are lived; the ``tail_days`` after them are declared closed, so that every deadline
    can fall due and nothing new begins. ``rate`` is the mean number of sessions of an institution
    on a day it is open.

    Shares are between 0 and 1. ``violations``: injected unlawful sessions per ordinary session;
    incidents that belong to a day (pharmacists, upload outages) happen with ten times that chance
    on an open day. ``look_alikes``: the same for lawful situations that only look unlawful.
    ``kinds`` limits both to these names (``violations.KINDS``). ``late``: events uploaded hours
    late but within their window. ``duplicates``: events uploaded twice. ``shuffle``: events that
    overtake each other by up to five minutes. ``corrections``: ratings with a second version.
    """

    seed: int = 1
    start: int = MONDAY
    days: int = 1
    institutions: Mapping[str, int] = field(default_factory=one_each)
    rate: float = 40.0
    violations: float = 0.0
    look_alikes: float = 0.0
    kinds: frozenset[str] | None = None
    late: float = 0.0
    duplicates: float = 0.0
    shuffle: float = 0.0
    corrections: float = 0.0
    lead_days: int = 2
    tail_days: int = FILING_TAIL

    def __post_init__(self) -> None:
        faults = [f"{name} must be between 0 and 1" for name in _SHARES if not self._share(name)]
        faults += [f"no jurisdiction {name!r}" for name in self.institutions.keys() - {*RULEBOOKS}]
        if any(count < 0 for count in self.institutions.values()):
            faults.append("institutions must not be negative")
        if self.start != start_of_day(day_of(self.start)):
            faults.append("start must be a midnight in Shanghai")
        if self.days < 1 or self.rate < 0:
            faults.append("days must be at least 1 and rate not negative")
        if not 1 <= self.lead_days <= 6:
            faults.append("lead_days must be 1 to 6: filings are uploaded within a week")
        if self.tail_days < FILING_TAIL:
            faults.append(f"tail_days must be at least {FILING_TAIL}")
        if faults:
            raise ValueError("; ".join(faults))

    def _share(self, name: str) -> bool:
        return 0.0 <= float(getattr(self, name)) <= 1.0

    @property
    def first_day(self) -> int:
        """The first lived day."""
        return day_of(self.start)

    @property
    def last_day(self) -> int:
        """The last lived day."""
        return self.first_day + self.days - 1

    @property
    def filing_day(self) -> int:
        """The day on which the institutions are registered and connected."""
        return self.first_day - self.lead_days

    @property
    def final_day(self) -> int:
        """The last day of the tail."""
        return self.last_day + self.tail_days

    @property
    def end(self) -> int:
        """The instant at which the truth is stated: the end of the tail (epoch ms)."""
        return end_of_day(self.final_day)
