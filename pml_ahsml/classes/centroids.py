"""Class centroids and the distances to and between them."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..hyperbolic import hyperboloid
from ..hyperbolic.multiples import Multiples
from ..hyperbolic.products import product

# Centroids converted to float64 at once: on a CPU a block of them fits into a cache. On a GPU each
# block starts some twenty kernels, and 256 MB of float64 at 256 dimensions is one.
_BLOCK, _DEVICE_BLOCK = 1 << 10, 1 << 17


@dataclass(frozen=True)
class Centroids:
    """A snapshot of the class centroids.

    Args:
        means: (K, D + 1) mean of the points of each class on the hyperboloid; zeros for classes
            never seen. Normalised, it is the Einstein midpoint of the class.
        visits: (K,) number of batches that contained each class.
        curvature: c > 0.
    """

    means: Tensor
    visits: Tensor
    curvature: float

    @cached_property
    def seen(self) -> Tensor:
        """(K,) bool, the classes that have a centroid."""
        return self.visits > 0

    def of(self, classes: Tensor) -> Tensor:
        """Centroids (…, D + 1) of some classes (…), as points of the hyperboloid."""
        return hyperboloid.hyperboloid_normalise(self.means[classes])

    def lengths(self, points: Tensor, others: Tensor) -> Tensor:
        """(…, N, M) distances between points (…, N, D + 1) and (…, M, D + 1)."""
        return hyperboloid.hyperboloid_distance(points, others, self.curvature)

    @property
    def are_few(self) -> bool:
        """Whether those of all classes may be in float64 at once."""
        return len(self.means) <= (_BLOCK if self.means.device.type == "cpu" else _DEVICE_BLOCK)

    @cached_property
    def points(self) -> Tensor:
        """(K, D + 1) centroids of all classes; a row of zeros for classes never seen."""
        return hyperboloid.hyperboloid_normalise(self.means)

    @cached_property
    def factors(self) -> Tensor:
        """(K, D + 1) factors of a distance to each class, which make it inf if never seen."""
        return _factors(self.points, self.seen)

    def distances(self, points: Tensor) -> Tensor:
        """(N, K) distances of points to all centroids, inf for classes never seen."""
        less = hyperboloid.one_less_cosh(points)
        if self.are_few:
            return self._to(points, less, self.factors)
        # in blocks, so that a million centroids are never in float64 at once
        size = _BLOCK if points.device.type == "cpu" else _DEVICE_BLOCK
        lengths = [
            self._to_block(points, less, means.to(points), seen)
            for means, seen in zip(self.means.split(size), self.seen.split(size), strict=True)
        ]
        return torch.cat(lengths, 1)

    def distances_of(self, classes: Tensor) -> Tensor:
        """(C, K) distances of the centroids of classes (C,) to all, inf for those never seen.

        The classes must have been seen, and not be too many for float64.
        """
        factors = self.factors
        return self._to(self.points[classes], factors[classes, 0], factors)

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

    def _to(self, points: Tensor, less: Tensor, factors: Tensor) -> Tensor:
        return hyperboloid.distance_to_factors(points, less, factors, self.curvature)

    def _to_block(self, points: Tensor, less: Tensor, means: Tensor, seen: Tensor) -> Tensor:
        excess = Multiples.of(means, seen).closeness(points).add_(less[:, None]).neg_()
        return hyperboloid.lengths_of(excess, self.curvature)


def _factors(points: Tensor, seen: Tensor) -> Tensor:
    factors = hyperboloid.factors_of(points)
    factors[:, 0].masked_fill_(~seen, -torch.inf)
    return factors
