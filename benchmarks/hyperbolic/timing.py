"""Forward and backward of LorentzSimilarity beside CosineSimilarity, in turns, on one thread.

Counts the time of the processor, which other programs on the machine change least.

Run: python -m benchmarks.hyperbolic.timing
"""

import statistics
import time
from collections.abc import Callable

import torch
from pytorch_metric_learning.distances import CosineSimilarity

from pml_ahsml import LorentzSimilarity

_SIZES, _ROUNDS = ((1024, 512), (2048, 512)), 11


def ratio(rows: int, columns: int, rounds: int) -> float:
    """Median over the rounds of the ratio of the times of a round."""
    torch.set_num_threads(1)
    embeddings = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    incoming = torch.rand(rows, rows, generator=torch.Generator().manual_seed(1))
    ours = LorentzSimilarity()
    ours.find_scale(embeddings)
    ways = (ours, CosineSimilarity())
    times = [[_seconds(way, embeddings, incoming) for way in ways] for _ in range(rounds + 1)]
    return statistics.median(a / b for a, b in times[1:])  # the first round warms up


def _seconds(
    way: Callable[[torch.Tensor], torch.Tensor], embeddings: torch.Tensor, incoming: torch.Tensor
) -> float:
    rows = embeddings.clone().requires_grad_()
    started = time.process_time()
    way(rows).backward(incoming)
    return time.process_time() - started


if __name__ == "__main__":
    for rows, columns in _SIZES:
        print(f"{rows} by {columns}: {ratio(rows, columns, _ROUNDS):.2f} of CosineSimilarity")
