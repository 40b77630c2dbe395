"""Statistics of the classes in one batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import check_tensor
from ..hyperbolic.products import row_products
from ..precision import exact_dtype
from .class_means import Groups, means_and_errors

# Weight of a visit above which at least one of its samples counts in full, or nearly.
_TRUSTED = 0.5


class Visits(NamedTuple):
    """The classes of a batch, and their means.

    Args:
        means: (C, D + 1) weighted means of their points.
        totals: (C,) sums of the weights.
        variances: (C,) variances of the means, from ``means_and_errors``; nan if unknown.
    """

    means: Tensor
    totals: Tensor
    variances: Tensor

    @classmethod
    def of(cls, points: Tensor, groups: Groups, weights: Tensor) -> "Visits":
        """Summarise the classes of a batch.

        Args:
            points: (N, D + 1) points of the hyperboloid.
            groups: the samples by class.
            weights: (N,) in (0, 1].
        """
        return cls(*means_and_errors(points, groups, weights))

    def gain_sample(self, old: Tensor, numbers: Tensor, otherwise: Tensor) -> Tensor:
        """Mean ‖x̄_k − m_k‖², and its part due to x̄_k being a mean of few samples.

        Args:
            old: (C, D + 1) running means of the classes.
            numbers: (C,) number of visits of each class, this one included.
            otherwise: (2,) what is returned if no visit is informative.

        Returns:
            (2,).
        """
        # skip classes with fewer than three visits or too little trusted weight
        known = (numbers > 2) & (self.totals > _TRUSTED) & (self.variances >= 0)
        moves = self.means - old
        informative = torch.stack([row_products(moves, moves), self.variances]).where(known, 0)
        number = known.sum()
        return torch.where(number > 0, informative.sum(1) / number, otherwise)

    def moved(self, old: Tensor, numbers: Tensor, gain: Tensor) -> Tensor:
        """Return the running means after these visits; ``old`` is overwritten.

        Args:
            old: (C, D + 1) running means before them.
            numbers: (C,) as in :meth:`gain_sample`.
            gain: () g, the smallest share of a visit.
        """
        step = numbers.to(old).reciprocal_().clamp_min_(gain.to(old))
        # a first visit sets the mean, however little its samples are trusted
        step = step.mul_(self.totals.clamp_max(1)).masked_fill_(numbers == 1, 1)
        return old.lerp_(self.means, step[:, None])


def gain_of(statistics: Tensor, momentum: float) -> Tensor:
    """() the share of a visit in the running mean of its class, in [1 − momentum, 1].

    Args:
        statistics: (2,) smoothed :meth:`Visits.gain_sample`.
        momentum: in [0, 1].
    """
    distance, sampling = statistics.to(exact_dtype(statistics)).unbind()
    # 0/0 before anything has been measured
    drift = (1 - sampling / distance).nan_to_num(nan=0.0)
    return drift.clamp_min(1 - momentum)


def checked_weights(weights: Tensor | None, labels: Tensor, device: torch.device) -> Tensor:
    """Return the (N,) weights, ones for None; raise unless they lie in [0, 1]."""
    if weights is None:
        return torch.ones(len(labels), device=device)
    check_tensor("weights", weights)
    if weights.shape != labels.shape:
        raise ValueError(
            f"weights must be of shape {tuple(labels.shape)}, got {tuple(weights.shape)}"
        )
    # also rejects nan
    if len(weights) and not (weights.min() >= 0 and weights.max() <= 1):
        raise ValueError(
            f"weights must lie in [0, 1], got values from {float(weights.min())} to "
            f"{float(weights.max())}"
        )
    return weights
