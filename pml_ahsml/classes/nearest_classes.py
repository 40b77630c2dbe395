"""Candidate classes: the nearest ones, and an evenly spaced sample that represents the rest.

A table of a batch against all K classes has N·K entries, a table of all pairs of classes K².
Candidates approximate a sum over classes whose terms fall with the distance: the largest terms are
exact, and each class of the sample counts for several.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..hyperbolic.multiples import Multiples
from ..hyperbolic.nearest_rows import largest_entries

# Centroids compared at once: for a batch of 64, 4 MB of products, which fit into a cache.
_BLOCK = 1 << 14


class Candidates(NamedTuple):
    """Candidate classes of each sample.

    Args:
        classes: (N, 1 + nearest + sampled) classes, that of the sample's own label first.
        weights: (N, 1 + nearest + sampled) number of classes that each candidate represents: 1 for
            the own class and the nearest, more for the sampled, 0 for a repeated class and for one
            never seen.
    """

    classes: Tensor
    weights: Tensor


def candidate_classes(
    points: Tensor, labels: Tensor, means: Tensor, seen: Tensor, nearest: int, sampled: int
) -> Candidates:
    """Choose the nearest classes of each sample, and evenly spaced ones for the rest.

    The evenly spaced classes are y + 1 + ⌊j·(K − 1)/sampled⌋ (mod K), without those among the
    nearest. The estimate of Σ_k f(k) is exact over the nearest classes and unbiased over the rest,
    if the order of the classes is independent of f.

    Args:
        points: (N, D + 1) points of the hyperboloid.
        labels: (N,) classes y.
        means: (K, D + 1) positive multiples of the class centroids; zeros for classes never seen.
        seen: (K,) bool: the classes that have a centroid.
        nearest: number of nearest classes, ≥ 1; K − 1 if there are no more.
        sampled: number of evenly spaced classes, ≥ 1.

    Returns:
        The candidates. Their weights add up to the number of classes seen.

    Example:
        >>> line = torch.arange(5.0)[:, None]
        >>> means = torch.cat([line.cosh(), line.sinh()], 1)
        >>> seen = torch.ones(5, dtype=torch.bool)
        >>> candidate_classes(means[:1], torch.tensor([0]), means, seen, nearest=2, sampled=2)
        Candidates(classes=tensor([[0, 1, 2, 1, 3]]), weights=tensor([[1., 1., 1., 0., 2.]]))
    """
    num_classes = len(means)
    with torch.autocast(points.device.type, enabled=False):
        near, is_near = _nearest(points, labels, means, seen, min(nearest, num_classes - 1))
    steps = torch.arange(sampled, device=labels.device) * (num_classes - 1) // sampled
    spaced = (labels[:, None] + 1 + steps) % num_classes
    in_sample = seen[spaced] & (spaced[:, :, None] != near[:, None]).all(2)
    rest = seen.sum() - seen[labels].to(labels) - is_near.sum(1)
    # a quotient of integers would have torch's default dtype
    share = rest.to(means.dtype) / in_sample.sum(1).clamp_min(1)
    weights = [seen[labels, None], is_near, in_sample * share[:, None]]
    return Candidates(
        torch.cat([labels[:, None], near, spaced], 1),
        torch.cat([columns.to(share.dtype) for columns in weights], 1),
    )


def _nearest(
    points: Tensor, labels: Tensor, means: Tensor, seen: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """The nearest classes except that of the label, (N, count), and whether each exists."""
    # float32 suffices: it may only confuse classes at nearly the same distance
    points = points.to(means.dtype)

    def to_centroids(_: slice, classes: slice) -> Tensor:
        block, in_block = means[classes], seen[classes]
        values = Multiples.of(block, in_block).closeness(points)
        # the column of the label if it is in this block, else any, which stays as it is
        own = ((labels - classes.start).clamp(0, len(block) - 1))[:, None]
        is_own = own + classes.start == labels[:, None]
        return values.scatter_(1, own, values.gather(1, own).masked_fill_(is_own, -torch.inf))

    size, block = (len(points), len(means)), (max(1, len(points)), _BLOCK)
    # class 0 fills the list if fewer classes have been seen
    none = means.new_full((len(points), count), -torch.inf), labels.new_zeros(len(points), count)
    best, found = largest_entries(to_centroids, *size, count, block, start=none)
    return found, best.isfinite()
