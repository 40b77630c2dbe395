"""Points of the hyperboloid near the origin, where the time coordinate is 1 and says nothing.

There cosh A = 1 + α, and float32 has few digits of α or none; all of them are in the space
coordinates s: α = ‖s‖²/(1 + √(1 + ‖s‖²)). With β likewise of the other point
cosh(√c·d) − 1 = α + cosh A·β − s·t.
"""

import torch
from torch import Tensor

from ..precision import exact_dtype
from .polar import geodesic_length
from .products import product

# Of cosh A − 1: float32 keeps fewer than twelve bits of what is below, float64 fewer than 41.
_LIMIT = 2.0**-12


def is_near(points: Tensor) -> Tensor:
    """Which points are so near to the origin that their time coordinate is not to be relied on.

    Args:
        points: (…, D + 1) points of the hyperboloid, time coordinate first. Rows of zeros are not.

    Returns:
        (…) bool.

    Example:
        >>> is_near(torch.tensor([[1.0, 1e-3], [1.25, 0.75], [0.0, 0.0]]))
        tensor([ True, False, False])
    """
    time = points[..., 0]
    return (time < 1 + _LIMIT) & (time > 0)


def excess(space: Tensor) -> Tensor:
    """α = cosh A − 1 from the space coordinates.

    Args:
        space: (…, D) sinh A·û.

    Returns:
        (…) in float64.

    Example:
        >>> excess(torch.tensor([[3e-9, 4e-9], [0.75, 0.0]]))
        tensor([1.2500e-17, 2.5000e-01], dtype=torch.float64)
    """
    squared = _norms(space).square()
    return squared / (1 + (1 + squared).sqrt())


def distances(points: Tensor, others: Tensor, curvature: float) -> Tensor:
    """Geodesic distances between all pairs of points, by their space coordinates.

    Args:
        points: (…, N, D + 1) in float64.
        others: (…, M, D + 1) likewise.
        curvature: c > 0.

    Returns:
        (…, N, M) geodesic lengths in float64.

    Source:
        This project.

    Example:
        >>> x = torch.tensor([[1.0, 1e-9], [1.0, 3e-9]], dtype=torch.float64)
        >>> distances(x[:1], x[1:], 1.0)
        tensor([[2.0000e-09]], dtype=torch.float64)
    """
    s, t = points[..., 1:], others[..., 1:]
    a, b = excess(s)[..., :, None], excess(t)[..., None, :]
    p = (a + (1 + a) * b - product(s, t.mT)).clamp_min_(0)
    return geodesic_length(p, curvature)


class Closeness:
    """How close points near the origin are to others: products that grow as the distance falls.

    (s/σ, −cosh A)·(t, β/σ) is (α − P)/σ. With σ the largest ‖s‖, nothing underflows.

    Args:
        points: (N, D + 1), near the origin.

    Source:
        This project.

    Example:
        >>> closeness = Closeness(torch.tensor([[1.0, 1e-9]]))
        >>> closeness(torch.tensor([[1e-9], [3e-9], [2e-9]])).argsort(descending=True)
        tensor([[0, 2, 1]])
    """

    def __init__(self, points: Tensor) -> None:
        space = points[:, 1:]
        wide = exact_dtype(points)
        self.scale = _norms(space).max().clamp_min(torch.finfo(torch.float32).tiny)
        self.columns = torch.cat([space.to(wide) / self.scale, -points[:, :1].to(wide)], 1)

    def __call__(self, space: Tensor) -> Tensor:
        """(N, M) values, of which only those in one row compare.

        Args:
            space: (M, D) space coordinates t of the others.
        """
        time = (excess(space) / self.scale).to(space)
        return product(self.columns.to(space), torch.cat([space, time[:, None]], 1).T)


def _norms(space: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(space, dim=-1, dtype=exact_dtype(space))
    return norms
