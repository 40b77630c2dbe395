"""Streaming counts of which class is labelled as which."""

import math

import torch
from torch import Tensor

from ..checks import check_count
from ..functional import confusion_counts as cc
from ..functional import confusion_prior as cp
from .module_with_tables import ModuleWithTables

# Confusions are counted over some fifty batches, as the features they are judged by change.
_DECAY = 0.98

# α follows the counts at their pace, and takes a table of all classes against all.
_BATCHES_PER_ESTIMATE = 10

# Even where classes are confused as no distance says, the distances count for a few samples.
_LEAST_STRENGTH = 5.0


class ConfusionCounts(ModuleWithTables):
    """Which class is labelled as which, counted over the last batches, and how far to believe it.

    C_ky, in ``counts``, is the expected number of samples of class k labelled y, older batches for
    less; it is 0 on the diagonal. α, in ``strength``, is how many samples the distances between
    classes count for beside it. It follows from the counts: inf where they differ by chance alone
    from what the distances say, and at least 5; it is estimated at every tenth batch.

    Args:
        num_classes: K ≥ 2.

    Raises:
        ValueError: for an option outside its range.

    Source:
        This project.

    Example:
        >>> of_classes = ConfusionCounts(3)
        >>> divergence = torch.ones(3, 3).fill_diagonal_(torch.inf)
        >>> posterior = torch.tensor([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
        >>> of_classes.learn(posterior, torch.tensor([0, 0]), divergence, spread=1.0)
        >>> of_classes.counts
        tensor([[0., 0., 0.],
                [1., 0., 0.],
                [0., 0., 0.]])
    """

    counts: Tensor
    batches: Tensor
    strength: Tensor

    def __init__(self, num_classes: int) -> None:
        num_classes = check_count("num_classes", num_classes, minimum=2)
        super().__init__()
        self.register_table("counts", torch.zeros(num_classes, num_classes, dtype=torch.float32))
        self.register_table("batches", torch.zeros((), dtype=torch.float32))
        self.register_table("strength", torch.full((), torch.inf, dtype=torch.float32))

    @torch.no_grad()
    def learn(self, posterior: Tensor, labels: Tensor, divergence: Tensor, spread: float) -> None:
        """Count the samples of a batch.

        Args:
            posterior: (N, K) t_i(k), by the distances alone: counts must not confirm themselves.
            labels: (N,) labels as given.
            divergence: (K, K) geodesic distances between class centroids, inf on the diagonal and
                for unseen classes.
            spread: σ > 0, in units of the distance.
        """
        self.counts *= _DECAY
        self.counts.index_add_(1, labels, posterior.T)
        self.counts.fill_diagonal_(0)
        if int(self.batches) % _BATCHES_PER_ESTIMATE == 0:
            shares = cp.confusion_shares(divergence, spread)
            strength = cc.weight_of_distances(self.counts, shares)
            self.strength.fill_(max(strength, _LEAST_STRENGTH))
        self.batches += 1

    @torch.no_grad()
    def log_prior(
        self, log_prior: Tensor, labels: Tensor, noise_rate: float, posterior: Tensor
    ) -> Tensor | None:
        """What the counts make of log T_{k,y_i}.

        Args:
            log_prior: (N, K) log T_{k,y_i} by the distances.
            labels: (N,) labels as given.
            noise_rate: ε in (0, 1).
            posterior: (N, K) t_i(k) by the distances, a sample's own part of the counts.

        Returns:
            (N, K) log T̂_{k,y_i}; None where the counts say no more than the distances.
        """
        strength = float(self.strength)
        if strength == math.inf:
            return None
        return cc.counted_log_prior(log_prior, labels, noise_rate, self.counts, posterior, strength)
