"""The hyperboloid model of hyperbolic space, where a mean of points is a mean of rows.

Near the origin the time coordinate is cosh A = 1 + α with a tiny α, and float32 keeps few of its
digits or none. The space coordinates s keep them all: α = ‖s‖²/(1 + cosh A). With β likewise
for another point with space coordinates t, cosh(√c·d) − 1 = α + cosh A·β − s·t.
"""

import torch
from torch import Tensor

from ..precision import exact_dtype
from .products import minus_product

# Small enough to change no result, large enough that its square is above 0 in float32.
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
    # sinh(A)/‖u‖ keeps all digits near the origin, but is 0/0 at the origin itself
    norm = torch.linalg.vector_norm(tangent, dim=-1, keepdim=True)
    norm = norm.clamp_min(_TINY)
    radius = 2 * curvature**0.5 * norm
    return torch.cat([radius.cosh(), tangent * (radius.sinh() / norm)], dim=-1)


def hyperboloid_unlift(points: Tensor, curvature: float | Tensor) -> Tensor:
    """Map points of the hyperboloid, or positive multiples of them, back to the tangent space.

    u = artanh(‖x_s‖/x₀)/(2√c)·x_s/‖x_s‖ with x = (x₀, x_s). The scale of x cancels. So unlifting
    the sum or mean of some lifts gives the Einstein midpoint, which is their normalised sum.

    Args:
        points: (N, D + 1), each a positive multiple of a point of the hyperboloid.
        curvature: c > 0.

    Returns:
        (N, D) tangent vectors at the origin.

    Source:
        Einstein midpoint: Ungar 2005. docs/method.md derives its form as a mean of lifts.

    Example:
        >>> x = hyperboloid_lift(torch.tensor([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5]]), 1.0)
        >>> hyperboloid_unlift(x.mean(0, keepdim=True), 1.0)
        tensor([[0.0000, 0.1298]])
    """
    time, space = points[..., :1], points[..., 1:]
    norm = torch.linalg.vector_norm(space, dim=-1, keepdim=True)
    # artanh(norm/time), accurate near the origin too
    radius = 0.5 * torch.log1p(2 * norm / (time - norm))
    return space * (radius / (2 * curvature**0.5 * torch.where(norm > 0, norm, 1.0)))


def hyperboloid_normalise(points: Tensor) -> Tensor:
    """Scale points to the unit hyperboloid: x / √(−⟨x, x⟩).

    Args:
        points: (…, D + 1) positive multiples of points of the hyperboloid, such as their means.

    Returns:
        (…, D + 1) points with −⟨x, x⟩ = 1, in float64; a row of zeros stays a row of zeros.

    Source:
        Lorentz model, Nickel & Kiela, ICML 2018.

    Example:
        >>> hyperboloid_normalise(torch.tensor([[3.0, 0.0]]))
        tensor([[1., 0.]], dtype=torch.float64)
    """
    wide = points.detach().to(exact_dtype(points))
    return wide * hyperboloid_scale(wide)[0][..., None]


def hyperboloid_scale(points: Tensor) -> tuple[Tensor, Tensor]:
    """Compute 1/√(−⟨x, x⟩), which :func:`hyperboloid_normalise` multiplies by.

    Args:
        points: (…, D + 1) positive multiples of points of the hyperboloid, or rows of zeros.

    Returns:
        (…) finite factors, and (…) the norms of the space coordinates.

    Example:
        >>> hyperboloid_scale(torch.tensor([[5.0, 3.0]]))
        (tensor([0.2500]), tensor([3.]))
    """
    time, norm = points[..., 0], torch.linalg.vector_norm(points[..., 1:], dim=-1)
    squared = time.square().addcmul_(norm, norm, value=-1)
    return squared.clamp_min(_TINY).rsqrt(), norm


def hyperboloid_distance(points: Tensor, ref_points: Tensor, curvature: float | Tensor) -> Tensor:
    """Compute geodesic distances between points of the hyperboloid: d(x, y) = arcosh(−⟨x, y⟩)/√c.

    One product in float64 resolves distances down to about 1e-7 of the radius, near the origin too.
    It overflows to inf where √c·d exceeds 44.

    Args:
        points: (…, N, D + 1) points, time coordinate first. The rounding of points in float32 blurs
            distances below a thousandth of the radius.
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
    x, y = points.detach().to(wide), ref_points.detach().to(wide)
    return distance_to_factors(x, one_less_cosh(x), factors_of(y), curvature)


def factors_of(points: Tensor) -> Tensor:
    """Factors of a product from which a distance to points is computed: (−β, t).

    The product of x = (cosh A, s) with them is s·t − cosh A·β = α − P with P = cosh(√c·d) − 1. It
    grows as the distance to x falls, and keeps its digits near the origin.

    Args:
        points: (…, M, D + 1) points of the hyperboloid, time coordinate first.

    Returns:
        (…, M, D + 1).

    Source:
        The Minkowski product, less cosh A, which is the same for all points: Nickel & Kiela, ICML
        2018.

    Example:
        >>> x = torch.tensor([[1.0, 1e-9], [1.0, 3e-9], [1.0, 2e-9]])
        >>> (factors_of(x) @ x[0]).argsort(descending=True)
        tensor([0, 2, 1])
    """
    return torch.cat([one_less_cosh(points)[..., None], points[..., 1:]], -1)


def distance_to_factors(
    points: Tensor, less: Tensor, factors: Tensor, curvature: float | Tensor
) -> Tensor:
    """Compute :func:`hyperboloid_distance` from parts that may be known already.

    Args:
        points: (…, N, D + 1) points, in float64.
        less: (…, N) their −α, see :func:`one_less_cosh`.
        factors: (…, M, D + 1) factors of other points, see :func:`factors_of`.
        curvature: c > 0.

    Returns:
        (…, N, M) geodesic lengths, float32; inf where the first factor is −inf.
    """
    p = minus_product(points, factors.mT, less[..., None])
    return lengths_of(p, curvature)


def lengths_of(excess: Tensor, curvature: float | Tensor) -> Tensor:
    """Compute geodesic lengths arcosh(1 + P)/√c.

    Args:
        excess: P = −⟨x, y⟩ − 1 of any shape; below 0 by rounding only.
        curvature: c > 0.

    Returns:
        Lengths of the same shape, float32.

    Example:
        >>> lengths_of(torch.tensor([0.0, 0.25]), 1.0)
        tensor([0.0000, 0.6931])
    """
    # P fits into float32, small or large
    p = excess.float().clamp_min_(0)
    # arcosh(1 + P) = log(1 + P + √2·√(P + P²/2)): torch's arcosh is ten times slower
    root = torch.addcmul(p, p, p, value=0.5).sqrt_()
    return p.add_(root, alpha=2**0.5).log1p_().div_(float(curvature) ** 0.5)


def one_less_cosh(points: Tensor) -> Tensor:
    """Compute −α = 1 − cosh A = −‖s‖²/(1 + cosh A), with all digits of the space coordinates s.

    Args:
        points: (…, D + 1) points of the hyperboloid, time coordinate first; 0 for a row of zeros.

    Returns:
        (…) −α ≤ 0.

    Example:
        >>> one_less_cosh(torch.tensor([[1.0, 3e-9, 4e-9], [1.25, 0.75, 0.0]]))
        tensor([-1.2500e-17, -2.5000e-01])
    """
    # no vecdot, which autocast would round
    return points[..., 1:].square().sum(-1) / (-1 - points[..., 0])
