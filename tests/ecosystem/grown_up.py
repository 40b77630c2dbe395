"""A deterministic training in which all parts of the wrapper are active."""

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from pml_ahsml import AdaptiveNoiseAwareLoss, Relabelling
from tests.noisy_batches import D, K, batch, state_of, warmed

INNER = {
    "pairs": lambda: losses.MultiSimilarityLoss(),
    "proxies": lambda: losses.ProxyAnchorLoss(K, D),
    # filled after three batches of 64 and a half, so that its place matters
    "queue": lambda: losses.CrossBatchMemory(losses.ContrastiveLoss(), D, memory_size=220),
}


class Trained(torch.nn.Module):
    """A network and a loss that has been through 60 batches."""

    def __init__(self, inner: str = "pairs", fresh: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.network = torch.nn.Linear(D, D)
        with torch.no_grad():
            self.network.weight.copy_(torch.eye(D) + 0.1 * self.network.weight)
        options = {"relabel": Relabelling(), "replay_memory": 100, "margins": "auto"}
        if fresh:
            self.loss = AdaptiveNoiseAwareLoss(INNER[inner](), K, D, **options)
        else:
            self.loss = warmed(INNER[inner](), **options, collect_stats=True)

    def forward(self, rows: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.network(rows), labels)


def optimizer_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int):
    """The losses of the batches first, …, last − 1."""
    values = []
    for number in range(first, last):
        rows, labels, _ = batch(100 + number)
        optimizer.zero_grad()
        value = model(rows, labels)
        value.backward()
        optimizer.step()
        values.append(value.detach())
    return torch.stack(values)


def is_at_work(model: Trained) -> bool:
    """Whether samples are relabelled and replayed, and neighbours answer."""
    loss = model.loss
    rows, labels, _ = batch(100)
    evidence = loss.class_statistics.evidence(model.network(rows), labels)
    neighbours = loss.noise_model.neighbours.neighbours(evidence.points)
    relabels = isinstance(loss.loss, losses.CrossBatchMemory) or loss.stat_share_relabelled > 0
    return relabels and neighbours is not None and bool((loss.replay_memory.labels >= 0).all())


def is_same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether the states are equal to the last bit."""
    return state_of(one) == state_of(other)
