"""Makes classes of very different sizes from classes of one size."""

from dataclasses import replace

import torch

from .benchmark import Benchmark

# The smallest class keeps a twentieth of its samples, but at least the four that a batch draws.
_TAIL, _FEWEST = 1 / 20, 4


def long_tail(data: Benchmark) -> Benchmark:
    """Shrink the classes to different sizes, and train for the same number of batches.

    In random order, each class keeps a smaller share of its samples than the one before. The share
    falls exponentially from all samples to a twentieth, but to no fewer than four.
    """
    x, y = data.train
    generator = torch.Generator().manual_seed(0)
    last = data.num_classes - 1
    rows = []
    for place, k in enumerate(torch.randperm(data.num_classes, generator=generator).tolist()):
        of_class = (y == k).nonzero().squeeze(1)
        count = max(_FEWEST, round(len(of_class) * _TAIL ** (place / last)))
        rows.append(of_class[torch.randperm(len(of_class), generator=generator)][:count])
    kept = torch.cat(rows).sort().values
    return replace(data, train=(x[kept], y[kept]), epochs=round(data.epochs * len(y) / len(kept)))
