"""A ring buffer of recent samples and their labels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count
from .module_with_tables import ModuleWithTables
from .saved_state import Rule

_RINGS = ("vectors", "labels")


class RecentSamples(ModuleWithTables):
    """Ring buffer of the last samples, each a vector with a label.

    Args:
        size: number of samples kept, ≥ 1.
        width: size of a vector, ≥ 1.
        num_classes: K; loading rejects labels ≥ K. None accepts any label.

    Raises:
        ValueError: if an option is out of range.

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

    def __init__(self, size: int, width: int, num_classes: int | None = None) -> None:
        size = check_count("size", size, minimum=1)
        width = check_count("width", width, minimum=1)
        super().__init__()
        self.register_table("vectors", torch.zeros(size, width, dtype=torch.float32), Rule())
        # −1 marks an empty place
        highest = torch.inf if num_classes is None else num_classes - 1
        labels = torch.full((size,), -1, dtype=torch.long)
        self.register_table("labels", labels, Rule(lowest=-1, highest=highest))
        # place of the newest sample; older ones follow, so that adding samples moves none
        self._newest = 0
        # number of places filled; None if they have to be counted
        self._filled: int | None = 0

    @property
    def num_filled(self) -> int:
        """Number of samples remembered."""
        if self._filled is None:
            self._filled = int((self.labels >= 0).sum())
        return self._filled

    @property
    def labels_by_age(self) -> Tensor:
        """(size,) labels, newest first; −1 for an empty place."""
        return self.labels.roll(-self._newest)

    @torch.no_grad()
    def push(self, vectors: Tensor, labels: Tensor) -> None:
        """Add samples and drop the oldest.

        Args:
            vectors: (N, width) samples, newest first.
            labels: (N,) labels of the samples.
        """
        size = len(self.labels)
        count = min(len(labels), size)
        self._filled = min(self.num_filled + count, size)
        self._newest = (self._newest - count) % size
        start = 0
        for places in self._places(count):
            rows = slice(start, start + places.stop - places.start)
            self.vectors[places], self.labels[places] = vectors[rows], labels[rows]
            start = rows.stop
        self.count_change()

    def newest_rows(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the newest samples.

        Args:
            count: V in [0, size].

        Returns:
            (V, width) vectors and (V,) labels, newest first.
        """
        places = self._places(count)
        if len(places) == 1:
            return self.vectors[places[0]], self.labels[places[0]]
        vectors, labels = (
            torch.cat([ring[part] for part in places]) for ring in (self.vectors, self.labels)
        )
        return vectors, labels

    def of_age(self, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples by age.

        Args:
            ages: (V,) integers in [0, size), the number of newer samples.

        Returns:
            (V, width) vectors and (V,) labels.
        """
        rows = self._rows(ages)
        return self.vectors.index_select(0, rows), self.labels[rows]

    def _saved_tables(self) -> dict[str, Tensor]:
        """Tables in a fixed order, newest first."""
        tables = super()._saved_tables()
        return tables | {name: tables[name].roll(-self._newest, 0) for name in _RINGS}

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        empty = state[prefix + "labels"] < 0
        if not empty.is_meta and (empty[:-1] & ~empty[1:]).any():
            raise ValueError(
                f"{prefix}labels must be -1 only behind all others, got -1 among the first "
                f"{int((~empty).nonzero()[-1])}"
            )

    def _set_tables(self, values: dict[str, Tensor]) -> None:
        super()._set_tables(values)
        self._newest, self._filled = 0, None

    def _copy_from(self, other: ModuleWithTables) -> None:
        super()._copy_from(other)
        assert isinstance(other, RecentSamples)
        self._newest, self._filled = other._newest, other._filled

    def _places(self, count: int) -> list[slice]:
        """Places of the newest samples: up to the end of the ring, then at its start."""
        end, size = self._newest + count, len(self.labels)
        if end <= size:
            return [slice(self._newest, end)]
        return [slice(self._newest, size), slice(0, end - size)]

    def _rows(self, ages: Tensor) -> Tensor:
        return (ages + self._newest) % len(self.labels)
