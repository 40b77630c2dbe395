"""How far each class is from others."""

from typing import NamedTuple

import torch
from torch import Tensor


class Neighbourhoods(NamedTuple):
    """Distances from each class to others, and how many classes each of them stands for.

    Args:
        distances: (K, M) geodesic lengths, inf for none: (K, K) with an infinite diagonal is every
            other class, one by one.
        weights: (K, M) number of classes at that distance, ≥ 0, the nearest classes first; None
            for one at each finite length, in any order.
    """

    distances: Tensor
    weights: Tensor | None = None

    def of(self, classes: Tensor) -> "Neighbourhoods":
        """The neighbourhoods (…, M) of some classes (…)."""
        weights = None if self.weights is None else self.weights[classes]
        return Neighbourhoods(self.distances[classes], weights)


def class_spacing(neighbourhoods: Neighbourhoods, neighbours: int = 5) -> Tensor:
    """Mean geodesic distance between a class and its nearest classes.

    Args:
        neighbourhoods: of the K classes.
        neighbours: how many nearest classes count; fewer where fewer are known.

    Returns:
        A scalar, geodesic length; nan where no class has a neighbour.

    Source:
        This project.

    Example:
        >>> class_spacing(Neighbourhoods(torch.tensor([[torch.inf, 2.0], [2.0, torch.inf]])))
        tensor(2.)
    """
    distances, weights = neighbourhoods
    if weights is None:
        nearest = distances.topk(min(neighbours, distances.shape[1]), largest=False).values
    else:
        nearest = distances[:, :neighbours].masked_fill(weights[:, :neighbours] == 0, torch.inf)
    return nearest[nearest.isfinite()].mean()
