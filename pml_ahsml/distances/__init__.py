"""Distances for pytorch-metric-learning losses, miners and testers."""

from .hyperbolic_distance import HyperbolicDistance
from .lorentz_similarity import LorentzSimilarity
from .poincare_distance import PoincareDistance
from .similarity import as_similarity, max_distance

__all__ = [
    "HyperbolicDistance",
    "LorentzSimilarity",
    "PoincareDistance",
    "as_similarity",
    "max_distance",
]
