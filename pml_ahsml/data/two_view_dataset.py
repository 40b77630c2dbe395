"""A data set that returns two augmented views of each sample."""

from collections.abc import Callable, Sized
from typing import Any, cast

from torch.utils.data import Dataset

from .indexed_dataset import as_pair


class TwoViewDataset(Dataset[tuple[list[Any], Any]]):
    """Returns two views of every sample: (x, y) becomes ([v1, v2], y).

    In a trainer, ``BatchGetter`` stacks the views: rows i and i + B of the network's input are the
    two views of one image. ``batch_size`` counts images, so the loss gets 2B rows, and a
    CrossBatchMemory needs a memory_size of at least 2B. Wrap it in an ``IndexedDataset`` to get
    indices as well. Use it for training only, not in testers.

    Args:
        dataset: a map-style data set of (x, y).
        transform: makes a random view of x. By default each sample is loaded twice, and the random
            transform of ``dataset`` itself makes the two views differ.
        strong_transform: makes the second view; ``transform`` by default. AHSML uses a weak
            augmentation for the first view and a strong one for the second.

    Raises:
        TypeError: if a transform is not callable.
        ValueError: if ``strong_transform`` is given without ``transform``, or a sample is not a
            pair.

    Source:
        Weak and strong view: AHSML.

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
            raise ValueError("transform must be given with strong_transform, got None")
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
