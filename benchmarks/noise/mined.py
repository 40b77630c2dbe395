"""A loss on the pairs that a miner selects."""

from typing import Any

import torch
from pytorch_metric_learning.miners import BaseMiner
from torch import Tensor


class Mined(torch.nn.Module):
    """Calls a loss with the pairs that a miner selects from the batch.

    Args:
        loss: any loss that takes an ``indices_tuple``.
        miner: a tuple miner that selects pairs.

    Attributes:
        mined: positives and negatives per anchor of each batch.
    """

    def __init__(self, loss: torch.nn.Module, miner: BaseMiner) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner
        self.mined: list[tuple[float, float]] = []

    def forward(self, embeddings: Tensor, labels: Tensor, **options: Any) -> Tensor:
        """Value of the loss on the mined pairs."""
        pairs = self.miner(embeddings, labels)
        self.mined.append((len(pairs[1]) / len(labels), len(pairs[3]) / len(labels)))
        value: Tensor = self.loss(embeddings, labels, pairs, **options)
        return value
