"""How classes get each other's labels, learnt together with what is believed."""

import torch
from torch import Tensor

from .beliefs import Beliefs

# Pseudo-counts of the prior, which takes all confusions to be alike.
_STRENGTH = 2.0

# With more classes, K × K counts would not fit into memory, and all confusions are alike.
_MOST_CLASSES = 10_000

# Noise rate before anything is known, and the smallest one: with 0, a label without counts would be
# impossible.
_FIRST_RATE, _LOWEST_RATE = 0.2, 1e-3


def log_confusions(
    beliefs: Beliefs | None, classes: Tensor, labels: Tensor, num_classes: int
) -> Tensor:
    """Log-probability that a sample of each class gets the label that the sample has.

    T_ky = (J_ky + α·((1 − ε)·[k = y] + ε/K)) / (Σ_y J_ky + α), with J_ky = Σ_{i: y_i = y} q_ik the
    expected number of samples of class k labelled y, ε the share of J off its diagonal, and α = 2.

    Args:
        beliefs: q_ik; None before anything is known.
        classes: (N, C) classes k.
        labels: (N,) labels y_i as given.
        num_classes: K.

    Returns:
        (N, C) log T_{k,y_i}.

    Source:
        The full confusion matrix of Dawid & Skene (Applied Statistics, 1979); the prior is this
        project's.

    Example:
        >>> log_confusions(None, torch.tensor([[0, 1]]), torch.tensor([0]), 2).exp()
        tensor([[0.9000, 0.1000]])
    """
    own = (classes == labels[:, None]).float()
    if beliefs is None:
        return (own * (1 - _FIRST_RATE) + _FIRST_RATE / num_classes).log()
    rate = (1 - beliefs.of(labels)).mean().clamp_min(_LOWEST_RATE)
    prior = own * (1 - rate) + rate / num_classes
    if num_classes > _MOST_CLASSES:
        return prior.log()
    # as one row of numbers, in which k·K + y is the place of J_ky
    counts = torch.zeros(num_classes * num_classes)
    places = beliefs.classes * num_classes + labels[:, None]
    counts.index_add_(0, places.flatten(), beliefs.weights.flatten())
    totals = counts.view(num_classes, num_classes).sum(1)
    joint = counts[classes * num_classes + labels[:, None]]
    return ((joint + _STRENGTH * prior) / (totals[classes] + _STRENGTH)).log()
