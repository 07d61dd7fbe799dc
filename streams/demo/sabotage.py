"""Records that no platform may judge: each must end as a reject with its own reason."""

from __future__ import annotations

from schemas.signing import headers
from schemas.wire import encode
from streams.demo.stopwatch import TimedProducer
from streams.simulator.config import SimulationConfig
from streams.simulator.simulation import Simulation, simulate

_NOISE = b"\x00\x00"


def sabotage(producer: TimedProducer, topic: str, simulation: Simulation) -> int:
    """Send forged, foreign and broken records before the hospitals begin; returns how many."""
    upload = next(simulate(_smallest(simulation.config)).uploads)
    value = encode(upload.datum)
    owner, other = list(simulation.directory.institutions.values())[:2]
    key = owner.id.encode()
    mine, theirs = owner.keys[0], other.keys[0]
    signed = headers(mine.id, mine.secret, key, value)
    broken = {
        "unsigned": (key, value, []),
        "forged": (key, value, [signed[0], (signed[1][0], b"0" * 64)]),
        "unknown key": (key, value, [(signed[0][0], b"nobody"), signed[1]]),
        "changed afterwards": (key, value + _NOISE, signed),
        "another hospital's": (key, value, headers(theirs.id, theirs.secret, key, value)),
        "truncated": _signed(mine.id, mine.secret, key, value[:40]),
        "trailing bytes": _signed(mine.id, mine.secret, key, value + _NOISE),
        "no framing": _signed(mine.id, mine.secret, key, b"hello"),
        "unknown schema": _signed(mine.id, mine.secret, key, b"\xc3\x01" + bytes(8) + value[10:]),
        "empty": _signed(mine.id, mine.secret, key, b""),
    }
    for record_key, body, signature in broken.values():
        producer.produce(
            topic,
            key=record_key,
            value=body,
            headers=signature,
            timestamp=simulation.start,
            on_delivery=lambda *_: None,
        )
    producer.flush(10)
    return len(broken)


def _signed(
    key_id: str, secret: bytes, key: bytes, value: bytes
) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    return key, value, headers(key_id, secret, key, value)


def _smallest(config: SimulationConfig) -> SimulationConfig:
    return SimulationConfig(seed=config.seed, start=config.start, rate=0.0)
