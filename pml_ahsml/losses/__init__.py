"""Losses for pytorch-metric-learning trainers."""

from .adaptive_noise_aware_loss import AdaptiveNoiseAwareLoss

__all__ = ["AdaptiveNoiseAwareLoss"]
