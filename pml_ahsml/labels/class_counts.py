"""Check of the number of samples per label."""

import torch
from torch import Tensor

from ..checks import to_tensor


def check_class_counts(class_counts: Tensor, num_classes: int) -> Tensor:
    """Return the counts in float32; raise unless they are (num_classes,) and ≥ 0, not all 0."""
    given = to_tensor("class_counts", class_counts)
    if given.dtype == torch.bool or given.is_complex():
        raise TypeError(f"class_counts must be of a real dtype, got {given.dtype}")
    counts = given.float()
    if counts.shape != (num_classes,):
        raise ValueError(
            f"class_counts must be of shape ({num_classes},), got {tuple(counts.shape)}"
        )
    if not (counts.isfinite().all() and (counts >= 0).all() and counts.sum() > 0):
        raise ValueError(f"class_counts must be at least 0 and not all 0, got {counts.tolist()}")
    return counts
