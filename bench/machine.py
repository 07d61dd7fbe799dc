"""The machine that was measured on, described without naming it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.support.kafka import POM, ROOT

RESULTS = ROOT / "bench" / "results"
OURS = ("faust-streaming", "aiokafka", "fastavro", "confluent-kafka")
PEERS = ("quixstreams", "bytewax", "confluent-kafka")


def machine() -> dict[str, Any]:
    """What it ran on; the peers' versions are those of their lock."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "kafka": _kafka(),
        "packages": {name: version(name) for name in OURS},
        "peers": _locked(PEERS),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _kafka() -> str:
    pinned = POM.read_text().split("<artifactId>kafka_2.13</artifactId>")[1]
    return pinned.split("<version>")[1].split("<")[0]


def _locked(names: tuple[str, ...]) -> dict[str, str]:
    lock = (ROOT / "bench" / "requirements-peers.lock").read_text().splitlines()
    pinned = dict(line.split()[0].split("==") for line in lock if "==" in line)
    return {name: pinned[name] for name in names}
