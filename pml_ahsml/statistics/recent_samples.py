"""The samples seen last, whatever they are remembered for."""

from typing import Any

import torch
from torch import Tensor

from ..checks import check_count
from .module_with_tables import ModuleWithTables

_RINGS = ("vectors", "labels")


class RecentSamples(ModuleWithTables):
    """Remembers the last samples with their labels and forgets older ones.

    Args:
        size: samples remembered, ≥ 1.
        width: numbers that stand for a sample, ≥ 1.

    Raises:
        ValueError: for an option outside its range.

    Source:
        This project.

    Example:
        >>> recent = RecentSamples(size=2, width=1)
        >>> recent.push(torch.tensor([[1.0]]), torch.tensor([5]))
        >>> recent.push(torch.tensor([[2.0], [3.0]]), torch.tensor([6, 7]))
        >>> recent.labels_by_age
        tensor([6, 7])
        >>> recent.of_age(torch.tensor([1]))
        (tensor([[3.]]), tensor([7]))
    """

    vectors: Tensor
    labels: Tensor

    def __init__(self, size: int, width: int) -> None:
        size = check_count("size", size, minimum=1)
        width = check_count("width", width, minimum=1)
        super().__init__()
        self.register_table("vectors", torch.zeros(size, width, dtype=torch.float32))
        # −1 where nothing has been remembered yet
        self.register_table("labels", torch.full((size,), -1, dtype=torch.long))
        # the tables are rings, so that remembering moves nothing: newest first from here on
        self._newest = 0

    @property
    def labels_by_age(self) -> Tensor:
        """(size,) labels, newest first; −1 where nothing has been remembered yet."""
        return self.labels.roll(-self._newest)

    @torch.no_grad()
    def push(self, vectors: Tensor, labels: Tensor) -> None:
        """Remember some samples and forget the oldest.

        Args:
            vectors: (N, width).
            labels: (N,) their labels; the first is the newest.
        """
        size = len(self.labels)
        count = min(len(labels), size)
        self._newest = (self._newest - count) % size
        rows = self._rows(torch.arange(count, device=self.labels.device))
        self.vectors[rows] = vectors[:count].to(self.vectors)
        self.labels[rows] = labels[:count].to(self.labels)

    def of_age(self, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Remembered samples, by how many are newer.

        Args:
            ages: (V,) integers in [0, size).

        Returns:
            (V, width) vectors and (V,) labels.
        """
        rows = self._rows(ages)
        return self.vectors.index_select(0, rows), self.labels[rows]

    def get_extra_state(self) -> dict[str, Tensor]:
        """The tables, newest first."""
        state = super().get_extra_state()
        return state | {name: state[name].roll(-self._newest, 0) for name in _RINGS}

    def set_extra_state(self, state: Any) -> None:
        """Load tables saved by :meth:`get_extra_state`."""
        super().set_extra_state(state)
        self._newest = 0

    def _rows(self, ages: Tensor) -> Tensor:
        return (ages + self._newest) % len(self.labels)
