"""What small tables hold, known on the host."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..precision import exact_dtype


class HostNumbers:
    """Remembers the values of small tables, and reads a table again only after it has changed.

    A read makes the host wait for all that a GPU has been asked to do. :func:`read_together`
    brings several tables up to date by one.

    Example:
        >>> numbers, table = HostNumbers(), torch.tensor([1.0, 2.0])
        >>> numbers.of("table", table)
        [1.0, 2.0]
        >>> numbers.is_stale("table", table.add_(1))
        True
    """

    def __init__(self) -> None:
        # of each table: itself, torch's count of writes into it, and its values
        self._read: dict[str, tuple[Tensor, int, list[float]]] = {}

    @property
    def names(self) -> Iterable[str]:
        """The tables that have been asked for."""
        return self._read

    def is_stale(self, name: str, table: Tensor) -> bool:
        """Whether a table that has been asked for has changed since."""
        known = self._read.get(name)
        return known is None or known[0] is not table or known[1] != table._version

    def of(self, name: str, table: Tensor) -> list[float]:
        """The values of a table.

        Args:
            name: of the table.
            table: of any shape.
        """
        if self.is_stale(name, table):
            self.keep(name, table, table.reshape(-1).tolist())
        return self._read[name][2]

    def keep(self, name: str, table: Tensor, values: list[float]) -> None:
        """Remember values that were read elsewhere."""
        self._read[name] = table, table._version, values


def read_together(tables: Iterable[tuple[HostNumbers, str, Tensor]]) -> None:
    """Read tables that have changed, all in one.

    Args:
        tables: each with its name and where its values are remembered.

    Example:
        >>> numbers, tables = HostNumbers(), {"a": torch.zeros(1), "b": torch.ones(2)}
        >>> read_together([(numbers, name, table) for name, table in tables.items()])
        >>> numbers.of("b", tables["b"])
        [1.0, 1.0]
    """
    stale = [
        (numbers, name, table) for numbers, name, table in tables if numbers.is_stale(name, table)
    ]
    if not stale:
        return
    # in float64, which holds counts beyond 2**24 as well
    wide = exact_dtype(stale[0][2])
    values = torch.cat([table.detach().reshape(-1).to(wide) for *_, table in stale]).tolist()
    start = 0
    for numbers, name, table in stale:
        numbers.keep(name, table, values[start : start + table.numel()])
        start += table.numel()
