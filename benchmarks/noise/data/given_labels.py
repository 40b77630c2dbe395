"""Data with real label errors: by people, rules, gazetteers or a weak classifier."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .benchmark import BATCH_SIZE, Benchmark, feature_noise, mlp, stored_splits

# Enough for a plain loss to memorise wrong labels.
_BATCHES = 600


def with_given_labels(path: Path) -> Benchmark:
    """Load frozen, normalised features with gold and given labels, for 600 batches."""
    stored = np.load(path)
    (x, y), (test_x, test_y) = stored_splits(stored)
    train, test_x = (torch.nn.functional.normalize(part, dim=1) for part in (x, test_x))
    return Benchmark(
        (train, y),
        (test_x, test_y),
        epochs=max(1, round(_BATCHES / (len(train) // BATCH_SIZE))),
        make_net=lambda: mlp(x.shape[1], 512),
        augment=feature_noise(train),
        given=given_labels(stored),
    )


def given_labels(stored: Mapping[str, np.ndarray]) -> dict[str, tuple[Tensor, ...]]:
    """Return the training labels of each source in a file, one set each."""
    given = torch.tensor(stored["noisy"][stored["split"] != "test"], dtype=torch.long)
    return {str(who): (given[:, i],) for i, who in enumerate(stored["noisy_kinds"])}


def with_annotator(data: Benchmark, path: Path, name: str) -> Benchmark:
    """Add the labels of a weak classifier, one set for each seed, if the file exists."""
    if not path.exists():
        return data
    sets = torch.tensor(np.load(path)[name], dtype=torch.long)
    return replace(data, given={**data.given, "annotator": tuple(sets)})
