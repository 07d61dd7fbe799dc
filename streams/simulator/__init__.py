"""Synthetic internet hospitals living realistic days, with a truth to hold the platform against."""

from streams.simulator.config import SimulationConfig
from streams.simulator.simulation import Simulation, Upload, simulate
from streams.simulator.truth import Comparison, Expected, compare

__all__ = [
    "Comparison",
    "Expected",
    "Simulation",
    "SimulationConfig",
    "Upload",
    "compare",
    "simulate",
]
