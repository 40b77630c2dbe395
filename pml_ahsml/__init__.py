"""Metric learning with wrong labels: a noise-aware, hyperbolic plugin for PML."""

from .audit import LabelAudit, audit_labels
from .classes.class_statistics import ClassStatistics
from .data import inject_label_noise
from .distances import LorentzSimilarity, PoincareDistance
from .inference import PoincareKNN
from .labels.label_noise_model import LabelNoiseModel
from .losses import AdaptiveMargins, AdaptiveNoiseAwareLoss, Relabelling
from .miners import HierarchicalSimilarityMiner

__version__ = "0.1.0"

__all__ = [
    "AdaptiveMargins",
    "AdaptiveNoiseAwareLoss",
    "ClassStatistics",
    "HierarchicalSimilarityMiner",
    "LabelAudit",
    "LabelNoiseModel",
    "LorentzSimilarity",
    "PoincareDistance",
    "PoincareKNN",
    "Relabelling",
    "audit_labels",
    "inject_label_noise",
]
