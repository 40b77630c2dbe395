"""Distances from the classes of a batch to other classes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..state.saved_state import Rule
from .centroids import Centroids
from .nearest_classes import candidate_classes

# With too many classes: the nearest of each class, and evenly spaced others for the rest. The last
# table of docs/geometry.md shows their errors: the trust in a label is off by 2e-4 in the mean.
_NEAREST, _SAMPLED = 16, 16


def empty_tables(num_classes: int, is_exact: bool) -> Iterator[tuple[str, Tensor, Rule]]:
    """Yield tables for distances of each class to all others, or to those on its list.

    Args:
        num_classes: K.
        is_exact: whether a class keeps its distances to all others.

    Returns:
        The name, first value and rule of each table.
    """
    length = num_classes if is_exact else min(_NEAREST, num_classes - 1) + _SAMPLED
    first = torch.full((num_classes, length), torch.inf if is_exact else 0.0, dtype=torch.float32)
    yield "neighbour_distances", first, Rule(lowest=0, may_be_inf=True)
    if not is_exact:
        yield "neighbour_weights", first.clone(), Rule(lowest=0)


def distances_to_all(classes: Tensor, here: Centroids) -> Tensor:
    """(C, K) distances of some classes to all; inf to themselves and to classes never seen.

    Args:
        classes: (C,) classes that have a centroid.
        here: the centroids of all classes.
    """
    return here.distances_of(classes).scatter_(1, classes[:, None], torch.inf)


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
