"""Distances of each row to some candidates of its own, to the last digits: for re-ranking."""

import torch
from torch import Tensor

from ..precision import exact_dtype
from .blocks import blocks, pair_blocks
from .polar import Polar, difference_form, geodesic_length

# Below this multiple of sinh A·sinh B the product in float64 has fewer than some nine digits.
_NEAR = 2.0**-20

# Floats of candidates gathered at once.
_BLOCK_ELEMENTS = 1 << 19


def candidate_distances(
    e: Tensor, f: Tensor, x: Polar, y: Polar, candidates: Tensor, curvature: float
) -> Tensor:
    """Geodesic distances in float64 between row i of e and the rows candidates[i] of f.

    √c·d = log(1 + P + √(P² + 2P)), P = α·cosh B + β − sinh A·sinh B·cos θ, with the directions
    subtracted instead of multiplied where P is small.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        x: polar coordinates of e.
        y: polar coordinates of f.
        candidates: (N, K) rows of f.
        curvature: c > 0.

    Returns:
        (N, K) geodesic lengths in float64, exactly 0 for equal rows.

    Source:
        The formula of ``distance_matrix`` (this project).

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
    i, k = (p <= _NEAR * sinh).nonzero().unbind(1)
    for pairs in pair_blocks(len(i), e.shape[1], e.device):
        a, b = i[pairs], k[pairs]
        p[a, b] = difference_form(e, f, x, y, a, candidates[a, b])
    return geodesic_length(p, curvature)
