"""The rule for torch.func.vmap of a function that takes another path from sample to sample."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def one_by_one(
    function: Callable[..., tuple[Tensor, ...]],
    size: int,
    in_dims: tuple[int | None, ...],
    arguments: tuple[Any, ...],
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Call a function for each sample, and stack what it returns.

    Args:
        function: returns tensors.
        size: samples.
        in_dims: the dimension of each argument that counts the samples, None for one they share.
        arguments: of the function.

    Returns:
        What vmap wants: the stacked results, and 0 for each, the dimension that counts the samples.

    Example:
        >>> x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([3.0])
        >>> one_by_one(lambda x, y: (x * y,), 2, (0, None), (x, y))
        ((tensor([[3.],
                [6.]]),), (0,))
    """
    results = [
        function(
            *(
                argument if dim is None else argument.select(dim, sample)
                for argument, dim in zip(arguments, in_dims, strict=True)
            )
        )
        for sample in range(size)
    ]
    stacked = tuple(torch.stack(column) for column in zip(*results, strict=True))
    return stacked, (0,) * len(stacked)
