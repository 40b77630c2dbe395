"""Other ways to compute a matrix of hyperbolic distances, to compare with."""

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import geoopt
import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from pml_ahsml.hyperbolic import maps

Matrix = Callable[[Tensor], Tensor]


def to_ball(embeddings: Tensor, c: float, clip_radius: float) -> Tensor:
    """Clip embeddings and map them into the ball."""
    return maps.expmap0(maps.clip_norm(embeddings, clip_radius), c)


def plain_autograd(c: float, clip_radius: float) -> Matrix:
    """Make the polar form from ordinary operations; near pairs come from differences."""

    def matrix(embeddings: Tensor) -> Tensor:
        u = maps.clip_norm(embeddings, clip_radius)
        return polar_form(u, u, c)

    return matrix


def polar_form(u: Tensor, v: Tensor, c: float) -> Tensor:
    """Compute d = (2/√c)·asinh √( sinh²((A − B)/2) + sinh A·sinh B·‖û − v̂‖²/4 )."""
    a, b = (2 * math.sqrt(c) * x.norm(dim=1, keepdim=True) for x in (u, v))
    x = u * (a.sinh() / u.norm(dim=1, keepdim=True))
    y = v * (b.sinh() / v.norm(dim=1, keepdim=True))
    reach = a.sinh() * b.sinh().T
    s = (0.5 * (a - b.T)).sinh().square() + (0.5 * (reach - x @ y.T)).clamp_min(0)
    with torch.no_grad():
        near = s <= 16 * math.sqrt(torch.finfo(u.dtype).eps) * reach
        exact = torch.zeros_like(s)
        for i, j in (pairs.unbind(1) for pairs in near.nonzero().split(1 << 13)):
            exact[i, j] = _from_differences(u[i], v[j], c)
    s = torch.where(near, exact + (s - s.detach()), s)
    positive = s > 0
    root = torch.where(positive, torch.where(positive, s, 1.0).sqrt(), 0.0)
    return 2 / math.sqrt(c) * root.asinh()


def _from_differences(u: Tensor, v: Tensor, c: float) -> Tensor:
    difference = u - v
    a, b = u.norm(dim=1), v.norm(dim=1)
    gap = (difference * (u + v)).sum(1) / (a + b)
    across = (difference.square().sum(1) - gap.square()).clamp_min(0)
    root = math.sqrt(c)
    stretch = (2 * root * a).sinh() * (2 * root * b).sinh() / (a * b)
    return (root * gap).sinh().square() + stretch * across / 4


class PlainDistance(BaseDistance):
    """The polar form under plain autograd, as a PML distance for its k-NN."""

    def __init__(self, c: float, clip_radius: float) -> None:
        super().__init__(normalize_embeddings=False)
        self.c, self.clip_radius = c, clip_radius

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Compute the distances of all pairs. Overrides ``BaseDistance.compute_mat``."""
        u, v = (maps.clip_norm(e, self.clip_radius) for e in (query_emb, ref_emb))
        return polar_form(u, v, self.c)


def geoopt_broadcast(c: float, clip_radius: float) -> Matrix:
    """Make ``geoopt.PoincareBall.dist`` of all pairs by broadcasting, in O(N·M·D) memory."""
    ball = geoopt.PoincareBall(c)

    def matrix(embeddings: Tensor) -> Tensor:
        x = to_ball(embeddings, c, clip_radius)
        return ball.dist(x[:, None], x)

    return matrix


def moebius_matrix(c: float, clip_radius: float) -> Matrix:
    """Make (2/√c)·artanh(√c·‖(−x) ⊕ y‖): one matrix product, and a sum by broadcasting.

    x ⊕ y = ((1 + 2c⟨x, y⟩ + c‖y‖²)·x + (1 − c‖x‖²)·y) / (1 + 2c⟨x, y⟩ + c²‖x‖²‖y‖²)
    (Ganea et al., NeurIPS 2018, equation 3).
    """
    root = math.sqrt(c)

    def matrix(embeddings: Tensor) -> Tensor:
        x = to_ball(embeddings, c, clip_radius)
        inner = -(x @ x.T)
        squared = x.square().sum(1)
        first = (1 + 2 * c * inner + c * squared)[:, :, None] * -x[:, None]
        second = (1 - c * squared)[:, None, None] * x
        below = 1 + 2 * c * inner + c**2 * squared[:, None] * squared
        norm = ((first + second) / below[:, :, None]).norm(dim=2)
        return 2 / root * (root * norm).clamp_max(1 - 1e-5).atanh()

    return matrix


def hypll_matrix(c: float, clip_radius: float) -> Matrix | None:
    """Make ``cdist`` of hypll's Poincaré ball, or None if hypll is not installed."""
    if importlib.util.find_spec("hypll") is None:
        return None
    hypll: Any = importlib.import_module("hypll.manifolds.poincare_ball.math.diffgeom")
    curvature = torch.tensor(c)

    def matrix(embeddings: Tensor) -> Tensor:
        x = to_ball(embeddings, c, clip_radius)[None]
        return hypll.cdist(x, x, curvature)[0]

    return matrix
