"""Candidates for the nearest neighbours by one product, and whether they are enough of them.

With α = cosh A − 1, and β likewise of B, P = cosh(√c·d) − 1 = α + cosh A·β − sinh A·sinh B·cos θ.
For one query α is a constant, so its neighbours are the largest products of
(sinh A·û, −cosh A) with the rows (sinh B·v̂, β) of the references. β keeps the digits that cosh B
loses near the origin, where it is 1 and says nothing.

Positive factors leave the order as it is: references are divided by σ (and β by σ²), a query by
a τ of its own, so that no column is above 1 however small or large the coordinates are.
"""

import math

import torch
from torch import Tensor

from .nearest_rows import largest_entries
from .polar import Polar

# Floats in one block of the matrix of products: 64 MB in float32.
_BLOCK_ELEMENTS = 1 << 24

# Standard deviations of the sum of roundings that are reckoned with.
_DEVIATIONS = 6


def largest_sinh(polar: Polar) -> float:
    """σ, the largest sinh B of some references; 1 where there are none.

    Args:
        polar: (M,) their polar coordinates.

    Example:
        >>> from .polar import polar_coordinates
        >>> largest_sinh(polar_coordinates(torch.tensor([0.0, 0.5]), 1.0, 2.3, False))
        1.1752...
    """
    return float(polar.sinh.max()) if len(polar.sinh) else 1.0


def query_columns(e: Tensor, x: Polar, scale: float, dtype: torch.dtype) -> Tensor:
    """Rows (sinh A·û, −σ·cosh A)/τ with τ = max(sinh A, σ·cosh A).

    Args:
        e: (N, D) queries.
        x: their polar coordinates.
        scale: σ > 0.
        dtype: of the rows.

    Returns:
        (N, D + 1).

    Example:
        >>> from .polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[0.5, 0.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> query_columns(e, x, 1.0, torch.float32)
        tensor([[ 0.7616,  0.0000, -1.0000]])
    """
    tau = _query_scale(x, scale)
    return _columns(e, x.stretch / tau, -scale * x.cosh / tau, dtype)


def reference_columns(f: Tensor, y: Polar, scale: float, dtype: torch.dtype) -> Tensor:
    """Rows (sinh B·v̂/σ, (cosh B − 1)/σ²).

    Args:
        f: (M, D) references.
        y: their polar coordinates.
        scale: σ > 0.
        dtype: of the rows.

    Returns:
        (M, D + 1).

    Example:
        >>> from .polar import polar_coordinates, row_norms
        >>> f = torch.tensor([[0.5, 0.0]])
        >>> y = polar_coordinates(row_norms(f), 1.0, 2.3, False)
        >>> reference_columns(f, y, 1.0, torch.float32)
        tensor([[1.1752, 0.0000, 0.5431]])
    """
    return _columns(f, y.stretch / scale, y.alpha / scale / scale, dtype)


def ball_points(e: Tensor, x: Polar, scale: float, most: float = torch.inf) -> Tensor:
    """Points (tanh(A/2)·û/tanh(A_σ/2), 0) with sinh A_σ = σ: of the ball, for Euclidean neighbours.

    Args:
        e: (N, D) rows.
        x: their polar coordinates.
        scale: σ > 0.
        most: the largest sinh A; rows farther out are brought in to it.

    Returns:
        (N, D + 1) in float32.

    Example:
        >>> from .polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[0.5, 0.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> ball_points(e, x, largest_sinh(x))
        tensor([[1., 0., 0.]])
    """
    length = (x.radius / 2).tanh().clamp_max(_half_tanh(most)) / _half_tanh(scale)
    return _columns(e, length / x.norm, torch.zeros_like(length), torch.float32)


def largest_products(queries: Tensor, references: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """The references with the largest products, in blocks of queries.

    Args:
        queries: (N, D + 1) on the CPU.
        references: (M, D + 1) likewise, of the same dtype.
        wanted: at most M.

    Returns:
        (N, wanted) products, descending, and (N, wanted) rows of the references.

    Example:
        >>> largest_products(torch.ones(1, 1), torch.tensor([[1.0], [3.0], [2.0]]), 2)
        (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    left, right = queries.numpy(), references.numpy().T

    def products(rows: slice, columns: slice) -> Tensor:
        # by numpy: autocast and set_float32_matmul_precision round torch's products
        return torch.from_numpy(left[rows] @ right[:, columns])

    size = len(queries), len(references)
    step = max(1, _BLOCK_ELEMENTS // len(references))
    return largest_entries(products, *size, wanted, block=(step, len(references)))


def are_enough(
    x: Polar, kth: Tensor, last: Tensor, scale: float, largest: Tensor, columns: int
) -> Tensor:
    """Whether no reference that is no candidate can be among the k nearest of a query.

    One that is nearer than the k-th has B ≤ A + √c·d_k, so its product in float32 is off by at most
    E = γ·(sinh A·sinh B + cosh A·β) for the largest such B, and by what underflows. It is no
    candidate, so its product is not above that of the last one: none is there if
    P_last − E > P_k. With n columns γ = (n + 3)·u in the worst case, and (6√n + 3)·u, where that
    is less, unless one of 3e7 products is rounded upwards nearly always.

    Args:
        x: (N,) polar coordinates of the queries.
        kth: (N,) √c·d_k, the distance of the k-th neighbour in units of 1/√c.
        last: (N,) the smallest product of the candidates, in float32.
        scale: σ.
        largest: () or (N,) the largest B of all references.
        columns: D + 1 of the product.

    Returns:
        (N,) bool. True as well where the k-th is at distance 0: nothing is nearer.

    Source:
        This project; γ: Higham & Mary, SIAM J. Sci. Comput. 41(5), 2019.

    Example:
        >>> from .polar import polar_coordinates
        >>> x = polar_coordinates(torch.tensor([0.5, 0.5]).double(), 1.0, 2.3, False)
        >>> kth, p_last = torch.tensor([0.1, 0.1]).double(), torch.tensor([0.006, 0.004])
        >>> are_enough(x, kth, (x.alpha - p_last) / x.cosh, 1.0, x.radius[0], 3)
        tensor([ True, False])
    """
    float32 = torch.finfo(torch.float32)
    p_kth = 2 * (kth / 2).sinh().square()
    unit = _query_scale(x, scale) * scale
    p_last = x.alpha - last.to(x.alpha) * unit
    reach = torch.minimum(x.radius + kth, largest)
    size = x.sinh * reach.sinh() + x.cosh * 2 * (reach / 2).sinh().square()
    # roundings of the sums, and three of each factor and product
    roundings = min(columns, _DEVIATIONS * columns**0.5) + 3
    off = roundings * float32.eps / 2 * size + 3 * columns * float32.tiny * unit
    enough: Tensor = (kth == 0) | (p_last - off > p_kth)
    return enough


def _query_scale(x: Polar, scale: float) -> Tensor:
    """(N,) τ."""
    return torch.maximum(x.sinh, scale * x.cosh)


def _half_tanh(sinh: float) -> float:
    """tanh(A/2) by sinh A."""
    return sinh / (1 + math.hypot(1, sinh)) if math.isfinite(sinh) else 1.0


def _columns(e: Tensor, factor: Tensor, column: Tensor, dtype: torch.dtype) -> Tensor:
    rows = e.new_empty(len(e), e.shape[1] + 1, dtype=dtype)
    # in float64, and rounded once
    torch.mul(e, factor[:, None], out=rows[:, :-1])
    rows[:, -1] = column
    return rows
