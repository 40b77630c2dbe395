"""How long an audit of many samples takes, and how much memory.

Classes are Gaussian, a fifth of the labels is wrong: half of these are labels of the nearest class,
half are drawn at random. Times are of the whole machine: nothing else may run.

Run: python -m benchmarks.audit.scale --samples 1000000 --classes 10000 --size 128
"""

import argparse
import resource
import time
from dataclasses import dataclass

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.command_line import new_parser
from pml_ahsml import audit_labels

_WRONG = 0.2


@dataclass(frozen=True)
class Cost:
    """What an audit took, and how well it found the wrong labels."""

    seconds: float
    processor_seconds: float
    gigabytes: float  # the most of the process, samples included
    average_precision: float


def cost(num_samples: int, num_classes: int, size: int, spread: float, verbose: bool) -> Cost:
    """Make samples and audit them."""
    points, labels, is_wrong = made(num_samples, num_classes, size, spread)
    started, processor = time.perf_counter(), time.process_time()

    def show(stage: str, done: int, total: int) -> None:
        if verbose:
            print(f"{time.perf_counter() - started:7.1f} s  {stage} {done}/{total}", flush=True)

    audit = audit_labels(points, labels, progress=show)
    return Cost(
        seconds=time.perf_counter() - started,
        processor_seconds=time.process_time() - processor,
        gigabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        average_precision=float(average_precision_score(is_wrong, -audit.trust)),
    )


def made(
    num_samples: int, num_classes: int, size: int, spread: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(N, D) samples, (N,) labels and (N,) which of these are wrong."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(num_classes, size, generator=generator)
    truth = torch.randint(num_classes, (num_samples,), generator=generator)
    points = spread * torch.randn(num_samples, size, generator=generator)
    for rows in torch.arange(num_samples).split(100_000):
        points[rows] += means[truth[rows]]
    nearest = torch.cdist(means, means).fill_diagonal_(torch.inf).argmin(1)
    others = torch.randint(num_classes, (num_samples,), generator=generator)
    chance = torch.rand(num_samples, generator=generator)
    wrong = torch.where(chance < _WRONG / 2, nearest[truth], others)
    labels = torch.where(chance < _WRONG, wrong, truth)
    return points, labels, labels != truth


def main(arguments: argparse.Namespace) -> None:
    """Print what it took."""
    sizes = arguments.samples, arguments.classes, arguments.size
    print(cost(*sizes, arguments.spread, verbose=True))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("benchmarks.audit.scale", __doc__, has_data=False)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--spread", type=float, default=1.0)
    return parser


if __name__ == "__main__":
    main(parser().parse_args())
