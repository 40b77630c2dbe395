"""Evaluation and retrieval with geodesic distance."""

from .evaluation import PoincareMatchFinder, accuracy_calculator, inference_model
from .poincare_knn import PoincareKNN

__all__ = ["PoincareKNN", "PoincareMatchFinder", "accuracy_calculator", "inference_model"]
