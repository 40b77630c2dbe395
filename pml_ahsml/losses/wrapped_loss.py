"""The wrapped PML loss: which losses can be wrapped, and how each kind is called."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.reducers import DoNothingReducer
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from ..checks import check_tensor
from .batch import Batch
from .loss_traits import traits_of
from .row_selection import IndicesTuple


def check_loss(loss: Any) -> None:
    """Raise unless ``loss`` is a PML loss that works with labels and on part of a batch."""
    name = type(loss).__name__
    if not isinstance(
        loss,
        pml_losses.BaseMetricLossFunction | pml_losses.CrossBatchMemory | pml_losses.MultipleLosses,
    ):
        raise TypeError(
            "loss must be a loss of pytorch-metric-learning (a BaseMetricLossFunction, "
            f"CrossBatchMemory or MultipleLosses), got {name}"
        )
    parts = loss.losses if isinstance(loss, pml_losses.MultipleLosses) else [inner_loss(loss)]
    for part in parts.values() if isinstance(parts, torch.nn.ModuleDict) else parts:
        refusal = traits_of(part).refusal
        if refusal is not None:
            raise ValueError("loss must " + refusal.format(type(part).__name__))


def check_takes_references(loss: torch.nn.Module) -> None:
    """Raise unless this loss takes ``ref_emb``."""
    try:
        # embeddings, labels, indices_tuple, ref_emb, ref_labels
        inspect.signature(loss.forward).bind(*range(5))
    except TypeError:
        raise ValueError(
            f"ref_emb must be None where {type(loss).__name__} is wrapped, got a tensor"
        ) from None


def check_enqueue_mask(loss: torch.nn.Module, enqueue_mask: Tensor, num_rows: int) -> None:
    """Raise unless this loss takes ``enqueue_mask``, a (num_rows,) bool tensor."""
    if not isinstance(loss, pml_losses.CrossBatchMemory):
        raise ValueError(
            "enqueue_mask must be None unless a CrossBatchMemory is wrapped, got one for "
            f"{type(loss).__name__}"
        )
    check_tensor("enqueue_mask", enqueue_mask)
    if enqueue_mask.dtype != torch.bool or enqueue_mask.shape != (num_rows,):
        raise ValueError(
            f"enqueue_mask must be of shape ({num_rows},) and bool, got "
            f"{tuple(enqueue_mask.shape)} of {enqueue_mask.dtype}"
        )


def inner_loss(loss: torch.nn.Module) -> Any:
    """Return the loss that owns distance and reducer: the one inside a CrossBatchMemory."""
    return loss.loss if isinstance(loss, pml_losses.CrossBatchMemory) else loss


def is_unreduced(loss: torch.nn.Module) -> bool:
    """Whether the loss returns PML's dictionary of single losses instead of a number."""
    return isinstance(getattr(inner_loss(loss), "reducer", None), DoNothingReducer)


def call(loss: torch.nn.Module, batch: Batch) -> Any:
    """Call the loss with the arguments that its class takes."""
    b = batch
    return _call(
        loss, b.embeddings, b.labels, b.indices_tuple, b.ref_emb, b.ref_labels, b.enqueue_mask
    )


def evaluate(
    loss: torch.nn.Module,
    embeddings: Tensor,
    labels: Tensor | None,
    indices_tuple: IndicesTuple | None = None,
    ref_emb: Tensor | None = None,
    ref_labels: Tensor | None = None,
    enqueue_mask: Tensor | None = None,
) -> Any:
    """Call the loss on all rows as given, unchecked, without changing a memory inside it."""
    if ref_emb is not None:
        check_takes_references(loss)
    if enqueue_mask is not None:
        check_enqueue_mask(loss, enqueue_mask, len(embeddings))
    with undone(loss, len(embeddings)):
        return _call(loss, embeddings, labels, indices_tuple, ref_emb, ref_labels, enqueue_mask)


def _call(
    loss: torch.nn.Module,
    embeddings: Tensor,
    labels: Tensor | None,
    indices_tuple: IndicesTuple | None,
    ref_emb: Tensor | None,
    ref_labels: Tensor | None,
    enqueue_mask: Tensor | None,
) -> Any:
    if isinstance(loss, pml_losses.CrossBatchMemory):
        return loss(embeddings, labels, indices_tuple, enqueue_mask)
    if ref_emb is None:
        # as PML's trainers do: a custom loss may take no references
        return loss(embeddings, labels, indices_tuple)
    return loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)


@contextmanager
def undone(loss: torch.nn.Module, num_rows: int, *, only_on_error: bool = False) -> Iterator[None]:
    """Undo what a call enqueues in each CrossBatchMemory inside the loss.

    PML enqueues in every mode, and before it calls the inner loss, which may refuse the batch.

    Args:
        loss: the loss that is called inside the context.
        num_rows: number of rows that the call may enqueue; only these are restored.
        only_on_error: keep what was enqueued unless the call raises.
    """
    memories = [part for part in loss.modules() if isinstance(part, pml_losses.CrossBatchMemory)]
    before = [_queue(memory, num_rows) for memory in memories]
    done = False
    try:
        yield
        done = only_on_error
    finally:
        if not done:
            for memory, queue in zip(memories, before, strict=True):
                _restore(memory, *queue)


_POSITION = ("queue_idx", "has_been_filled", "embedding_memory", "label_memory")


def _queue(memory: Any, num_rows: int) -> tuple[dict[str, Any], Tensor, Tensor, Tensor]:
    """Return the position of a memory, the rows that may be overwritten and their contents."""
    rows = torch.arange(num_rows, device=memory.label_memory.device) + memory.queue_idx
    rows %= memory.memory_size
    position = {name: getattr(memory, name) for name in _POSITION}
    return position, rows, memory.embedding_memory[rows], memory.label_memory[rows]


def _restore(
    memory: Any, position: dict[str, Any], rows: Tensor, embeddings: Tensor, labels: Tensor
) -> None:
    # PML replaces these tensors for another device or dtype
    for name, value in position.items():
        setattr(memory, name, value)
    with torch.no_grad():
        memory.embedding_memory[rows] = embeddings
        memory.label_memory[rows] = labels


def would_break(loss: torch.nn.Module, batch: Batch) -> bool:
    """Whether so few rows are left that the loss would fail instead of returning zero."""
    if len(batch.labels) == 0:
        return True
    if isinstance(loss, pml_losses.CrossBatchMemory) and batch.enqueue_mask is not None:
        # with nothing to enqueue, PML takes an empty memory for a full one
        return not batch.enqueue_mask.any() and not loss.has_been_filled
    if traits_of(inner_loss(loss)).is_nan_without_positives:
        return not lmu.get_matches_and_diffs(batch.labels, batch.ref_labels)[0].any()
    return False


def zero(loss: torch.nn.Module, embeddings: Tensor) -> Any:
    """Return a zero that depends on every parameter, so that no DDP rank waits for a gradient."""
    if is_unreduced(loss):
        return inner_loss(loss).zero_losses()
    value = (embeddings * 0).sum()
    for parameter in loss.parameters():
        if parameter.requires_grad:
            value = value + (parameter * 0).sum()
    return value
