"""Remembers what was computed from tables."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

from .host_numbers import writes

Value = TypeVar("Value")


class Derived(Generic[Value]):
    """Keeps a value until one of the tables that it was computed from has changed.

    A batch is judged with the tables that the batch before has left, its past samples as well.

    Example:
        >>> import torch
        >>> total, table = Derived(), torch.ones(3)
        >>> first = total.of(torch.sum, table)
        >>> total.of(torch.sum, table) is first
        True
        >>> total.of(torch.sum, table.add_(1))
        tensor(6.)
    """

    def __init__(self) -> None:
        self._known: tuple[list[tuple[Tensor | float, int]], Value] | None = None

    def of(self, compute: Callable[..., Value], *inputs: Any) -> Value:
        """Return the value, computed anew if an input is another one or has been written to.

        Args:
            compute: computes the value from the inputs.
            inputs: tables, then numbers.
        """
        versions = [(of, writes(of) if isinstance(of, Tensor) else 0) for of in inputs]
        if self._known is None or not _are_same(self._known[0], versions):
            self._known = versions, compute(*inputs)
        return self._known[1]

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # copies and pickles remember nothing
        return type(self), ()


def _are_same(
    known: list[tuple[Tensor | float, int]], now: list[tuple[Tensor | float, int]]
) -> bool:
    return all(
        (a is b if isinstance(a, Tensor) else a == b) and before == after
        for (a, before), (b, after) in zip(known, now, strict=True)
    )
