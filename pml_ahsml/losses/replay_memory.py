"""Recent embeddings of trusted samples, which replace samples that are left out."""

import torch
from torch import Tensor

from ..checks import check_count
from ..classes.class_means import Groups, LabelOrder
from ..state.host_numbers import rows_where
from ..state.recent_samples import RecentSamples

# Filling up a batch multiplies the samples of a class by at most this. Otherwise the wrong labels
# in a batch that is nearly empty would be compared with the whole memory.
_MOST = 2


class ReplayMemory(RecentSamples):
    """Remembers recent embeddings and returns them by class, newest first.

    A batch of 32 classes × 4 samples with half of the labels wrong keeps two right samples per
    class: fewer positive and negative pairs than the loss and its sampler were set up for.
    Remembered samples of the same classes restore the composition of the batch. They carry no
    gradient, so more of them are added than were left out (:meth:`stand_ins`).

    Args:
        size: number of embeddings kept, ≥ 1. Eight batches hold several samples per class and are
            recent enough to fit the current network.
        embedding_size: D.
        num_classes: K; loading rejects labels ≥ K. None accepts any label.

    Raises:
        ValueError: if an option is out of range.

    Source:
        This project; a memory of past embeddings is the idea of Wang et al. (XBM), CVPR 2020.

    Example:
        >>> memory = ReplayMemory(size=4, embedding_size=1)
        >>> memory.push(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
        >>> memory.push(torch.tensor([[3.0]]), torch.tensor([0]))
        >>> memory.newest(torch.tensor([0, 0, 0, 7]))  # three of class 0 are wanted, two are there
        (tensor([[3.],
                [1.]]), tensor([0, 0]))
    """

    def __init__(self, size: int, embedding_size: int, num_classes: int | None = None) -> None:
        embedding_size = check_count("embedding_size", embedding_size, minimum=1)
        super().__init__(size, embedding_size, num_classes)

    @torch.no_grad()
    def newest(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the newest embeddings of some classes.

        Args:
            wanted: (W,) classes, each repeated once for every embedding wanted.

        Returns:
            embeddings: (V, D), V ≤ W; fewer where fewer are remembered.
            labels: (V,) their classes.
        """
        labels = self.labels_by_age
        return self.of_age(rows_where(occurrence(labels) < count_of(labels, wanted)))

    @torch.no_grad()
    def stand_ins(self, given: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Groups]:
        """Return remembered samples that fill up the classes of a batch that has lost rows.

        If N′ of N rows are kept, a class with n of the N is filled up to n·N/N′, rounded down, but
        at most to 2n. Within that limit, N′ rows with a gradient are compared with N²/N′ rows: as
        many pairs as N rows have among themselves. The newest samples come first.

        Args:
            given: (N,) labels of the batch as given.
            kept: (N′,) labels of the rows that take part.

        Returns:
            (V, D) embeddings, (V,) classes, and the rows by class.
        """
        labels = self.labels_by_age
        counts, order = count_of(labels, given), occurrence(labels)
        filled = (counts * len(given) // max(1, len(kept))).clamp_max(_MOST * counts)
        wanted = order < filled - count_of(labels, kept)
        # both by one read
        is_first = wanted & (order == 0)
        number, num_classes = torch.stack([wanted.sum(), is_first.sum()]).tolist()
        embeddings, classes = self.of_age(rows_where(wanted, number))
        return embeddings, classes, LabelOrder.of(classes).groups(classes, number - num_classes)


def occurrence(values: Tensor) -> Tensor:
    """Count how many times each value has occurred before.

    Args:
        values: (N,).

    Returns:
        (N,) 0 at the first occurrence of a value, 1 at its second, …

    Example:
        >>> occurrence(torch.tensor([5, 3, 5, 5]))
        tensor([0, 0, 1, 2])
    """
    order = values.argsort(stable=True)
    ordered = values[order]
    rank = torch.arange(len(values), device=values.device)
    rank -= torch.searchsorted(ordered, ordered)
    return torch.empty_like(rank).scatter_(0, order, rank)


def count_of(values: Tensor, among: Tensor) -> Tensor:
    """Count how often each value occurs among others.

    Args:
        values: (N,).
        among: (N′,).

    Returns:
        (N,) counts.

    Example:
        >>> count_of(torch.tensor([5, 3]), torch.tensor([3, 3, 4]))
        tensor([0, 2])
    """
    ordered = among.sort().values
    return torch.searchsorted(ordered, values, right=True) - torch.searchsorted(ordered, values)
