"""Samples of Gaussian classes, and beliefs about them, for the tests of an audit's mathematics."""

import torch
from torch import Tensor

from pml_ahsml.audit.judging.beliefs import Beliefs


def gaussian_classes(
    num_samples: int, num_classes: int, size: int, spread: float = 0.3, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """(N, D) samples of unit norm around random means, and their (N,) classes."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(num_classes, size, generator=generator)
    classes = torch.arange(num_samples) % num_classes
    points = means[classes] + spread * torch.randn(num_samples, size, generator=generator)
    return torch.nn.functional.normalize(points, dim=1), classes


def soft_beliefs(num_samples: int, num_classes: int, count: int, seed: int = 0) -> Beliefs:
    """Random beliefs about some classes of each sample, none of them smaller than .01."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(num_samples, num_classes, generator=generator).argsort(1)
    weights = 0.05 + torch.rand(num_samples, count, generator=generator)
    return Beliefs(order[:, :count].sort(1).values, weights / weights.sum(1, keepdim=True))


def dense(beliefs: Beliefs, num_classes: int) -> Tensor:
    """(N, K) the beliefs as a table, float64."""
    table = torch.zeros(len(beliefs.classes), num_classes, dtype=torch.float64)
    for i, (classes, weights) in enumerate(zip(beliefs.classes, beliefs.weights, strict=True)):
        for k, q in zip(classes.tolist(), weights.tolist(), strict=True):
            table[i, k] = q
    return table
