"""Rows of a matrix in blocks that fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

# Elements of a block on a GPU, which waits for nothing but its own start.
_DEVICE_ELEMENTS = 1 << 26

# Elements of the embeddings of pairs that are compared one by one.
_PAIR_ELEMENTS = 1 << 18

# Rows and elements widened to float64 at once.
_WIDE_ROWS, _WIDE_ELEMENTS = 128, 1 << 21


def blocks(rows: int, columns: int, device: torch.device, elements: int) -> Iterator[slice]:
    """Slices of rows that hold at most so many elements on a CPU, but at least a row.

    Args:
        rows: number of rows.
        columns: elements of each.
        device: a GPU wants larger blocks.
        elements: at once. Rows without columns are no block.

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
    """Slices of pairs that are compared one by one, by their embeddings.

    Args:
        pairs: number of pairs.
        embedding_size: D.
        device: as of :func:`blocks`.

    Example:
        >>> list(pair_blocks(3, 128, torch.device("cpu")))
        [slice(0, 3, None)]
    """
    return blocks(pairs, embedding_size, device, _PAIR_ELEMENTS)


def wide_parts(rows: Tensor, matrix: Tensor) -> Iterator[Tensor]:
    """Row numbers in parts small enough to be widened to float64.

    Args:
        rows: (R,) row numbers.
        matrix: (N, M), whose rows they are.

    Example:
        >>> [len(part) for part in wide_parts(torch.arange(200), torch.zeros(200, 3))]
        [128, 72]
    """
    if len(rows):
        step = max(1, min(_WIDE_ROWS, _WIDE_ELEMENTS // matrix.shape[1]))
        yield from rows.split(step)


def take_rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a matrix, without a copy where they are all.

    Args:
        matrix: (N, M).
        rows: (R,) row numbers, ascending.

    Example:
        >>> x = torch.eye(2)
        >>> take_rows(x, torch.tensor([0, 1])) is x
        True
    """
    return matrix if len(rows) == len(matrix) else matrix[rows]
