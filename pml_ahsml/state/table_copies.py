"""Copies of tables that share no memory with the originals."""

from collections.abc import Callable

import torch
from torch import Tensor


def own(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a separate copy that training may write to, even if made in inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        return torch.empty(value.shape, dtype=dtype, device=device).copy_(value)


def writable(value: Tensor) -> Tensor:
    """Return the value, or a copy of it if it was made in inference mode."""
    return own(value, value.device, value.dtype) if value.is_inference() else value


def moved(table: Tensor, fn: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of ``_apply`` to a table, whose dtype it must not change."""
    trial = fn(torch.zeros(1, dtype=table.dtype, device=table.device))
    if trial.dtype == table.dtype:
        return fn(table)
    return table.to(trial.device)


def to_load(key: str, value: Tensor, table: Tensor, assigns: bool) -> Tensor:
    """Return the value of a saved entry, ready to replace a table.

    Args:
        key: name of the entry.
        value: value in the state.
        table: the table that it replaces.
        assigns: whether the device of the state is kept.
    """
    if table.is_meta and not assigns and not value.is_meta:
        raise ValueError(f"assign must be True to load {key} on the meta device, got False")
    return own(value, value.device if assigns else table.device, table.dtype)
