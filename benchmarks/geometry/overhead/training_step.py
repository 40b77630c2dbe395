"""Measures a training step with a loss alone and with the loss wrapped."""

import statistics
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from benchmarks.geometry.overhead.batches import batches
from benchmarks.geometry.overhead.sizes import Sizes
from benchmarks.measuring import now
from pml_ahsml import AdaptiveNoiseAwareLoss

LOSSES = ("MultiSimilarityLoss", "SupConLoss", "ContrastiveLoss")
_INPUTS = 384


class Training:
    """A network with its own loss and optimiser."""

    def __init__(self, loss: torch.nn.Module, sizes: Sizes, device: torch.device) -> None:
        torch.manual_seed(0)
        self.loss = loss
        self.network = torch.nn.Sequential(
            torch.nn.Linear(_INPUTS, sizes.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(sizes.hidden, sizes.embedding_size),
        ).to(device)
        parameters = self.network.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)

    def seconds(self, some: list[tuple[Tensor, Tensor]]) -> float:
        """Measure the mean seconds of a step on these batches."""
        device = some[0][0].device
        started = now(device)
        for inputs, labels in some:
            self.optimizer.zero_grad()
            self.loss(self.network(inputs), labels).backward()
            self.optimizer.step()
        return (now(device) - started) / len(some)


def training_step(
    name: str, wrong: float, num_classes: int, sizes: Sizes, device: torch.device
) -> dict[str, Any]:
    """Measure forward, backward and optimiser, with a loss alone and wrapped by default options."""
    make = getattr(losses, name)
    wrapper = AdaptiveNoiseAwareLoss(make(), num_classes, sizes.embedding_size)
    rows: list[int] = []
    wrapper.loss.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    alone, wrapped = Training(make(), sizes, device), Training(wrapper, sizes, device)
    stream = batches(num_classes, _INPUTS, wrong, device)
    for _ in range(sizes.warmup):
        some = [next(stream)]
        alone.seconds(some)
        wrapped.seconds(some)
    rows.clear()
    taken = []
    for _ in range(sizes.rounds):
        some = [next(stream) for _ in range(sizes.steps)]
        taken.append((alone.seconds(some), wrapped.seconds(some)))
    row = {
        "loss": name,
        "classes": num_classes,
        "wrong": wrong,
        "alone_ms": 1e3 * statistics.median(t[0] for t in taken),
        "wrapped_ms": 1e3 * statistics.median(t[1] for t in taken),
        "ratio": statistics.median(t[1] / t[0] for t in taken),
        "rows": statistics.fmean(rows),
    }
    print(
        f"{name}, K = {num_classes}, {100 * wrong:.0f} % wrong: alone {row['alone_ms']:.2f} ms, "
        f"wrapped {row['wrapped_ms']:.2f} ms = {row['ratio']:.2f} ×, on {row['rows']:.0f} rows",
        flush=True,
    )
    return row
