"""Matrix products with full precision under autocast."""

import torch
from torch import Tensor

# torch below 2.4 cannot tell whether autocast is on for a device
_CAN_TELL = hasattr(torch.amp, "is_autocast_available")


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices in the dtype of the factors, under autocast too.

    Autocast rounds the factors of a product to half precision, two or three digits. A difference of
    such products may have no correct digit, and their order may be wrong.

    Args:
        a: (…, N, D), or a vector (D,).
        b: (…, D, M), or a vector (D,).

    Returns:
        (…, N, M), or fewer dimensions for vectors, as ``torch.matmul``.

    Example:
        >>> x = torch.tensor([[1.001]])
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     product(x, x), x @ x
        (tensor([[1.0020]]), tensor([[1.]], dtype=torch.bfloat16))
    """
    # hot path: the context takes longer than a small product
    if _CAN_TELL and not torch.is_autocast_enabled(a.device.type):
        return a @ b
    with torch.autocast(a.device.type, enabled=False):
        return a @ b
