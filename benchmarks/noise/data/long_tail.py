"""Classes of all sizes, made from classes of one size."""

from dataclasses import replace

import torch

from .benchmark import Benchmark

# The smallest class keeps a twentieth of its samples, but the four that a batch takes of a class.
_TAIL, _FEWEST = 1 / 20, 4


def long_tail(data: Benchmark) -> Benchmark:
    """The same data with classes of all sizes, trained on for as many batches.

    In a random order class by class keeps a smaller share of its samples, exponentially from all of
    them to a twentieth, but four at least.
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
