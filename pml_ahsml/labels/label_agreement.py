"""Do the samples of a label have anything in common from batch to batch?"""

import torch
from torch import Tensor

from ..classes.class_means import Groups, weighted_means


def within_share(points: Tensor, groups: Groups) -> float:
    """Share of the variance of a batch that lies within its labels.

    W = [Σ_g Σ_{i∈g} ‖x_i − x̄_g‖² / Σ_g (n_g − 1)] / [Σ_i ‖x_i − x̄‖² / (N − 1)]: 0 if the samples of
    a label coincide, some 1 if labels have nothing to do with where samples lie.

    Args:
        points: (N, D).
        groups: the rows by label.

    Returns:
        W ≥ 0; nan where no label has two rows, or all rows coincide.

    Source:
        This project; the intraclass correlation of the analysis of variance.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> round(within_share(x, Groups.by(torch.tensor([0, 0, 1, 1]))), 4)
        0.0149
    """
    ones = points.new_ones(len(points))
    means, _ = weighted_means(points, groups, ones)
    inside = (points - means[groups.of_rows]).square().sum()
    freedom = len(points) - len(means)
    total = (points - points.mean(0)).square().sum()
    if freedom == 0 or total == 0:
        return float("nan")
    return float(inside / freedom / total * (len(points) - 1))


def nearer_share(distances: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    """Share of the other classes whose centroid is nearer than that of the sample's label.

    F_i = Σ_k w_ik·[d_ik < d_{i,y_i}] / (Σ_k w_ik − 1): some 0 for right labels, ½ in the mean for
    labels that past samples of the same label say nothing about.

    Args:
        distances: (N, K) geodesic distances to the class centroids, inf for classes never seen.
        weights: (K,) or (N, K) number of classes that a column stands for, 0 for one never seen;
            two at least in each row.
        labels: (N,) columns of the labels, of classes that have been seen.

    Returns:
        (N,) in [0, 1].

    Source:
        This project.

    Example:
        >>> nearer_share(torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(3), torch.tensor([1]))
        tensor([0.5000])
    """
    own = distances.gather(1, labels[:, None])
    nearer = torch.linalg.vecdot((distances < own).to(distances), weights.to(distances))
    share: Tensor = nearer / (weights.sum(-1) - 1)
    return share
