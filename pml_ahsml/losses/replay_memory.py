"""Recent embeddings of samples that were believed, to stand in for samples that are not."""

import torch
from torch import Tensor

from ..checks import check_count
from ..statistics.recent_samples import RecentSamples

# A class has at most so many times its samples after a batch has been filled up: what is wrong in
# a batch that is nearly lost would otherwise be compared with all that is remembered.
_MOST = 2


class ReplayMemory(RecentSamples):
    """Remembers recent embeddings and hands them out by class, the newest first.

    A batch of 32 classes × 4 samples in which half of the labels are wrong keeps two right samples
    a class: fewer positive and fewer negative pairs than the loss and its sampler were set up for.
    Remembered samples of the same classes bring the batch back to its composition. They carry no
    gradient, so that more of them take part than were left out (:meth:`stand_ins`).

    Args:
        size: embeddings remembered, ≥ 1. Eight batches are old enough to hold several samples of
            a class and young enough to fit the present network.
        embedding_size: D.

    Raises:
        ValueError: for an option outside its range.

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

    def __init__(self, size: int, embedding_size: int) -> None:
        super().__init__(size, check_count("embedding_size", embedding_size, minimum=1))

    @torch.no_grad()
    def newest(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The newest embeddings of the classes wanted.

        Args:
            wanted: (W,) classes, each as often as embeddings of it are wanted.

        Returns:
            embeddings: (V, D), V ≤ W; fewer where fewer are remembered.
            labels: (V,) their classes.
        """
        labels = self.labels_by_age
        return self.of_age((occurrence(labels) < count_of(labels, wanted)).nonzero().squeeze(1))

    def stand_ins(self, given: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Remembered samples that fill up the classes of a batch that has lost some of its rows.

        With M of N rows kept a class that has n of the N is filled up to n·N/M, rounded down, and
        to 2n at most. Within that limit M rows with a gradient are compared with N²/M rows: as many
        pairs as N rows have among themselves.

        Args:
            given: (N,) labels of the batch as given.
            kept: (M,) labels of the rows that take part.

        Returns:
            (V, D) embeddings and (V,) classes.
        """
        classes, counts = given.unique(return_counts=True)
        filled = (counts * len(given) // max(1, len(kept))).clamp_max(_MOST * counts)
        missing = filled - count_of(classes, kept)
        return self.newest(classes.repeat_interleave(missing.clamp_min(0)))


def occurrence(values: Tensor) -> Tensor:
    """How many times each value has occurred before.

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
    """How often each value occurs among others.

    Args:
        values: (N,).
        among: (M,).

    Returns:
        (N,) counts.

    Example:
        >>> count_of(torch.tensor([5, 3]), torch.tensor([3, 3, 4]))
        tensor([0, 2])
    """
    ordered = among.sort().values
    return torch.searchsorted(ordered, values, right=True) - torch.searchsorted(ordered, values)
