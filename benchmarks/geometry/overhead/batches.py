"""Draws training batches by the labels as given, like a sampler."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.geometry.overhead.sizes import BATCH_SIZE, PER_CLASS


def batches(
    num_classes: int, size: int, wrong: float, device: torch.device, spread: float = 0.6
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs of 32 labels × 4 samples and their labels, a share of them wrong, without end.

    Classes lie in groups of ten around points of a normal distribution. The sampler knows the
    labels as given only: of 4 samples with one label, 4·wrong are of other classes in the mean.
    """
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(-(-num_classes // 10), size, generator=generator)
    centres = groups.repeat_interleave(10, 0)[:num_classes]
    centres = centres + 0.7 * torch.randn(num_classes, size, generator=generator)
    while True:
        chosen = torch.randperm(num_classes, generator=generator)[: BATCH_SIZE // PER_CLASS]
        labels = chosen.repeat_interleave(PER_CLASS)
        shift = torch.randint(1, num_classes, labels.shape, generator=generator)
        is_wrong = torch.rand(len(labels), generator=generator) < wrong
        truth = torch.where(is_wrong, (labels + shift) % num_classes, labels)
        noise = torch.randn(len(labels), size, generator=generator)
        yield (centres[truth] + spread * noise).to(device), labels.to(device)
