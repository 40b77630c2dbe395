"""A data set that says which of its samples it hands out."""

from collections.abc import Sized
from typing import Any, cast

from torch.utils.data import Dataset


class IndexedDataset(Dataset[tuple[Any, tuple[Any, int]]]):
    """Adds its index to every sample: (x, y) becomes (x, (y, i)).

    The index travels beside the label, not in it, so that miners and AccuracyCalculator see labels
    as they are. A trainer reads it by ``BatchGetter``, which keeps it under ``indices``. PML's
    testers and InferenceModel take this data set as it is: to them the index is a second level of
    labels, which they do not look at.

    Args:
        dataset: a map-style data set of (x, y).

    Raises:
        ValueError: at the first sample, where samples are no pairs.

    Source:
        This project.

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
    """A sample of a data set as (data, label), or a ValueError."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        length = f" of {len(sample)}" if isinstance(sample, tuple | list) else ""
        raise ValueError(
            f"samples of dataset must be pairs (data, label), got a {type(sample).__name__}{length}"
        )
    return sample[0], sample[1]
