"""Which class is labelled as which, from how often it seems to have happened.

Distances cannot say that of two equally close classes one is taken for the other and not the other
way round. Counts can, once there are enough of them: T̂ is the posterior mean of a Dirichlet prior
around what the distances say.
"""

import math

import torch
from torch import Tensor

from ...hyperbolic.products import product


def weight_of_distances(counts: Tensor, shares: Tensor) -> float:
    """Prior strength α: pseudo-counts given to the distance-based prior.

    Given a Dirichlet prior with mean S_k and strength α, the counts of the n_k wrong labels of
    class k have E Σ_y (C_ky − n_k·S_ky)² = n_k·v_k·(α + n_k)/(α + 1), with v_k = 1 − Σ_y S_ky².
    Summed over the classes this gives α from what the counts are, Q = Σ_ky (C_ky − n_k·S_ky)²:

    α = (Σ_k n_k²·v_k − Q) / (Q − Σ_k n_k·v_k).

    Where the counts differ from the distances by chance alone α is inf, and they say nothing new.

    Args:
        counts: (K, K) C_ky ≥ 0, 0 on the diagonal.
        shares: (K, K) S_ky, likewise.

    Returns:
        α ≥ 0, inf where Q is not above what chance does.

    Source:
        This project; a method of moments for the Dirichlet–multinomial distribution.

    Example:
        >>> even = (1 - torch.eye(3)) / 2
        >>> weight_of_distances(8 * even, even)
        inf
        >>> weight_of_distances(torch.tensor([[0.0, 8, 0], [8, 0, 0], [8, 0, 0]]), even)
        0.0
    """
    totals = counts.sum(1)
    spread = totals * (1 - shares.square().sum(1))
    excess = (counts - totals[:, None] * shares).square_().sum()
    chance, most, found = torch.stack([spread.sum(), product(totals, spread), excess]).tolist()
    return max(0.0, most - found) / (found - chance) if found > chance else math.inf


def counted_log_prior(
    log_prior: Tensor,
    labels: Tensor,
    noise_rate: float,
    counts: Tensor,
    own: Tensor,
    strength: float,
) -> Tensor:
    """Log-probability that a sample of class k came to be labelled y_i, by distances and counts.

    T̂_{k,y_i} = ε·(α·S_{k,y_i} + C)/(α + n_k) for k ≠ y_i, S = T/ε, n_k = Σ_y C_ky, with
    C = max(C_{k,y_i} − o_ik, min(C_{k,y_i}, n_k·S_{k,y_i})).

    Where little has been counted the distances decide, where much has, the counts. What a sample
    has itself added to these, o_ik, is left out as far as it lifts them above what the distances
    say: it would confirm its own past.

    Args:
        log_prior: (N, K) log T_{k,y_i}.
        labels: (N,) columns of the labels y as given.
        noise_rate: ε in (0, 1).
        counts: (K, K) C_ky ≥ 0, expected number of samples of class k labelled y; 0 for y = k.
        own: (N, K) o_ik ≥ 0.
        strength: α > 0, see ``weight_of_distances``; finite.

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
    counted = shares.mul_(strength).add_(others).mul_(noise_rate / (totals + strength)).log_()
    return counted.scatter_(1, labels[:, None], math.log1p(-noise_rate))
