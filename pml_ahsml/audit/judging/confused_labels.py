"""How classes get each other's labels, learnt together with what is believed."""

import torch
from torch import Tensor

# Pseudo-counts of the prior, which takes all confusions to be alike.
_STRENGTH = 2.0

# Noise rate before anything is known, and the smallest one: with 0, a label without counts would be
# impossible.
_FIRST_RATE, _LOWEST_RATE = 0.2, 1e-3

# Numbers that are sorted at once, so that memory does not grow with the data set.
_BLOCK = 1 << 20


class Confusions:
    """How often samples of each class get each label.

    Of the K × K pairs of class and label only those that come into question for some sample are
    kept: with 10,000 classes and 1,000,000 samples a twentieth.

    Args:
        classes: (N, C) classes k in question for each sample, each once in its row.
        labels: (N,) labels y_i as given, each in its row.
        num_classes: K.

    Source:
        The full confusion matrix of Dawid & Skene (Applied Statistics, 1979); the prior is this
        project's.

    Example:
        >>> confusions = Confusions(torch.tensor([[0, 1]]), torch.tensor([0]), 2)
        >>> confusions.log_probabilities(None).exp()
        tensor([[0.9000, 0.1000]])
    """

    def __init__(self, classes: Tensor, labels: Tensor, num_classes: int) -> None:
        self.num_classes = num_classes
        #: (N, C) which pair of class and label each class is a part of, for the sample's label
        self.places, pairs = _numbered(classes, labels, num_classes)
        #: (P,) the class of each pair, and whether it is the label as well
        self.classes = pairs % num_classes
        self.is_own = (self.classes == pairs // num_classes).float()

    def log_probabilities(self, weights: Tensor | None) -> Tensor:
        """Log-probability that a sample of each class gets the label that the sample has.

        T_ky = (J_ky + η·((1 − ε_J)·[k = y] + ε_J/K)) / (Σ_y J_ky + η), with
        J_ky = Σ_{i: y_i = y} t_i(k) the expected number of samples of class k labelled y, ε_J the
        share of J off its diagonal, and η = 2.

        Args:
            weights: (N, C) t_i(k); None before anything is known.

        Returns:
            (N, C) log T_{k,y_i}.
        """
        if weights is None:
            return self._prior(_FIRST_RATE).log()[self.places]
        counts = torch.zeros(len(self.classes))
        counts.index_add_(0, self.places.flatten(), weights.flatten())
        believed = float((counts * self.is_own).double().sum()) / len(weights)
        prior = self._prior(max(1 - believed, _LOWEST_RATE))
        totals = torch.zeros(self.num_classes, dtype=torch.float64)
        totals.index_add_(0, self.classes, counts.double())
        shares = (counts + _STRENGTH * prior) / (totals.float() + _STRENGTH)[self.classes]
        return shares.log()[self.places]

    def _prior(self, rate: float) -> Tensor:
        return self.is_own * (1 - rate) + rate / self.num_classes


def _numbered(classes: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """(N, C) numbers of the pairs y·K + k, and (P,) these pairs, each once.

    Pairs of one label have numbers next to each other, so that few places in memory are touched at
    once.
    """
    order = labels.argsort(stable=True)
    ordered = labels[order]
    places, kinds, total, start = torch.empty_like(classes, dtype=torch.long), [], 0, 0
    step = max(1, _BLOCK // classes.shape[1])
    while start < len(order):
        last = ordered[min(start + step, len(order)) - 1]
        stop = int(torch.searchsorted(ordered, last, right=True))
        rows = order[start:stop]
        pairs = labels[rows, None] * num_classes + classes[rows]
        found, numbers = pairs.unique(return_inverse=True)
        places[rows] = numbers + total
        kinds.append(found)
        total, start = total + len(found), stop
    return places, torch.cat(kinds)
