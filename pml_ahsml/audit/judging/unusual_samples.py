"""Samples that lie where none of the others do, and samples that lie where another one does."""

import torch
from torch import Tensor

from .class_densities import NEAR_BLOCK, blocks

# Tukey's "far out": so many interquartile ranges beyond the upper quartile.
_FAR_OUT = 3.0

# Quartiles are at least so far apart: what differs by rounding alone is not far out.
_LEAST_SPREAD = 1e-3

# Near-duplicates are so much nearer than the nearest sample usually is.
_DUPLICATE = 0.1


def far_from_all(points: Tensor, neighbours: Tensor) -> Tensor:
    """Find samples that are far out: they seem to belong to no class.

    log d_i > upper + 3·max(upper − lower, 0.001), with d_i the mean distance of sample i to its
    neighbours, and the lower and the upper quartile of log d.

    Args:
        points: (N, D).
        neighbours: (N, k) rows of the nearest samples, -1 for none.

    Returns:
        (N,) bool.

    Source:
        Tukey, Exploratory Data Analysis (1977).

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [2.0], [3.0], [900.0]])
        >>> far_from_all(points, torch.tensor([[1], [0], [1], [2], [3]]))
        tensor([False, False, False, False,  True])
    """
    gaps = distances(points, neighbours)
    there = neighbours >= 0
    counts = there.sum(1)
    if not (counts > 0).any():
        return torch.zeros(len(points), dtype=torch.bool)
    means = gaps.where(there, 0.0).sum(1) / counts.clamp_min(1)
    # copies of each other have no distance
    logs = means.clamp_min(torch.finfo(means.dtype).tiny).log()
    lower, upper = _quantiles(logs[counts > 0])
    spread = (upper - lower).clamp_min(_LEAST_SPREAD)
    return (counts > 0) & (logs > upper + _FAR_OUT * spread)


def contradicting_duplicates(
    points: Tensor, labels: Tensor, neighbours: Tensor
) -> tuple[Tensor, Tensor]:
    """Find pairs of samples at almost the same place that have different labels.

    Args:
        points: (N, D), rows of norm 1.
        labels: (N,) labels as given.
        neighbours: (N, k) rows of the nearest samples, nearest first, -1 for none.

    Returns:
        (P, 2) rows, and (P,) their cosines, largest first: pairs whose distance is at most a tenth
        of the median distance of a sample to its nearest.

    Example:
        >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> nearest = torch.tensor([[1], [0], [3], [2]])
        >>> contradicting_duplicates(points, torch.tensor([0, 1, 1, 1]), nearest)
        (tensor([[0, 1]]), tensor([1.]))
    """
    gaps = distances(points, neighbours)
    there = neighbours >= 0
    first = gaps[there[:, 0], 0]
    limit = _DUPLICATE * first.median() if len(first) else gaps.new_zeros(())
    contradicts = labels[neighbours.clamp_min(0)] != labels[:, None]
    rows, columns = (there & contradicts & (gaps <= limit)).nonzero(as_tuple=True)
    pairs = torch.stack([rows, neighbours[rows, columns]], 1).sort(1).values.unique(dim=0)
    cosines = (points[pairs[:, 0]] * points[pairs[:, 1]]).sum(1)
    order = cosines.argsort(descending=True, stable=True)
    return pairs[order], cosines[order]


def distances(points: Tensor, neighbours: Tensor) -> Tensor:
    """(N, k) distances to the neighbours, by differences, so that copies are at 0."""
    found = torch.empty(neighbours.shape)
    for rows in blocks(len(points), neighbours.shape[1] * points.shape[1], NEAR_BLOCK):
        moves = points[neighbours[rows].clamp_min(0)].sub_(points[rows, None])
        found[rows] = torch.linalg.vector_norm(moves, dim=2)
    return found


def _quantiles(values: Tensor) -> tuple[Tensor, Tensor]:
    """Quartiles; ``torch.quantile`` refuses more than 16 million values."""
    ordered = values.sort().values
    last = len(ordered) - 1
    return ordered[round(0.25 * last)], ordered[round(0.75 * last)]
