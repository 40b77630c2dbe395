"""The rows of each suite, and the runs of each row."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.noise.data import LONG_TAILED, MEASUREMENTS
from benchmarks.noise.labels import NO_NOISE
from benchmarks.noise.losses import LOSSES, MAIN_LOSSES
from benchmarks.noise.methods import METHODS, MINERS, OURS
from benchmarks.noise.results import Job
from benchmarks.noise.weak_annotators import ANNOTATORS

Cell = tuple[str, str, str]  # data set, loss, noise

RUNS = ("plain", "prism", "ours", "clean_only")
_RUNS_WITH_IDS = ("plain", "prism", "ours", "ours_ids", "clean_only")
_SENTENCES = ("clinc", "hwu")
_EASY = ("symmetric:0.2", "symmetric:0.5", "near:0.4", "pair:0.2", NO_NOISE)
GIVEN_LABELS = (
    ("clinc", "annotator"),
    ("hwu", "annotator"),
    ("trec", "majority"),
    ("hausa", "distant"),
    ("cifar10n", "worst"),
    ("cifar10n", "random1"),
)
WEAK_LABELS = [(data, f"weak:{name}") for data in (*_SENTENCES, "cifar10n") for name in ANNOTATORS]
_HARD = ("small_cluster:0.25", "one_way:0.2", "instance:0.3", "open_set:0.3")


@dataclass(frozen=True)
class Suite:
    """Rows that belong together.

    Args:
        cells: returns the rows for the names of some losses.
        losses: names of the losses, by default.
        runs: runs of each row.
        seeds: seeds of each run.
    """

    cells: Callable[[Sequence[str]], list[Cell]]
    losses: Sequence[str] = MAIN_LOSSES
    runs: tuple[str, ...] = RUNS
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Choice:
    """The part of a suite to run; None stands for all."""

    datasets: Sequence[str] | None = None
    losses: Sequence[str] | None = None
    noise: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    runs: Sequence[str] | None = None


def _product(datasets: Sequence[str], losses: Sequence[str], noises: Sequence[str]) -> list[Cell]:
    return list(itertools.product(datasets, losses, noises))


def _full(losses: Sequence[str]) -> list[Cell]:
    return [
        *_product(_SENTENCES, losses, _EASY),
        *_product(_SENTENCES, ("MultiSimilarity", "SupCon"), ("symmetric:0.7",)),
        *_product(_SENTENCES, losses, _HARD),
        *_product(
            ("omniglot",), ("MultiSimilarity",), ("symmetric:0.2", "symmetric:0.5", "near:0.4")
        ),
        *_product(
            ("synthetic",), ("MultiSimilarity",), ("symmetric:0.3", "symmetric:0.5", NO_NOISE)
        ),
    ]


_ABLATION = [
    ("clinc", "MultiSimilarity", "symmetric:0.5"),
    ("clinc", "Triplet", "near:0.4"),
    ("hwu", "SupCon", "symmetric:0.5"),
    ("hwu", "MultiSimilarity", "pair:0.2"),
    ("omniglot", "MultiSimilarity", "symmetric:0.5"),
]

SUITES: dict[str, Suite] = {
    "quick": Suite(
        lambda losses: _product(("digits",), losses, ("symmetric:0.4", NO_NOISE)), seeds=(0,)
    ),
    "full": Suite(_full, runs=_RUNS_WITH_IDS),
    "ablation": Suite(lambda _: _ABLATION, runs=("plain", *OURS, "clean_only")),
    "losses": Suite(
        lambda losses: _product(("hwu",), losses, ("near:0.4",)),
        losses=tuple(LOSSES),
        runs=("plain", "ours", "clean_only"),
    ),
    "long_tailed": Suite(
        lambda losses: _product(
            [f"{data}{LONG_TAILED}" for data in _SENTENCES],
            losses,
            ("symmetric:0.2", "symmetric:0.5", "near:0.4", NO_NOISE),
        ),
        runs=("plain", "prism", "ours", "ours_class_counts", "clean_only"),
    ),
    "measurements": Suite(
        lambda losses: _product(MEASUREMENTS, losses, ("symmetric:0.5", "near:0.4", NO_NOISE)),
        runs=("plain", "prism", "no_neighbours", "ours", "clean_only"),
    ),
    "real": Suite(
        lambda losses: [
            (data, loss, f"given:{who}") for data, who in GIVEN_LABELS for loss in losses
        ],
        losses=("MultiSimilarity", "SupCon"),
        runs=(*_RUNS_WITH_IDS, "clean_only_margins"),
    ),
    "annotators": Suite(
        lambda losses: [(data, loss, noise) for data, noise in WEAK_LABELS for loss in losses],
        losses=("MultiSimilarity",),
        runs=("plain", "prism", "ours_ids", "clean_only"),
    ),
    "miners": Suite(
        lambda losses: _product(("hwu", "clinc"), losses, (NO_NOISE, "symmetric:0.5")),
        losses=("MultiSimilarity", "Triplet", "Contrastive"),
        runs=("plain", *MINERS),
    ),
    "words": Suite(lambda losses: _product(("banking",), losses, _EASY)),
}


def jobs_of(suite: Suite, choice: Choice) -> list[Job]:
    """List the chosen runs; those of a row come together."""
    return [
        Job(data, loss, noise, seed, run)
        for data, loss, noise in suite.cells(choice.losses or suite.losses)
        if not choice.datasets or data in choice.datasets
        if not choice.losses or loss in choice.losses
        if not choice.noise or noise in choice.noise
        for seed in choice.seeds or suite.seeds
        for run in choice.runs or suite.runs
        # without noise, these two have nothing to drop
        if noise != NO_NOISE or run not in ("prism", "clean_only")
        if loss != "Triplet" or not METHODS[run].needs_pairs
    ]
