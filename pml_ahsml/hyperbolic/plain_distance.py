"""The matrix of geodesic distances from ordinary operations, in float64."""

import torch
from torch import Tensor

from ..precision import exact_dtype
from .polar import differentiable_norms, polar_coordinates

# Below this multiple of sinh A·sinh B a product of two rows in float64 is rounding, and their
# distance is 0. That is where they differ by less than float32 resolves of their norm.
PRODUCT_FLOOR = 2.0**-46


def plain_distance_matrix(
    e: Tensor, f: Tensor, curvature: float | Tensor, max_norm: float, on_ball: bool
) -> Tensor:
    """All pairs, from ordinary operations in float64: any number of derivatives, no branches.

    For what the autograd function of ``distance_kernel`` does not do: second derivatives, and
    torch.compile. Near pairs have the accuracy of a product in float64: below some 2e-7 of their
    norm rows coincide.

    Args:
        e: (N, D) rows.
        f: (M, D) rows.
        curvature: c > 0.
        max_norm: r > 0, the tangent norm at which rows are clipped.
        on_ball: rows are points of the ball instead of tangent vectors.

    Returns:
        (N, M) geodesic lengths, in the dtype of the rows.

    Source:
        This project.

    Example:
        >>> u = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
        >>> plain_distance_matrix(u, torch.zeros(1, 2), 0.1, 2.3, False)
        tensor([[1.],
                [1.]])
    """
    wide = exact_dtype(e)
    e64, f64 = e.to(wide), f.to(wide)
    c = torch.as_tensor(curvature, dtype=wide, device=e.device)
    x, y = (
        polar_coordinates(differentiable_norms(rows), c, max_norm, on_ball) for rows in (e64, f64)
    )
    spatial = (e64 * x.stretch[:, None]) @ (f64 * y.stretch[:, None]).T
    p = x.alpha[:, None] * y.cosh + y.alpha - spatial
    apart = p > PRODUCT_FLOOR * (x.sinh[:, None] * y.sinh)
    p = torch.where(apart, p, 1.0)
    root = (p * (p + 2)).sqrt()
    return torch.where(apart, torch.log1p(p + root) / c.sqrt(), 0.0).to(e.dtype)
