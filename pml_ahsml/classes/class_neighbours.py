"""Distances from the classes of a batch to other classes."""

import torch
from torch import Tensor

from ..hyperbolic import hyperboloid
from .centroids import Centroids
from .nearest_classes import candidate_classes

# With too many classes: the nearest of each class, and evenly spaced others for the rest. The last
# table of docs/geometry.md shows their errors: the trust in a label is off by 2e-4 in the mean.
_NEAREST, _SAMPLED = 16, 16


def list_length(num_classes: int) -> int:
    """Number of other classes on the list of a class."""
    return min(_NEAREST, num_classes - 1) + _SAMPLED


def distances_to_all(classes: Tensor, here: Centroids) -> Tensor:
    """(C, K) distances of some classes to all; inf to themselves and to classes never seen.

    Args:
        classes: (C,) classes that have a centroid.
        here: the centroids of all classes.
    """
    centroids = hyperboloid.hyperboloid_normalise(here.means)
    lengths = here.lengths(centroids[classes], centroids).add_(here.unseen())
    return lengths.scatter_(1, classes[:, None], torch.inf)


def distances_to_listed(classes: Tensor, here: Centroids) -> tuple[Tensor, Tensor]:
    """(C, M) distances of classes to those on their lists, and how many classes each represents.

    Args:
        classes: (C,) classes that have a centroid.
        here: the centroids of all classes.
    """
    listed, weights = candidate_classes(
        here.means[classes], classes, here.means, here.seen, _NEAREST, _SAMPLED
    )
    lengths = here.lengths(here.of(classes)[:, None], here.of(listed[:, 1:]))
    return lengths.squeeze(1), weights[:, 1:]
