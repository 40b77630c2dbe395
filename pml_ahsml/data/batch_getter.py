"""Splits the batches of a PML trainer into data and labels."""

from typing import Any

import torch
from torch import Tensor


class BatchGetter:
    """A ``data_and_label_getter`` for IndexedDataset, TwoViewDataset and both together.

    Views and their labels are stacked: rows i and i + B are the two views of one image. Hooks read
    from the attribute ``indices`` which samples are in the current batch. A trainer calls the
    getter in its main process, once per batch. A tester needs a getter of its own.

    With a ``loss``, the getter passes it the sample indices before each call. An
    AdaptiveNoiseAwareLoss with ``num_samples`` then works in PML's unchanged trainers.

    Args:
        loss: the AdaptiveNoiseAwareLoss that the trainer calls, alone or inside MultipleLosses or a
            DistributedLossWrapper; None if the loss does not use sample indices.

    Attributes:
        indices: (N,) the index of each row in the data set, the same for all views of an image;
            None before the first batch and for a data set without indices.
        num_views: number of views of each image in the batch; 1 without views.

    Returns:
        ``getter(batch)``: data (N, …) and labels (N,) or (N, levels), N being num_views·B.

    Raises:
        TypeError: if ``loss`` has no method ``next_samples``.
        ValueError: if the batch is not (data, labels), or its views differ in shape; with a
            ``loss``, if the data set gives no indices.

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

    def __init__(self, loss: Any = None) -> None:
        if loss is not None and not callable(getattr(loss, "next_samples", None)):
            raise TypeError(
                f"loss must be an AdaptiveNoiseAwareLoss or None, got {type(loss).__name__}"
            )
        self.loss = loss
        self.indices: Tensor | None = None
        self.num_views = 1

    def __call__(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Split a collated batch into data and labels."""
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
                    "views must have the same shape, got "
                    + _join(tuple(view.shape) for view in data)
                )
            data = torch.cat(list(data))
            labels = torch.cat([_to_tensor(labels)] * num_views)
            indices = None if indices is None else indices.repeat(num_views)
        if self.loss is not None and indices is None:
            raise ValueError(
                "batch must be (data, (labels, indices)) for a getter with a loss, as from an "
                "IndexedDataset, got labels without indices"
            )
        self.num_views = num_views
        self._set_indices(indices)
        return data, labels

    def select(self, rows: Tensor) -> None:
        """Keep the indices of the rows that a trainer selects from the batch.

        Args:
            rows: (M,) indices of the rows.
        """
        if self.indices is not None:
            self._set_indices(self.indices[rows.to(self.indices.device)])

    def _set_indices(self, indices: Tensor | None) -> None:
        self.indices = indices
        if self.loss is not None:
            self.loss.next_samples(indices)


def _to_tensor(values: Any) -> Tensor:
    """Convert to a tensor; a tensor stays on its device, whatever torch's default device."""
    return values if isinstance(values, Tensor) else torch.as_tensor(values)


def _describe(value: Any) -> str:
    length = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{length}"


def _join(values: Any) -> str:
    return " and ".join(str(value) for value in values)
