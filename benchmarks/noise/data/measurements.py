"""Tables of measurements."""

from pathlib import Path

import numpy as np
import torch

from .benchmark import BATCH_SIZE, Benchmark, mlp

# As many as for the sentences, whatever the size of the table.
_BATCHES = 400


def measurements(path: Path) -> Benchmark:
    """Load standardised columns, with the first of ten folds for testing, for 400 batches."""
    stored = np.load(path)
    train, test = (stored[f"fold0-x_{part}"].astype(np.float64) for part in ("train", "test"))
    mean, scale = train.mean(0), train.std(0) + 1e-6
    x, test_x = (torch.tensor((t - mean) / scale, dtype=torch.float32) for t in (train, test))
    names, y = np.unique(stored["fold0-y_train"], return_inverse=True)
    test_y = np.searchsorted(names, stored["fold0-y_test"])
    return Benchmark(
        (x, torch.tensor(y)),
        (test_x, torch.tensor(test_y)),
        epochs=round(_BATCHES / (len(x) // BATCH_SIZE)),
        make_net=lambda: mlp(x.shape[1], 256),
        augment=lambda batch: batch + 0.02 * torch.randn_like(batch),
    )
