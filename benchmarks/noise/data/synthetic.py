"""Very many small classes."""

import torch
from torch import Tensor

from .benchmark import Benchmark, feature_noise, mlp


def synthetic() -> Benchmark:
    """Make 5,000 classes of 5 training samples: Gaussian clusters in 100 groups of 50 classes.

    Classes differ in 64 directions. In 64 others, samples scatter more than classes differ. The
    network must learn to ignore these, which wrong labels make harder.
    """
    generator = torch.Generator().manual_seed(0)

    def gauss(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator)

    centres = gauss(100, 64).repeat_interleave(50, 0) + 0.7 * gauss(5000, 64)
    rotation = torch.linalg.qr(gauss(128, 128)).Q

    def draw(per_class: int, classes: int) -> tuple[Tensor, Tensor]:
        y = torch.arange(classes).repeat_interleave(per_class)
        signal = centres[y] + 0.3 * gauss(len(y), 64)
        return torch.cat([signal, 2 * gauss(len(y), 64)], 1) @ rotation, y

    train = draw(5, 5000)
    return Benchmark(train, draw(5, 1000), 12, lambda: mlp(128, 512), feature_noise(train[0]))
