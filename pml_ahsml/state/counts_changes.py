"""Counts changes of modules in tensors, those of many modules by one operation."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class CountsChanges(torch.nn.Module):
    """A module that counts its changes. A subclass says in which tensors."""

    _uncounted: "Counter[CountsChanges] | None" = None

    @contextmanager
    def counting_together(self) -> Iterator[None]:
        """Count all changes of the module and of its submodules at the end of the block."""
        modules = [module for module in self.modules() if isinstance(module, CountsChanges)]
        changes: Counter[CountsChanges] = Counter()
        for module in modules:
            module._uncounted = changes
        try:
            yield
        finally:
            for module in modules:
                module._uncounted = None
            _add(changes)

    def __setattr__(self, name: str, value: Any) -> None:
        # hot path: 55 times per step. Torch would first look for a parameter or module to replace
        if name in self.__dict__ and not isinstance(value, (torch.nn.Module, Tensor)):
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _count(self) -> None:
        """Count one change."""
        if self._uncounted is None:
            _add({self: 1})
        else:
            self._uncounted[self] += 1

    def _counts(self) -> list[Tensor]:
        """Return the tensors that count the changes."""
        raise NotImplementedError

    def _note_version(self) -> None:
        """Note that the tensors have been written to."""
        raise NotImplementedError


@torch.no_grad()
def _add(changes: Mapping[CountsChanges, int]) -> None:
    counts = [(count, number) for of, number in changes.items() for count in of._counts()]
    if counts:
        torch._foreach_add_(*map(list, zip(*counts, strict=True)))
    for module in changes:
        module._note_version()
