"""Many hospitals with many open sessions, made of a few that the core has really supervised.

A million sessions through the core would take hours. So one hospital of each jurisdiction lives a
simulated day until three in the afternoon, and the core makes its case files. Each of its sessions
stays as it was just before it ended: checks, consent, prescriptions and reviews are there, and what
comes with the end is not. Sessions for which a deadline falls into the next hours are left out, so
that populations of any size ask for the same work while they are fed.

These case files are then multiplied: the simulator begins every id that a hospital gives with the
hospital's own, so another id of the same length, put in its place in keys and contents, gives the
case files of another hospital, byte for byte as the core would write them (but for hashes of what
was uploaded, which nobody compares again).

What is fed to them afterwards, the hour from three to four, is multiplied in the same way: sessions
that begin in it are dealt out to the hospitals, so that all populations have the same number; the
routine, which is shifts and log-ins, comes from every hospital or from none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from schemas.directory import Directory, Institution, Key
from streams.cases.base import glance
from streams.cases.shelf import name_of
from streams.events import Event
from streams.rulebook import RULEBOOKS, Library
from streams.simulator import Simulation, SimulationConfig, simulate
from streams.simulator.simulation import Upload
from streams.supervisor import Supervisor, Tick
from streams.timeline import HOUR

CUT = 15 * HOUR
"""After midnight, in ms: sessions that began by then are open, later ones are fed."""
RATE = 1_200.0
"""Sessions a day of each hospital that lives; more than half of them begin before the cut."""
_CALM = 3 * HOUR
_AT_ONCE = 2_000
_ABOUT = ("prescription_id", "supply_id", "fee_id", "refund_id", "patient_token")
"""What uploads name that belong to a session and do not name it."""


class Datum(NamedTuple):
    """One upload: when it is received, and what it says."""

    received_at: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """One hospital that has lived: its stored case files, and what it uploads afterwards.

    ``sessions`` are the sessions of the hour, each with all its uploads, ``routine`` is the rest.
    ``sequences`` is the last number that each stream has used.
    """

    institution_id: str
    rulebook: str
    stored: Mapping[str, bytes]
    sessions: Sequence[Sequence[Datum]]
    routine: Sequence[Datum]
    sequences: Mapping[str, int]


@dataclass(frozen=True)
class Population:
    """``each`` hospitals in every jurisdiction, all with the open sessions that the seeds have."""

    seeds: Sequence[Seed]
    each: int
    begins: int

    @property
    def names(self) -> dict[str, str]:
        """Rulebooks by institution."""
        numbers = range(self.each)
        return {
            clone(seed.institution_id, n): seed.rulebook for seed in self.seeds for n in numbers
        }

    @property
    def directory(self) -> Directory:
        """The institutions as the worker must know them; their keys are worth nothing."""
        return Directory(
            Institution(name, name, rulebook, (Key(f"{name}-1", name, name.encode() * 2),))
            for name, rulebook in self.names.items()
        )

    def stored(self) -> Iterator[tuple[bytes, bytes]]:
        """All case files, hospital by hospital."""
        for seed in self.seeds:
            old = seed.institution_id.encode()
            stored = [(key.encode(), value) for key, value in seed.stored.items()]
            for number in range(self.each):
                new = clone(seed.institution_id, number).encode()
                for key, value in stored:
                    yield key.replace(old, new), value.replace(old, new)

    def feed(self, sessions: int, routine: bool = True) -> list[Event]:
        """So many sessions of each jurisdiction dealt out to its hospitals, and their routine.

        Fewer where a hospital would get one twice.
        """
        found: list[tuple[int, str, dict[str, Any]]] = []
        for seed in self.seeds:
            for number in range(self.each):
                mine = [
                    seed.sessions[(round_ + number) % len(seed.sessions)]
                    for round_ in range(
                        min(_rounds(sessions, self.each, number), len(seed.sessions))
                    )
                ]
                uploads = sorted(
                    chain(seed.routine if routine else (), *mine), key=lambda one: one.received_at
                )
                used = dict(seed.sequences)
                new = clone(seed.institution_id, number)
                for received_at, body in uploads:
                    again = renamed(body, seed.institution_id, new)
                    stream = again["stream_id"]
                    if again["stream_seq"] is not None:
                        used[stream] = again["stream_seq"] = used.get(stream, 0) + 1
                    found.append((received_at, again["event_id"], again))
        found.sort(key=lambda one: one[:2])
        return [Event(body, at, 0, FED + n) for n, (at, _, body) in enumerate(found)]


FED = 1_000_000
"""The first offset of what is fed: after all that the stored case files rest on."""


def clone(institution_id: str, number: int) -> str:
    """The id of a hospital of the same jurisdiction and the same length."""
    return institution_id[:5] + f"{number + 1:0{len(institution_id) - 5}d}"


def renamed(body: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """An event as another hospital would send it."""
    encoded = msgspec.msgpack.encode(body).replace(old.encode(), new.encode())
    found: dict[str, Any] = msgspec.msgpack.decode(encoded)
    return found


def populations(sizes: Mapping[str, tuple[int, int]], rate: float = RATE) -> dict[str, Population]:
    """Populations by name, of hospitals in each jurisdiction and open sessions of each hospital.

    All come from the same simulated day, and all are fed the same hour of it.
    """
    simulation = simulate(
        SimulationConfig(
            seed=11, institutions=dict.fromkeys(RULEBOOKS, 1), rate=rate, violations=0.01, late=0.02
        )
    )
    cut = simulation.config.start + CUT
    uploads = _until(simulation, cut + 2 * HOUR)
    rulebooks = {name: one.rulebook for name, one in simulation.directory.institutions.items()}
    day = _Day(uploads, rulebooks, cut)
    made: dict[int, list[Seed]] = {}
    for _, open_sessions in sizes.values():
        if open_sessions not in made:
            made[open_sessions] = day.seeds(open_sessions)
    return {name: Population(made[count], each, cut) for name, (each, count) in sizes.items()}


def _until(simulation: Simulation, end: int) -> list[Upload]:
    found = []
    for upload in simulation.uploads:
        if upload.received_at >= end:
            break
        found.append(upload)
    return found


class _Day:
    """What the hospitals that live have uploaded, and which of their sessions can be kept open."""

    def __init__(self, uploads: Sequence[Upload], rulebooks: Mapping[str, str], cut: int) -> None:
        self._rulebooks, self._cut = rulebooks, cut
        self._uploads = list(zip(uploads, _owners(uploads), strict=True))
        closed = _of_type(uploads, "SessionClosed")
        self._ends = {session: upload.datum["occurred_at"] for session, upload in closed.items()}
        self._opened: defaultdict[str, list[str]] = defaultdict(list)
        self._later: dict[str, list[str]] = {name: [] for name in rulebooks}
        for session, upload in _of_type(uploads, "SessionOpened").items():
            begins = upload.datum["occurred_at"]
            if begins < cut and upload.received_at < cut and session in self._ends:
                self._opened[upload.institution_id].append(session)
            elif cut <= begins < cut + HOUR:
                self._later[upload.institution_id].append(session)
        if not all(self._later.values()):
            raise ValueError("a hospital without a session after the cut: nothing to feed")
        self._leave_out_what_falls_due()

    def seeds(self, open_sessions: int) -> list[Seed]:
        """All hospitals, each with so many open sessions."""
        chosen = [s for every in self._opened.values() for s in _evenly(every, open_sessions)]
        before, used = self._before({*chosen})
        stored = _supervised(before, self._rulebooks, self._cut)
        return [
            Seed(
                name,
                rulebook,
                {key: data for key, data in stored.items() if key.startswith(name)},
                self._sessions(name),
                self._routine(name),
                used[name],
            )
            for name, rulebook in self._rulebooks.items()
        ]

    def _leave_out_what_falls_due(self) -> None:
        every = {session for sessions in self._opened.values() for session in sessions}
        before, _ = self._before(every)
        stored = _supervised(before, self._rulebooks, self._cut)
        due = {
            name_of(key)[2]
            for key, data in stored.items()
            if name_of(key)[1] == "session" and glance(data).next_due < self._cut + _CALM
        }
        for name, sessions in self._opened.items():
            self._opened[name] = [session for session in sessions if session not in due]

    def _before(self, chosen: AbstractSet[str]) -> tuple[list[Datum], dict[str, Counter[str]]]:
        """What was received before the cut, numbered without a gap, and the last numbers."""
        found: list[Datum] = []
        used: dict[str, Counter[str]] = {name: Counter() for name in self._rulebooks}
        for upload, owner in self._uploads:
            if upload.received_at >= self._cut:
                continue
            body = dict(upload.datum)
            if owner is None:
                kept = _is_routine(body)
            else:
                kept = owner in chosen and body["occurred_at"] < self._ends[owner]
            if kept:
                if body["stream_seq"] is not None:
                    numbers = used[upload.institution_id]
                    numbers[body["stream_id"]] += 1
                    body["stream_seq"] = numbers[body["stream_id"]]
                found.append(Datum(upload.received_at, body))
        return found, used

    def _routine(self, name: str) -> list[Datum]:
        return [
            Datum(upload.received_at, dict(upload.datum))
            for upload, owner in self._uploads
            if owner is None
            and upload.institution_id == name
            and _is_routine(upload.datum)
            and self._cut <= upload.received_at < self._cut + HOUR
        ]

    def _sessions(self, name: str) -> list[list[Datum]]:
        found: dict[str | None, list[Datum]] = {session: [] for session in self._later[name]}
        for upload, owner in self._uploads:
            if owner in found:
                found[owner].append(Datum(upload.received_at, dict(upload.datum)))
        return list(found.values())


def _of_type(uploads: Sequence[Upload], event_type: str) -> dict[str, Upload]:
    """The first upload of a type for each session."""
    found: dict[str, Upload] = {}
    for upload in uploads:
        if upload.datum["event_type"] == event_type:
            found.setdefault(upload.datum["session_id"], upload)
    return found


def _owners(uploads: Sequence[Upload]) -> list[str | None]:
    """The session that each upload is about, by whatever it names; None for a hospital's own."""
    of: dict[str, str] = {}
    for upload in uploads:
        body = upload.datum
        session = body.get("session_id")
        if session is not None:
            for field in _ABOUT:
                if body.get(field) is not None:
                    of.setdefault(body[field], session)
    return [
        u.datum.get("session_id")
        or next((of[u.datum[f]] for f in _ABOUT if u.datum.get(f) in of), None)
        for u in uploads
    ]


def _is_routine(body: Mapping[str, Any]) -> bool:
    return not any(body.get(field) for field in _ABOUT)


def _supervised(
    uploads: Sequence[Datum], rulebooks: Mapping[str, str], end: int
) -> dict[str, bytes]:
    """What the core stores of it, with the clock at ``end``."""
    table: dict[str, bytes] = {}
    supervisor = Supervisor(Library.load(()), dict(rulebooks), load=table.get, alone=False)
    records: list[Event | Tick] = [Tick(end, len(uploads))]
    records[:0] = [Event(body, at, 0, offset) for offset, (at, body) in enumerate(uploads)]
    for start in range(0, len(records), _AT_ONCE):
        table |= supervisor.apply(records[start : start + _AT_ONCE]).saves
    return table


def _evenly(names: Sequence[str], wanted: int) -> list[str]:
    """So many of them, spread over the whole list; ValueError where there are fewer."""
    if wanted > len(names):
        raise ValueError(f"{wanted} sessions wanted of {len(names)}")
    return [names[position * len(names) // wanted] for position in range(wanted)]


def _rounds(sessions: int, each: int, number: int) -> int:
    """How many of the sessions a hospital gets when they are dealt out."""
    return sessions // each + (number < sessions % each)
