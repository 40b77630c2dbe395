"""The data sets of the noise benchmark: one file for each kind, and a registry."""

from .benchmark import BATCH_SIZE, EMBEDDING_SIZE, Benchmark
from .registry import LONG_TAILED, MEASUREMENTS, NAMES, load

__all__ = [
    "BATCH_SIZE",
    "EMBEDDING_SIZE",
    "LONG_TAILED",
    "MEASUREMENTS",
    "NAMES",
    "Benchmark",
    "load",
]
