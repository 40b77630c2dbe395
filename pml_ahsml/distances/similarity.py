"""PML distances read as similarities."""

from pytorch_metric_learning.distances import BaseDistance, LpDistance
from torch import Tensor


def max_distance(distance: BaseDistance) -> float | None:
    """The largest value a PML distance can return, None where there is no bound.

    Args:
        distance: a PML distance that is not inverted.

    Returns:
        ``distance.max_distance`` where there is one (PoincareDistance), 2^power for a Euclidean
        LpDistance on normalised embeddings, else None.

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
    """What a PML distance returned, as similarities: 1 − 2d/d_max, or as it is if inverted.

    Args:
        values: any shape, values of ``distance``.
        distance: the PML distance that returned them.

    Returns:
        The same shape; larger is more similar.

    Raises:
        ValueError: for a distance without a known maximum.

    Source:
        This project.

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
