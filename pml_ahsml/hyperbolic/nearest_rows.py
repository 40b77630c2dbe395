"""Finds the nearest rows to each row, block by block."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .hyperboloid import factors_of
from .products import product

# Rows of a block: 16 MB of products with the 1,024 samples of a neighbour memory.
_ROWS = 4096


def largest_entries(
    entries: Callable[[slice, slice], Tensor],
    rows: int,
    columns: int,
    count: int,
    block: tuple[int, int],
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the largest entries in each row of a matrix that is computed block by block.

    With entries that grow as the distance falls, this is a search for nearest neighbours.

    Args:
        entries: returns the block of the matrix at a slice of rows and a slice of columns.
        rows: N, number of queries.
        columns: M, number of references.
        count: k, at most M.
        block: most rows and most columns of a block, each at least 1.
        start: (N, k) entries and columns to begin with; larger entries replace them.

    Returns:
        (N, k) entries, descending, and (N, k) columns they are in.

    Example:
        >>> matrix = torch.tensor([[1.0, 3.0, 2.0]])
        >>> largest_entries(lambda rows, columns: matrix[rows, columns], 1, 3, 2, block=(1, 2))
        (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    found = []
    for part in _slices(rows, block[0]):
        best = None if start is None else (start[0][part], start[1][part])
        for those in _slices(columns, block[1]):
            values, indices = entries(part, those).topk(min(count, those.stop - those.start), dim=1)
            if those.start:
                indices += those.start
            if best is not None:
                values = torch.cat([best[0], values], 1)
                values, order = values.topk(min(count, values.shape[1]), dim=1)
                indices = torch.cat([best[1], indices], 1).gather(1, order)
            best = values, indices
        assert best is not None
        found.append(best)
    if len(found) == 1:
        return found[0]
    values, indices = (torch.cat(x) for x in zip(*found, strict=True))
    return values, indices


def nearest_rows(
    points: Tensor, others: Tensor, count: int, factors: Tensor | None = None
) -> Tensor:
    """Find the nearest of other points for each point of the hyperboloid.

    Args:
        points: (N, D + 1) points of the hyperboloid, time coordinate first.
        others: (M, D + 1) points of the hyperboloid, of the same dtype.
        count: k, at most M.
        factors: (M, D + 1) ``factors_of`` the others, if already known.

    Returns:
        (N, k) rows of the others, nearest first.

    Example:
        >>> x = torch.tensor([[1.0, 0.0]])
        >>> others = torch.tensor([[3.0, 8.0**0.5], [1.25, 0.75]])
        >>> nearest_rows(x, others, 1)
        tensor([[1]])
    """

    def closeness(rows: slice, columns: slice) -> Tensor:
        of = factors_of(others[columns]) if factors is None else factors[columns]
        return product(points[rows], of.T)

    size = len(points), len(others)
    return largest_entries(closeness, *size, count, block=(_ROWS, max(1, len(others))))[1]


def _slices(length: int, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` rows; one empty slice if there are no rows."""
    for start in range(0, max(1, length), step):
        yield slice(start, min(start + step, length))
