"""What the wrapper adds to a step of such a network."""

import itertools
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import measuring
from benchmarks.end_to_end.network import new_optimizer
from benchmarks.end_to_end.training import chosen
from benchmarks.noise.data import Benchmark
from benchmarks.noise.methods import METHODS
from benchmarks.noise.protocol import Samples, batches, told_about
from benchmarks.noise.results import Job

# The warm-up of the wrapper is 25 batches; steps in it are cheaper.
WARMUP, ROUNDS = 35, 31


@dataclass(frozen=True)
class Cost:
    """Median seconds of a step with the loss alone and wrapped, and the median of their ratio."""

    rounds: int
    alone: float
    wrapped: float
    ratio: float


class _Training:
    """A network, the loss of a method, and an optimiser."""

    def __init__(self, run: str, job: Job, samples: Samples, data: Benchmark) -> None:
        torch.manual_seed(job.seed)
        self.has_ids = METHODS[run].has_ids
        self.net: Any = data.make_net()
        self.loss = METHODS[run].loss(job.loss, told_about(samples, data.num_classes))
        self.optimizer = new_optimizer(self.net)

    def seconds(self, samples: Samples, rows: torch.Tensor, views: torch.Tensor) -> float:
        """Measure one step."""
        ids = {"sample_ids": rows} if self.has_ids else {}
        started = time.perf_counter()
        self.optimizer.zero_grad()
        self.loss(self.net(views), samples.labels[rows], **ids).backward()
        self.optimizer.step()
        return time.perf_counter() - started


def measure(job: Job, data: Benchmark, warmup: int = WARMUP, rounds: int = ROUNDS) -> Cost:
    """Take steps with and without the wrapper in turn, on the same batches."""
    samples = chosen(job, data)
    both = [_Training(run, job, samples, data) for run in ("plain", job.run)]
    taken = []
    for n, rows in enumerate(itertools.islice(batches(samples.labels), warmup + rounds)):
        views = data.augment(samples.inputs[rows])
        # each comes first every other time
        order = both if n % 2 else both[::-1]
        seconds = {training: training.seconds(samples, rows, views) for training in order}
        taken.append([seconds[training] for training in both])
    alone, wrapped = zip(*taken[warmup:], strict=True)
    ratios = (w / a for a, w in zip(alone, wrapped, strict=True))
    medians = [statistics.median(of) for of in (alone, wrapped, ratios)]
    return Cost(rounds, *medians)


def cost_table(cost: Cost) -> str:
    """The cost as Markdown."""
    cells = [f"{cost.alone:.2f} s", f"{cost.wrapped:.2f} s", f"{cost.ratio:.3f}", str(cost.rounds)]
    head = ["step, loss alone", "step, wrapped, with ids", "median ratio", "pairs of steps"]
    return measuring.table(head, [cells])
