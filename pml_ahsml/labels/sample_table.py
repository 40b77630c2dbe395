"""A table with a row for each sample of the training set."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import check_count
from ..state.host_numbers import rows_where
from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Rule


class SampleRows(NamedTuple):
    """Rows of the table for some samples.

    Args:
        embeddings: (N, D) embedding of a sample when it was last seen, as the table rounds it; 0
            before.
        labels: (N,) its label then; −1 before.
        weights: (N,) its weight in the sums of its class; 0 before.
    """

    embeddings: Tensor
    labels: Tensor
    weights: Tensor


class SampleTable(ModuleWithTables):
    """Remembers each sample of the training set by its id.

    Takes 2·D + 12 bytes per sample: half precision is enough for the embeddings.

    Args:
        num_samples: S ≥ 1.
        num_classes: K ≥ 2.
        embedding_size: D ≥ 1.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> table = SampleTable(num_samples=5, num_classes=2, embedding_size=1)
        >>> table.rows(torch.tensor([3])).labels
        tensor([-1])
    """

    embeddings: Tensor
    labels: Tensor
    weights: Tensor

    def __init__(self, num_samples: int, num_classes: int, embedding_size: int) -> None:
        num_samples = check_count("num_samples", num_samples, minimum=1)
        num_classes = check_count("num_classes", num_classes, minimum=2)
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        super().__init__()
        embeddings = torch.zeros((num_samples, embedding_size), dtype=torch.float16)
        self.register_table("embeddings", embeddings, Rule())
        labels = torch.full((num_samples,), -1, dtype=torch.long)
        self.register_table("labels", labels, Rule(lowest=-1, highest=num_classes - 1))
        weights = torch.zeros((num_samples,), dtype=torch.float32)
        self.register_table("weights", weights, Rule(lowest=0, highest=1))

    def rows(self, sample_ids: Tensor) -> SampleRows:
        """Return the rows of some samples, in float32.

        Args:
            sample_ids: (N,) integers in [0, S).
        """
        return SampleRows(
            self.embeddings[sample_ids].float(),
            self.labels[sample_ids],
            self.weights[sample_ids],
        )

    def some_ids(self, most: int, number: int) -> Tensor:
        """(M,) ids of evenly spaced samples, seen or not.

        Args:
            most: upper limit of M.
            number: another number gives other samples.
        """
        step = -(-len(self.labels) // most)
        return torch.arange(number % step, len(self.labels), step, device=self.labels.device)

    @torch.no_grad()
    def store(self, sample_ids: Tensor, rows: SampleRows) -> None:
        """Store new rows of some samples.

        Args:
            sample_ids: (N,) integers in [0, S), each once.
            rows: the rows of these samples.
        """
        for name, values in rows._asdict().items():
            table = getattr(self, name)
            table[sample_ids] = values.to(table)
        self.count_change()


def one_row_each(sample_ids: Tensor, count: int | None = None) -> Tensor:
    """Return the last row of each sample, in the order of the ids.

    Args:
        sample_ids: (N,) integers.
        count: M, the number of different ids, if the host knows it.

    Returns:
        (M,) rows, one of each of the M different ids.

    Example:
        >>> one_row_each(torch.tensor([7, 2, 7]))
        tensor([1, 2])
    """
    ordered, rows = sample_ids.sort(stable=True)
    is_last = ordered.diff(append=ordered[-1:] + 1) != 0
    return rows[rows_where(is_last, count)]
