"""Where classes lie."""

from .class_distances import ClassDistances
from .class_statistics import ClassStatistics

__all__ = ["ClassDistances", "ClassStatistics"]
