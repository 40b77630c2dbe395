"""Losses for pytorch-metric-learning trainers."""

from .adaptive_margins import AdaptiveMargins
from .adaptive_noise_aware_loss import AdaptiveNoiseAwareLoss
from .relabelling import Relabelling

__all__ = ["AdaptiveMargins", "AdaptiveNoiseAwareLoss", "Relabelling"]
