"""Copies of tables that share nothing with what they are copied from."""

from collections.abc import Callable

import torch
from torch import Tensor


def own(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A copy that shares nothing, and that training may write into wherever it is made."""
    with torch.inference_mode(False), torch.no_grad():
        return torch.empty(value.shape, dtype=dtype, device=device).copy_(value)


def writable(value: Tensor) -> Tensor:
    """The value, or a copy of it where it was made in inference mode."""
    return own(value, value.device, value.dtype) if value.is_inference() else value


def moved(table: Tensor, fn: Callable[[Tensor], Tensor]) -> Tensor:
    """What a function of ``_apply`` makes of a table, whose dtype it must not change."""
    trial = fn(torch.zeros(1, dtype=table.dtype, device=table.device))
    if trial.dtype == table.dtype:
        return fn(table)
    return table.to(trial.device)


def to_load(key: str, value: Tensor, table: Tensor, assigns: bool) -> Tensor:
    """The value of a saved entry, as it takes the place of a table.

    Args:
        key: the name of the entry.
        value: what the state holds.
        table: what is there.
        assigns: whether the device of the state is kept.
    """
    if table.is_meta and not assigns and not value.is_meta:
        raise ValueError(f"assign must be True to load {key} on the meta device, got False")
    return own(value, value.device if assigns else table.device, table.dtype)
