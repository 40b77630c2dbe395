"""Splits the rows of a matrix into blocks that fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

# Elements of a block on a GPU: 256 MB in float32. Every block costs the launch of some kernels.
_DEVICE_ELEMENTS = 1 << 26

# Elements of the embeddings of pairs computed one by one: 2 MB in float64. Blocks of 1 << 14 to
# 1 << 22 elements are equally fast (1,024 near pairs of 128 dimensions, one thread).
_PAIR_ELEMENTS = 1 << 18

# Most rows, and most elements, converted to float64 at once: 16 MB. In a collapsed batch of 1,024
# rows, 16 rows at once took 1.3 times as long; all at once saved a quarter.
_WIDE_ROWS, _WIDE_ELEMENTS = 128, 1 << 21

# Columns of a tile, so few that it stays in the cache.
_TILE = 128


def blocks(rows: int, columns: int, device: torch.device, elements: int) -> Iterator[slice]:
    """Yield slices of rows, each of at least one row.

    Args:
        rows: number of rows.
        columns: elements of a row; 0 gives no blocks.
        device: device of the matrix; blocks are larger on a GPU.
        elements: most elements of a block on a CPU.

    Example:
        >>> list(blocks(5, 10, torch.device("cpu"), 20))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if device.type != "cpu":
        elements = _DEVICE_ELEMENTS
    step = max(1, elements // max(1, columns))
    for start in range(0, rows if columns else 0, step):
        yield slice(start, min(start + step, rows))


def pair_blocks(pairs: int, embedding_size: int, device: torch.device) -> Iterator[slice]:
    """Yield slices of pairs whose embeddings fit into a block.

    Args:
        pairs: number of pairs.
        embedding_size: D.
        device: device of the embeddings.

    Example:
        >>> list(pair_blocks(3, 128, torch.device("cpu")))
        [slice(0, 3, None)]
    """
    return blocks(pairs, embedding_size, device, _PAIR_ELEMENTS)


def wide_parts(rows: Tensor, matrix: Tensor) -> Iterator[Tensor]:
    """Split row numbers into parts small enough for float64.

    Args:
        rows: (R,) row numbers.
        matrix: (N, M) matrix with these rows.

    Example:
        >>> [len(part) for part in wide_parts(torch.arange(200), torch.zeros(200, 3))]
        [128, 72]
    """
    if len(rows):
        step = max(1, min(_WIDE_ROWS, _WIDE_ELEMENTS // matrix.shape[1]))
        yield from rows.split(step)


def symmetric_sum(matrix: Tensor, rows: slice) -> Tensor:
    """Compute some rows of M + Mᵀ.

    The transposed part is read in narrow tiles: whole rows of it would take as long as a product.

    Args:
        matrix: (N, N) matrix M.
        rows: R of its rows, a slice with both ends.

    Returns:
        (R, N).

    Example:
        >>> symmetric_sum(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), slice(0, 1))
        tensor([[2., 5.]])
    """
    total = matrix[rows].clone()
    for start in range(0, len(matrix), _TILE):
        columns = slice(start, start + _TILE)
        total[:, columns] += matrix[columns, rows].T
    return total


def take_rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """Take rows of a matrix, without a copy if they are all its rows.

    Args:
        matrix: (N, M) matrix.
        rows: (R,) row numbers, ascending.

    Example:
        >>> x = torch.eye(2)
        >>> take_rows(x, torch.tensor([0, 1])) is x
        True
    """
    return matrix if len(rows) == len(matrix) else matrix[rows]
