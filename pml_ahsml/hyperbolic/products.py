"""Matrix products that autocast leaves as they are."""

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product in the dtype of its factors, under autocast too.

    Autocast rounds the factors of every product to half precision. What is subtracted afterwards,
    or ranked, then keeps two or three digits of which none may be left.

    Args:
        a: (…, N, D), or (D,).
        b: (…, D, M), or (D,).

    Returns:
        (…, N, M), or what ``torch.matmul`` makes of vectors.

    Example:
        >>> x = torch.tensor([[1.001]])
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     product(x, x), x @ x
        (tensor([[1.0020]]), tensor([[1.]], dtype=torch.bfloat16))
    """
    with torch.autocast(a.device.type, enabled=False):
        return a @ b
