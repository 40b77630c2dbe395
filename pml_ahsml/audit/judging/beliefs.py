"""What is believed about the true class of each sample, for the classes that come into question."""

from dataclasses import dataclass

import torch
from scipy.sparse import csr_array
from torch import Tensor


@dataclass(frozen=True)
class Beliefs:
    """Probabilities of the classes that come into question for each sample.

    With many classes, all but a few are out of the question for any one sample, and N × K numbers
    would not fit into memory.

    Args:
        classes: (N, C) the classes, each once in its row; the label as given is among them.
        weights: (N, C) t_i(k), their probabilities.
    """

    classes: Tensor
    weights: Tensor

    def of(self, labels: Tensor) -> Tensor:
        """Probability of one class for each sample, which must be among its classes.

        Args:
            labels: (N,).

        Returns:
            (N,).
        """
        return self.weights.gather(1, own_columns(self.classes, labels)).squeeze(1)

    def shares(self, num_classes: int) -> csr_array:
        """(N, K) the beliefs as a sparse table, float64, without zeros."""
        rows, columns = (self.weights > 0).nonzero(as_tuple=True)
        ends = torch.zeros(len(self.weights) + 1, dtype=torch.long)
        torch.cumsum(torch.bincount(rows, minlength=len(self.weights)), 0, out=ends[1:])
        weights = self.weights[rows, columns].double().numpy()
        parts = weights, self.classes[rows, columns].numpy(), ends.numpy()
        return csr_array(parts, shape=(len(self.weights), num_classes))

    def without(self, rows: Tensor) -> "Beliefs":
        """The beliefs about all other samples: those about some rows weigh nothing.

        Args:
            rows: (B,).
        """
        return Beliefs(self.classes, self.weights.index_fill(0, rows, 0.0))

    def likeliest(self) -> tuple[Tensor, Tensor]:
        """Return (N,) probabilities of the likeliest classes, and (N,) these classes."""
        weights, columns = self.weights.max(1)
        return weights, self.classes.gather(1, columns[:, None]).squeeze(1)


def own_columns(classes: Tensor, labels: Tensor) -> Tensor:
    """Find the column that each label stands in.

    Args:
        classes: (N, C), the label among them.
        labels: (N,).

    Returns:
        (N, 1).

    Example:
        >>> own_columns(torch.tensor([[0, 2], [1, 2]]), torch.tensor([2, 1]))
        tensor([[1],
                [0]])
    """
    return (classes == labels[:, None]).to(torch.uint8).argmax(1, keepdim=True)


def taken_as_given(classes: Tensor, labels: Tensor) -> Beliefs:
    """Beliefs that every label is right.

    Args:
        classes: (N, C).
        labels: (N,).

    Example:
        >>> taken_as_given(torch.tensor([[0, 2]]), torch.tensor([2])).weights
        tensor([[0., 1.]])
    """
    return Beliefs(classes, (classes == labels[:, None]).to(torch.float32))


def frequencies(beliefs: Beliefs, num_classes: int) -> Tensor:
    """Share of each class in the samples: n_k / Σ_a n_a, with n_k = Σ_i t_i(k).

    Args:
        beliefs: t_i(k).
        num_classes: K.

    Returns:
        (K,), float32; zeros if nothing is believed of anything.

    Example:
        >>> frequencies(Beliefs(torch.tensor([[0, 2]]), torch.tensor([[0.75, 0.25]])), 3)
        tensor([0.7500, 0.0000, 0.2500])
    """
    # in float64: millions of float32 numbers would lose their digits
    masses = torch.zeros(num_classes, dtype=torch.float64)
    masses.index_add_(0, beliefs.classes.flatten(), beliefs.weights.flatten().double())
    return (masses / masses.sum().clamp_min(torch.finfo(masses.dtype).tiny)).float()
