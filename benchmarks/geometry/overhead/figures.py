"""Measures everything that the wrapper costs."""

from typing import Any

import torch

from benchmarks.geometry.overhead.approximations import errors
from benchmarks.geometry.overhead.many_classes import against_proxies, many_classes
from benchmarks.geometry.overhead.sizes import Sizes
from benchmarks.geometry.overhead.training_step import LOSSES, training_step


def overhead(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Measure training steps, the cost against proxies, very many classes, and approximations."""
    return {
        "steps": [
            training_step(name, wrong, k, sizes, device)
            for k in sizes.classes
            for name in LOSSES
            for wrong in (0.0, 0.5)
        ],
        "proxies": [against_proxies(k, d, sizes, device) for k, d in sizes.proxies],
        "many": [many_classes(k, sizes, device) for k in sizes.many],
        "errors": [errors(wrong, sizes) for wrong in (0.0, 0.4)],
    }
