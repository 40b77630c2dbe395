"""What a PML trainer calls to take a batch apart."""

from typing import Any

import torch
from torch import Tensor


class BatchGetter:
    """``data_and_label_getter`` for IndexedDataset, TwoViewDataset and both together.

    Views are stacked, the labels with them: rows i and i + B are the two views of one image. The
    indices are kept under ``indices``, for hooks and whoever else wants to know which samples are
    in the batch about to be used. A trainer calls it in its main process, once a batch. A tester
    may be given one as well; use another than the trainer's.

    Attributes:
        indices: (N,) index of the sample that each row of the batch comes from, the same for its
            views; None for a data set without indices, and before the first batch.
        num_views: views of each image in the batch; 1 without views.

    Returns:
        ``getter(batch)``: data (N, …) and labels (N,) or (N, levels), N being num_views·B.

    Raises:
        ValueError: for a batch that is not (data, labels) or has views of unequal shape.

    Source:
        This project.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> from pml_ahsml.data import IndexedDataset, TwoViewDataset
        >>> samples = [(torch.zeros(3), 7), (torch.ones(3), 8)]
        >>> views = TwoViewDataset(samples, torch.nn.Dropout(0.1))
        >>> getter = BatchGetter()
        >>> data, labels = getter(next(iter(DataLoader(IndexedDataset(views), batch_size=2))))
        >>> data.shape, labels, getter.indices
        (torch.Size([4, 3]), tensor([7, 8, 7, 8]), tensor([0, 1, 0, 1]))
    """

    def __init__(self) -> None:
        self.indices: Tensor | None = None
        self.num_views = 1

    def __call__(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Take a collated batch apart."""
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ValueError(f"batch must be (data, labels), got {_describe(batch)}")
        data, labels = batch
        indices = None
        if isinstance(labels, tuple | list):
            if len(labels) != 2:
                raise ValueError(
                    f"labels must be a tensor or (labels, indices), got {_describe(labels)}"
                )
            labels, indices = (_to_tensor(part) for part in labels)
        num_views = 1
        if isinstance(data, tuple | list):
            num_views = len(data)
            if len({view.shape for view in data}) != 1:
                raise ValueError(
                    "views must be of one shape, got " + _join(tuple(view.shape) for view in data)
                )
            data = torch.cat(list(data))
            labels = torch.cat([_to_tensor(labels)] * num_views)
            indices = None if indices is None else indices.repeat(num_views)
        self.indices, self.num_views = indices, num_views
        return data, labels


def _to_tensor(values: Any) -> Tensor:
    """A tensor stays where it is, whatever torch's default device."""
    return values if isinstance(values, Tensor) else torch.as_tensor(values)


def _describe(value: Any) -> str:
    length = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{length}"


def _join(values: Any) -> str:
    return " and ".join(str(value) for value in values)
