"""How much each witness counts."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

# Enough samples for a few numbers.
_MOST_SAMPLES = 5_000


def fitted_weights(
    witnesses: Sequence[Tensor], targets: Tensor, start: Tensor, seed: int
) -> Tensor:
    """Weights of witnesses under which they predict best what is believed.

    The weights a ≥ 0 maximise Σ_i Σ_k q_ik·log softmax_k(Σ_w a_w·f_w,ik). As every f is out of
    sample, a witness that only repeats labels gains nothing.

    Args:
        witnesses: (N, C) log-evidence f_w of each.
        targets: (N, C) q_ik.
        start: (W,) weights to start from.
        seed: of the choice of samples, if there are many.

    Returns:
        (W,).

    Example:
        >>> good, bad = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.zeros(2, 2)
        >>> targets = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
        >>> fitted_weights([good, bad], targets, torch.ones(2), seed=0)
        tensor([2.1972, 1.0000])
    """
    rows = _some_rows(len(targets), seed)
    evidence = torch.stack([witness[rows] for witness in witnesses])
    targets = targets[rows]
    # a class that is impossible for a witness has no weight in the targets either
    evidence = evidence.where(evidence.isfinite(), torch.finfo(evidence.dtype).min / 1e6)
    targets = targets.where((evidence > torch.finfo(evidence.dtype).min / 1e7).all(0), 0.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        factors = torch.as_tensor(weights, dtype=evidence.dtype)
        logits = torch.tensordot(factors, evidence, dims=1)
        log_probabilities = logits.log_softmax(1)
        value = -(targets * log_probabilities).sum() / len(targets)
        surprise = log_probabilities.exp() * targets.sum(1, keepdim=True) - targets
        slope = (evidence * surprise).sum((1, 2)) / len(targets)
        return float(value), slope.double().numpy()

    bounds = [(0, None)] * len(witnesses)
    best = minimize(loss, start.double().numpy(), jac=True, method="L-BFGS-B", bounds=bounds)
    return torch.as_tensor(best.x, dtype=targets.dtype)


def _some_rows(length: int, seed: int) -> Tensor:
    if length <= _MOST_SAMPLES:
        return torch.arange(length)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(length, generator=generator)[:_MOST_SAMPLES]
