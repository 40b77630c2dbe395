"""Sample ids: which sample of the training set each row of a batch is."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..checks import ValueCheck, check_integers, in_range
from ..state.gather import gather_as_pml


class WithSampleIds:
    """Takes the sample ids of the next call in advance.

    PML's trainers call a loss with embeddings and labels only. ``BatchGetter(loss)`` sees the
    indices of a batch before that, and passes them on here.
    """

    num_samples: int | None
    _next_ids: Tensor | None = None

    def next_samples(self, sample_ids: Tensor) -> None:
        """Set the sample ids of the next call, unless it is given ``sample_ids`` itself.

        They are used once, or dropped if that call raises an error.

        Args:
            sample_ids: (N,) integers in [0, num_samples).

        Raises:
            ValueError: without ``num_samples``, or for a value out of range.
            TypeError: for anything but a tensor of integers.
        """
        self._next_ids = check_ids_in_range(sample_ids, self.num_samples)

    def _take_next(self) -> Tensor | None:
        """Return the ids set for this call, and clear them."""
        pending, self._next_ids = self._next_ids, None
        return pending


def ids_of_call(
    sample_ids: Tensor | None, handed_over: Tensor | None, embeddings: Any
) -> Tensor | None:
    """Return the sample ids given to a call, else those set in advance.

    Args:
        sample_ids: ids given to the call, or None.
        handed_over: ids set in advance for this rank's rows, or None.
        embeddings: of the call, not checked yet. PML's DistributedLossWrapper gathers those of all
            ranks.
    """
    if sample_ids is not None or handed_over is None or not isinstance(embeddings, Tensor):
        return sample_ids
    return gather_as_pml(handed_over.to(embeddings.device), len(embeddings))


def check_ids_in_range(sample_ids: Any, num_samples: int | None) -> Tensor:
    """Return the sample ids as int64; raise unless they are integers in [0, num_samples)."""
    ids, check = _ids_in_range(sample_ids, num_samples)
    check.now()
    return ids


def _ids_in_range(sample_ids: Any, num_samples: int | None) -> tuple[Tensor, ValueCheck]:
    if num_samples is None:
        raise ValueError(
            "num_samples must be given to AdaptiveNoiseAwareLoss where sample_ids are, got None"
        )
    ids = check_integers("sample_ids", sample_ids)
    return ids, in_range("sample_ids", ids, num_samples)


def check_sample_ids(
    sample_ids: Any, labels: Tensor, num_samples: int | None
) -> tuple[Tensor, list[ValueCheck]]:
    """Check the sample ids; return them as int64 on the labels' device, and checks of their values.

    Args:
        sample_ids: what the user gave.
        labels: (N,).
        num_samples: S, or None if samples have no ids.

    Returns:
        ids: (N,) in [0, S).
        checks: raise for a value out of range, and if rows of one sample differ in their label.

    Raises:
        ValueError, TypeError: for a wrong shape or type, and without ``num_samples``.
    """
    ids, range_check = _ids_in_range(sample_ids, num_samples)
    of = "all rows with the same sample_ids"
    ids, label_check = check_same_labels("sample_ids", ids, labels, of)
    return ids, [range_check, label_check]


def check_same_labels(name: str, values: Any, labels: Tensor, of: str) -> tuple[Tensor, ValueCheck]:
    """Return ids as int64, and the check that rows with the same id have the same label.

    Args:
        name: name of the ids, for the message.
        values: what the user gave.
        labels: (N,).
        of: what must have the same label, for the message.

    Example:
        >>> import torch
        >>> given, labels = torch.tensor([5, 8]), torch.tensor([1, 0])
        >>> ids, check = check_same_labels("ids", given, labels, "rows of an id")
        >>> check.now()
        >>> ids
        tensor([5, 8])
    """
    ids = check_integers(name, values).to(labels.device)
    if ids.shape != labels.shape:
        raise ValueError(f"{name} must be of shape {tuple(labels.shape)}, got {tuple(ids.shape)}")
    # rows with the same id are neighbours in this order
    ordered, order = ids.sort(stable=True)
    of_rows = labels[order]
    disagree = (ordered[1:] == ordered[:-1]) & (of_rows[1:] != of_rows[:-1])

    def verify(number: Sequence[float]) -> None:
        if number[0]:
            raise ValueError(
                f"labels must be the same for {of}, got {number[0]:.0f} rows that differ"
            )

    return ids, ValueCheck(disagree.sum()[None], verify)
