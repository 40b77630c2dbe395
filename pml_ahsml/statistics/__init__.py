"""What is learnt about the classes and the labels while a network trains."""

from .class_statistics import ClassStatistics
from .evidence import Evidence
from .label_noise_model import LabelNoiseModel

__all__ = ["ClassStatistics", "Evidence", "LabelNoiseModel"]
