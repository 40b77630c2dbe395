"""k-NN votes of past samples on the true class of a sample."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Agreement is clamped away from 0 and 1, where there is nothing left to compare.
_LOWEST, _HIGHEST = 0.01, 0.99


def rank_weights(agreement: Tensor) -> Tensor:
    """Compute the weight of a neighbour's vote for the sample's own label, by rank.

    A remembered row may be an earlier visit of the sample itself, with the same label, right or
    wrong. Let f_j be the share of samples whose j-th nearest row has their label, and f̄ its mean
    over the farther half of the ranks, which hold no copies. If the j-th row is a copy with
    probability z_j, then f_j = z_j + (1 − z_j)·f̄, and a row with the same label is not a copy with
    probability

    w_j = (1 − z_j)·f̄/f_j = f̄·(1 − f_j) / (f_j·(1 − f̄)), and at most 1.

    Args:
        agreement: (J,) f_j in [0, 1].

    Returns:
        (J,) w_j in (0, 1].

    Source:
        This project.

    Example:
        >>> rank_weights(torch.tensor([0.75, 0.5, 0.5, 0.5]))
        tensor([0.3333, 1.0000, 1.0000, 1.0000])
    """
    nearer = agreement.clamp(_LOWEST, _HIGHEST)
    farther = nearer[(len(nearer) + 1) // 2 :].mean()
    return (farther * (1 - nearer) / (nearer * (1 - farther))).clamp_max(1)


def expected_copies(agreement: Sequence[float]) -> float:
    """Expected number of earlier visits among a sample's nearest rows: Σ_j z_j, nearer half.

    Args:
        agreement: J numbers f_j in [0, 1], see :func:`rank_weights`; z_j = (f_j − f̄)/(1 − f̄).

    Returns:
        A number in [0, J/2].

    Source:
        This project.

    Example:
        >>> expected_copies([0.75, 0.5, 0.5, 0.5])
        0.5
    """
    clamped = [min(max(share, _LOWEST), _HIGHEST) for share in agreement]
    half = (len(clamped) + 1) // 2
    farther = sum(clamped[half:]) / len(clamped[half:])
    return sum(max(0.0, share - farther) for share in clamped[:half]) / (1 - farther)


def votes(neighbours: Tensor, labels: Tensor, weights: Tensor | None, num_classes: int) -> Tensor:
    """Votes of the neighbours of each sample, b_ik = Σ_{j: y_j = k} (w_j if k = y_i, else 1).

    Args:
        neighbours: (N, J) labels of the nearest rows, nearest first.
        labels: (N,) labels y_i of the samples themselves.
        weights: (J,) w_j of :func:`rank_weights`; None for ones.
        num_classes: K.

    Returns:
        (N, K) in [0, J].

    Source:
        This project; k-NN votes under label noise: e.g. Bahri et al., ICML 2020.

    Example:
        >>> votes(torch.tensor([[0, 0, 2]]), torch.tensor([2]), torch.tensor([1.0, 1, 0.5]), 3)
        tensor([[2.0000, 0.0000, 0.5000]])
    """
    if weights is None:
        cast = torch.ones_like(neighbours, dtype=torch.float32)
    else:
        cast = weights.masked_fill(neighbours != labels[:, None], 1.0)
    return cast.new_zeros(len(labels), num_classes).scatter_add_(1, neighbours, cast)


def weight_gradient(surprise: Tensor, votes: Tensor, weight: float) -> Tensor:
    """Slope of the log marginal likelihood of the labels by log ω, where p_i(k) ∝ … exp(ω·b_ik).

    ω·mean_i Σ_k (t_i(k) − p_i(k))·b_ik: the expected votes under the posterior, minus those before
    the label was seen.

    Args:
        surprise: (N, K) t_i(k) − p_i(k).
        votes: (N, K) b_ik.
        weight: ω.

    Returns:
        The slope; up is likelier.

    Source:
        This project.

    Example:
        >>> t, p = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.5, 0.5]])
        >>> weight_gradient(t - p, torch.tensor([[4.0, 0.0]]), weight=0.5)
        tensor(0.5000, dtype=torch.float64)
    """
    # summed in float64, so that the order of the rows does not matter
    return (surprise * votes).sum(dtype=torch.float64) * (weight / len(votes))
