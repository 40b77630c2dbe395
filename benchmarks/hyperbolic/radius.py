"""Does the norm of an embedding say something, and in which way of training?

The ways are in radius_ways.py. Data, networks, batches and labels are those of benchmarks.noise.
Runs that stand in the CSV file are not made again; delete the file after a change to a way.

Run: python -m benchmarks.hyperbolic.radius --data DIR, then python -m benchmarks.hyperbolic.page
"""

import argparse
import itertools
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning.utils import common_functions as c_f
from torch import Tensor

from benchmarks.command_line import new_parser
from benchmarks.csv_rows import read_rows, write_rows
from benchmarks.hyperbolic.radius_figures import Figures, coarse_groups, figures
from benchmarks.hyperbolic.radius_ways import WAYS
from benchmarks.hyperbolic.training import auroc
from benchmarks.hyperbolic.ways import LOSSES
from benchmarks.noise.data import EMBEDDING_SIZE, Benchmark, load
from benchmarks.noise.labels import NO_NOISE, noisy_labels
from benchmarks.noise.protocol import batches, num_steps

DATASETS = ("hwu", "clinc")
NOISES = (NO_NOISE, "symmetric:0.5", "given:annotator")


@dataclass(frozen=True)
class Job:
    """One training run: data set, pair loss, noise, embedding size, way and seed."""

    data: str
    loss: str
    noise: str
    size: int
    way: str
    seed: int


@dataclass(frozen=True)
class Result(Figures, Job):
    """A job and its figures.

    Args:
        wrong_labels_by_norm: AUROC of −‖e‖ for wrong labels of the training set.
        seconds: of training and test.
    """

    wrong_labels_by_norm: float
    seconds: float

    @property
    def job(self) -> Job:
        """The job that this is the result of."""
        return Job(**{field.name: getattr(self, field.name) for field in fields(Job)})


@torch.no_grad()
def train(job: Job, data_dir: Path) -> Result:
    """Train a network and test it."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    data = load(job.data, data_dir)
    labels = noisy_labels(job.noise, job.seed, data)
    net, loss = trained(job, data, labels)
    net.eval()
    loss.eval()
    inputs, truth = data.train
    found = figures(
        net(data.test[0]), data.test[1], loss.distance, coarse_groups(job.data, data_dir)
    )
    return Result(
        **asdict(job),
        **asdict(found),
        wrong_labels_by_norm=auroc(labels != truth, -net(inputs).norm(dim=1)),
        seconds=time.perf_counter() - started,
    )


@torch.enable_grad()
def trained(job: Job, data: Benchmark, labels: Tensor) -> tuple[torch.nn.Module, Any]:
    """A network and its loss after a training."""
    inputs = data.train[0]
    torch.manual_seed(job.seed)
    c_f.NUMPY_RANDOM = np.random.default_rng(job.seed)  # what MPerClassSampler draws from
    net: Any = data.make_net()
    if net[-1].out_features != job.size:
        net[-1] = torch.nn.Linear(net[-1].in_features, job.size)
    loss = WAYS[job.way](job.loss, data.num_classes, job.size)
    optimizers = [torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)]
    own = list(loss.parameters())
    if own:
        optimizers.append(_optimizer_of(own))
    for rows in itertools.islice(batches(labels), num_steps(data)):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss(net(data.augment(inputs[rows])), labels[rows]).backward()
        for optimizer in optimizers:
            optimizer.step()
    return net, loss


def _optimizer_of(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Adam; that of geoopt for points of its ball."""
    if not hasattr(parameters[0], "manifold"):
        return torch.optim.Adam(parameters, lr=1e-2)
    from geoopt.optim import RiemannianAdam

    return RiemannianAdam(parameters, lr=1e-2)


def main(arguments: argparse.Namespace) -> None:
    """Make the missing runs, one after the other."""
    results = read_rows(arguments.output, Result)
    made = {result.job for result in results}
    wanted = itertools.product(
        arguments.datasets,
        arguments.losses,
        arguments.noise,
        arguments.sizes,
        arguments.seeds,
        arguments.ways,
    )
    for data, loss, noise, size, seed, way in wanted:
        job = Job(data, loss, noise, size, way, seed)
        if job in made:
            continue
        results.append(train(job, arguments.data))
        write_rows(arguments.output, results)
        print(results[-1], flush=True)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = new_parser("benchmarks.hyperbolic.radius", __doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/hyperbolic_radius.csv"))
    parser.add_argument("--datasets", nargs="*", choices=DATASETS, default=DATASETS[:1])
    parser.add_argument("--losses", nargs="*", choices=LOSSES, default=["MultiSimilarity"])
    parser.add_argument("--noise", nargs="*", choices=NOISES, default=NOISES)
    parser.add_argument("--sizes", nargs="*", type=int, default=[EMBEDDING_SIZE])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=tuple(WAYS))
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
