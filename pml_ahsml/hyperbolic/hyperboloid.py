"""The hyperboloid model of the same space, in which means of points are means of rows."""

import torch
from torch import Tensor

from ..precision import exact_dtype
from . import near_origin
from .products import product

# Enough to divide by, with a square that is still above 0 in float32.
_TINY = torch.finfo(torch.float32).tiny ** 0.5


def hyperboloid_lift(tangent: Tensor, curvature: float | Tensor) -> Tensor:
    """Lift tangent vectors at the origin to the unit hyperboloid: x = (cosh A, sinh A·û).

    For two lifted points cosh(√c·d) = −⟨x, y⟩ = x₀y₀ − Σ xᵢyᵢ.

    Args:
        tangent: (N, D) tangent vectors u, A = 2√c‖u‖.
        curvature: c > 0.

    Returns:
        (N, D + 1) points with −⟨x, x⟩ = 1, time coordinate first.

    Source:
        Lorentz model, Nickel & Kiela, ICML 2018.

    Example:
        >>> hyperboloid_lift(torch.tensor([[0.5, 0.0]]), 1.0)
        tensor([[1.5431, 1.1752, 0.0000]])
    """
    # sinh(A)/‖u‖ loses no digits near the origin, but has no value there
    norm = torch.linalg.vector_norm(tangent, dim=-1, keepdim=True)
    norm = norm.clamp_min(_TINY)
    radius = 2 * curvature**0.5 * norm
    return torch.cat([radius.cosh(), tangent * (radius.sinh() / norm)], dim=-1)


def hyperboloid_unlift(points: Tensor, curvature: float | Tensor) -> Tensor:
    """Bring points of the hyperboloid, or positive multiples of them, back to the tangent space.

    u = artanh(‖x_s‖/x₀)/(2√c)·x_s/‖x_s‖ with x = (x₀, x_s). The Einstein midpoint of some points
    is the normalised sum of their lifts; as the ratio ‖x_s‖/x₀ does not change with the scale,
    unlifting the plain sum or mean gives the midpoint without normalising it.

    Args:
        points: (N, D + 1), each a positive multiple of a point of the hyperboloid.
        curvature: c > 0.

    Returns:
        (N, D) tangent vectors at the origin.

    Source:
        Einstein midpoint: Ungar 2005; its form as a mean of lifts is derived in docs/method.md.

    Example:
        >>> x = hyperboloid_lift(torch.tensor([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5]]), 1.0)
        >>> hyperboloid_unlift(x.mean(0, keepdim=True), 1.0)
        tensor([[0.0000, 0.1298]])
    """
    time, space = points[..., :1], points[..., 1:]
    norm = torch.linalg.vector_norm(space, dim=-1, keepdim=True)
    # artanh(norm/time), with all its digits near the origin
    radius = 0.5 * torch.log1p(2 * norm / (time - norm))
    root = torch.as_tensor(curvature, dtype=points.dtype, device=points.device).sqrt()
    return space * (radius / (2 * root * torch.where(norm > 0, norm, 1.0)))


def hyperboloid_normalise(points: Tensor) -> Tensor:
    """Scale points to the unit hyperboloid: x / √(−⟨x, x⟩).

    Args:
        points: (…, D + 1) positive multiples of points of the hyperboloid, as means of them are.

    Returns:
        (…, D + 1) points with −⟨x, x⟩ = 1, in float64; a row of zeros stays one.

    Source:
        Lorentz model, Nickel & Kiela, ICML 2018.

    Example:
        >>> hyperboloid_normalise(torch.tensor([[3.0, 0.0]]))
        tensor([[1., 0.]], dtype=torch.float64)
    """
    wide = points.detach().to(exact_dtype(points))
    squared = 2 * wide[..., 0].square() - torch.linalg.vecdot(wide, wide)
    scale: Tensor = squared.clamp_min(_TINY).rsqrt()
    return wide * scale[..., None]


def hyperboloid_distance(points: Tensor, ref_points: Tensor, curvature: float | Tensor) -> Tensor:
    """Geodesic distances between points of the hyperboloid: d(x, y) = arcosh(−⟨x, y⟩)/√c.

    For class centroids, which live on the hyperboloid: one product in float64, which resolves
    distances down to some 1e-7 of the radius; no gradient. Overflows to inf where √c·d is over 44.
    Near the origin the product is that of the space coordinates (``near_origin``).

    Args:
        points: (…, N, D + 1) points, time coordinate first. In float32 they are off the hyperboloid
            by a rounding error, which blurs distances below a thousandth of the radius.
        ref_points: (…, M, D + 1) such points.
        curvature: c > 0.

    Returns:
        (…, N, M) geodesic lengths, float32, without a gradient.

    Source:
        Lorentz model, Nickel & Kiela, ICML 2018.

    Example:
        >>> x = hyperboloid_lift(torch.tensor([[0.5, 0.0], [0.0, 0.5]]), 1.0)
        >>> origin = hyperboloid_lift(torch.zeros(1, 2), 1.0)
        >>> hyperboloid_distance(x[:1], origin, 1.0).round(decimals=5)
        tensor([[1.]])
    """
    wide = exact_dtype(points)
    x, y = points.detach().to(wide, copy=True), ref_points.detach().to(wide)
    near_x, near_y = near_origin.is_near(x), near_origin.is_near(y)
    x[..., 0].neg_()
    # P = cosh(√c·d) − 1, small or large, fits into float32
    p = (-1 - product(x, y.mT)).float().clamp_min_(0)
    # arcosh(1 + P) by a logarithm: arcosh itself is ten times slower
    lengths = (p + 2).mul_(p).sqrt_().add_(p).log1p_().div_(float(curvature) ** 0.5)
    if bool(near_x.any() | near_y.any()):
        exact = near_origin.distances(x, y, float(curvature)).float()
        lengths = torch.where(near_x[..., :, None] | near_y[..., None, :], exact, lengths)
    return lengths
