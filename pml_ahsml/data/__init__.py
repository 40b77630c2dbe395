"""Data plumbing: label noise to test against."""

from .label_noise import inject_label_noise

__all__ = ["inject_label_noise"]
