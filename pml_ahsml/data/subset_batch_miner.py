"""A subset_batch_miner that keeps the batch's indices and views consistent."""

from collections.abc import Callable

import torch
from torch import Tensor

from .batch_getter import BatchGetter


class SubsetBatchMiner(torch.nn.Module):
    """Wraps a ``subset_batch_miner`` so that indices and views match the selected rows.

    A trainer lets the miner select rows after ``data_and_label_getter`` has split the batch. This
    wrapper applies the same selection to the getter's ``indices``. If the miner selects one view of
    an image, the wrapper keeps all its views, so rows i and i + B remain views of one image.

    Args:
        miner: ``miner(embeddings, labels)`` returns the rows to keep, as indices or as a mask.
        getter: the trainer's ``data_and_label_getter``.

    Returns:
        ``forward(embeddings, labels)``: the rows to keep. With views, the images are in ascending
        order, and all first views come before all second views.

    Raises:
        TypeError: if ``miner`` is not callable, or ``getter`` is not a BatchGetter.

    Example:
        >>> getter = BatchGetter()
        >>> data, labels = getter(([torch.zeros(3, 2), torch.ones(3, 2)], torch.tensor([7, 8, 9])))
        >>> miner = SubsetBatchMiner(lambda embeddings, labels: torch.tensor([5, 0]), getter)
        >>> miner(data, labels)  # rows 0 and 3 show one image, rows 2 and 5 another
        tensor([0, 2, 3, 5])
    """

    def __init__(self, miner: Callable[[Tensor, Tensor], Tensor], getter: BatchGetter) -> None:
        super().__init__()
        if not callable(miner):
            raise TypeError(f"miner must be callable, got {type(miner).__name__}")
        if not isinstance(getter, BatchGetter):
            raise TypeError(f"getter must be a BatchGetter, got {type(getter).__name__}")
        self.miner = miner
        self.getter = getter

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Select the rows of the batch to keep."""
        rows = self.miner(embeddings, labels)
        if rows.dtype == torch.bool:
            rows = rows.nonzero().squeeze(1)
        if self.getter.num_views > 1:
            num_images = len(labels) // self.getter.num_views
            images = (rows % num_images).unique()
            rows = torch.cat([images + view * num_images for view in range(self.getter.num_views)])
        self.getter.select(rows)
        return rows
