"""A few classes that stand for all: the nearest one by one, and evenly spaced others for the rest.

With K classes, a table of a batch against all of them has N·K entries, and one of all classes
against each other K². A sum over classes, of terms that fall off with the distance, is made here of
its largest terms and of a sample of the others, each standing for several.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..hyperbolic.nearest_rows import Closeness, largest_entries

# Centroids looked at together in the search for the nearest: a block of products fits into a cache.
_BLOCK = 1 << 14


class Candidates(NamedTuple):
    """Classes that stand for all, for each of some samples.

    Args:
        classes: (N, 1 + nearest + sampled), the class of the sample's own label first.
        weights: (N, 1 + nearest + sampled) number of classes that each stands for: 1 for its own
            and for the nearest, more for the sampled, 0 for a class that is listed already or has
            never been seen.
    """

    classes: Tensor
    weights: Tensor


def candidate_classes(
    points: Tensor, labels: Tensor, means: Tensor, seen: Tensor, nearest: int, sampled: int
) -> Candidates:
    """The nearest classes of each sample one by one, and evenly spaced others for the rest.

    Classes y + 1 + ⌊j·(K − 1)/sampled⌋ (mod K) are the sample; those that are among the nearest
    count only there. The estimate of Σ_k f(k) is exact over the nearest and unbiased over the rest
    for an order of classes that has nothing to do with f.

    Args:
        points: (N, D + 1) points of the hyperboloid.
        labels: (N,) classes y.
        means: (K, D + 1) positive multiples of the class centroids; zeros for classes never seen.
        seen: (K,) bool: the classes that have a centroid.
        nearest: classes to be listed one by one, ≥ 1; at most K − 1 are.
        sampled: classes that stand for the rest, ≥ 1.

    Returns:
        The candidates. All classes that have been seen count once, in sum.

    Source:
        This project.

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
    # of two integers it would be of the default dtype
    share = rest.to(means.dtype) / in_sample.sum(1).clamp_min(1)
    weights = [seen[labels, None], is_near, in_sample * share[:, None]]
    return Candidates(
        torch.cat([labels[:, None], near, spaced], 1),
        torch.cat([columns.to(share.dtype) for columns in weights], 1),
    )


def _nearest(
    points: Tensor, labels: Tensor, means: Tensor, seen: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """(N, count) the classes nearest to each point but that of its label; (N, count) if any."""
    # in float32, as a tie at the end of the list is no matter
    closeness = Closeness(points, means.dtype)
    rows = torch.arange(len(points), device=labels.device)

    def to_centroids(_: slice, classes: slice) -> Tensor:
        block, in_block = means[classes], seen[classes]
        squared = 2 * block[:, 0].square() - torch.linalg.vecdot(block, block)
        values = closeness(block, torch.where(in_block, squared, 1.0).rsqrt_())
        values += torch.where(in_block, 0.0, -torch.inf)
        own = (labels >= classes.start) & (labels < classes.stop)
        values[rows[own], labels[own] - classes.start] = -torch.inf
        return values

    size, block = (len(points), len(means)), (max(1, len(points)), _BLOCK)
    # class 0 stands where fewer classes have been seen
    none = means.new_full((len(points), count), -torch.inf), labels.new_zeros(len(points), count)
    best, found = largest_entries(to_centroids, *size, count, block, start=none)
    return found, best.isfinite()
