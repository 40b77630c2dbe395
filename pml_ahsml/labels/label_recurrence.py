"""Notices labels that are positions in a batch and no classes."""

import warnings

import torch
from torch import Tensor

from ..classes.class_means import Groups, weighted_means
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule
from .label_posterior import LabelPosterior

# Batches that are looked at: each says it with an error of some .1.
_BATCHES = 50

# Samples of a label are alike in a batch, yet past samples of it say next to nothing. With 70 % of
# the labels wrong at random half the variance is never explained by labels, and with right labels
# own centroids are the nearest.
_ALIKE, _UNRELATED = 0.5, 0.4


class LabelRecurrence(ModuleWithTables):
    """Warns once where labels are positions in a batch, as ``arange(B).repeat(2)`` for two views.

    Such labels fit the samples of their batch, and the next batch gives them to others: to a model
    of classes most of them are wrong. Over the first 50 batches after the warm-up two means are
    taken, the share W of the variance of a batch that lies within its labels, and the share F of
    the classes whose centroid is nearer to a sample than that of its label. W < .5 with F > .4 is
    what no wrong labels look like.

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
        # batches looked at, ΣW and ΣF
        self.register_table("sums", torch.zeros(3, dtype=torch.float32), Rule(lowest=0))

    @property
    def is_decided(self) -> bool:
        """Whether enough batches have been looked at."""
        return float(self.sums[0]) >= _BATCHES

    @property
    def seems_positional(self) -> bool:
        """Whether labels agree within batches and not from batch to batch."""
        batches, within, nearer = map(float, self.sums)
        return batches > 0 and within < _ALIKE * batches and nearer > _UNRELATED * batches

    @torch.no_grad()
    def learn(self, belief: LabelPosterior) -> None:
        """Look at one batch, and warn after the last.

        Args:
            belief: of a batch that the model was warm for.
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
                "labels seem to be positions in a batch: samples of a label are alike in a batch "
                "and have nothing in common from batch to batch, so most labels are taken for "
                "wrong. Give the views of unlabelled samples to "
                "pytorch_metric_learning.losses.SelfSupervisedLoss without this wrapper, or give "
                "each sample the label of its class",
                stacklevel=2,
            )


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
