"""Matrix products with full precision under autocast."""

from collections.abc import Callable

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
    return _exact(lambda: a @ b, a.device.type)


def minus_product(a: Tensor, b: Tensor, inputs: Tensor) -> Tensor:
    """Compute −(a·b + inputs), in one operation unless leading dimensions differ.

    Args:
        a: (…, N, D).
        b: (…, D, M), of the dtype of ``a``.
        inputs: (…, N, M) or what expands to it, of the dtype of ``a``.

    Returns:
        (…, N, M), with full precision under autocast too.

    Example:
        >>> x = torch.tensor([[2.0]])
        >>> minus_product(x, x, torch.ones(1, 1))
        tensor([[-5.]])
    """
    if a.ndim > 3 or a.shape[:-2] != b.shape[:-2]:
        return -(product(a, b) + inputs)
    add = torch.addmm if a.ndim == 2 else torch.baddbmm
    return _exact(lambda: add(inputs, a, b, beta=-1, alpha=-1), a.device.type)


def row_products(a: Tensor, b: Tensor) -> Tensor:
    """Multiply each row with one other, Σ_d a_id·b_id, in one operation and with full precision.

    Args:
        a: (N, D).
        b: (N, D).

    Returns:
        (N,).

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> row_products(x, x)
        tensor([ 5., 25.])
    """
    return _exact(lambda: torch.bmm(a[:, None], b[:, :, None]), a.device.type).view(len(a))


def _exact(multiply: Callable[[], Tensor], device: str) -> Tensor:
    # hot path: the context takes longer than a small product
    if _CAN_TELL and not torch.is_autocast_enabled(device):
        return multiply()
    with torch.autocast(device, enabled=False):
        return multiply()
