"""Reads rows block by block, where a copy of all of them would be too large."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distances import HyperbolicDistance
from ..hyperbolic import nearest_candidates as nc
from ..hyperbolic.polar import Polar, row_norms

HALF = (torch.float16, torch.bfloat16)

# Elements of a block: 16 MB in float32.
_ELEMENTS = 1 << 22


def as_rows(embeddings: Any) -> Tensor:
    """Return embeddings as a tensor that shares their memory, read-only memory too.

    Args:
        embeddings: a tensor, or an array of NumPy, memory-mapped or not.

    Example:
        >>> as_rows(np.zeros((2, 3), np.float16)).dtype
        torch.float16
    """
    if isinstance(embeddings, Tensor):
        return embeddings.detach()  # as_tensor would move them to torch's default device
    with warnings.catch_warnings():
        # nothing here writes to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.as_tensor(embeddings, device="cpu")


def is_kept_as_given(embeddings: Any) -> bool:
    """Return whether a float32 copy of all rows is avoided: of half precision, or on a disk.

    Args:
        embeddings: a tensor, or an array of NumPy.

    Example:
        >>> is_kept_as_given(torch.ones(2, 3)), is_kept_as_given(torch.ones(2, 3).half())
        (False, True)
    """
    return isinstance(embeddings, np.memmap) or as_rows(embeddings).dtype in HALF


def row_blocks(rows: Tensor) -> tuple[Tensor, ...]:
    """Split rows into blocks; one block on a GPU, where each would be waited for.

    Args:
        rows: (N, D).

    Returns:
        Views of the rows; one without rows if there are none.

    Example:
        >>> len(row_blocks(torch.ones(5, 3)))
        1
    """
    if rows.device.type != "cpu":
        return (rows,)
    blocks: tuple[Tensor, ...] = rows.split(max(1, _ELEMENTS // max(1, rows.shape[1])))
    return blocks


def norms(rows: Tensor) -> Tensor:
    """Compute the norms of rows in float64, block by block.

    Args:
        rows: (N, D).

    Returns:
        (N,) norms > 0, see ``polar.row_norms``.

    Example:
        >>> norms(torch.tensor([[3.0, 4.0]]))
        tensor([5.], dtype=torch.float64)
    """
    return torch.cat([row_norms(block) for block in row_blocks(rows)])


def as_seen(distance: HyperbolicDistance, rows: Tensor) -> Tensor:
    """Return rows as the distance sees them; a copy only if it normalises them.

    Args:
        distance: normalises in float32 at least, if at all.
        rows: (N, D).

    Example:
        >>> from pml_ahsml import PoincareDistance
        >>> as_seen(PoincareDistance(normalize_embeddings=True), torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    if not distance.normalize_embeddings:
        return rows
    seen: Tensor = distance.maybe_normalize(rows.to(torch.promote_types(rows.dtype, torch.float32)))
    return seen


def product_search(
    rows: Tensor, polar: Polar, scale: float, dtype: torch.dtype, wanted: int, by_block: bool
) -> Callable[[Tensor, Polar], tuple[Tensor, Tensor]]:
    """Make a search for the references with the largest products, without an index.

    Args:
        rows: (M, D) references.
        polar: their polar coordinates.
        scale: σ > 0 of ``nearest_candidates``.
        dtype: dtype of the products.
        wanted: number of candidates, at most M.
        by_block: whether coordinates are made block by block at every search, instead of once for
            all references.

    Returns:
        A function of queries and their polar coordinates that returns (N, wanted) products,
        descending, and rows.

    Example:
        >>> from pml_ahsml.hyperbolic.polar import polar_coordinates
        >>> e = torch.tensor([[0.1, 0.0], [0.5, 0.0], [2.0, 0.0]]).half()
        >>> x = polar_coordinates(norms(e), 0.1, 2.3, False)
        >>> product_search(e, x, 1.0, torch.float32, 2, by_block=True)(e[:1], x.take([0]))[1]
        tensor([[0, 1]])
    """

    def columns(those: slice) -> Tensor:
        return nc.reference_columns(rows[those], polar.take(those), scale, dtype)

    everything = None if by_block else columns(slice(0, len(rows)))

    def find(query: Tensor, x: Polar) -> tuple[Tensor, Tensor]:
        points = nc.query_columns(query, x, scale, dtype)
        if everything is None:
            return nc.largest_products_by_block(points, columns, len(rows), wanted)
        return nc.largest_products(points, everything, wanted)

    return find
