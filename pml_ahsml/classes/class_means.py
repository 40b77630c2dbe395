"""Means of the samples of each class in a batch, and how far they can be relied on."""

from typing import NamedTuple

import torch
from torch import Tensor

# Two samples that coincide count alike, not one without end.
_SMALLEST_DEVIATION = 1e-6

# The first step finds where most samples are if most are right, the second if half are.
_STEPS = 2

# Of n − 1: less than this is the rounding of 0.
_SMALLEST_FREEDOM = 1e-6


class Groups(NamedTuple):
    """Which rows of a batch belong together.

    Args:
        values: (G,) what the rows of each group share, ascending.
        of_rows: (N,) the group of each row, in [0, G).
    """

    values: Tensor
    of_rows: Tensor

    @classmethod
    def by(cls, labels: Tensor) -> "Groups":
        """Rows with the same label are a group.

        Args:
            labels: (N,).

        Example:
            >>> Groups.by(torch.tensor([7, 0, 7]))
            Groups(values=tensor([0, 7]), of_rows=tensor([1, 0, 1]))
        """
        return cls(*labels.unique(return_inverse=True))

    def sum(self, x: Tensor) -> Tensor:
        """(G, …): the sum of the rows of each group.

        Args:
            x: (N, …).
        """
        return x.new_zeros(len(self.values), *x.shape[1:]).index_add_(0, self.of_rows, x)


def weighted_means(points: Tensor, groups: Groups, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean of the points of each group: x̄_g = Σ_{i∈g} w_i·x_i / Σ_{i∈g} w_i.

    Args:
        points: (N, D), in float64: the order of the rows then does not show.
        groups: G groups of the N rows.
        weights: (N,) ≥ 0.

    Returns:
        means: (G, D), nan for a group without weight.
        totals: (G,) Σ w_i.

    Source:
        This project.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [5.0]])
        >>> weighted_means(x, Groups.by(torch.tensor([0, 0, 1])), torch.tensor([3.0, 1.0, 1.0]))
        (tensor([[1.2500],
                [5.0000]]), tensor([4., 1.]))
    """
    weights = weights.to(points)
    totals = groups.sum(weights)
    return groups.sum(points * weights[:, None]).div_(totals[:, None]), totals


def robust_weights(points: Tensor, groups: Groups, weights: Tensor) -> Tensor:
    """Weights in which the points far from the others of their class count less.

    Twice v_i ← w_i·(min_{j∈g} d_j / d_i)² for i in group g, with d_i = ‖x_i − x̄_g‖ from the mean by
    the weights v before, at first v = w: two steps towards the place where most points of the class
    are. If of four samples two are right and lie in one place, a wrong one counts 3/7 of a right
    one after the first step and a ninth after the second. Many steps would end at a single sample.

    Args:
        points: (N, D).
        groups: the classes, as groups of the N rows.
        weights: (N,) ≥ 0, not all 0 in a group.

    Returns:
        (N,) in [0, w_i].

    Source:
        This project; two steps of an iteratively reweighted mean.

    Example:
        >>> x = torch.tensor([[0.0], [0.0], [0.0], [4.0]])
        >>> robust_weights(x, Groups.by(torch.zeros(4)), torch.ones(4))
        tensor([1.0000, 1.0000, 1.0000, 0.0014])
    """
    robust = weights
    for _ in range(_STEPS):
        means, _totals = weighted_means(points, groups, robust)
        deviations = (points - means[groups.of_rows]).norm(dim=1).clamp_min_(_SMALLEST_DEVIATION)
        least = deviations.new_full((len(means),), torch.inf)
        least.scatter_reduce_(0, groups.of_rows, deviations, "amin")
        robust = (least[groups.of_rows] / deviations).square_() * weights
    return robust


def variance_of_means(
    points: Tensor, groups: Groups, weights: Tensor, means: Tensor, totals: Tensor
) -> Tensor:
    """Expected squared distance of the mean of each group from that of all that might be in it.

    R_g = (Σ_{i∈g} w_i·‖x_i − x̄_g‖² / Σ w_i) / (n_g − 1), n_g = (Σ w_i)² / Σ w_i²: the squared
    standard error of a weighted mean of independent points.

    Args:
        points: (N, D), in float64.
        groups: G groups of the N rows.
        weights: (N,) ≥ 0.
        means: (G, D) of ``weighted_means``.
        totals: (G,) likewise.

    Returns:
        (G,) ≥ 0; nan for a group in which only one point counts: it says nothing about scatter.

    Source:
        This project.

    Example:
        >>> x, w = torch.tensor([[0.0], [2.0]]), torch.ones(2)
        >>> groups = Groups.by(torch.tensor([0, 0]))
        >>> variance_of_means(x, groups, w, *weighted_means(x, groups, w))
        tensor([1.])
    """
    weights = weights.to(points)
    # Σ w·‖x − x̄‖² = Σ w·‖x‖² − ‖x̄‖²·Σ w
    squares = torch.stack([torch.linalg.vecdot(points, points), weights], 1) * weights[:, None]
    lengths, squared_weights = groups.sum(squares).unbind(1)
    scatter = (lengths / totals - torch.linalg.vecdot(means, means)).clamp_min_(0)
    freedom = totals.square() / squared_weights - 1
    variances: Tensor = scatter / freedom
    return variances.masked_fill_(~(freedom > _SMALLEST_FREEDOM), torch.nan)
