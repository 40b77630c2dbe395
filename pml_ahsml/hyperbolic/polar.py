"""Rows in hyperbolic polar coordinates, and what is made of them: factors of a product, gaps."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..precision import exact_dtype

# Below this multiple of sinh A·sinh B differences are rounding, and two rows are equal.
_FLOOR = 2.0**-98


class Polar(NamedTuple):
    """Rows in polar coordinates: (N,) each, in float64."""

    norm: Tensor  # ‖e‖, not quite 0 for a row of zeros
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
        """Some of the rows, by an index or a slice with both ends or none."""
        if isinstance(rows, slice) and (
            rows.stop is None or rows.stop - rows.start == len(self.norm)
        ):
            return self
        return Polar(*(column[rows] for column in self))


def polar_coordinates(norm: Tensor, c: float | Tensor, max_norm: float, on_ball: bool) -> Polar:
    """Polar coordinates of rows from their norms.

    Args:
        norm: (N,) norms, as of :func:`row_norms`.
        c: curvature c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: rows are points of the ball, A = 2 artanh(√c‖h‖), instead of tangent vectors,
            A = 2√c‖u‖.

    Returns:
        The coordinates, in the dtype of the norms.

    Example:
        >>> polar_coordinates(torch.tensor([0.5]), 1.0, 2.3, False).radius
        tensor([1.])
    """
    root = c**0.5
    length = norm.clamp_max(max_norm)
    if on_ball:
        # the hyperbolic radius of the rim is finite, its artanh is not
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
    """Norms of rows in float64; for a row of zeros enough to divide by, with a square of 0.

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
    """The same for rows in float64, any number of times differentiable.

    Args:
        e: (N, D) rows.

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


def direction_gap(
    e: Tensor, f: Tensor, x: Polar, y: Polar, i: Tensor, j: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """û − v̂ of pairs, its square, and sinh A·sinh B, accurate relative to the difference.

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
        >>> e = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> direction_gap(e, e, x, x, torch.tensor([0]), torch.tensor([1]))[1].round(decimals=9)
        tensor([2.], dtype=torch.float64)
    """
    gap = e[i].to(x.norm).mul_((1 / x.norm[i])[:, None])
    gap -= f[j].to(y.norm).mul_((1 / y.norm[j])[:, None])
    return gap, torch.linalg.vector_norm(gap, dim=1).square(), x.sinh[i] * y.sinh[j]


def difference_form(e: Tensor, f: Tensor, x: Polar, y: Polar, i: Tensor, j: Tensor) -> Tensor:
    """P = cosh(√c·d) − 1 of pairs, from differences: accurate however near they are.

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

    Source:
        This project.

    Example:
        >>> e = torch.tensor([[0.5, 0.0], [0.5, 1e-6]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> difference_form(e, e, x, x, torch.tensor([0, 0]), torch.tensor([0, 1]))
        tensor([0.0000e+00, 2.7622e-12], dtype=torch.float64)
    """
    _, squared, reach = direction_gap(e, f, x, y, i, j)
    p = 2 * ((x.radius[i] - y.radius[j]) / 2).sinh().square() + reach * squared / 2
    return torch.where(p > _FLOOR * reach, p, 0.0)


def left_factor(e: Tensor, x: Polar, dtype: torch.dtype) -> Tensor:
    """Rows [−sinh A·û, cosh A − 1, 1] of the first factor of P = cosh(√c·d) − 1.

    Args:
        e: (N, D) rows.
        x: their polar coordinates.
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
    """Rows [sinh B·v̂, cosh B, cosh B − 1] of the second factor.

    Args:
        f: (M, D) rows.
        y: their polar coordinates.
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
    """√c·d = arcosh(1 + P) = log(1 + P + √(P² + 2P)), with all digits of a small P.

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
