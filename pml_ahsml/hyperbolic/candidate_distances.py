"""Exact distances from each row to its own candidates, for re-ranking."""

import torch
from torch import Tensor

from ..precision import exact_dtype
from .blocks import blocks, pair_blocks
from .near_pairs import NEAR, difference_form
from .polar import Polar, geodesic_length

# Elements of candidate rows gathered at once: 4 MB in float64. 1 << 15 took 1.2 times as long,
# 1 << 23 1.6 times (2,000 queries, 26 candidates, 128 dimensions, one thread).
_BLOCK_ELEMENTS = 1 << 19


def candidate_distances(
    e: Tensor, f: Tensor, x: Polar, y: Polar, candidates: Tensor, curvature: float
) -> Tensor:
    """Compute the geodesic distances between row i of e and the rows candidates[i] of f.

    P and √c·d are as in ``polar``. A small P comes from ``difference_form``.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        x: polar coordinates of e.
        y: polar coordinates of f.
        candidates: (N, K) row numbers of f.
        curvature: c > 0.

    Returns:
        (N, K) geodesic lengths in float64, exactly 0 for equal rows.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e, f = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.0]])
        >>> x, y = (polar_coordinates(row_norms(rows), 0.1, 2.3, False) for rows in (e, f))
        >>> candidate_distances(e, f, x, y, torch.tensor([[1, 0]]), 0.1)
        tensor([[2., 0.]], dtype=torch.float64)
    """
    inner = torch.empty(candidates.shape, dtype=exact_dtype(e), device=e.device)
    for rows in blocks(len(e), e.shape[1] * candidates.shape[1], e.device, _BLOCK_ELEMENTS):
        picked = candidates[rows]
        others = f.index_select(0, picked.flatten()).view(*picked.shape, f.shape[1])
        inner[rows] = (others.to(inner) @ e[rows].to(inner)[:, :, None]).squeeze(2)
    sinh = x.sinh[:, None] * y.sinh[candidates]
    p = x.alpha[:, None] * y.cosh[candidates] + y.alpha[candidates]
    p -= x.stretch[:, None] * y.stretch[candidates] * inner
    i, k = (p <= NEAR[torch.float64] * sinh).nonzero().unbind(1)
    for pairs in pair_blocks(len(i), e.shape[1], e.device):
        a, b = i[pairs], k[pairs]
        p[a, b] = difference_form(e, f, x, y, a, candidates[a, b])
    return geodesic_length(p, curvature)
