"""Estimates which labels are wrong."""

from .label_noise_model import LabelNoiseModel
from .label_posterior import LabelPosterior
from .witnesses import CentroidDistances, ConfusionCounts, NeighbourMemory, Parameter, Witness

__all__ = [
    "CentroidDistances",
    "ConfusionCounts",
    "LabelNoiseModel",
    "LabelPosterior",
    "NeighbourMemory",
    "Parameter",
    "Witness",
]
