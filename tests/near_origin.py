"""Tangent vectors near the origin, where the ball is flat."""

import torch

D = 8

# Curvature and norm of the tangent vectors.
SCALES = [(0.1, 1e-2), (0.1, 1e-3), (0.1, 1e-5), (0.1, 1e-12), (1e-8, 1.0), (1e-8, 1e-10)]


def near_origin(n: int, norm: float) -> torch.Tensor:
    """Tangent vectors in all directions, of about this norm."""
    return norm * torch.randn(n, D, dtype=torch.float64) / D**0.5


def euclidean(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Geodesic distances are twice those of the tangent vectors where the ball is flat."""
    return 2 * torch.stack([(row - v).norm(dim=1) for row in u])
