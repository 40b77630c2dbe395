"""The Poincaré ball of curvature −c, computed in the tangent space at its origin.

A point is given by its tangent vector u at the origin: its geodesic distance to the origin is
2‖u‖, and its hyperbolic radius (that distance in units of 1/√c) is A = 2√c‖u‖. Nothing here
forms 1 − c‖h‖², the difference that costs every digit near the rim of the ball.
"""

import math

import torch
from torch import Tensor

from . import distance_kernel, near_origin, plain_distance
from .polar import exact_dtype
from .products import product

# Below this squared argument sinh(a)/a, tanh(a)/a and artanh(a)/a are their Taylor polynomials: the
# first term left out is at most 1.2e-9, so the switch is invisible in float32.
_SERIES_LIMIT = 1e-2

# Enough to divide by, with a square that is still above 0 in float32.
_TINY = torch.finfo(torch.float32).tiny ** 0.5

# torch below 2.3 cannot tell; there the kernel breaks the graph
_is_compiling = getattr(torch.compiler, "is_compiling", lambda: False)


def clip_norm(embeddings: Tensor, max_norm: float) -> Tensor:
    """Shorten the rows that are longer than ``max_norm``: u = e·min(1, r/‖e‖).

    Args:
        embeddings: (N, D) tangent vectors at the origin.
        max_norm: r > 0, the largest norm that is left as it is.

    Returns:
        (N, D), rows of norm ≤ r. The gradient of a shortened row has no radial part.

    Source:
        The feature clipping of Ermolov et al., CVPR 2022.

    Example:
        >>> clip_norm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    norm = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
    too_long = norm > max_norm
    scale = torch.where(too_long, max_norm / torch.where(too_long, norm, 1.0), 1.0)
    return embeddings * scale


def expmap0(tangent: Tensor, curvature: float | Tensor) -> Tensor:
    """Map tangent vectors at the origin into the ball: h = tanh(√c‖u‖)·u / (√c‖u‖).

    Args:
        tangent: (N, D) tangent vectors u.
        curvature: c > 0; the ball has sectional curvature −c and Euclidean radius 1/√c.

    Returns:
        (N, D) points of the ball.

    Source:
        Ganea et al., NeurIPS 2018, Lemma 2.

    Example:
        >>> expmap0(torch.tensor([[1.0, 0.0]]), 1.0)
        tensor([[0.7616, 0.0000]])
    """
    squared = curvature * tangent.square().sum(-1, keepdim=True)
    small = squared < _SERIES_LIMIT
    root = torch.where(small, 1.0, squared).sqrt()
    series = 1 - squared / 3 * (1 - squared * 2 / 5 * (1 - squared * 17 / 42))
    return tangent * torch.where(small, series, root.tanh() / root)


def logmap0(points: Tensor, curvature: float | Tensor, max_norm: float = math.inf) -> Tensor:
    """Map points of the ball to tangent vectors at the origin, the inverse of :func:`expmap0`.

    u = artanh(√c‖h‖)·h / (√c‖h‖), shortened to ``max_norm``. Shortening happens before the
    artanh, which is infinite on the rim: points on or beyond the rim come back with norm
    ``max_norm`` instead of inf or nan.

    Args:
        points: (N, D) points h with √c‖h‖ < 1.
        curvature: c > 0.
        max_norm: r > 0, the largest norm of the result.

    Returns:
        (N, D) tangent vectors of norm ≤ r.

    Source:
        Ganea et al., NeurIPS 2018, Lemma 2; the shortening is this project's.

    Example:
        >>> logmap0(torch.tensor([[0.7616, 0.0]]), 1.0)
        tensor([[1.0000, 0.0000]])
    """
    curvature = torch.as_tensor(curvature, dtype=points.dtype, device=points.device)
    rim = torch.tanh(curvature.sqrt() * max_norm)
    squared = curvature * points.square().sum(-1, keepdim=True)
    beyond = squared >= rim.square()
    small = squared < _SERIES_LIMIT
    root = torch.where(small | beyond, 0.5, squared).sqrt()
    series = 1 + squared / 3 * (1 + squared * 3 / 5 * (1 + squared * 5 / 7))
    scale = torch.where(small, series, torch.atanh(root) / root)
    inside = points * torch.where(beyond, 0.0, scale)
    if math.isinf(max_norm):
        return inside
    # 1 where it is not used, so that the branch not taken has a finite gradient
    length = torch.where(beyond, squared / curvature, 1.0).sqrt()
    return torch.where(beyond, points * (max_norm / length), inside)


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
    small = squared < _SERIES_LIMIT
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
