"""Detects labels that are positions in a batch instead of classes."""

import warnings

import torch
from torch import Tensor

from ..classes.class_means import Groups, weighted_means
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .label_posterior import LabelPosterior

# Number of batches examined; each gives an estimate with an error of about .1.
_BATCHES = 50

# Samples of one label are alike within a batch, yet its past samples say next to nothing. With 70 %
# of the labels wrong at random, labels never explain half of the variance. With right labels,
# samples are nearest to the centroids of their own labels.
_ALIKE, _UNRELATED = 0.5, 0.4


class LabelRecurrence(ModuleWithTables):
    """Warns once if labels are positions in a batch, like ``arange(B).repeat(2)`` for two views.

    Such labels fit the samples of their batch, but the next batch gives them to other samples: for
    a model of classes, most of them are wrong. Two quantities are averaged over the first 50
    batches after the warm-up: the share of the variance of a batch that lies within its labels, and
    the share of the classes whose centroid is nearer to a sample than that of its label. Wrong
    labels alone never bring the first below .5 and the second above .4.

    Source:
        This project.

    Example:
        >>> recurrence = LabelRecurrence()
        >>> recurrence.seems_positional  # nothing has been looked at yet
        False
    """

    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        # batches looked at, and the sums of both shares over them
        self.register_table("sums", torch.zeros(3, dtype=torch.float32), Rule(lowest=0))

    @property
    def is_decided(self) -> bool:
        """Whether enough batches have been examined."""
        return self.numbers("sums")[0] >= _BATCHES

    @property
    def seems_positional(self) -> bool:
        """Whether labels agree within batches but not from batch to batch."""
        batches, within, nearer = self.numbers("sums")
        return batches > 0 and within < _ALIKE * batches and nearer > _UNRELATED * batches

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Examine one batch, and warn after the last.

        Args:
            belief: posterior of a batch after the warm-up.
        """
        if self.is_decided:
            return
        known = belief.evidence.seen[belief.labels]
        belief = belief if known.all() else belief.select(known)
        evidence, labels = belief.evidence, belief.labels
        if len(labels) < 2 or evidence.seen.sum() < 2:
            return
        within = within_share(evidence.points, Groups.by(labels))
        if within != within:  # no label has two samples
            return
        nearer = nearer_share(
            evidence.distances, evidence.column_weights(), evidence.own_columns(labels)
        )
        self.sums += self.sums.new_tensor([1.0, within, float(nearer.mean())])
        self.count_change()
        if self.is_decided and self.seems_positional:
            warnings.warn(
                "labels seem to be positions in a batch: samples of a label are alike within a "
                "batch and have nothing in common across batches, so most labels seem wrong. "
                "Give the views of unlabelled samples to "
                "pytorch_metric_learning.losses.SelfSupervisedLoss without this wrapper, or give "
                "each sample the label of its class",
                stacklevel=2,
            )


def within_share(points: Tensor, groups: Groups) -> float:
    """Share of the variance of a batch that lies within its labels.

    [Σ_i ‖x_i − x̄_{y_i}‖² / Σ_y (n_y − 1)] / [Σ_i ‖x_i − x̄‖² / (N − 1)]: 0 if the samples of a
    label coincide, about 1 if labels are unrelated to where samples lie.

    Args:
        points: (N, D) x_i.
        groups: the rows by label.

    Returns:
        The share ≥ 0; nan if no label has two rows, or all rows coincide.

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

    Σ_k w_ik·[d_ik < d_{i,y_i}] / (Σ_k w_ik − 1): about 0 for right labels, ½ on average if
    past samples of a label say nothing about new ones.

    Args:
        distances: (N, K) geodesic distances to the class centroids, inf for classes never seen.
        weights: (K,) or (N, K) number of classes that a column represents, 0 for one never seen;
            at least two in each row.
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
