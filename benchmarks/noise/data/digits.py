"""The handwritten digits of scikit-learn."""

import torch
from sklearn.datasets import load_digits

from .benchmark import Benchmark, feature_noise, mlp


def digits() -> Benchmark:
    """Load 1,200 digits of 8×8 pixels for training and 597 for testing."""
    stored = load_digits()
    x = torch.tensor(stored.data / 16, dtype=torch.float32)
    y = torch.tensor(stored.target, dtype=torch.long)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:1200], order[1200:]
    return Benchmark(
        (x[train], y[train]), (x[test], y[test]), 25, lambda: mlp(64, 256), feature_noise(x)
    )
