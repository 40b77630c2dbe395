"""Images of handwritten characters from eight alphabets."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .benchmark import EMBEDDING_SIZE, Benchmark

_TEST_ALPHABETS = (0, 1, 7)


def omniglot(path: Path) -> Benchmark:
    """Load five alphabets for training, and the unseen characters of three others for testing."""
    stored = np.load(path)
    images = torch.tensor(stored["images"], dtype=torch.float32)[:, None] / 255
    test = torch.tensor(np.isin(stored["alphabets"], _TEST_ALPHABETS))
    characters = torch.tensor(stored["labels"], dtype=torch.long)
    y_train = characters[~test].unique(return_inverse=True)[1]
    return Benchmark(
        (images[~test], y_train), (images[test], characters[test]), 20, _make_net, random_affine
    )


def _make_net() -> torch.nn.Module:
    def block(channels: int) -> list[torch.nn.Module]:
        return [
            torch.nn.Conv2d(channels, 32, 3, padding=1),
            torch.nn.BatchNorm2d(32),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]

    layers = [*block(1), *block(32), *block(32), *block(32)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(32, EMBEDDING_SIZE))


def random_affine(images: Tensor) -> Tensor:
    """Apply rotation ±14°, scale ±15 %, shift ±12.5 % and shear ±0.2, each uniform.

    Written by hand because the figures of docs/results depend on its random numbers; a library
    would draw others.
    """
    n = len(images)

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(n) - 1) * limit

    angle, scale, shear = uniform(14 * torch.pi / 180), 1 + uniform(0.15), uniform(0.2)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # a shift of 12.5 % of the width is 0.25 in coordinates from −1 to 1
    rows = [
        torch.stack([cos, shear * cos - sin, uniform(0.25)], 1),
        torch.stack([sin, shear * sin + cos, uniform(0.25)], 1),
    ]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)
