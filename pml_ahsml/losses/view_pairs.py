"""Pairs of a batch with several augmented views of each sample."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import ValueCheck
from .loss_traits import traits_of
from .row_selection import IndicesTuple
from .sample_identity import check_same_labels


@dataclass(frozen=True)
class ViewPairs:
    """The pairs of a batch: views of one sample, other positives, and negatives.

    Two views of a sample are positives regardless of its label. A row whose label is distrusted
    takes part in these pairs only.

    Args:
        views: (N, N) bool, views of one sample, without the diagonal.
        positives: (N, N) bool, rows of one class that both take part and are not views.
        negatives: (N, N) bool, rows of two classes that both take part.
    """

    views: Tensor
    positives: Tensor
    negatives: Tensor

    @classmethod
    def of(cls, view_ids: Tensor, labels: Tensor, takes_part: Tensor) -> "ViewPairs":
        """Find the pairs of a batch.

        Args:
            view_ids: (N,) one id for all views of a sample.
            labels: (N,) classes, after relabelling.
            takes_part: (N,) bool, rows whose label is believed.
        """
        views = (view_ids[:, None] == view_ids).fill_diagonal_(False)
        same = labels[:, None] == labels
        both = takes_part[:, None] & takes_part
        positives = (same & both & ~views).fill_diagonal_(False)
        return cls(views, positives, ~same & both)

    def calls(self, loss: torch.nn.Module) -> list[IndicesTuple]:
        """Return the indices_tuples to call a pair loss with; the loss values are summed.

        In a MultiSimilarityLoss, the views of a row get a separate term, as in AHSML. In any other
        loss they are ordinary positives.
        """
        if traits_of(loss).has_view_term:
            nothing = torch.zeros_like(self.views)
            return [_indices(self.positives, self.negatives), _indices(self.views, nothing)]
        return [_indices(self.positives | self.views, self.negatives)]


def ids_by_layout(labels: Tensor, num_views: int) -> tuple[Tensor, ValueCheck]:
    """View ids for a batch of stacked views: rows i, i + N/num_views, … show one sample.

    Args:
        labels: (N,).
        num_views: V ≥ 1.

    Returns:
        The (N,) view ids, and the check that rows of one sample have the same label.

    Raises:
        ValueError: if N is not a multiple of V.
    """
    if len(labels) % num_views:
        raise ValueError(
            f"embeddings must have a multiple of {num_views} rows with num_views={num_views}, got "
            f"{len(labels)}"
        )
    ids = torch.arange(len(labels) // num_views, device=labels.device).repeat(num_views)
    return check_view_ids(ids, labels)


def check_view_ids(view_ids: Any, labels: Tensor) -> tuple[Tensor, ValueCheck]:
    """Check that view ids are integers, and later that views of a sample share a label.

    Args:
        view_ids: what the user gave.
        labels: (N,).

    Returns:
        The (N,) view ids as int64, on the labels' device, and the check of the labels.
    """
    views = "all views of a sample (rows i and i + N/num_views, or rows with the same view_ids)"
    return check_same_labels("view_ids", view_ids, labels, views)


def _indices(positives: Tensor, negatives: Tensor) -> IndicesTuple:
    return (*positives.nonzero(as_tuple=True), *negatives.nonzero(as_tuple=True))
