"""A module whose large state travels with it without being a buffer."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Module = TypeVar("Module", bound="ModuleWithTables")


class ModuleWithTables(torch.nn.Module):
    """Keeps tensors that are saved and moved with the module, but are no buffers.

    Record-keeper logs every buffer as a list at each step, and DistributedDataParallel broadcasts
    buffers at each forward; for a table with a row per class neither is wanted. Tables live in
    plain attributes, follow ``.to()`` and are part of ``state_dict()`` as extra state. They keep
    float32 when the module is cast to half precision, in which running means would stall.

    Source:
        This project.

    Example:
        >>> module = ModuleWithTables()
        >>> module.register_table("counts", torch.zeros(3))
        >>> module.counts += 1
        >>> module.state_dict()["_extra_state"]["counts"]
        tensor([1., 1., 1.])
    """

    def __init__(self) -> None:
        super().__init__()
        self._table_names: tuple[str, ...] = ()

    def register_table(self, name: str, value: Tensor) -> None:
        """Add the table ``name`` with its first value, whose shape and dtype stay fixed."""
        self._table_names = (*self._table_names, name)
        setattr(self, name, value)

    def on(self: Module, device: torch.device) -> Module:
        """This module, moved to the device if it is elsewhere; cheaper than ``to`` where it is not.

        Args:
            device: where the tables are wanted.
        """
        # tables move together
        here: torch.device = getattr(self, self._table_names[0]).device
        return self if here == device else self.to(device)

    def get_extra_state(self) -> dict[str, Tensor]:
        """The tables, by name."""
        return {name: getattr(self, name) for name in self._table_names}

    def set_extra_state(self, state: Any) -> None:
        """Load tables saved by :meth:`get_extra_state`; all are checked before any is changed."""
        owner = type(self).__name__
        if set(state) != set(self._table_names):
            raise ValueError(
                f"state of {owner} must hold {sorted(self._table_names)}, got {sorted(state)}"
            )
        for name, value in state.items():
            expected = getattr(self, name).shape
            if value.shape != expected:
                raise ValueError(
                    f"{name} of {owner} must be of shape {tuple(expected)}, got a checkpoint with "
                    f"{tuple(value.shape)}"
                )
        for name, value in state.items():
            table = getattr(self, name)
            setattr(self, name, value.detach().to(table.device, table.dtype, copy=True))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ModuleWithTables":
        super()._apply(fn, recurse)
        for name in self._table_names:
            table = getattr(self, name)
            setattr(self, name, fn(table).to(table.dtype))
        return self
