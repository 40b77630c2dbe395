"""Counts of which class is labelled as which.

Distances cannot show that class a is labelled as b, but b not as a. Counts can, once there are
enough of them. T̂ is the posterior mean under a Dirichlet prior around the distance-based
confusions.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...checks import check_count
from ...classes.class_means import Groups
from ...hyperbolic.products import product
from ...state.saved_state import Rule
from .. import confusion_prior as cp
from .witness import Lesson, Witness

# With more classes, a table of all pairs would be large and mostly empty.
MOST_CLASSES = 1000

# Confusions are counted over about fifty batches, because the features they depend on change.
_DECAY = 0.98

# η changes as slowly as the counts, and needs a table of all pairs of classes.
_BATCHES_PER_ESTIMATE = 10

# The distances count for a few samples even if confusions do not follow them.
_LEAST_STRENGTH = 5.0


class ConfusionCounts(Witness):
    """Counts which class is labelled as which over the last batches, and how much to rely on it.

    C_ky, in ``counts``, is the expected number of samples of class k labelled y, with older batches
    weighted less; it is 0 on the diagonal. η, in ``strength``, is the prior strength: pseudo-counts
    given to the distances between classes. It is estimated from the counts at every tenth batch. It
    is at least 5, and inf if the counts differ from the distances by chance alone.

    Args:
        num_classes: K ≥ 2.

    Raises:
        ValueError: if an option is out of range.

    Source:
        This project.

    Example:
        >>> of_classes = ConfusionCounts(3)
        >>> divergence = torch.ones(3, 3).fill_diagonal_(torch.inf)
        >>> posterior = torch.tensor([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
        >>> of_classes.count(posterior, torch.tensor([0, 0]), divergence, spread=1.0)
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
        counts = torch.zeros(num_classes, num_classes, dtype=torch.float32)
        self.register_table("counts", counts, Rule(lowest=0))
        none = torch.zeros((), dtype=torch.float32)
        self.register_table("batches", none, Rule(lowest=0, is_whole=True))
        strengths = Rule(lowest=_LEAST_STRENGTH, may_be_inf=True)
        self.register_table("strength", torch.full_like(none, torch.inf), strengths)

    def learn(self, lesson: Lesson) -> None:
        """Count confusions once the noise rate has settled. Overrides ``Witness.learn``."""
        divergence, weights = lesson.evidence.neighbourhoods
        # counts need all distances between classes
        if lesson.has_settled and weights is None:
            groups = lesson.evidence.groups
            self.count(lesson.posterior, lesson.labels, divergence, lesson.spread, groups)

    @torch.no_grad()
    def count(
        self,
        posterior: Tensor,
        labels: Tensor,
        divergence: Tensor,
        spread: float | Tensor,
        groups: Groups | None = None,
    ) -> None:
        """Count the samples of a batch.

        Args:
            posterior: (N, K) t_i(k) by the distances alone: counts must not confirm themselves.
            labels: (N,) labels as given.
            divergence: (K, K) geodesic distances between class centroids, inf on the diagonal and
                for unseen classes.
            spread: σ > 0, in units of the distance.
            groups: the samples by label; None if not known yet.
        """
        self.counts *= _DECAY
        (groups or Groups.by(labels)).add_to_columns(self.counts, posterior)
        self.counts.fill_diagonal_(0)
        if int(self.numbers("batches")[0]) % _BATCHES_PER_ESTIMATE == 0:
            shares = cp.confusion_shares(divergence, spread)
            strength = weight_of_distances(self.counts, shares)
            self.strength.copy_(strength.clamp_min(_LEAST_STRENGTH))
        self.batches += 1
        self.count_change()

    @torch.no_grad()
    def revise(
        self, log_prior: Tensor, columns: Tensor, noise_rate: float, posterior: Tensor
    ) -> Tensor | None:
        """Revise log T_{k,y_i} by the counts. Overrides ``Witness.revise``.

        Args:
            log_prior: (N, K) log T_{k,y_i} by the distances.
            columns: (N,) labels as given, which are their columns if all classes are columns.
            noise_rate: ε in (0, 1).
            posterior: (N, K) t_i(k) by the distances, each sample's own share of the counts.

        Returns:
            (N, K) log T̂_{k,y_i}; None if the counts add nothing to the distances.
        """
        strength = self.numbers("strength")[0]
        if strength == math.inf:
            return None
        return counted_log_prior(log_prior, columns, noise_rate, self.counts, posterior, strength)

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        own = state[prefix + "counts"].diagonal()
        if not own.is_meta and own.any():
            raise ValueError(
                f"{prefix}counts must be 0 on the diagonal, got values up to {float(own.max())}"
            )


def weight_of_distances(counts: Tensor, shares: Tensor) -> Tensor:
    """Prior strength η: pseudo-counts given to the distance-based prior.

    Given a Dirichlet prior with mean R_k and strength η, the counts of the C_k wrong labels of
    class k have E Σ_y (C_ky − C_k·R_ky)² = C_k·ψ_k·(η + C_k)/(η + 1), with ψ_k = 1 − Σ_y R_ky².
    Summed over the classes, the observed Q = Σ_ky (C_ky − C_k·R_ky)² gives

    η = (Σ_k C_k²·ψ_k − Q) / (Q − Σ_k C_k·ψ_k).

    If the counts differ from the distances by chance alone, η is inf and they add nothing.

    Args:
        counts: (K, K) C_ky ≥ 0, 0 on the diagonal.
        shares: (K, K) R_ky ≥ 0, 0 on the diagonal.

    Returns:
        () η ≥ 0, inf if Q is not above its value by chance.

    Source:
        This project; a method of moments for the Dirichlet–multinomial distribution.

    Example:
        >>> even = (1 - torch.eye(3)) / 2
        >>> weight_of_distances(8 * even, even)
        tensor(inf)
        >>> weight_of_distances(torch.tensor([[0.0, 8, 0], [8, 0, 0], [8, 0, 0]]), even)
        tensor(0.)
    """
    totals = counts.sum(1)
    spread = totals * (1 - shares.square().sum(1))
    excess = torch.addcmul(counts, totals[:, None], shares, value=-1).square_().sum()
    beyond_chance = excess - spread.sum()
    weight = (product(totals, spread) - excess).clamp_min(0) / beyond_chance
    return weight.masked_fill(beyond_chance <= 0, torch.inf)


def counted_log_prior(
    log_prior: Tensor,
    labels: Tensor,
    noise_rate: float,
    counts: Tensor,
    own: Tensor,
    strength: float,
) -> Tensor:
    """Log-probability that a sample of class k is labelled y_i, from distances and counts.

    T̂_{k,y_i} = ε·(η·R_{k,y_i} + C)/(η + C_k) for k ≠ y_i, R = T/ε, C_k = Σ_y C_ky, with
    C = max(C_{k,y_i} − δ_ik, min(C_{k,y_i}, C_k·R_{k,y_i})).

    With few counts the distances decide, with many the counts. A sample's own share of the counts,
    δ_ik, is left out as far as it lifts them above what the distances predict: otherwise the sample
    would confirm its own past.

    Args:
        log_prior: (N, K) log T_{k,y_i}.
        labels: (N,) columns of the labels y as given.
        noise_rate: ε in (0, 1).
        counts: (K, K) C_ky ≥ 0, expected number of samples of class k labelled y; 0 for y = k.
        own: (N, K) δ_ik ≥ 0.
        strength: η > 0, see ``weight_of_distances``; finite.

    Returns:
        (N, K) log-probabilities.

    Source:
        This project.

    Example:
        >>> log_prior = torch.tensor([[0.8, 0.1]]).log()
        >>> counts, own = torch.tensor([[0.0, 3.0], [4.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> counted_log_prior(log_prior, torch.tensor([0]), 0.2, counts, own, 4.0).exp()
        tensor([[0.8000, 0.1250]])
    """
    totals = counts.sum(1)
    shares = log_prior.exp().div_(noise_rate)
    of_label = counts[:, labels].T
    others = torch.maximum(of_label - own, torch.minimum(of_label, shares * totals))
    counted = others.add_(shares, alpha=strength).mul_(noise_rate / (totals + strength)).log_()
    return counted.scatter_(1, labels[:, None], math.log1p(-noise_rate))
