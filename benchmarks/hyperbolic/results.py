"""Training runs, what came out of them, and the file that keeps it."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One training run.

    Args:
        data: name of the data set.
        loss: name of the loss.
        noise: kind:rate, as in the noise benchmark.
        size: D, the embedding size.
        is_wrapped: 1 inside an AdaptiveNoiseAwareLoss, 0 without.
        way: name of the distance.
        seed: of everything random.
    """

    data: str
    loss: str
    noise: str
    size: int
    is_wrapped: int
    way: str
    seed: int


@dataclass(frozen=True)
class Result(Job):
    """A job and what came out, by the neighbours of its own distance and by those of the cosine.

    Without a LorentzSimilarity both are the cosine's.
    """

    precision_at_1: float
    map_at_r: float
    cosine_precision_at_1: float
    cosine_map_at_r: float
    at_rim: float  # share of the test set clipped to the clip radius, nan without one
    wrong_by_norm: float  # AUROC of −norm for test samples whose nearest neighbour is wrong
    seconds: float

    @property
    def job(self) -> Job:
        """The job that this is the result of."""
        return Job(**{field.name: getattr(self, field.name) for field in fields(Job)})


def read_results(path: Path) -> list[Result]:
    """The runs that have been made."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Result(**{f.name: f.type(row[f.name]) for f in fields(Result)})  # type: ignore[operator]
            for row in csv.DictReader(file)
        ]


def append_results(path: Path, results: Iterable[Result]) -> None:
    """Add runs to the file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Result)])
        if new:
            writer.writeheader()
        writer.writerows(asdict(result) for result in results)
