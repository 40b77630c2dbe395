"""What is learnt about the classes and the labels while a network trains."""

from .belief import Belief
from .class_statistics import ClassStatistics
from .confusion_counts import ConfusionCounts
from .evidence import Evidence
from .label_noise_model import LabelNoiseModel
from .neighbour_memory import NeighbourMemory

__all__ = [
    "Belief",
    "ClassStatistics",
    "ConfusionCounts",
    "Evidence",
    "LabelNoiseModel",
    "NeighbourMemory",
]
