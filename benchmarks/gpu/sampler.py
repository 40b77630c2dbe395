"""Draws batches by the labels as given, of which some are wrong."""

import torch
from torch import Tensor

BATCH_SIZE, PER_CLASS = 128, 4


class Sampler:
    """Draws 32 labels × 4 samples; it knows the labels as given only.

    Args:
        num_classes: K.
        per_class: samples of each class.
        wrong: share of labels that are those of another class at random.

    Attributes:
        truth: (S,) the classes.
        labels: (S,) the labels as given.
    """

    def __init__(self, num_classes: int, per_class: int, wrong: float) -> None:
        generator = torch.Generator().manual_seed(0)
        self.truth = torch.arange(num_classes).repeat_interleave(per_class)
        shift = torch.randint(1, num_classes, self.truth.shape, generator=generator)
        is_wrong = torch.rand(len(self.truth), generator=generator) < wrong
        self.labels = torch.where(is_wrong, (self.truth + shift) % num_classes, self.truth)
        order = self.labels.argsort(stable=True)
        self._rows = order.split(self.labels.bincount(minlength=num_classes).tolist())

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return the rows of a batch; fewer than 128 if a label has fewer than 4 samples."""
        chosen = torch.randperm(len(self._rows), generator=generator)[: BATCH_SIZE // PER_CLASS]
        groups = [self._rows[label] for label in chosen.tolist()]
        return torch.cat(
            [rows[torch.randperm(len(rows), generator=generator)[:PER_CLASS]] for rows in groups]
        )
