"""Directions of embeddings from their running mean."""

import torch
from torch import Tensor

from ..precision import exact_dtype

# Share of the way from the centre to the mean of a batch. It averages about five batches, few
# enough to follow a network that moves all embeddings.
_CENTRE_STEP = 0.2


def directions(embeddings: Tensor, centre: Tensor | None) -> Tensor:
    """Directions of embeddings: û, or (û − c)/‖û − c‖ with a centre.

    Args:
        embeddings: (N, D).
        centre: (D,) c; zeros stand for the mean of the batch.
    """
    plain = torch.nn.functional.normalize(embeddings, dim=1)
    if centre is None:
        return plain
    centre = torch.where(centre.any(), centre, _mean(plain))
    return torch.nn.functional.normalize(plain - centre, dim=1)


def next_centre(embeddings: Tensor, centre: Tensor) -> Tensor:
    """(D,) updated centre c + (ū − c)/5, or the mean ū of the batch if c is zeros.

    Args:
        embeddings: (N, D), N ≥ 1.
        centre: (D,) c.
    """
    mean = _mean(torch.nn.functional.normalize(embeddings.float(), dim=1))
    return torch.where(centre.any(), centre, mean).lerp(mean, _CENTRE_STEP)


def _mean(directions: Tensor) -> Tensor:
    """(D,) mean of the rows, summed in float64, so that the order of the rows does not matter."""
    return directions.mean(0, dtype=exact_dtype(directions)).to(directions)
