"""Measures the distance matrix beside torch's Euclidean distances and PML's cosines."""

import statistics
from functools import partial

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from torch import Tensor

from benchmarks.geometry.baselines import Matrix
from benchmarks.geometry.timings import peak_memory, step
from benchmarks.geometry.ways import CLIP, C, inputs
from benchmarks.gpu.budget import Deadline, take_turns
from benchmarks.gpu.cases import Case, Row
from benchmarks.gpu.sizes import Sizes
from pml_ahsml import LorentzSimilarity, PoincareDistance

_CDIST = "torch.cdist"


def cases(sizes: Sizes, device: torch.device) -> list[Case]:
    """Make a case for each size of the matrix."""
    return [
        Case({"n": n, "d": d}, partial(_compare, n, d, sizes.rounds, device))
        for n, d in sizes.matrices
    ]


def _compare(n: int, d: int, rounds: int, device: torch.device, deadline: Deadline) -> list[Row]:
    embeddings = inputs(n, d, "random", device)
    incoming = torch.rand(n, n, device=device)
    ways: dict[str, Matrix] = {
        _CDIST: _euclidean,
        "CosineSimilarity": CosineSimilarity(),
        "PoincareDistance": PoincareDistance(C, CLIP),
        "LorentzSimilarity": LorentzSimilarity(C, CLIP, scale=None),
    }
    times = take_turns(
        {name: partial(step, way, embeddings, incoming) for name, way in ways.items()},
        rounds,
        deadline,
    )
    return [
        {
            "way": name,
            "rounds": len(taken),
            "forward_ms": 1e3 * statistics.median(forward for forward, _ in taken),
            "both_ms": 1e3 * statistics.median(both for _, both in taken),
            "ratio": statistics.median(
                own[1] / other[1] for own, other in zip(taken, times[_CDIST], strict=True)
            ),
            "matrices": peak_memory(ways[name], embeddings, n),
        }
        for name, taken in times.items()
    ]


def _euclidean(embeddings: Tensor) -> Tensor:
    return torch.cdist(embeddings, embeddings)
