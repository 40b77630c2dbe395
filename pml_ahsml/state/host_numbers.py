"""Numbers that the device has, known on the host.

A read makes the host wait for all that a GPU has been asked to do. So numbers are read once, and
several by one read.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..precision import exact_dtype


class HostNumbers:
    """Remembers the values of small tables, and reads a table again only after it has changed.

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
        return known is None or known[0] is not table or known[1] != writes(table)

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
        self._read[name] = table, writes(table), values


def read_together(
    tables: Iterable[tuple[HostNumbers, str, Tensor]], others: Sequence[Tensor] = ()
) -> list[list[float]]:
    """Read tables that have changed, and other tensors, all in one.

    Args:
        tables: each with its name and where its values are remembered. Those on another device than
            the others are left for later.
        others: tensors of any shape, on one device.

    Returns:
        The values of each of the others.

    Example:
        >>> numbers, tables = HostNumbers(), {"a": torch.zeros(1), "b": torch.ones(2)}
        >>> both = [(numbers, name, table) for name, table in tables.items()]
        >>> read_together(both, [torch.tensor(5)])
        [[5.0]]
        >>> numbers.of("b", tables["b"])
        [1.0, 1.0]
    """
    stale = [
        (numbers, name, table)
        for numbers, name, table in tables
        if numbers.is_stale(name, table) and (not others or table.device == others[0].device)
    ]
    values = _values_of([*others, *(table for *_, table in stale)])
    for (numbers, name, table), read in zip(stale, values[len(others) :], strict=True):
        numbers.keep(name, table, read)
    return values[: len(others)]


def rows_where(mask: Tensor, count: int | None = None) -> Tensor:
    """(count,) indices of the rows where a mask is true.

    Args:
        mask: (N,) bool.
        count: number of rows where it is true, if the host knows it; otherwise it has to wait.

    Example:
        >>> rows_where(torch.tensor([False, True, True]), 2)
        tensor([1, 2])
    """
    if count is None:
        return mask.nonzero().squeeze(1)
    if count == len(mask):
        return torch.arange(count, device=mask.device)
    return mask.to(torch.uint8).argsort(descending=True, stable=True)[:count]


def writes(table: Tensor) -> int:
    """Torch's count of writes into a table, which it does not keep in inference mode."""
    return 0 if table.is_inference() else table._version


def _values_of(tensors: Sequence[Tensor]) -> list[list[float]]:
    """The values of each tensor, by one read."""
    if not tensors:
        return []
    flat = [tensor.detach().reshape(-1) for tensor in tensors]
    if any(part.dtype != flat[0].dtype for part in flat):
        # in float64, which holds counts beyond 2**24 as well; cat converts the rest
        flat[0] = flat[0].to(exact_dtype(flat[0]))
    values = torch.cat(flat).tolist()
    sizes = [part.numel() for part in flat]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [values[start : start + size] for start, size in zip(starts, sizes, strict=True)]
