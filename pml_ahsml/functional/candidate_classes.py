"""A few classes that stand for all: the nearest one by one, and evenly spaced others for the rest.

With K classes, a table of a batch against all of them has N·K entries, and one of all classes
against each other K². A sum over classes, of terms that fall off with the distance, is made here of
its largest terms and of a sample of the others, each standing for several.
"""

from typing import NamedTuple

import torch
from torch import Tensor

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
    # cosh(√c·d) = −⟨x, m⟩/√(−⟨m, m⟩); in float32, as a tie at the end of the list is no matter
    x = points.to(means.dtype, copy=True)
    x[:, 0].neg_()
    best = x.new_full((len(x), count), -torch.inf)
    found = labels.new_zeros(len(x), count)
    rows = torch.arange(len(x), device=labels.device)
    for start in range(0, len(means), _BLOCK):
        block, in_block = means[start : start + _BLOCK], seen[start : start + _BLOCK]
        squared = 2 * block[:, 0].square() - torch.linalg.vecdot(block, block)
        closeness = (x @ block.T).mul_(torch.where(in_block, squared, 1.0).rsqrt_())
        closeness += torch.where(in_block, 0.0, -torch.inf)
        own = (labels >= start) & (labels < start + len(block))
        closeness[rows[own], labels[own] - start] = -torch.inf
        values, columns = closeness.topk(min(count, len(block)))
        best, order = torch.cat([best, values], 1).topk(count)
        found = torch.cat([found, columns + start], 1).gather(1, order)
    return found, best.isfinite()
