"""Random tangent vectors at the origin, and what the rounding of a distance between them allows."""

import torch

CURVATURES = [0.01, 0.1, 1.0]
# relative error of a distance: what rounding of the coordinates and of some ten operations allows
RTOL = {torch.float32: 2e-5, torch.float64: 1e-9}


def tangent(n: int, d: int = 5, max_norm: float = 2.3, dtype=torch.float64) -> torch.Tensor:
    """Vectors in all directions, of norms up to ``max_norm``."""
    directions = torch.nn.functional.normalize(torch.randn(n, d, dtype=torch.float64))
    return (directions * torch.rand(n, 1, dtype=torch.float64) * max_norm).to(dtype)
