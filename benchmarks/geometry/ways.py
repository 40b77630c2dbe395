"""The ways to compute a distance matrix, and the embeddings they are compared on."""

import torch
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from torch import Tensor

from benchmarks.geometry.baselines import (
    Matrix,
    geoopt_broadcast,
    hypll_matrix,
    moebius_matrix,
    plain_autograd,
)
from pml_ahsml import PoincareDistance

C, CLIP = 0.1, 2.3
CURVATURES = (0.01, 0.1, 1.0)
OURS = "PoincareDistance"
EUCLIDEAN = "LpDistance"
COSINE = "CosineSimilarity"
BROADCASTING = ("geoopt broadcast", "Möbius matrix", "hypll cdist")


def contestants(c: float = C) -> dict[str, Matrix]:
    """Make the ways to compute a distance matrix, by name; hypll's if it is installed."""
    ways: dict[str, Matrix | None] = {
        EUCLIDEAN: LpDistance(),
        COSINE: CosineSimilarity(),
        OURS: PoincareDistance(c, CLIP),
        "plain autograd": plain_autograd(c, CLIP),
        "geoopt broadcast": geoopt_broadcast(c, CLIP),
        "Möbius matrix": moebius_matrix(c, CLIP),
        "hypll cdist": hypll_matrix(c, CLIP),
    }
    return {name: way for name, way in ways.items() if way is not None}


def inputs(n: int, d: int, kind: str, device: torch.device) -> Tensor:
    """Make embeddings: random, in tight classes of four, or collapsed to nearly one point."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, d, generator=generator)
    if kind == "random":
        e = noise * 2 / d**0.5
    elif kind == "classes":
        centres = torch.randn(-(-n // 4), d, generator=generator).repeat_interleave(4, 0)[:n]
        e = (centres + 0.03 * noise) * 2 / d**0.5
    else:
        e = (torch.randn(1, d, generator=generator) + 1e-3 * noise) * 2 / d**0.5
    return e.to(device)
