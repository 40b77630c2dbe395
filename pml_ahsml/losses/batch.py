"""The arguments of a PML loss, as one value."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..classes.class_means import Groups
from .row_selection import IndicesTuple, RowSelection


@dataclass(frozen=True)
class Batch:
    """The arguments of a PML loss.

    Args:
        embeddings: (N, D).
        labels: (N,).
        indices_tuple: what a miner returned, or None.
        ref_emb: (M, D), or None.
        ref_labels: (M,), or None.
        enqueue_mask: (N,) bool for a CrossBatchMemory, or None.
        view_ids: (N,) the sample that each row is a view of; None if each row is a sample.
        sample_ids: (N,) the sample's row in the training set, or None.
        groups: the rows by label, if known.
    """

    embeddings: Tensor
    labels: Tensor
    indices_tuple: IndicesTuple | None = None
    ref_emb: Tensor | None = None
    ref_labels: Tensor | None = None
    enqueue_mask: Tensor | None = None
    view_ids: Tensor | None = None
    sample_ids: Tensor | None = None
    groups: Groups | None = None

    def select(self, selection: RowSelection) -> "Batch":
        """Return the selected rows, with the indices_tuple filtered and renumbered."""
        rows, refs = selection.query_rows, selection.ref_rows
        mined = self.indices_tuple
        return replace(
            self,
            embeddings=self.embeddings[rows],
            labels=self.labels[rows],
            indices_tuple=None if mined is None else selection.filter_indices_tuple(mined),
            ref_emb=self.ref_emb if self.ref_emb is None else self.ref_emb[refs],
            ref_labels=self.ref_labels if self.ref_labels is None else self.ref_labels[refs],
            enqueue_mask=None if self.enqueue_mask is None else self.enqueue_mask[rows],
            view_ids=None if self.view_ids is None else self.view_ids[rows],
            sample_ids=None if self.sample_ids is None else self.sample_ids[rows],
            groups=None,
        )

    def extended(self, embeddings: Tensor, labels: Tensor) -> "Batch":
        """Return the batch with past samples appended, without a gradient.

        It has no sample ids: only learning needs them, and nothing is learnt from past samples.

        Args:
            embeddings: (V, D).
            labels: (V,).
        """
        view_ids = self.view_ids
        if view_ids is not None:
            # each past sample gets its own id
            new = torch.arange(len(labels), device=view_ids.device) + view_ids.max() + 1
            view_ids = torch.cat([view_ids, new])
        return replace(
            self,
            embeddings=torch.cat([self.embeddings, embeddings.to(self.embeddings)]),
            labels=torch.cat([self.labels, labels]),
            view_ids=view_ids,
            sample_ids=None,
            groups=None,
        )

    @property
    def ids(self) -> dict[str, Tensor | None]:
        """The view ids and the sample ids, by name."""
        return {name: getattr(self, name) for name in ("view_ids", "sample_ids")}

    @property
    def num_queries(self) -> int:
        """Number of rows to learn from, which are not merely enqueued."""
        if self.enqueue_mask is None:
            return len(self.labels)
        return int((~self.enqueue_mask).sum())

    @property
    def has_empty_tuple(self) -> bool:
        """Whether the miner found nothing; PML's weighting losses then use everything instead."""
        mined = self.indices_tuple
        return mined is not None and all(len(rows) == 0 for rows in mined)
