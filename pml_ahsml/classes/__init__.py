"""Class centroids and the distances to them."""

from .class_distances import ClassDistances
from .class_statistics import ClassStatistics

__all__ = ["ClassDistances", "ClassStatistics"]
