"""Metric learning with wrong labels: a noise-aware, hyperbolic plugin for PML."""

from .data import inject_label_noise
from .distances import PoincareDistance
from .inference import PoincareKNN
from .losses import AdaptiveMargins, AdaptiveNoiseAwareLoss, Relabelling
from .miners import HierarchicalSimilarityMiner
from .statistics import ClassStatistics, LabelNoiseModel

__version__ = "0.1.0"

__all__ = [
    "AdaptiveMargins",
    "AdaptiveNoiseAwareLoss",
    "ClassStatistics",
    "HierarchicalSimilarityMiner",
    "LabelNoiseModel",
    "PoincareDistance",
    "PoincareKNN",
    "Relabelling",
    "inject_label_noise",
]
