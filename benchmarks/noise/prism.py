"""PRISM (Liu et al., CVPR 2021), the method to compare with, written from its equations."""

from collections import deque
from typing import Any

import torch
from torch import Tensor

# Constants of the protocol; warm-up and window are in batches.
TEMPERATURE, MOMENTUM, WARMUP, WINDOW = 0.1, 0.5, 50, 100


class Prism(torch.nn.Module):
    """Drops the samples that class centres make least probable.

    P_clean(i) = softmax_k( w_k·f_i/τ ) at k = y_i, with unit features f and class centres w, which
    are running means of the kept samples. A sample is kept if P_clean reaches a threshold: the
    R-quantile of P_clean in a batch, averaged over the last 100 batches, where R is the noise rate.

    Args:
        loss: a PML loss.
        num_classes: K.
        embedding_size: D.
        noise_rate: R in [0, 1], the true noise rate, which PRISM must be told.
    """

    def __init__(
        self, loss: torch.nn.Module, num_classes: int, embedding_size: int, noise_rate: float
    ) -> None:
        super().__init__()
        self.loss = loss
        self.noise_rate = noise_rate
        self.centres = torch.zeros(num_classes, embedding_size)
        self.percentiles: deque[float] = deque(maxlen=WINDOW)
        self.batches = 0

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Compute the wrapped loss on the kept samples."""
        features = torch.nn.functional.normalize(embeddings.detach())
        keep = torch.ones(len(labels), dtype=torch.bool)
        self.batches += 1
        if self.batches > WARMUP:
            seen = self.centres.any(1)
            logits = (features @ self.centres.T / TEMPERATURE).masked_fill(~seen, -torch.inf)
            clean = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)
            self.percentiles.append(float(clean.quantile(self.noise_rate)))
            keep = clean >= sum(self.percentiles) / len(self.percentiles)
        for k in labels[keep].unique():
            mean = features[keep & (labels == k)].mean(0)
            mixed = MOMENTUM * self.centres[k] + (1 - MOMENTUM) * mean
            self.centres[k] = torch.nn.functional.normalize(mixed, dim=0)
        if not keep.any():
            return (embeddings * 0).sum()
        value: Tensor = self.loss(embeddings[keep], labels[keep])
        return value

    def get_extra_state(self) -> dict[str, Any]:
        """Return what ``state_dict`` needs to continue a training."""
        return {
            "centres": self.centres.clone(),
            "percentiles": list(self.percentiles),
            "batches": self.batches,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what ``get_extra_state`` returned."""
        self.centres = state["centres"].clone()
        self.percentiles = deque(state["percentiles"], maxlen=WINDOW)
        self.batches = state["batches"]
