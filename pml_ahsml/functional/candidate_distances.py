"""Distances of each row to some candidates of its own, to the last digits: for re-ranking."""

import torch
from torch import Tensor

from .polar import Polar, direction_gap, exact_dtype

# Below this multiple of sinh A·sinh B the product in float64 has fewer than some nine digits.
_NEAR = 2.0**-20

# Below this one, differences are rounding.
_FLOOR = 2.0**-98

# Floats of candidates gathered at once.
_CHUNK_ELEMENTS = 1 << 19


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
        >>> from pml_ahsml.functional.polar import polar_coordinates, row_norms
        >>> e, f = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.0]])
        >>> x, y = (polar_coordinates(row_norms(rows), 0.1, 2.3, False) for rows in (e, f))
        >>> candidate_distances(e, f, x, y, torch.tensor([[1, 0]]), 0.1)
        tensor([[2., 0.]], dtype=torch.float64)
    """
    wide = exact_dtype(e)
    rows = torch.arange(len(e), device=e.device)
    inner = torch.cat(
        [
            _products(e[some].to(wide), f, candidates[some])
            for some in rows.split(_chunk(e.shape[1] * candidates.shape[1]))
        ]
    )
    sinh = x.sinh[:, None] * y.sinh[candidates]
    p = x.alpha[:, None] * y.cosh[candidates] + y.alpha[candidates]
    p -= x.stretch[:, None] * y.stretch[candidates] * inner
    i, k = (p <= _NEAR * sinh).nonzero().unbind(1)
    for some in torch.arange(len(i), device=e.device).split(_chunk(e.shape[1])):
        a, b = i[some], candidates[i[some], k[some]]
        _, squared, reach = direction_gap(e, f, x, y, a, b)
        near = 2 * ((x.radius[a] - y.radius[b]) / 2).sinh().square() + reach * squared / 2
        p[a, k[some]] = torch.where(near > _FLOOR * reach, near, 0.0)
    distances: Tensor = torch.log1p(p + (p * (p + 2)).sqrt()) / curvature**0.5
    return distances


def _products(e: Tensor, f: Tensor, picked: Tensor) -> Tensor:
    """(N, K) inner products of each row of e with rows picked of f."""
    rows = f.index_select(0, picked.flatten()).to(e).view(*picked.shape, f.shape[1])
    return (rows @ e[:, :, None]).squeeze(2)


def _chunk(floats: int) -> int:
    """How many rows at once, with so many floats each."""
    return max(1, _CHUNK_ELEMENTS // max(1, floats))
