"""Finds candidates for the k nearest neighbours by one product, and checks that they are enough.

With α = cosh A − 1 and β = cosh B − 1, P = cosh(√c·d) − 1 = α + cosh A·β − sinh A·sinh B·cos θ. For
one query α is constant, so the nearest references have the largest products of the query's
(sinh A·û, −cosh A) with their rows (sinh B·v̂, β). β keeps the digits that cosh B loses near the
origin.

Positive factors do not change the order. References are divided by σ (and β by σ²), each query by
its own τ, so that no column exceeds 1 however small or large the coordinates are.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .nearest_rows import largest_entries
from .polar import Polar

# Products computed at once: 64 MB in float32. 1 << 20 took 1.6 times as long, 1 << 26 1.2 times
# (2,000 queries, 20,000 references, one thread).
_BLOCK_ELEMENTS = 1 << 24

# References whose coordinates are made at once, where those of all would be too many: 16 MB in
# float32 with 512 dimensions.
_BLOCK_ROWS = 1 << 13

# Error bound of a sum of roundings, in standard deviations. A normal sum exceeds 6 once in 1e9.
_DEVIATIONS = 6


def largest_sinh(polar: Polar) -> float:
    """Compute σ, the largest sinh B of the references; 1 without references.

    Args:
        polar: polar coordinates of the M references.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates
        >>> largest_sinh(polar_coordinates(torch.tensor([0.0, 0.5]), 1.0, 2.3, False))
        1.1752...
    """
    return float(polar.sinh.max()) if len(polar.sinh) else 1.0


def query_columns(e: Tensor, x: Polar, scale: float, dtype: torch.dtype) -> Tensor:
    """Build the rows (sinh A·û, −σ·cosh A)/τ of the queries, τ = max(sinh A, σ·cosh A).

    Args:
        e: (N, D) queries.
        x: polar coordinates of e.
        scale: σ > 0.
        dtype: dtype of the result.

    Returns:
        (N, D + 1) rows.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[0.5, 0.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> query_columns(e, x, 1.0, torch.float32)
        tensor([[ 0.7616,  0.0000, -1.0000]])
    """
    tau = _query_scale(x, scale)
    return _columns(e, x.stretch / tau, -scale * x.cosh / tau, dtype)


def reference_columns(f: Tensor, y: Polar, scale: float, dtype: torch.dtype) -> Tensor:
    """Build the rows (sinh B·v̂/σ, β/σ²) of the references.

    Args:
        f: (M, D) references.
        y: polar coordinates of f.
        scale: σ > 0.
        dtype: dtype of the result.

    Returns:
        (M, D + 1) rows.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> f = torch.tensor([[0.5, 0.0]])
        >>> y = polar_coordinates(row_norms(f), 1.0, 2.3, False)
        >>> reference_columns(f, y, 1.0, torch.float32)
        tensor([[1.1752, 0.0000, 0.5431]])
    """
    return _columns(f, y.stretch / scale, y.alpha / scale / scale, dtype)


def ball_points(e: Tensor, x: Polar, scale: float, most: float = torch.inf) -> Tensor:
    """Build points (tanh(A/2)·û/tanh(A_σ/2), 0) of the ball for a Euclidean index, sinh A_σ = σ.

    Args:
        e: (N, D) rows.
        x: polar coordinates of e.
        scale: σ > 0.
        most: largest sinh A; rows farther out are moved in to it.

    Returns:
        (N, D + 1) points in float32.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates, row_norms
        >>> e = torch.tensor([[0.5, 0.0]])
        >>> x = polar_coordinates(row_norms(e), 1.0, 2.3, False)
        >>> ball_points(e, x, largest_sinh(x))
        tensor([[1., 0., 0.]])
    """
    length = (x.radius / 2).tanh().clamp_max(_half_tanh(most)) / _half_tanh(scale)
    return _columns(e, length / x.norm, torch.zeros_like(length), torch.float32)


def largest_products(queries: Tensor, references: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """Find the references with the largest products for each query.

    Args:
        queries: (N, D + 1) rows of ``query_columns``, on the CPU.
        references: (M, D + 1) rows of ``reference_columns``, on the CPU and of the same dtype.
        wanted: k, at most M.

    Returns:
        (N, k) products, descending, and (N, k) rows of the references.

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


def largest_products_by_block(
    queries: Tensor, references: Callable[[slice], Tensor], count: int, wanted: int
) -> tuple[Tensor, Tensor]:
    """Find what ``largest_products`` finds, with a part of the references in memory at a time.

    Args:
        queries: (N, D + 1) rows of ``query_columns``, on the CPU.
        references: makes the rows of ``reference_columns`` at a slice, of the same dtype.
        count: M, number of references.
        wanted: k, at most M.

    Returns:
        (N, k) products, descending, and (N, k) rows of the references.

    Example:
        >>> rows = torch.tensor([[1.0], [3.0], [2.0]])
        >>> largest_products_by_block(torch.ones(1, 1), lambda those: rows[those], 3, 2)
        (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    left = queries.numpy()

    def products(rows: slice, columns: slice) -> Tensor:
        return torch.from_numpy(left[rows] @ references(columns).numpy().T)

    block = (max(1, _BLOCK_ELEMENTS // _BLOCK_ROWS), _BLOCK_ROWS)
    return largest_entries(products, len(queries), count, wanted, block=block)


def are_enough(
    x: Polar, kth: Tensor, last: Tensor, scale: float, largest: Tensor, columns: int
) -> Tensor:
    """Check that no reference outside the candidates can be among the k nearest of a query.

    A reference nearer than the k-th candidate has B ≤ A + √c·d_k. So the error of its product in
    float32 is at most E = γ·(sinh A·sinh B + cosh A·β) for the largest such B, plus the underflow.
    Outside the candidates no product exceeds the last candidate's, so no such reference exists if
    P_last − E > P_k. For n columns γ = (n + 3)·u in the worst case, u being the unit roundoff. If
    (6√n + 3)·u is less, it is used instead: sums of random roundings stay below it.

    Args:
        x: polar coordinates of the N queries.
        kth: (N,) √c·d_k, the distance of the k-th neighbour in units of 1/√c.
        last: (N,) the smallest product of the candidates, in float32.
        scale: σ > 0.
        largest: () or (N,) the largest B of all references.
        columns: n = D + 1, the number of columns in the product.

    Returns:
        (N,) bool. True also where the k-th neighbour is at distance 0.

    Source:
        γ: Higham & Mary, SIAM J. Sci. Comput. 41(5), 2019.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates
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
    # roundings of the sum, and three for the two factors and their product
    roundings = min(columns, _DEVIATIONS * columns**0.5) + 3
    off = roundings * float32.eps / 2 * size + 3 * columns * float32.tiny * unit
    enough: Tensor = (kth == 0) | (p_last - off > p_kth)
    return enough


def _query_scale(x: Polar, scale: float) -> Tensor:
    """τ of each query, (N,)."""
    return torch.maximum(x.sinh, scale * x.cosh)


def _half_tanh(sinh: float) -> float:
    """tanh(A/2) from sinh A."""
    return sinh / (1 + math.hypot(1, sinh)) if math.isfinite(sinh) else 1.0


def _columns(e: Tensor, factor: Tensor, column: Tensor, dtype: torch.dtype) -> Tensor:
    rows = e.new_empty(len(e), e.shape[1] + 1, dtype=dtype)
    # computed in float64 and rounded once
    torch.mul(e, factor[:, None], out=rows[:, :-1])
    rows[:, -1] = column
    return rows
