"""The contents of a data set, and functions that several data sets share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

EMBEDDING_SIZE, BATCH_SIZE = 128, 128


@dataclass(frozen=True)
class Benchmark:
    """One data set: what to train on, what to test on, and how.

    Args:
        train: (N, …) inputs and (N,) clean labels in [0, num_classes).
        test: (M, …) inputs and (M,) labels, compared among themselves.
        epochs: passes of ⌊N/128⌋ batches.
        make_net: a new network with 128 outputs.
        augment: one random view of a batch of training inputs.
        given: real (N,) training labels, some of them wrong, by the name of their source: one set
            for each seed, or one for all.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    epochs: int
    make_net: Callable[[], torch.nn.Module]
    augment: Callable[[Tensor], Tensor]
    given: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """Number of training classes."""
        return int(self.train[1].max()) + 1


def stored_splits(
    stored: Mapping[str, np.ndarray],
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return features and labels of the training and the test split of a file."""
    x = torch.tensor(stored["emb"], dtype=torch.float32)
    y = torch.tensor(stored["labels"], dtype=torch.long)
    test = torch.tensor(stored["split"] == "test")
    return (x[~test], y[~test]), (x[test], y[test])


def mlp(inputs: int, hidden: int) -> torch.nn.Module:
    """Make a network of two layers with a ReLU between them."""
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, EMBEDDING_SIZE)
    )


def feature_noise(train: Tensor) -> Callable[[Tensor], Tensor]:
    """Make an augmentation: dropout of .1 and Gaussian noise of .02 standard deviations."""
    scale = 0.02 * train.std()

    def augment(x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x + scale * torch.randn_like(x), 0.1)

    return augment
