"""Converts the values of PML distances to similarities."""

from pytorch_metric_learning.distances import BaseDistance, LpDistance
from torch import Tensor


def max_distance(distance: BaseDistance) -> float | None:
    """Return the largest value that a PML distance can return, or None if it is unbounded.

    Args:
        distance: a PML distance that is not inverted.

    Returns:
        ``distance.max_distance`` if the distance has it (PoincareDistance), 2^power for a Euclidean
        LpDistance on normalised embeddings, otherwise None.

    Example:
        >>> max_distance(LpDistance(power=2))
        4.0
    """
    bound = getattr(distance, "max_distance", None)
    is_euclidean = isinstance(distance, LpDistance) and distance.p == 2
    if bound is None and is_euclidean and distance.normalize_embeddings:
        bound = 2.0**distance.power
    return bound


def as_similarity(values: Tensor, distance: BaseDistance) -> Tensor:
    """Convert values of a PML distance to similarities: 1 − 2d/d_max, unchanged if inverted.

    Args:
        values: any shape, the values that ``distance`` returned.
        distance: the PML distance.

    Returns:
        The same shape; larger is more similar.

    Raises:
        ValueError: if the distance has no known maximum.

    Example:
        >>> import torch
        >>> as_similarity(torch.tensor([0.0, 1.0, 2.0]), LpDistance())
        tensor([ 1.,  0., -1.])
    """
    if distance.is_inverted:
        return values
    bound = max_distance(distance)
    if bound is None:
        raise ValueError(
            "distance must be inverted or have a known maximum (PoincareDistance, normalised "
            f"LpDistance), got {type(distance).__name__}"
        )
    return 1 - 2 * values / bound
