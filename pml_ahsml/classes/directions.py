"""Directions of embeddings from their running mean."""

import torch
from torch import Tensor

from ..precision import exact_dtype

# Share of the way from the centre to the mean of a batch. It averages about five batches, few
# enough to follow a network that moves all embeddings.
_CENTRE_STEP = 0.2


def directions_of(embeddings: Tensor) -> Tensor:
    """(N, D) directions û of (N, D) embeddings, in float32 and without a gradient."""
    return torch.nn.functional.normalize(embeddings.detach().float(), dim=1)


def directions_from(centre: Tensor | None, directions: Tensor) -> Tensor:
    """Directions as seen from a centre: (û − c)/‖û − c‖.

    Args:
        centre: (D,) c; None stands for the mean of the batch.
        directions: (N, D) û.
    """
    centre = _mean(directions) if centre is None else centre
    return torch.nn.functional.normalize(directions - centre, dim=1)


def next_centre(centre: Tensor | None, directions: Tensor) -> Tensor:
    """(D,) updated centre c + (ū − c)/5, or the mean ū of the batch if c is None.

    Args:
        centre: (D,) c, or None.
        directions: (N, D) û, N ≥ 1.
    """
    mean = _mean(directions)
    return mean if centre is None else centre.lerp(mean, _CENTRE_STEP)


def _mean(directions: Tensor) -> Tensor:
    """(D,) mean of the rows, summed in float64, so that the order of the rows does not matter."""
    return directions.mean(0, dtype=exact_dtype(directions)).to(directions)
