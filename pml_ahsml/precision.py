"""The precision that sums and near points need."""

import torch
from torch import Tensor


def exact_dtype(x: Tensor) -> torch.dtype:
    """Float64, or float32 on the one kind of device that has nothing wider (MPS).

    Args:
        x: a tensor on the device in question.

    Returns:
        The dtype.

    Example:
        >>> exact_dtype(torch.ones(1))
        torch.float64
    """
    return torch.float32 if x.device.type == "mps" else torch.float64
