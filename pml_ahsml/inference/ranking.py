"""Selects the nearest of each query's candidates."""

import torch
from torch import Tensor

from ..hyperbolic.candidate_distances import candidate_distances
from ..hyperbolic.polar import Polar


def nearest_of_candidates(
    query: tuple[Tensor, Polar],
    reference: tuple[Tensor, Polar],
    candidates: Tensor,
    k: int,
    skipped: Tensor | None,
    curvature: float,
) -> tuple[Tensor, Tensor]:
    """Find the nearest candidates: (N, k) distances in float64, and rows; ties by row.

    Args:
        query: (N, D) embeddings and their polar coordinates.
        reference: (M, D) likewise.
        candidates: (N, C) rows of the references, negative for none.
        k: number of neighbours.
        skipped: (N,) the row that each query leaves out, or None.
        curvature: c.

    Raises:
        ValueError: if a query has fewer than k candidates.
    """
    (rows, x), (others, y) = query, reference
    # sort by row: the stable sort below then breaks ties by row
    candidates = candidates.sort(dim=1).values
    missing = candidates < 0
    if skipped is not None:
        missing |= candidates == skipped[:, None]
    distances = candidate_distances(
        rows, others, x, y, candidates.clamp_min(0), curvature
    ).masked_fill_(missing, torch.inf)
    distances, order = distances.sort(dim=1, stable=True)
    short = ~distances[:, :k].isfinite().all(1)
    if bool(short.any()):
        raise ValueError(
            f"the index must find {k} neighbours of every query, got fewer for "
            f"{int(short.sum())}; a larger nprobe or efSearch finds more"
        )
    return distances[:, :k], candidates.gather(1, order[:, :k])
