"""The PML loss inside a wrapper: which can be wrapped, and how each kind is called."""

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
from .row_selection import IndicesTuple


def check_loss(loss: Any) -> None:
    """Raise unless ``loss`` is a PML loss that can do with a part of a batch and its labels."""
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
        if isinstance(part, pml_losses.VICRegLoss | pml_losses.ManifoldLoss):
            raise ValueError(f"loss must be one that takes labels, got {type(part).__name__}")
        if isinstance(part, pml_losses.SmoothAPLoss):
            raise ValueError(
                "loss must take classes of unequal size, which is what is left when samples are "
                f"distrusted, got {type(part).__name__}; FastAPLoss does"
            )


def check_takes_references(loss: torch.nn.Module) -> None:
    """Raise unless ``ref_emb`` may be given beside this loss."""
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
    """The loss that owns the distance and the reducer: the one inside a CrossBatchMemory."""
    return loss.loss if isinstance(loss, pml_losses.CrossBatchMemory) else loss


def is_unreduced(loss: torch.nn.Module) -> bool:
    """Whether the loss returns PML's dictionary of single losses instead of a number."""
    return isinstance(getattr(inner_loss(loss), "reducer", None), DoNothingReducer)


def call(loss: torch.nn.Module, batch: Batch) -> Any:
    """The loss, by the arguments that its class takes."""
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
    """The loss on all rows as given. No memory inside it changes; values are not checked."""
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
        # as PML's trainers do: a loss of the user's own may take no references
        return loss(embeddings, labels, indices_tuple)
    return loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)


@contextmanager
def undone(loss: torch.nn.Module, num_rows: int, *, only_on_error: bool = False) -> Iterator[None]:
    """Undo what a call enqueues in each CrossBatchMemory inside the loss.

    PML enqueues in every mode, and before it calls the inner loss, which may refuse the batch.

    Args:
        loss: the loss that is called while the context lasts.
        num_rows: rows that the call may enqueue; others of the memory are not looked at.
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
    """The position of a memory, the rows that may be overwritten and what is in them."""
    rows = torch.arange(num_rows, device=memory.label_memory.device) + memory.queue_idx
    rows %= memory.memory_size
    position = {name: getattr(memory, name) for name in _POSITION}
    return position, rows, memory.embedding_memory[rows], memory.label_memory[rows]


def _restore(
    memory: Any, position: dict[str, Any], rows: Tensor, embeddings: Tensor, labels: Tensor
) -> None:
    # PML puts other tensors in the place of these for another device or dtype
    for name, value in position.items():
        setattr(memory, name, value)
    with torch.no_grad():
        memory.embedding_memory[rows] = embeddings
        memory.label_memory[rows] = labels


def would_break(loss: torch.nn.Module, batch: Batch) -> bool:
    """Whether so few rows are left that the loss would fail instead of giving a zero."""
    if len(batch.labels) == 0:
        return True
    if isinstance(loss, pml_losses.CrossBatchMemory) and batch.enqueue_mask is not None:
        # with nothing to enqueue PML takes an empty memory for a full one
        return not batch.enqueue_mask.any() and not loss.has_been_filled
    inner = inner_loss(loss)
    if isinstance(inner, pml_losses.NCALoss) and not isinstance(inner, pml_losses.ProxyNCALoss):
        # the mean over no anchor with a positive is nan
        return not lmu.get_matches_and_diffs(batch.labels, batch.ref_labels)[0].any()
    return False


def zero(loss: torch.nn.Module, embeddings: Tensor) -> Any:
    """A zero that reaches every parameter, so that no rank of DDP waits for a gradient."""
    if is_unreduced(loss):
        return inner_loss(loss).zero_losses()
    value = (embeddings * 0).sum()
    for parameter in loss.parameters():
        if parameter.requires_grad:
            value = value + (parameter * 0).sum()
    return value
