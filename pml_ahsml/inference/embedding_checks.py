"""Checks of the embeddings given to a search."""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count, check_tensor
from ..distances import HyperbolicDistance
from .row_blocks import as_rows, row_blocks

# Rounding to bfloat16 changes a norm by a factor of at most 1 ± 2⁻⁹ ≈ 1 ± 2e-3, to float16 by less.
_NORMALISED = 2e-3


def check_distance(distance: Any) -> None:
    """Raise unless ``distance`` is a hyperbolic one."""
    if not isinstance(distance, HyperbolicDistance):
        raise TypeError(
            "distance must be a PoincareDistance or a LorentzSimilarity, got "
            f"{type(distance).__name__}"
        )


def warn_if_misread(distance: HyperbolicDistance, *embeddings: Tensor | None) -> None:
    """Warn if all embeddings have norm 1 although the distance uses it, or if no scale is known.

    Args:
        distance: with ``normalize_embeddings=True`` norm 1 is expected, so there is no warning.
        *embeddings: (N, D) each.

    Example:
        >>> from pml_ahsml import PoincareDistance
        >>> warn_if_misread(PoincareDistance(), torch.tensor([[0.5, 0.0]]))
    """
    if distance.learnt_scale is not None and not distance.learnt_scale.is_found:
        warnings.warn(
            "the scale of the distance is found by the first batch of training, and it has seen "
            "none: give the distance of the trained loss, or call its find_scale",
            stacklevel=3,
        )
    given = [e for e in embeddings if e is not None]
    if distance.normalize_embeddings or not sum(len(e) for e in given):
        return
    if all(_have_norm_1(block) for e in given for block in row_blocks(e)):
        warnings.warn(
            f"all embeddings have norm 1, so a {type(distance).__name__} cannot use their norm: "
            "give the tester or InferenceModel normalize_embeddings=False, or the "
            f"{type(distance).__name__} normalize_embeddings=True if this is intended",
            stacklevel=3,
        )


def _have_norm_1(rows: Tensor) -> bool:
    norm = torch.linalg.vector_norm(rows.float(), dim=1)
    return bool(((norm - 1).abs() < _NORMALISED).all())


def check_rows(name: str, embeddings: Any, columns: int | None) -> Tensor:
    """Return finite embeddings as a tensor, without a copy."""
    if isinstance(embeddings, Tensor):
        check_tensor(name, embeddings)
    rows = as_rows(embeddings)
    if rows.ndim != 2 or (columns is not None and rows.shape[1] != columns):
        shape = f"(N, {'D' if columns is None else columns})"
        raise ValueError(f"{name} must be of shape {shape}, got {tuple(rows.shape)}")
    if not rows.is_floating_point():
        raise TypeError(f"{name} must be of a floating point dtype, got {rows.dtype}")
    bad = sum(_rows_not_finite(block) for block in row_blocks(rows))
    if bad:
        raise ValueError(f"{name} must be finite, got nan or inf in {bad} of {len(rows)} rows")
    return rows


def _rows_not_finite(rows: Tensor) -> int:
    # a sum is cheaper than a mask; it is not finite if an element is not, or if it overflows
    wide = torch.promote_types(rows.dtype, torch.float32)
    if math.isfinite(rows.sum(dtype=wide)):
        return 0
    return int((~rows.isfinite().all(1)).sum())


def check_search(
    query: Any, k: Any, reference: Any, there: Tensor | None, ref_includes_query: bool
) -> tuple[Tensor, int]:
    """Check the arguments of a search; an error names the wrong one.

    Args:
        query: (N, D) embeddings.
        k: number of neighbours.
        reference: (M, D) references to add, or None.
        there: references added earlier, or None.
        ref_includes_query: whether row i of the references is query i.

    Returns:
        The query as a tensor, and k.
    """
    query = check_rows("query", query, None)
    added = None if reference is None else check_rows("reference", reference, query.shape[1])
    if there is not None:
        check_rows("query", query, there.shape[1])
    available = sum(0 if rows is None else len(rows) for rows in (there, added))
    if not available:
        raise ValueError("reference must be given or added before a search, got None")
    if ref_includes_query and available < len(query):
        raise ValueError(
            f"reference must include the {len(query)} queries if ref_includes_query is "
            f"True, got {available} rows"
        )
    k = check_count("k", k, minimum=0)
    if k > available - ref_includes_query:
        raise ValueError(
            f"k must be at most {available - ref_includes_query}, the number of references "
            f"for each query, got {k}"
        )
    return query, k
