"""Class centroids and the distances to and between them."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..hyperbolic import hyperboloid
from ..hyperbolic.products import product

# Centroids converted to float64 at once: on a CPU a block of them fits into a cache. On a GPU each
# block starts some twenty kernels, and 256 MB of float64 at 256 dimensions is one.
_BLOCK, _DEVICE_BLOCK = 1 << 10, 1 << 17


class Centroids(NamedTuple):
    """A snapshot of the class centroids.

    Args:
        means: (K, D + 1) mean of the points of each class on the hyperboloid; zeros for classes
            never seen. Normalised, it is the Einstein midpoint of the class.
        seen: (K,) bool, the classes that have a centroid.
        curvature: c > 0.
    """

    means: Tensor
    seen: Tensor
    curvature: float

    def of(self, classes: Tensor) -> Tensor:
        """Centroids (…, D + 1) of some classes (…), as points of the hyperboloid."""
        return hyperboloid.hyperboloid_normalise(self.means[classes])

    def lengths(self, points: Tensor, others: Tensor) -> Tensor:
        """(…, N, M) distances between points (…, N, D + 1) and (…, M, D + 1)."""
        return hyperboloid.hyperboloid_distance(points, others, self.curvature)

    def unseen(self) -> Tensor:
        """(K,) added to distances: inf for classes never seen, else 0; masks are slower."""
        return torch.where(self.seen, 0.0, torch.inf)

    def distances(self, points: Tensor) -> Tensor:
        """(N, K) distances of points to all centroids, inf for classes never seen."""
        # in blocks, so that a million centroids are never in float64 at once
        size = _BLOCK if points.device.type == "cpu" else _DEVICE_BLOCK
        lengths = [
            self.lengths(points, hyperboloid.hyperboloid_normalise(block))
            for block in self.means.split(size)
        ]
        return torch.cat(lengths, 1).add_(self.unseen())

    def divergence(self, classes: Tensor) -> Tensor:
        """(C, C) distances between the centroids of classes (C,), nan for those never seen."""
        centroids = self.of(classes)
        divergence = self.lengths(centroids, centroids)
        divergence.masked_fill_(classes[:, None] == classes, 0)
        unseen = torch.where(self.seen[classes], 0.0, torch.nan)
        # in place: torch.where on two numbers returns the default dtype
        return divergence.add_(unseen).add_(unseen[:, None])

    def tangent(self, classes: Tensor | None) -> Tensor:
        """(C, D) centroids as tangent vectors; the origin for classes never seen. None for all."""
        means = self.means if classes is None else self.means[classes]
        # a mean of time coordinates is at least 1, so a zero row is a class never seen
        time = torch.where(means[:, :1] > 0, means[:, :1], 1.0)
        return hyperboloid.hyperboloid_unlift(torch.cat([time, means[:, 1:]], 1), self.curvature)

    def mean_similarity(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """(C,) ⟨m_a, m_a⟩ and (C, C) ⟨m_a, m_b⟩ of classes (C,), nan on the diagonal.

        Near the origin all are −1 up to the squared distances, which float32 cannot resolve if
        √c·‖u‖ is below about 1e-3.
        """
        means = self.means[classes]
        similarity = product(means[:, 1:], means[:, 1:].T) - product(means[:, :1], means[:, :1].T)
        seen = self.seen[classes]
        similarity = similarity.masked_fill(~(seen[:, None] & seen), torch.nan)
        return similarity.diagonal().clone(), similarity.fill_diagonal_(torch.nan)
