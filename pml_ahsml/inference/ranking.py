"""The nearest of some candidates."""

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
    """(N, k) distances in float64 and rows of the nearest candidates; the first row of a tie first.

    Args:
        query: (N, D) embeddings and their polar coordinates.
        reference: (M, D) likewise.
        candidates: (N, C) rows of the references, negative for none.
        k: how many are wanted.
        skipped: (N,) a row that each query leaves out, or None.
        curvature: c.

    Raises:
        ValueError: where there are fewer than k.
    """
    (rows, x), (others, y) = query, reference
    # in the order of rows, by which the stable sort then breaks ties
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
            f"{int(short.sum())}: let it look at more (nprobe, efSearch)"
        )
    return distances[:, :k], candidates.gather(1, order[:, :k])
