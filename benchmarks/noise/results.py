"""Training runs, their results, and the file that stores them."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One training run."""

    data: str
    loss: str
    noise: str  # kind:rate, see noisy_labels
    seed: int
    run: str  # name of a method


@dataclass(frozen=True)
class Result(Job):
    """A job and its results; nan if a figure does not apply."""

    precision_at_1: float
    map_at_r: float
    noise_rate: float  # as estimated by our methods
    noise_rate_seen: float  # share of wrong labels in the last half of the batches
    trust_auroc: float  # trust of our methods against the truth, over the training set
    seconds: float

    @property
    def job(self) -> Job:
        """The job without its results."""
        return Job(self.data, self.loss, self.noise, self.seed, self.run)


_COLUMNS = [field.name for field in fields(Result)]


def read_results(path: Path) -> list[Result]:
    """Read the results in a file; none if it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Result(**{f.name: f.type(row[f.name]) for f in fields(Result)})  # type: ignore[operator]
            for row in csv.DictReader(file)
        ]


def append_result(path: Path, result: Result) -> None:
    """Append one result to the file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(asdict(result))
