"""Measures what the wrapper costs with very many classes."""

import statistics
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from benchmarks.geometry.overhead.late_state import (
    class_centres,
    embeddings_of,
    late_wrapper,
    state_bytes,
)
from benchmarks.geometry.overhead.sizes import BATCH_SIZE, Sizes
from benchmarks.measuring import now, peak_bytes


def against_proxies(
    num_classes: int, embedding_size: int, sizes: Sizes, device: torch.device
) -> dict[str, Any]:
    """Compare the wrapper's own cost with a loss that has one proxy per class.

    Both are forward and backward. The wrapper's own cost is the time of a wrapped ContrastiveLoss
    minus that of the ContrastiveLoss alone.
    """
    wrapper = late_wrapper(num_classes, embedding_size, device)
    proxies = losses.ProxyAnchorLoss(num_classes, embedding_size).to(device)
    alone = losses.ContrastiveLoss()
    centres = class_centres(num_classes, embedding_size, device)
    taken = []
    for number in range(sizes.rounds + 1):
        batch = embeddings_of(centres, number)
        taken.append([_seconds(loss, *batch) for loss in (wrapper, alone, proxies)])
        proxies.zero_grad()
    del taken[0]  # warm-up
    row = {
        "classes": num_classes,
        "embedding_size": embedding_size,
        "own_ms": 1e3 * statistics.median(t[0] - t[1] for t in taken),
        "proxies_ms": 1e3 * statistics.median(t[2] for t in taken),
        "ratio": statistics.median((t[0] - t[1]) / t[2] for t in taken),
    }
    print(
        f"K = {num_classes:,}, D = {embedding_size}: the wrapper's own {row['own_ms']:.1f} ms, "
        f"ProxyAnchorLoss {row['proxies_ms']:.1f} ms: {row['ratio']:.2f}",
        flush=True,
    )
    return row


def many_classes(num_classes: int, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Measure time and memory of a step with very many classes."""
    wrapper = late_wrapper(num_classes, sizes.embedding_size, device)
    centres = class_centres(num_classes, sizes.embedding_size, device)
    seconds = [
        _seconds(wrapper, *embeddings_of(centres, number)) for number in range(sizes.rounds + 1)
    ][1:]
    embeddings, labels = embeddings_of(centres, sizes.rounds + 1)

    def step() -> None:
        wrapper(embeddings, labels).backward()

    row = {
        "classes": num_classes,
        "ms": 1e3 * statistics.median(seconds),
        "state_mb": state_bytes(wrapper) / 1e6,
        "peak_mb": peak_bytes(step, device) / 1e6,
        "table_mb": 4e-6 * num_classes * BATCH_SIZE,
    }
    print(
        f"K = {num_classes:,}: {row['ms']:.0f} ms a step, state {row['state_mb']:.0f} MB, beyond "
        f"it {row['peak_mb']:.0f} MB",
        flush=True,
    )
    return row


def _seconds(loss: torch.nn.Module, embeddings: Tensor, labels: Tensor) -> float:
    """Measure the seconds of forward and backward."""
    started = now(embeddings.device)
    loss(embeddings, labels).backward()
    return now(embeddings.device) - started
