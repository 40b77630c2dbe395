"""How much each witness counts."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

# Enough samples for a few numbers.
_MOST_SAMPLES = 5_000

# Log-evidence of a class that is impossible: as good as none in float32, but a number.
_IMPOSSIBLE = -1e6


def with_rest(evidence: Tensor, is_label: Tensor) -> Tensor:
    """Add a column for a class that is out of the question.

    It fits at most as well as the worst of the classes in question. The label does not count, as it
    is in question even if it fits worst of all: without this column, wrong labels would look like
    the worst of what can happen, and a witness that is right would seem to be wrong.

    Args:
        evidence: (N, C) log-evidence of the classes in question.
        is_label: (N, C) bool, the label as given.

    Returns:
        (N, C + 1).

    Example:
        >>> with_rest(torch.tensor([[-1.0, -2.0, -9.0]]), torch.tensor([[False, False, True]]))
        tensor([[-1., -2., -9., -2.]])
    """
    others = evidence.masked_fill(is_label | (evidence == -torch.inf), torch.inf)
    worst = others.min(1, keepdim=True).values
    # a sample that only its label is in question for
    return torch.cat([evidence, worst.where(worst < torch.inf, -torch.inf)], 1)


def log_probabilities(weights: Tensor, witnesses: Sequence[Tensor], num_others: int) -> Tensor:
    """Log-probabilities log p_i(k) by weighed witnesses.

    p_i(k) is the softmax over the classes of Σ w·evidence, a sum over the witnesses.

    Args:
        weights: w ≥ 0, one for each witness.
        witnesses: (N, C + 1) log-evidence of each, see :func:`with_rest`.
        num_others: number of classes that the last column stands for.

    Returns:
        (N, C), for the classes in question; with the others, they sum to 1.

    Example:
        >>> evidence = torch.zeros(1, 3)
        >>> log_probabilities(torch.ones(1), [evidence], num_others=2).exp()
        tensor([[0.2500, 0.2500]])
    """
    evidence = torch.zeros_like(witnesses[0])
    for weight, witness in zip(weights, witnesses, strict=True):
        if weight:
            evidence.add_(witness, alpha=float(weight))
        else:
            # what is impossible stays so, however little the witness counts
            evidence.masked_fill_(witness == -torch.inf, -torch.inf)
    evidence[:, -1] += math.log(num_others) if num_others else -math.inf
    return evidence.log_softmax(1)[:, :-1]


def fitted_weights(
    witnesses: Sequence[Tensor], targets: Tensor, num_others: int, start: Tensor, seed: int
) -> Tensor:
    """Weights of witnesses under which they predict best what is believed.

    The weights w ≥ 0 maximise Σ_i Σ_k t_i(k)·log p_i(k), with log p the
    :func:`log_probabilities`. As every witness is asked out of sample, one that only repeats labels
    gains nothing.

    Args:
        witnesses: (N, C + 1) log-evidence of each, see :func:`with_rest`.
        targets: (N, C) t_i(k).
        num_others: number of classes that the last column stands for.
        start: weights to start from, one for each witness.
        seed: of the choice of samples, if there are many.

    Returns:
        The weights, one for each witness.

    Example:
        >>> good = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> targets = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
        >>> fitted_weights([good, 0 * good], targets, 0, torch.ones(2), seed=0)
        tensor([2.1972, 1.0000])
    """
    rows = _some_rows(len(targets), seed)
    # in float64: the search ends where steps gain less than rounding
    evidence = torch.stack([witness[rows] for witness in witnesses]).double()
    targets = torch.nn.functional.pad(targets[rows], (0, 1)).double()
    # what is impossible for one witness has no weight in the targets, either
    targets = targets.where((evidence > -torch.inf).all(0), 0.0)
    evidence = evidence.clamp_min(_IMPOSSIBLE)
    offset = evidence.new_zeros(evidence.shape[2])
    offset[-1] = math.log(num_others) if num_others else _IMPOSSIBLE
    totals = targets.sum(1, keepdim=True)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        factors = torch.as_tensor(weights, dtype=evidence.dtype)
        log_shares = (torch.tensordot(factors, evidence, dims=1) + offset).log_softmax(1)
        surprise = log_shares.exp() * totals - targets
        value = -(targets * log_shares).sum() / len(targets)
        slope = torch.einsum("wnc,nc->w", evidence, surprise) / len(targets)
        return float(value), slope.numpy()

    bounds = [(0, None)] * len(witnesses)
    best = minimize(loss, start.double().numpy(), jac=True, method="L-BFGS-B", bounds=bounds)
    return torch.as_tensor(best.x, dtype=start.dtype)


def _some_rows(length: int, seed: int) -> Tensor:
    if length <= _MOST_SAMPLES:
        return torch.arange(length)
    # not torch's generator: a seed that drew wrong labels there would choose the same rows here
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.choice(length, _MOST_SAMPLES, replace=False))
