"""A data set that returns the index of each sample."""

from collections.abc import Sized
from typing import Any, cast

from torch.utils.data import Dataset


class IndexedDataset(Dataset[tuple[Any, tuple[Any, int]]]):
    """Adds the index to every sample: (x, y) becomes (x, (y, i)).

    The index is stored beside the label, so miners and AccuracyCalculator see unchanged labels. In
    a trainer, ``BatchGetter`` removes it from the batch and keeps it in ``indices``. PML's testers
    and InferenceModel accept this data set directly: they treat the index as a second label level
    and ignore it.

    Args:
        dataset: a map-style data set of (x, y).

    Raises:
        ValueError: if a sample is not a pair.

    Example:
        >>> dataset = IndexedDataset([("a picture", 3), ("another", 5)])
        >>> dataset[1]
        ('another', (5, 1))
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def __getitem__(self, index: int) -> tuple[Any, tuple[Any, int]]:
        data, label = as_pair(self.dataset[index])
        return data, (label, int(index))


def as_pair(sample: Any) -> tuple[Any, Any]:
    """Return the sample as (data, label); raise ValueError if it is not a pair."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        length = f" of {len(sample)}" if isinstance(sample, tuple | list) else ""
        raise ValueError(
            f"samples of dataset must be pairs (data, label), got a {type(sample).__name__}{length}"
        )
    return sample[0], sample[1]
