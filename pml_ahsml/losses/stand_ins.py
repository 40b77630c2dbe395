"""Rows from the past that stand in for doubtful ones, so that a batch has pairs enough."""

from torch import Tensor

from ..statistics import ClassStatistics
from .replay_memory import ReplayMemory, count_of, occurrence

Rows = tuple[Tensor, Tensor]


def remembered(memory: ReplayMemory, given: Tensor, kept: Tensor, each: int = 1) -> Rows:
    """Remembered samples for what the classes of a batch have lost.

    Args:
        memory: embeddings of trusted samples.
        given: (N,) labels of the batch as given.
        kept: (M,) labels of the rows that take part.
        each: ≥ 1, remembered samples for each one lost.

    Returns:
        (V, D) embeddings and (V,) classes, at most ``each`` times as many of a class as it has
        lost.

    Source:
        This project.

    Example:
        >>> import torch
        >>> memory = ReplayMemory(size=4, embedding_size=1)
        >>> memory.push(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
        >>> remembered(memory, given=torch.tensor([0, 0, 1]), kept=torch.tensor([0, 1]))
        (tensor([[1.]]), tensor([0]))
    """
    missing = given[occurrence(given) >= count_of(given, kept)]
    return memory.newest(missing.repeat(each))


def absent_centroids(
    statistics: ClassStatistics,
    present: Tensor,
    count: int,
    *,
    like: Tensor,
    turn: int,
    min_visits: int = 1,
) -> Rows:
    """Centroids of classes that are absent from a batch.

    Args:
        statistics: has the centroids.
        present: classes of the batch.
        count: centroids wanted, ≥ 0; fewer where fewer classes are absent.
        like: (N, D) embeddings of the batch.
        turn: number of the batch: other classes take their turn in each.
        min_visits: visits that make a class eligible.

    Returns:
        (C, D) embeddings and (C,) classes.

    Source:
        This project.

    Example:
        >>> import torch
        >>> statistics = ClassStatistics(num_classes=3, embedding_size=2)
        >>> e = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> statistics.update(e, torch.tensor([0, 2]))
        >>> absent_centroids(statistics, torch.tensor([0]), 5, like=e[1:], turn=0)
        (tensor([[0., 2.]]), tensor([2]))
    """
    eligible = statistics.visits >= min_visits
    eligible[present] = False
    absent = eligible.nonzero().squeeze(1)
    if len(absent) > count:
        absent = absent.roll(-count * turn)[:count]
    return statistics.as_embeddings(absent, like), absent
