"""Plan what the wrapped loss sees of a batch, and call it accordingly."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from torch import Tensor

from . import view_pairs, wrapped_loss
from .batch import Batch
from .judgement import Judgement
from .loss_traits import traits_of
from .row_selection import RowSelection


@dataclass(frozen=True)
class BatchPlan:
    """The rows, labels and past samples that the wrapped loss sees.

    Args:
        batch: the batch, with its labels after relabelling.
        selection: the rows and the references that take part.
        forms_pairs: whether the loss forms its own pairs from the labels.
        takes_past: whether past samples may replace rows that are left out.
        past: (V, D) embeddings and (V,) labels of past samples, or None.
    """

    batch: Batch
    selection: RowSelection
    forms_pairs: bool
    takes_past: bool
    past: tuple[Tensor, Tensor] | None = None

    @property
    def keep(self) -> Tensor:
        """(N,) bool, the rows that take part."""
        return self.selection.query

    @property
    def keep_refs(self) -> Tensor | None:
        """(M,) bool, the references that take part, or None without references."""
        return self.selection.ref


def plan_batch(
    loss: torch.nn.Module, batch: Batch, judged: Judgement, judged_refs: Judgement | None
) -> BatchPlan:
    """Decide what a loss sees of a batch, without changing any state.

    Rows are relabelled only if the loss forms its own pairs: an indices_tuple was chosen by the
    given labels, and a CrossBatchMemory would remember the guess.

    Args:
        loss: the wrapped loss.
        batch: the batch as given.
        judged: decisions about its rows.
        judged_refs: decisions about the references; None if there are none, or none with labels.
    """
    forms_pairs = batch.indices_tuple is None and not isinstance(loss, CrossBatchMemory)
    planned = batch
    keep, number = _takes_part(judged, forms_pairs)
    keep_refs = num_refs = None
    if batch.ref_emb is not None and judged_refs is None:
        num_refs = len(batch.ref_emb)
        keep_refs = batch.ref_emb.new_ones(num_refs, dtype=torch.bool)
    elif batch.ref_labels is not None and judged_refs is not None:
        keep_refs, num_refs = _takes_part(judged_refs, forms_pairs)
        if forms_pairs and judged_refs.relabels:
            planned = replace(planned, ref_labels=judged_refs.labels)
    if forms_pairs and judged.relabels:
        # the groups hold for the labels as given
        groups = batch.groups if judged.labels is batch.labels else None
        planned = replace(planned, labels=judged.labels, groups=groups)
    takes_past = forms_pairs and batch.ref_emb is None and not wrapped_loss.is_unreduced(loss)
    selection = RowSelection(keep, keep_refs, number, num_refs)
    return BatchPlan(planned, selection, forms_pairs, takes_past)


def run_plan(
    loss: torch.nn.Module,
    plan: BatchPlan,
    margins: Callable[[Batch, Tensor | None], AbstractContextManager[None]],
) -> Any:
    """Call a loss as planned.

    Args:
        loss: the wrapped loss.
        plan: of :func:`plan_batch`.
        margins: makes a context in which the margins act inside the loss, from a batch and which
            of its rows take part.

    Returns:
        What the loss returns, or zero if nothing is left. Indices of unreduced losses are rows of
        the batch as given.
    """
    batch = plan.batch
    own_pairs = batch.view_ids is not None and plan.forms_pairs and batch.ref_emb is None
    if own_pairs and traits_of(loss).takes_pairs:
        return _run_on_views(loss, plan, margins)
    selection = plan.selection
    selected = batch if selection.keeps_all else batch.select(selection)
    if plan.past is not None:
        selected = selected.extended(*plan.past)
    nothing_left = selected.has_empty_tuple and not batch.has_empty_tuple
    is_filtered = selected is not batch or len(batch.labels) == 0
    if nothing_left or (is_filtered and wrapped_loss.would_break(loss, selected)):
        return wrapped_loss.zero(loss, batch.embeddings)
    with margins(selected, None):
        output = wrapped_loss.call(loss, selected)
    if isinstance(output, dict) and traits_of(loss).indexes_rows:
        if batch.enqueue_mask is not None:
            selection = RowSelection(plan.keep[~batch.enqueue_mask])
        is_memory = isinstance(loss, CrossBatchMemory)
        output = selection.restore_indices(output, ref_is_memory=is_memory)
    return output


def _run_on_views(
    loss: torch.nn.Module,
    plan: BatchPlan,
    margins: Callable[[Batch, Tensor | None], AbstractContextManager[None]],
) -> Any:
    """Call a pair loss on the pairs of the rows that take part, and on all view pairs."""
    batch, keep = plan.batch, plan.keep
    if len(batch.labels) == 0:
        return wrapped_loss.zero(loss, batch.embeddings)
    if plan.past is not None:
        batch = batch.extended(*plan.past)
        keep = torch.cat([keep, keep.new_ones(len(plan.past[1]))])
    assert batch.view_ids is not None  # the caller's condition
    pairs = view_pairs.ViewPairs.of(batch.view_ids, batch.labels, keep)
    with margins(batch, keep):
        outputs = [
            wrapped_loss.call(loss, replace(batch, indices_tuple=indices_tuple))
            for indices_tuple in pairs.calls(loss)
        ]
    return outputs[0] if len(outputs) == 1 else torch.stack(outputs).sum(0)


def _takes_part(judged: Judgement, forms_pairs: bool) -> tuple[Tensor, int | None]:
    """(N,) bool, and how many: a relabelled row takes part only if its new label is used."""
    if forms_pairs:
        return judged.takes_part, judged.num_taking_part
    return judged.as_given, judged.num_as_given
