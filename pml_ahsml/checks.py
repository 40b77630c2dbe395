"""Checks of what users pass in, with one wording: "<argument> must be <rule>, got <value>"."""

import math
from typing import Any

import torch
from torch import Tensor


def check_positive(name: str, value: Any) -> None:
    """Raise unless ``value`` is a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_in_interval(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless ``value`` is a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low}, {high}], got {value}")


def check_count(name: str, value: Any, minimum: int) -> None:
    """Raise unless ``value`` is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_embeddings(name: str, embeddings: Any, embedding_size: int) -> None:
    """Raise unless ``embeddings`` is a finite floating point (N, embedding_size) tensor."""
    if not isinstance(embeddings, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(embeddings).__name__}")
    if not embeddings.is_floating_point():
        raise TypeError(f"{name} must be of a floating point dtype, got {embeddings.dtype}")
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_size:
        raise ValueError(
            f"{name} must be of shape (N, {embedding_size}), got {tuple(embeddings.shape)}"
        )
    # a sum is cheaper than a mask, and finite unless one of its terms is not or it overflows
    if math.isfinite(embeddings.detach().sum()):
        return
    if not torch.isfinite(embeddings).all():
        bad = int((~torch.isfinite(embeddings).all(1)).sum())
        raise ValueError(
            f"{name} must be finite, got nan or inf in {bad} of {len(embeddings)} rows"
        )


def check_labels(name: str, labels: Any, num_rows: int, num_classes: int) -> None:
    """Raise unless ``labels`` is an integer (num_rows,) tensor with values in [0, num_classes)."""
    if not isinstance(labels, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"{name} must be of an integer dtype, got {labels.dtype}")
    if labels.shape != (num_rows,):
        raise ValueError(f"{name} must be of shape ({num_rows},), got {tuple(labels.shape)}")
    low, high = map(int, torch.aminmax(labels)) if len(labels) else (0, 0)
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"{name} must lie in [0, {num_classes}), got values from {low} to {high}; "
            "a PML trainer maps a data set's labels to 0, 1, 2, … with "
            "dataset_labels=… and set_min_label_to_zero=True"
        )
