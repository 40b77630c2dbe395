"""Distances between classes."""

from typing import NamedTuple

import torch
from torch import Tensor


class Neighbourhoods(NamedTuple):
    """Distances from each class to other classes, and the number of classes at each distance.

    Args:
        distances: (K, M) geodesic lengths, inf for no class. With all classes it is (K, K), with
            inf on the diagonal.
        weights: (K, M) number of classes at each distance, ≥ 0, nearest classes first. None: one
            class at each finite distance, in any order.
    """

    distances: Tensor
    weights: Tensor | None = None

    def of(self, classes: Tensor) -> "Neighbourhoods":
        """Return the neighbourhoods, (…, M), of some classes, (…)."""
        weights = None if self.weights is None else self.weights[classes]
        return Neighbourhoods(self.distances[classes], weights)


def class_spacing(neighbourhoods: Neighbourhoods, neighbours: int = 5) -> Tensor:
    """Compute the mean geodesic distance between a class and its nearest classes.

    Args:
        neighbourhoods: neighbourhoods of the K classes.
        neighbours: number of nearest classes that count, or all if fewer are known.

    Returns:
        Scalar geodesic length; nan if no class has a neighbour.

    Example:
        >>> class_spacing(Neighbourhoods(torch.tensor([[torch.inf, 2.0], [2.0, torch.inf]])))
        tensor(2.)
    """
    distances, weights = neighbourhoods
    if weights is None:
        nearest = distances.topk(min(neighbours, distances.shape[1]), largest=False).values
    else:
        nearest = distances[:, :neighbours].masked_fill(weights[:, :neighbours] == 0, torch.inf)
    unknown = nearest == torch.inf
    return nearest.masked_fill(unknown, 0).sum() / (unknown.numel() - unknown.sum())
