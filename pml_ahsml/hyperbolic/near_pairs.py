"""Distances of pairs near each other, computed from differences of their coordinates.

The matrix product of ``polar`` resolves P to about eps·sinh A·sinh B, too coarse for pairs whose P
is of that size. The distance matrix recomputes these near pairs. If a row has few of them, they are
computed one by one from differences; if it has many, as in a collapsed batch, by the same product
in float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..precision import exact_dtype
from .blocks import pair_blocks, take_rows, wide_parts
from .maps import SERIES_LIMIT
from .polar import PRODUCT_FLOOR, Polar, left_factor

# A pair is near if P is below this multiple of sinh A·sinh B. A product in float32 is off by about
# 2e-7 of that scale; at the limit this changes the distance by 1e-5 of itself. A product in float64
# keeps nine digits there.
NEAR = {torch.float32: 2.0**-7, torch.float64: 2.0**-20}

# Kinds of rows; a row without near pairs is of kind 0.
FEW_NEAR, MANY_NEAR = 1, 2

# A row has many near pairs if they exceed both this share of its pairs and this number: a pair from
# differences costs about 50 times as much as a pair from a product.
_FEW_SHARE, _FEW = 1 / 64, 4

# Below this multiple of sinh A·sinh B the differences are rounding, and P counts as 0: it is the
# square of 2⁻⁴⁹, eight times the relative spacing of float64.
_FLOOR = 2.0**-98


def direction_gap(
    e: Tensor, f: Tensor, x: Polar, y: Polar, i: Tensor, j: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute û − v̂, ‖û − v̂‖² and sinh A·sinh B of pairs.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        x: polar coordinates of e.
        y: polar coordinates of f.
        i: (P,) rows of e.
        j: (P,) rows of f.

    Returns:
        (P, D), (P,) and (P,), in float64.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> direction_gap(e, e, x, x, torch.tensor([0]), torch.tensor([1]))[1].round(decimals=9)
        tensor([2.], dtype=torch.float64)
    """
    gap = e[i].to(x.norm).mul_((1 / x.norm[i])[:, None])
    gap -= f[j].to(y.norm).mul_((1 / y.norm[j])[:, None])
    return gap, torch.linalg.vector_norm(gap, dim=1).square(), x.sinh[i] * y.sinh[j]


def difference_form(e: Tensor, f: Tensor, x: Polar, y: Polar, i: Tensor, j: Tensor) -> Tensor:
    """Compute P = cosh(√c·d) − 1 of pairs from differences, accurate at any distance.

    P = 2 sinh²((A − B)/2) + sinh A·sinh B·‖û − v̂‖²/2.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        x: polar coordinates of e.
        y: polar coordinates of f.
        i: (P,) rows of e.
        j: (P,) rows of f.

    Returns:
        (P,) ≥ 0 in float64, exactly 0 for equal rows.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[0.5, 0.0], [0.5, 1e-6]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> difference_form(e, e, x, x, torch.tensor([0, 0]), torch.tensor([0, 1]))
        tensor([0.0000e+00, 2.7622e-12], dtype=torch.float64)
    """
    _, squared, reach = direction_gap(e, f, x, y, i, j)
    p = 2 * ((x.radius[i] - y.radius[j]) / 2).sinh().square() + reach * squared / 2
    return torch.where(p > _FLOOR * reach, p, 0.0)


def pairwise_distance(tangent: Tensor, ref_tangent: Tensor, curvature: float | Tensor) -> Tensor:
    """Compute the geodesic distances between matching rows.

    d(u, v) = (2/√c)·asinh √H with H as in ``geodesic.distance_matrix``, from coordinate differences
    in float64. Derivatives of any order exist.

    Args:
        tangent: (N, D) tangent vectors at the origin.
        ref_tangent: (N, D) tangent vectors at the origin.
        curvature: c > 0, a number or a tensor that may require a gradient.

    Returns:
        (N,) geodesic lengths at curvature −c, in the dtype of the arguments.

    Example:
        >>> pairwise_distance(torch.tensor([[0.5, 0.0]]), torch.tensor([[-0.5, 0.0]]), 0.1)
        tensor([2.])
    """
    dtype = tangent.dtype
    with torch.autocast(tangent.device.type, enabled=False):
        exact = exact_dtype(tangent)
        u, v = tangent.to(exact), ref_tangent.to(exact)
        return _length(half_sinh_squared(u, v, curvature), curvature).to(dtype)


def half_sinh_squared(u: Tensor, v: Tensor, curvature: float | Tensor) -> Tensor:
    """Compute H = sinh²(√c·d/2) of matching rows, with a small error relative to H.

    The identity ‖u − v‖² = δ² + ‖u‖‖v‖·‖û − v̂‖² with δ = ‖u‖ − ‖v‖ splits the difference into its
    radial and its angular part. No large numbers cancel.

    Args:
        u: (N, D) tangent vectors at the origin, in float64.
        v: (N, D) such vectors.
        curvature: c > 0, a number or a tensor that may require a gradient.

    Returns:
        (N,) S. Derivatives of any order exist.

    Example:
        >>> u = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
        >>> half_sinh_squared(u, -u, 0.25).sqrt().asinh()
        tensor([0.5000], dtype=torch.float64)
    """
    difference = u - v
    norm_sum = _safe_sqrt(u.square().sum(-1)) + _safe_sqrt(v.square().sum(-1))
    norm_gap = (difference * (u + v)).sum(-1) / torch.where(norm_sum > 0, norm_sum, 1.0)
    across = (difference.square().sum(-1) - norm_gap.square()).clamp_min(0)
    scale_u, scale_v = _spatial_scale(u, curvature), _spatial_scale(v, curvature)
    root = torch.as_tensor(curvature, dtype=u.dtype, device=u.device).sqrt()
    return (root * norm_gap).sinh().square() + (scale_u * scale_v).squeeze(-1) * across / 4


def _spatial_scale(tangent: Tensor, curvature: float | Tensor) -> Tensor:
    """Factors sinh(A)/‖u‖, (N, 1), that stretch u to the hyperboloid."""
    curvature = torch.as_tensor(curvature, dtype=tangent.dtype, device=tangent.device)
    squared = 4 * curvature * tangent.square().sum(-1, keepdim=True)
    small = squared < SERIES_LIMIT
    root = torch.where(small, 1.0, _safe_sqrt(squared))
    series = 1 + squared / 6 * (1 + squared / 20 * (1 + squared / 42))
    return 2 * curvature.sqrt() * torch.where(small, series, root.sinh() / root)


def _length(s: Tensor, curvature: float | Tensor) -> Tensor:
    root = torch.as_tensor(curvature, dtype=s.dtype, device=s.device).sqrt()
    return 2 / root * torch.asinh(_safe_sqrt(s))


def _safe_sqrt(x: Tensor) -> Tensor:
    """√x with gradient 0 at 0 instead of inf."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


class NearPairs(NamedTuple):
    """The near pairs in a block of rows.

    Args:
        i: (P,) rows of the near pairs of rows with few of them.
        j: (P,) columns of these pairs.
        many: (R,) rows with many near pairs.
        kinds: (N,) kind of every row of the block: 0, FEW_NEAR or MANY_NEAR.
    """

    i: Tensor
    j: Tensor
    many: Tensor
    kinds: Tensor


def find_near_pairs(p: Tensor, x: Polar, y: Polar, limit: float | None = None) -> NearPairs:
    """Find the pairs whose P the matrix product cannot resolve.

    Args:
        p: (N, M) P by a matrix product.
        x: polar coordinates of the N rows.
        y: polar coordinates of the M rows.
        limit: multiple of sinh A·sinh B below which a pair is near; that of NEAR by default.

    Returns:
        The near pairs.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates
        >>> x = polar_coordinates(torch.tensor([0.5, 0.5], dtype=torch.float64), 1.0, 2.3, False)
        >>> near = find_near_pairs(torch.tensor([[0.0, 0.1], [0.1, 1.0]]), x, x)
        >>> near.i, near.j, near.kinds
        (tensor([0]), tensor([0]), tensor([1, 0], dtype=torch.uint8))
    """
    factor = NEAR[p.dtype] if limit is None else limit
    x_sinh, y_sinh = x.sinh.to(p), y.sinh.to(p)
    rows = (p.amin(1) <= factor * x_sinh * y_sinh.max()).nonzero().squeeze(1)
    near = take_rows(p, rows) <= torch.outer(factor * x_sinh[rows], y_sinh)
    counts = near.sum(1)
    has_wider = exact_dtype(p) != p.dtype
    few = max(_FEW, int(_FEW_SHARE * p.shape[1])) if has_wider else p.shape[1]
    kinds = torch.zeros(len(p), dtype=torch.uint8, device=p.device)
    many = counts > few
    kinds[rows[counts > 0]] = FEW_NEAR
    kinds[rows[many]] = MANY_NEAR
    near.masked_fill_(many[:, None], False)
    i, j = near.nonzero().unbind(1)
    return NearPairs(rows[i], j, rows[many], kinds)


def recompute_near_pairs(
    p: Tensor,
    near: NearPairs,
    e: Tensor,
    f: Tensor,
    x: Polar,
    y: Polar,
    exact_right: Callable[[], Tensor],
) -> None:
    """Overwrite P of the near pairs in a block of rows.

    Args:
        p: (N, M) P of the block, changed in place.
        near: near pairs of the block.
        e: (N, D) rows of the block.
        f: (M, D) rows of the other side.
        x: polar coordinates of e.
        y: polar coordinates of f.
        exact_right: returns the second factor of P in float64.
    """
    for pairs in pair_blocks(len(near.i), e.shape[1], e.device):
        i, j = near.i[pairs], near.j[pairs]
        p[i, j] = difference_form(e, f, x, y, i, j).to(p)
    for rows in wide_parts(near.many, p):
        product = left_factor(e[rows], x.take(rows), exact_dtype(e)) @ exact_right().T
        product = product.to(p)
        floor = torch.outer((PRODUCT_FLOOR * x.sinh[rows]).to(p), y.sinh.to(p))
        p[rows] = product.masked_fill_(product <= floor, 0.0)
