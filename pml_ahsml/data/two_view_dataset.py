"""A data set that hands out two augmented views of each sample."""

from collections.abc import Callable, Sized
from typing import Any, cast

from torch.utils.data import Dataset

from .indexed_dataset import as_pair


class TwoViewDataset(Dataset[tuple[list[Any], Any]]):
    """Two views of every sample: (x, y) becomes ([v1, v2], y).

    A trainer reads them by ``BatchGetter``, which stacks them: rows i and i + B of what the network
    sees are the two views of one image. ``batch_size`` counts images, so the loss sees 2B rows, and
    a CrossBatchMemory wants a memory_size of 2B at least. Put it inside an ``IndexedDataset`` to
    have the index as well. It is for training: give testers the data set without it.

    Args:
        dataset: a map-style data set of (x, y).
        transform: makes a view of x, at random. By default the samples of ``dataset`` are views
            already: it is asked twice, which loads the sample twice, and its own transform, which
            must be random, makes them differ.
        strong_transform: makes the second view. The same as ``transform`` by default; AHSML takes
            a weak augmentation for the first view and a strong one for the second.

    Raises:
        TypeError: for a transform that cannot be called.
        ValueError: for a strong_transform without a transform; and at the first sample, where
            samples are no pairs.

    Source:
        Weak and strong view: AHSML. Data set: this project.

    Example:
        >>> dataset = TwoViewDataset([(1.0, 3), (2.0, 5)], lambda x: x + 0.1, lambda x: x + 0.9)
        >>> dataset[1]
        ([2.1, 2.9], 5)
    """

    def __init__(
        self,
        dataset: Any,
        transform: Callable[[Any], Any] | None = None,
        strong_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        for name, value in (("transform", transform), ("strong_transform", strong_transform)):
            if value is not None and not callable(value):
                raise TypeError(f"{name} must be callable, got {type(value).__name__}")
        if transform is None and strong_transform is not None:
            raise ValueError("transform must be given beside strong_transform, got None")
        self.dataset = dataset
        self.transform = transform
        self.strong_transform = strong_transform

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def __getitem__(self, index: int) -> tuple[list[Any], Any]:
        first, label = as_pair(self.dataset[index])
        if self.transform is None:
            second, _ = as_pair(self.dataset[index])
            return [first, second], label
        strong = self.transform if self.strong_transform is None else self.strong_transform
        return [self.transform(first), strong(first)], label
