"""What a batch says of the classes in it."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import check_tensor
from .class_means import Groups, variance_of_means, weighted_means

# Weight of a visit above which at least one of its samples counts in full, or nearly so.
_TRUSTED = 0.5


class Visits(NamedTuple):
    """The classes of a batch of which a sample counts.

    Args:
        classes: (C,).
        means: (C, D + 1) weighted means of their points.
        totals: (C,) sums of the weights.
        variances: (C,) of the means, by ``variance_of_means``; nan where nothing is known.
    """

    classes: Tensor
    means: Tensor
    totals: Tensor
    variances: Tensor

    @classmethod
    def of(cls, points: Tensor, groups: Groups, weights: Tensor) -> "Visits":
        """The visits of a batch.

        Args:
            points: (N, D + 1) points of the hyperboloid.
            groups: the samples by class.
            weights: (N,) in [0, 1].
        """
        means, totals = weighted_means(points, groups, weights)
        variances = variance_of_means(points, groups, weights, means, totals)
        visits = cls(groups.values, means, totals, variances)
        counts = totals > 0
        return visits if counts.all() else cls(*(column[counts] for column in visits))

    def gain_sample(self, old: Tensor, numbers: Tensor) -> Tensor | None:
        """Mean ‖x̄_k − m_k‖², and what of it is due to x̄_k being made of a few samples.

        Args:
            old: (C, D + 1) running means of the classes.
            numbers: (C,) how many visits of the class there have been with this one.

        Returns:
            (2,), or None where no visit says anything.
        """
        # skip classes with fewer than three visits or too little trusted weight
        known = (numbers > 2) & (self.totals > _TRUSTED) & self.variances.isfinite()
        if not known.any():
            return None
        distances = (self.means - old).square().sum(1)
        return torch.stack([distances, self.variances])[:, known].mean(1)

    def moved(self, old: Tensor, numbers: Tensor, gain: float) -> Tensor:
        """The running means after these visits; ``old`` is written into.

        Args:
            old: (C, D + 1) before them.
            numbers: (C,) as of :meth:`gain_sample`.
            gain: g, the least share of a visit.
        """
        step = numbers.to(old).reciprocal_().clamp_min_(gain)
        # a first visit has nothing to hold on to, however little its samples are trusted
        step = step.mul_(self.totals.clamp_max(1)).masked_fill_(numbers == 1, 1)
        return old.lerp_(self.means, step[:, None])


def checked_weights(weights: Tensor | None, labels: Tensor, device: torch.device) -> Tensor:
    """(N,) weights, ones for None, or an error unless they lie in [0, 1]."""
    if weights is None:
        return torch.ones(len(labels), device=device)
    check_tensor("weights", weights)
    if weights.shape != labels.shape:
        raise ValueError(
            f"weights must be of shape {tuple(labels.shape)}, got {tuple(weights.shape)}"
        )
    # for nan, too
    if len(weights) and not (weights.min() >= 0 and weights.max() <= 1):
        raise ValueError(
            f"weights must lie in [0, 1], got values from {float(weights.min())} to "
            f"{float(weights.max())}"
        )
    return weights
