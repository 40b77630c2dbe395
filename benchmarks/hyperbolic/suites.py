"""Which runs a table needs."""

import itertools
from collections.abc import Sequence

from benchmarks.hyperbolic.results import Job
from benchmarks.hyperbolic.ways import LOSSES
from benchmarks.noise.data import EMBEDDING_SIZE
from benchmarks.noise.labels import NO_NOISE

SEEDS = (0, 1, 2)
DATASETS = ("hwu", "clinc", "omniglot")
SIZES = (2, 4, 8, 16)
NOISES = ("symmetric:0.5", "near:0.4", "given:annotator")


def _clean(seed: int) -> list[Job]:
    return [
        Job(data, loss, NO_NOISE, EMBEDDING_SIZE, 0, way, seed)
        for data, loss in itertools.product(DATASETS, LOSSES)
        for way in ("own", "lorentz")
    ]


def _small(seed: int) -> list[Job]:
    return [
        Job("hwu", loss, NO_NOISE, size, 0, way, seed)
        for size, loss in itertools.product(SIZES, LOSSES)
        for way in ("own", "lorentz", "flat")
    ]


def _noisy(seed: int) -> list[Job]:
    return [
        Job(data, "MultiSimilarity", noise, EMBEDDING_SIZE, 1, way, seed)
        for data, noise in itertools.product(DATASETS[:2], NOISES)
        for way in ("cosine", "lorentz")
    ]


SUITES = {"clean": _clean, "small": _small, "noisy": _noisy}


def jobs_of(suite: str, seeds: Sequence[int]) -> list[Job]:
    """All runs of a suite, a seed after the other."""
    return [job for seed in seeds for job in SUITES[suite](seed)]
