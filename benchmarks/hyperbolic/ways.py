"""The trainings to compare, by the names that the tables use."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import CosineSimilarity

from benchmarks.hyperbolic.ntxent import RowwiseNTXentLoss
from pml_ahsml import AdaptiveNoiseAwareLoss, LorentzSimilarity

# PML's arguments, all at their defaults.
LOSSES: dict[str, Callable[..., Any]] = {
    "MultiSimilarity": losses.MultiSimilarityLoss,
    "SupCon": losses.SupConLoss,
    "NTXent": RowwiseNTXentLoss,
    "Triplet": losses.TripletMarginLoss,
}

# What replaces the distance of the loss; "own" is the one that PML gives it.
WAYS: dict[str, dict[str, Callable[[], Any]]] = {
    "own": {},
    "cosine": {"distance": CosineSimilarity},
    "lorentz": {"distance": LorentzSimilarity},
    # hardly curved: within the clip radius lengths are those of the plane to .4 %
    "flat": {"distance": functools.partial(LorentzSimilarity, 1e-3)},
}


def make_loss(
    name: str, way: str, *, is_wrapped: bool, num_classes: int, embedding_size: int
) -> torch.nn.Module:
    """Make a loss.

    Args:
        name: of the loss.
        way: of the distance.
        is_wrapped: whether an AdaptiveNoiseAwareLoss is put around it.
        num_classes: K, for the wrapper.
        embedding_size: D, for the wrapper.
    """
    loss: torch.nn.Module = LOSSES[name](**{key: make() for key, make in WAYS[way].items()})
    return AdaptiveNoiseAwareLoss(loss, num_classes, embedding_size) if is_wrapped else loss
