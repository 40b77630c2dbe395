"""The polar form of the geodesic distance: coordinates of rows, and factors of a product.

A row u has the direction û and the hyperbolic radius A = 2√c‖u‖. With α = cosh A − 1 =
2 sinh²(A/2), and β likewise for the radius B of v, the hyperbolic law of cosines reads

    P = cosh(√c·d) − 1 = α·cosh B + β − sinh A·sinh B·cos θ,    √c·d = log(1 + P + √(P² + 2P)).

P of all pairs is one matrix product: the rows [−sinh A·û, α, 1] times the rows
[sinh B·v̂, cosh B, β]. α keeps the digits that cosh A loses near the origin.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..precision import exact_dtype

# A product in float64 resolves P to 2⁻⁴⁶·sinh A·sinh B. Below that P counts as 0: the rows differ
# by less than float32 resolves.
PRODUCT_FLOOR = 2.0**-46


class Polar(NamedTuple):
    """Polar coordinates of N rows, (N,) each, in float64."""

    norm: Tensor  # ‖e‖; tiny, not 0, for a row of zeros
    radius: Tensor  # A
    slope: Tensor  # dA/d‖e‖
    drift: Tensor  # dA/dc
    sinh: Tensor  # sinh A
    stretch: Tensor  # sinh(A)/‖e‖
    alpha: Tensor  # cosh A − 1

    @property
    def cosh(self) -> Tensor:
        """Cosh A."""
        return self.alpha + 1

    def take(self, rows: Any) -> "Polar":
        """Take rows by an index, or by a slice with both ends or neither."""
        if isinstance(rows, slice) and (
            rows.stop is None or rows.stop - rows.start == len(self.norm)
        ):
            return self
        return Polar(*(column[rows] for column in self))


def polar_coordinates(norm: Tensor, c: float | Tensor, max_norm: float, on_ball: bool) -> Polar:
    """Compute polar coordinates of rows from their norms.

    Args:
        norm: (N,) norms, as :func:`row_norms` returns them.
        c: curvature c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: True for points h of the ball, A = 2 artanh(√c‖h‖); False for tangent vectors u,
            A = 2√c‖u‖.

    Returns:
        Coordinates in the dtype of the norms.

    Example:
        >>> polar_coordinates(torch.tensor([0.5]), 1.0, 2.3, False).radius
        tensor([1.])
    """
    root = c**0.5
    length = norm.clamp_max(max_norm)
    if on_ball:
        # artanh is infinite at the rim, the clipped radius is not
        c_norm = norm * root
        inside = c_norm < torch.tanh(norm.new_ones(()) * root * max_norm)
        safe = torch.where(inside, c_norm, 0.0)
        radius = torch.where(inside, 2 * safe.atanh(), 2 * root * max_norm)
        slope = torch.where(inside, 2 * root / (1 - safe.square()), 0.0)
        drift = torch.where(inside, norm / (root * (1 - safe.square())), max_norm / root)
    else:
        radius = 2 * root * length
        slope = (norm <= max_norm).to(norm) * (2 * root)
        drift = length / root
    sinh = radius.sinh()
    half = (radius / 2).sinh()
    return Polar(norm, radius, slope, drift, sinh, sinh / norm, 2 * half.square())


def row_norms(e: Tensor) -> Tensor:
    """Compute the norms of rows in float64.

    A row of zeros gets a tiny norm, which is a safe divisor and whose square is 0.

    Args:
        e: (N, D) rows.

    Returns:
        (N,) norms > 0.

    Example:
        >>> row_norms(torch.tensor([[3.0, 4.0]]))
        tensor([5.], dtype=torch.float64)
    """
    dtype = exact_dtype(e)
    norm: Tensor = torch.linalg.vector_norm(e, dim=1, dtype=dtype)
    return norm.clamp_min_(_tiny(dtype))


def differentiable_norms(e: Tensor) -> Tensor:
    """Compute the norms of :func:`row_norms` with derivatives of any order.

    Args:
        e: (N, D) rows in float64.

    Returns:
        (N,) norms > 0; the gradient of a row of zeros is 0.

    Example:
        >>> differentiable_norms(torch.tensor([[3.0, 4.0]]))
        tensor([5.])
    """
    squared = e.square().sum(1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), _tiny(e.dtype))


def _tiny(dtype: torch.dtype) -> float:
    return float(torch.finfo(dtype).tiny ** 0.75)


def left_factor(e: Tensor, x: Polar, dtype: torch.dtype) -> Tensor:
    """Build the rows [−sinh A·û, α, 1] of the first factor of P.

    Args:
        e: (N, D) rows.
        x: polar coordinates of e.
        dtype: of the result.

    Returns:
        (N, D + 2).

    Example:
        >>> e = torch.tensor([[0.5, 0.0]])
        >>> left_factor(e, polar_coordinates(row_norms(e), 1.0, 2.3, False), torch.float32)
        tensor([[-1.1752, -0.0000,  0.5431,  1.0000]])
    """
    return _factor(e, -x.stretch, (x.alpha, torch.ones_like(x.alpha)), dtype)


def right_factor(f: Tensor, y: Polar, dtype: torch.dtype) -> Tensor:
    """Build the rows [sinh B·v̂, cosh B, β] of the second factor of P.

    Args:
        f: (M, D) rows.
        y: polar coordinates of f.
        dtype: of the result.

    Returns:
        (M, D + 2).

    Example:
        >>> f = torch.tensor([[0.5, 0.0]])
        >>> right_factor(f, polar_coordinates(row_norms(f), 1.0, 2.3, False), torch.float32)
        tensor([[1.1752, 0.0000, 1.5431, 0.5431]])
    """
    return _factor(f, y.stretch, (y.cosh, y.alpha), dtype)


def _factor(
    e: Tensor, stretch: Tensor, columns: tuple[Tensor, Tensor], dtype: torch.dtype
) -> Tensor:
    rows = e.new_empty(len(e), e.shape[1] + 2, dtype=dtype)
    torch.mul(e, stretch[:, None].to(dtype), out=rows[:, :-2])
    rows[:, -2], rows[:, -1] = columns
    return rows


def geodesic_length(p: Tensor, curvature: float) -> Tensor:
    """Compute d = log(1 + P + √(P² + 2P))/√c, accurate for small P too.

    Args:
        p: P = cosh(√c·d) − 1 ≥ 0, of any shape.
        curvature: c > 0.

    Returns:
        Geodesic lengths d of the same shape.

    Example:
        >>> geodesic_length(torch.tensor(1.0).cosh() - 1, 1.0).round(decimals=5)
        tensor(1.)
    """
    length: Tensor = torch.log1p(p + (p * (p + 2)).sqrt()) / curvature**0.5
    return length


def plain_distance_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """Compute the distances of all pairs by differentiable operations in float64.

    This is slower than ``geodesic.distance_matrix``, but it has no branches and has derivatives of
    any order: second derivatives and torch.compile need that. Rows that differ by less than about
    2e-7 of their norm count as equal.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: True for points of the ball, False for tangent vectors.

    Returns:
        (N, M) geodesic lengths, in the dtype of the rows.

    Example:
        >>> u = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
        >>> plain_distance_matrix(u, torch.zeros(1, 2), 0.1, 2.3, False)
        tensor([[1.],
                [1.]])
    """
    p, apart, c = _plain_excess(e, f, curvature, max_norm, on_ball)
    p = torch.where(apart, p, 1.0)
    root = (p * (p + 2)).sqrt()
    return torch.where(apart, torch.log1p(p + root) / c.sqrt(), 0.0).to(e.dtype)


def plain_similarity_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """Compute the similarities 1 − P/K of all pairs, K = sinh² A_r, in the same way.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        max_norm: r > 0, finite; the tangent norm at which rows are clipped.
        on_ball: True for points of the ball, False for tangent vectors.

    Returns:
        (N, M) similarities in [−1, 1], in the dtype of the rows.

    Example:
        >>> u = torch.tensor([[2.3, 0.0], [-2.3, 0.0]])
        >>> plain_similarity_matrix(u, u[:1], 0.1, 2.3, False)
        tensor([[ 1.0000],
                [-1.0000]])
    """
    p, apart, c = _plain_excess(e, f, curvature, max_norm, on_ball)
    similarity: Tensor = 1 - torch.where(apart, p, 0.0) / largest_sinh_squared(c, max_norm)
    return similarity.to(e.dtype)


def largest_sinh_squared(c: Any, max_norm: float) -> Any:
    """Compute K = sinh²(2√c·r), half the largest P of rows clipped to the norm r.

    Args:
        c: curvature c > 0, a number or a tensor.
        max_norm: r > 0.

    Returns:
        K, of the kind of c.

    Example:
        >>> round(largest_sinh_squared(0.25, 1.0), 4)
        1.3811
    """
    if isinstance(c, Tensor):
        return (2 * c.sqrt() * max_norm).sinh().square()
    return math.sinh(2 * c**0.5 * max_norm) ** 2


def _plain_excess(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """P of all pairs, which of them are apart, and the curvature, all in float64."""
    wide = exact_dtype(e)
    e64, f64 = e.to(wide), f.to(wide)
    c = torch.as_tensor(curvature, dtype=wide, device=e.device)
    x, y = (
        polar_coordinates(differentiable_norms(rows), c, max_norm, on_ball) for rows in (e64, f64)
    )
    spatial = (e64 * x.stretch[:, None]) @ (f64 * y.stretch[:, None]).T
    p = x.alpha[:, None] * y.cosh + y.alpha - spatial
    apart = p > PRODUCT_FLOOR * (x.sinh[:, None] * y.sinh)
    return p, apart, c
