"""Geodesic distances between tangent vectors at the origin, or points of the ball."""

import math

import torch
from torch import Tensor

from ..precision import exact_dtype
from . import distance_kernel, plain_distance
from .maps import SERIES_LIMIT

# torch below 2.3 cannot tell; there the kernel breaks the graph
_is_compiling = getattr(torch.compiler, "is_compiling", lambda: False)


def distance_matrix(
    tangent: Tensor,
    ref_tangent: Tensor,
    curvature: float | Tensor,
    *,
    max_norm: float = math.inf,
    on_ball: bool = False,
) -> Tensor:
    """Geodesic distances between all pairs, by one matrix product and in O(N·M) memory.

    d(u, v) = (2/√c)·asinh √S,
    S = sinh²((A_u − A_v)/2) + sinh A_u·sinh A_v·‖û − v̂‖²/4,  A = 2√c‖u‖,  û = u/‖u‖.

    Near-duplicates are computed from coordinate differences or in float64, so equal rows are at
    distance exactly 0. The gradient at coincident points is 0, as in ``torch.cdist``; second
    derivatives work and are slower. Half precision is computed in float32 and returned in the dtype
    of the arguments. On a GPU the accuracy is that of the matrix product, so leave
    ``torch.set_float32_matmul_precision`` at "highest". Float32 overflows to inf where √c·d is over
    44; the defaults of PoincareDistance end at 2.9.

    Args:
        tangent: (N, D) tangent vectors at the origin.
        ref_tangent: (M, D) tangent vectors at the origin.
        curvature: c > 0, a number or a tensor that may require a gradient.
        max_norm: r > 0; longer tangent vectors are shortened to it, as by :func:`clip_norm`.
        on_ball: the rows are points of the ball instead, mapped as by :func:`logmap0`.

    Returns:
        (N, M) geodesic lengths at curvature −c, in [0, 2(‖u‖ + ‖v‖)].

    Source:
        Half-angle form of the hyperbolic law of cosines (this project).

    Example:
        >>> u = torch.tensor([[0.3, 0.4], [0.0, 1.0]])
        >>> distance_matrix(u, torch.zeros(1, 2), 0.1).round(decimals=5)
        tensor([[1.],
                [2.]])
    """
    dtype = torch.promote_types(tangent.dtype, ref_tangent.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    u = tangent.to(wide)
    v = u if ref_tangent is tangent else ref_tangent.to(wide)
    kernel = distance_kernel.distance_matrix
    if _is_compiling():
        kernel = plain_distance.plain_distance_matrix
    with torch.autocast(tangent.device.type, enabled=False):
        return kernel(u, v, curvature, max_norm, on_ball).to(tangent.dtype)


def pairwise_distance(tangent: Tensor, ref_tangent: Tensor, curvature: float | Tensor) -> Tensor:
    """Geodesic distance between row i of one and row i of the other argument.

    Computed in float64, whatever the dtype, and any number of times differentiable.

    Args:
        tangent: (N, D) tangent vectors at the origin.
        ref_tangent: (N, D) tangent vectors at the origin.
        curvature: c > 0, a number or a tensor that may require a gradient.

    Returns:
        (N,) geodesic lengths at curvature −c, of the dtype of the arguments.

    Source:
        The formula of :func:`distance_matrix`, from coordinate differences (this project).

    Example:
        >>> pairwise_distance(torch.tensor([[0.5, 0.0]]), torch.tensor([[-0.5, 0.0]]), 0.1)
        tensor([2.])
    """
    dtype = tangent.dtype
    with torch.autocast(tangent.device.type, enabled=False):
        exact = exact_dtype(tangent)
        u, v = tangent.to(exact), ref_tangent.to(exact)
        return _length(_half_sinh_squared(u, v, curvature), curvature).to(dtype)


def _half_sinh_squared(u: Tensor, v: Tensor, curvature: float | Tensor) -> Tensor:
    """S = sinh²(√c·d/2) of matching rows, accurate relative to S itself.

    With δ = ‖u‖ − ‖v‖ the identity ‖u − v‖² = δ² + ‖u‖‖v‖·‖û − v̂‖² splits the difference of two
    close vectors into its radial and its angular part without subtracting large numbers.
    """
    difference = u - v
    norm_sum = _safe_sqrt(u.square().sum(-1)) + _safe_sqrt(v.square().sum(-1))
    norm_gap = (difference * (u + v)).sum(-1) / torch.where(norm_sum > 0, norm_sum, 1.0)
    across = (difference.square().sum(-1) - norm_gap.square()).clamp_min(0)
    scale_u, _ = _spatial_scale(u, curvature)
    scale_v, _ = _spatial_scale(v, curvature)
    root = torch.as_tensor(curvature, dtype=u.dtype, device=u.device).sqrt()
    return (root * norm_gap).sinh().square() + (scale_u * scale_v).squeeze(-1) * across / 4


def _spatial_scale(tangent: Tensor, curvature: float | Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1) factors sinh(A)/‖u‖ that stretch u to the hyperboloid, and the (N, 1) radii A."""
    curvature = torch.as_tensor(curvature, dtype=tangent.dtype, device=tangent.device)
    squared = 4 * curvature * tangent.square().sum(-1, keepdim=True)
    radius = _safe_sqrt(squared)
    small = squared < SERIES_LIMIT
    root = torch.where(small, 1.0, radius)
    series = 1 + squared / 6 * (1 + squared / 20 * (1 + squared / 42))
    return 2 * curvature.sqrt() * torch.where(small, series, root.sinh() / root), radius


def _length(s: Tensor, curvature: float | Tensor) -> Tensor:
    root = torch.as_tensor(curvature, dtype=s.dtype, device=s.device).sqrt()
    return 2 / root * torch.asinh(_safe_sqrt(s))


def _safe_sqrt(x: Tensor) -> Tensor:
    """√x whose gradient at 0 is 0 instead of inf."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)
