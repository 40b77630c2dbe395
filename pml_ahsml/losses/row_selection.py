"""Select rows of a batch, and adapt PML's index tuples."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..state.host_numbers import rows_where

IndicesTuple = tuple[Tensor, ...]


@dataclass(frozen=True)
class RowSelection:
    """The query rows and the reference rows that take part.

    PML numbers anchors by query row; positives and negatives by reference row, or by query row if
    there are no references.

    Args:
        query: (N,) bool, the query rows kept.
        ref: (M,) bool, the reference rows kept; None if the queries are their own references.
        num_query: number of query rows kept; None if the host has not read it.
        num_ref: number of reference rows kept, likewise.
    """

    query: Tensor
    ref: Tensor | None = None
    num_query: int | None = None
    num_ref: int | None = None

    @cached_property
    def query_rows(self) -> Tensor:
        """Indices of the query rows kept."""
        return rows_where(self.query, self.num_query)

    @cached_property
    def ref_rows(self) -> Tensor:
        """Indices of the reference rows kept."""
        return self.query_rows if self.ref is None else rows_where(self.ref, self.num_ref)

    @property
    def keeps_all(self) -> bool:
        """Whether no row is dropped."""
        num_query = len(self.query_rows) if self.num_query is None else self.num_query
        if self.ref is None or num_query < len(self.query):
            return num_query == len(self.query)
        return len(self.ref_rows) == len(self.ref)

    def filter_indices_tuple(self, indices_tuple: IndicesTuple) -> IndicesTuple:
        """Drop the pairs or triplets with a dropped row, and renumber the rest.

        Args:
            indices_tuple: PML's (a, p, n) or (a1, p, a2, n).

        Returns:
            The same form, numbered by the rows that are kept.

        Raises:
            ValueError: if the tuple has another length.
        """
        if len(indices_tuple) == 3:
            return self._filter_group(indices_tuple)
        if len(indices_tuple) == 4:
            return self._filter_group(indices_tuple[:2]) + self._filter_group(indices_tuple[2:])
        raise ValueError(
            f"indices_tuple must be (a, p, n) or (a1, p, a2, n), got {len(indices_tuple)} tensors"
        )

    def restore_indices(self, loss_dict: dict[str, Any], ref_is_memory: bool) -> dict[str, Any]:
        """Map the indices of an unreduced PML loss back to the rows before the selection.

        Args:
            loss_dict: what PML's DoNothingReducer returns.
            ref_is_memory: whether positives and negatives are rows of a memory, which the
                selection has not renumbered.

        Returns:
            A copy of the dictionary with new "indices".
        """
        query_rows, ref_rows = self.query_rows, self.ref_rows
        restored = {}
        for name, info in loss_dict.items():
            indices = info["indices"]
            if isinstance(indices, Tensor):
                indices = query_rows[indices]
            elif indices is not None:
                anchors, *others = indices
                if not ref_is_memory:
                    others = [ref_rows[rows] for rows in others]
                indices = (query_rows[anchors], *others)
            restored[name] = {**info, "indices": indices}
        return restored

    def _filter_group(self, group: IndicesTuple) -> IndicesTuple:
        """Filter index lists of equal length: anchors first, then the rows they are paired with."""
        ref = self.query if self.ref is None else self.ref
        masks = [self.query, *[ref] * (len(group) - 1)]
        # PML's miners sometimes return an empty float tensor, which cannot index
        group = tuple(rows.to(self.query.device, torch.long) for rows in group)
        kept = torch.stack([mask[rows] for mask, rows in zip(masks, group, strict=True)]).all(0)
        return tuple(
            (mask.cumsum(0) - 1)[rows[kept]] for mask, rows in zip(masks, group, strict=True)
        )
