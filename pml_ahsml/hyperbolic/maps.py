"""Maps between the Poincaré ball of curvature −c and the tangent space at its origin.

The tangent vector u at the origin stands for a point. The geodesic distance from the origin is
2‖u‖, or A = 2√c‖u‖ in units of 1/√c. No formula here contains 1 − c‖h‖², which loses all digits
near the rim of the ball.
"""

import math

import torch
from torch import Tensor

# Below this a² Taylor polynomials replace sinh(a)/a, tanh(a)/a and artanh(a)/a. The first term left
# out is at most 1.2e-9, less than float32 resolves.
SERIES_LIMIT = 1e-2


def clip_norm(embeddings: Tensor, max_norm: float) -> Tensor:
    """Shorten rows longer than ``max_norm``: u = e·min(1, r/‖e‖).

    Args:
        embeddings: (N, D) tangent vectors at the origin.
        max_norm: r > 0, the largest norm of the result.

    Returns:
        (N, D) rows of norm ≤ r. The gradient of a shortened row has no radial part.

    Source:
        Feature clipping: Ermolov et al., CVPR 2022.

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
    small = squared < SERIES_LIMIT
    root = torch.where(small, 1.0, squared).sqrt()
    series = 1 - squared / 3 * (1 - squared * 2 / 5 * (1 - squared * 17 / 42))
    return tangent * torch.where(small, series, root.tanh() / root)


def logmap0(points: Tensor, curvature: float | Tensor, max_norm: float = math.inf) -> Tensor:
    """Map points of the ball to tangent vectors at the origin, the inverse of :func:`expmap0`.

    u = artanh(√c‖h‖)·h / (√c‖h‖), shortened to ``max_norm``. Points on or beyond the rim, where
    artanh is not finite, get the norm ``max_norm``.

    Args:
        points: (N, D) points h with √c‖h‖ < 1.
        curvature: c > 0.
        max_norm: r > 0, the largest norm of the result.

    Returns:
        (N, D) tangent vectors of norm ≤ r.

    Source:
        Ganea et al., NeurIPS 2018, Lemma 2.

    Example:
        >>> logmap0(torch.tensor([[0.7616, 0.0]]), 1.0)
        tensor([[1.0000, 0.0000]])
    """
    curvature = torch.as_tensor(curvature, dtype=points.dtype, device=points.device)
    rim = torch.tanh(curvature.sqrt() * max_norm)
    squared = curvature * points.square().sum(-1, keepdim=True)
    beyond = squared >= rim.square()
    small = squared < SERIES_LIMIT
    root = torch.where(small | beyond, 0.5, squared).sqrt()
    series = 1 + squared / 3 * (1 + squared * 3 / 5 * (1 + squared * 5 / 7))
    scale = torch.where(small, series, torch.atanh(root) / root)
    inside = points * torch.where(beyond, 0.0, scale)
    if math.isinf(max_norm):
        return inside
    # 1 where it is not used, so that the gradient of that branch is finite
    length = torch.where(beyond, squared / curvature, 1.0).sqrt()
    return torch.where(beyond, points * (max_norm / length), inside)
