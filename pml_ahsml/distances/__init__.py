"""Distances for pytorch-metric-learning losses, miners and testers."""

from .poincare_distance import PoincareDistance
from .similarity import as_similarity, max_distance

__all__ = ["PoincareDistance", "as_similarity", "max_distance"]
