"""The dtype of sums and of near points, for which float32 has too few digits."""

import torch
from torch import Tensor


def exact_dtype(x: Tensor) -> torch.dtype:
    """Return float64, or float32 on MPS, which has no float64.

    Args:
        x: a tensor; its device counts.

    Returns:
        The dtype.

    Example:
        >>> exact_dtype(torch.ones(1))
        torch.float64
    """
    return torch.float32 if x.device.type == "mps" else torch.float64
