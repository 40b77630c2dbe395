"""Means of the samples of each class in a batch, and how far they can be relied on."""

import torch
from torch import Tensor

# Two samples that coincide count alike, not one without end.
_SMALLEST_DEVIATION = 1e-6

# Of n − 1: less than this is the rounding of 0.
_SMALLEST_FREEDOM = 1e-6


def weighted_means(
    points: Tensor, groups: Tensor, weights: Tensor, num_groups: int
) -> tuple[Tensor, Tensor]:
    """Weighted mean of the points of each group: x̄_g = Σ_{i∈g} w_i·x_i / Σ_{i∈g} w_i.

    Args:
        points: (N, D), in float64: the order of the rows then does not show.
        groups: (N,) in [0, num_groups).
        weights: (N,) ≥ 0.
        num_groups: G.

    Returns:
        means: (G, D), nan for a group without weight.
        totals: (G,) Σ w_i.

    Source:
        This project.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [5.0]])
        >>> weighted_means(x, torch.tensor([0, 0, 1]), torch.tensor([3.0, 1.0, 1.0]), 2)
        (tensor([[1.2500],
                [5.0000]]), tensor([4., 1.]))
    """
    wide = torch.cat([points, torch.ones_like(points[:, :1])], 1).mul_(weights[:, None])
    sums = wide.new_zeros(num_groups, wide.shape[1]).index_add_(0, groups, wide)
    totals = sums[:, -1]
    return sums[:, :-1] / totals[:, None], totals


def robust_weights(points: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weights in which the points far from the others of their class count less.

    w_i·(min_{j: y_j = y_i} d_j / d_i)², d_i = ‖x_i − x̄_{y_i}‖: the weights of one step from the
    mean towards the place where most points of the class are. Of four samples of which one is
    wrongly labelled, that one lies three times as far from their mean as the others, and counts a
    ninth.

    Args:
        points: (N, D).
        labels: (N,).
        weights: (N,) ≥ 0.

    Returns:
        (N,) in [0, w_i].

    Source:
        This project; the first step of an iteratively reweighted mean.

    Example:
        >>> x = torch.tensor([[0.0], [0.0], [0.0], [4.0]])
        >>> robust_weights(x, torch.zeros(4, dtype=torch.long), torch.ones(4))
        tensor([1.0000, 1.0000, 1.0000, 0.1111])
    """
    classes, groups = labels.unique(return_inverse=True)
    means, _ = weighted_means(points, groups, weights, len(classes))
    deviations = (points - means[groups]).norm(dim=1).clamp_min_(_SMALLEST_DEVIATION)
    least = deviations.new_full((len(classes),), torch.inf)
    least.scatter_reduce_(0, groups, deviations, "amin")
    share: Tensor = (least[groups] / deviations).square_()
    return weights * share


def variance_of_means(
    points: Tensor, groups: Tensor, weights: Tensor, means: Tensor, totals: Tensor
) -> Tensor:
    """Expected squared distance of the mean of each group from that of all that might be in it.

    R_g = (Σ_{i∈g} w_i·‖x_i − x̄_g‖² / Σ w_i) / (n_g − 1), n_g = (Σ w_i)² / Σ w_i²: the squared
    standard error of a weighted mean of independent points.

    Args:
        points: (N, D).
        groups: (N,) in [0, G).
        weights: (N,) ≥ 0.
        means: (G, D) of ``weighted_means``.
        totals: (G,) likewise.

    Returns:
        (G,) ≥ 0; nan for a group in which only one point counts: it says nothing about scatter.

    Source:
        This project.

    Example:
        >>> x, groups, w = torch.tensor([[0.0], [2.0]]), torch.tensor([0, 0]), torch.ones(2)
        >>> variance_of_means(x, groups, w, *weighted_means(x, groups, w, 1))
        tensor([1.])
    """
    deviations = (points - means[groups]).square_().sum(1).mul_(weights)
    sums = points.new_zeros(len(means), 2)
    sums.index_add_(0, groups, torch.stack([deviations, weights.square()], 1))
    scatter, squares = sums.unbind(1)
    freedom = totals.square() / squares - 1
    return scatter.div(totals * freedom).masked_fill_(~(freedom > _SMALLEST_FREEDOM), torch.nan)
