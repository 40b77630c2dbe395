"""Nearest neighbours for evaluation and retrieval."""

from .poincare_knn import PoincareKNN

__all__ = ["PoincareKNN"]
