"""Notices labels that are positions in a batch and no classes."""

import warnings

import torch
from torch import Tensor

from ..functional import label_recurrence as lr
from ..functional.class_means import Groups
from .belief import Belief
from .module_with_tables import ModuleWithTables

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
        self.register_table("sums", torch.zeros(3, dtype=torch.float32))

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
    def learn(self, belief: Belief) -> None:
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
        within = lr.within_share(evidence.points, Groups.by(labels))
        if within != within:  # no label has two samples
            return
        nearer = lr.nearer_share(
            evidence.distances, evidence.column_weights(), evidence.own_columns(labels)
        )
        self.sums += self.sums.new_tensor([1.0, within, float(nearer.mean())])
        if self.is_decided and self.seems_positional:
            warnings.warn(
                "labels seem to be positions in a batch: samples of a label are alike in a batch "
                "and have nothing in common from batch to batch, so most labels are taken for "
                "wrong. Give the views of unlabelled samples to "
                "pytorch_metric_learning.losses.SelfSupervisedLoss without this wrapper, or give "
                "each sample the label of its class",
                stacklevel=2,
            )
