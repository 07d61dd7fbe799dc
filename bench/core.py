"""The core as contenders call it that bring no worker of their own: no Faust, nothing of Kafka.

It also runs where only the peers' packages are installed, so it imports neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import msgspec

from schemas.admission import Admission
from schemas.directory import Directory
from schemas.registry import LocalRegistry
from schemas.settings import Settings
from schemas.topics import Topics, is_tick
from streams.cases.shelf import Load
from streams.effects import Effect
from streams.intake import Intake
from streams.processing import Processor
from streams.reference import ReferenceData
from streams.rulebook import Library
from streams.sharing import SharedProcessor, clock_effects
from streams.supervisor import DECODED_LIMIT, Supervisor

Stored = Iterable[tuple[str, bytes]]


class Record(NamedTuple):
    """One record as intake wants it."""

    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Core:
    """Makes processors of events and of what institutions share, on whatever state there is.

    Facts that institutions share meet in ``shards``, told by what they are about. The clock is
    passed on to the shards with ticks only, not with every event.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.directory is not None
        directory = Directory.load(settings.directory)
        self.topics, self.shards = Topics.named(settings.topic_prefix), settings.partitions
        self._intake = Intake(
            Admission(LocalRegistry(), directory),
            self.topics.events.name,
            settings.clock == "log-append",
            settings.reject_ratio_limit,
        )
        self._library = Library.load(settings.overrides)
        self._candidates = {name: one.rulebook for name, one in directory.institutions.items()}
        self._reference = ReferenceData.load(settings.reference_dir)

    def processor(self, partition: int, load: Load, stored: Stored) -> Processor:
        """Judges events, from where the stored case files stand."""
        return Processor(partition, self.topics, self._intake, self._supervisor(load, stored))

    def shared_processor(self, shard: int, load: Load, stored: Stored) -> SharedProcessor:
        """Judges what institutions share."""
        supervisor = self._supervisor(load, stored)
        return SharedProcessor(shard, self.topics, supervisor, self.shards)

    def shard(self, effect: Effect) -> int:
        """The shard that a fact or a clock is for."""
        if effect.partition is not None:
            return effect.partition
        return crc32(effect.key or b"") % self.shards

    def clocks(self, record: Record) -> list[Effect]:
        """What a tick tells the shards; nothing for any other record."""
        if not is_tick(record.headers, record.value):
            return []
        return clock_effects(self.topics, record.partition, record.timestamp, self.shards)

    @staticmethod
    def is_clock(told: bytes) -> bool:
        """Whether what a shard was told is only a clock."""
        return bool(msgspec.msgpack.decode(told)[0] == "clock")

    def _supervisor(self, load: Load, stored: Stored) -> Supervisor:
        supervisor = Supervisor(
            self._library,
            self._candidates,
            load=load,
            limit=DECODED_LIMIT,
            reference=self._reference,
            alone=False,
        )
        supervisor.restore(stored)
        return supervisor
