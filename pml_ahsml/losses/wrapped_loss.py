"""The PML loss inside a wrapper: which can be wrapped, and how each kind is called."""

from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.reducers import DoNothingReducer
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor

from ..checks import check_tensor
from .batch import Batch


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
    if isinstance(loss, pml_losses.CrossBatchMemory | pml_losses.MultipleLosses):
        raise ValueError(
            f"ref_emb must be None where {type(loss).__name__} is wrapped, got a tensor"
        )


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
    if isinstance(loss, pml_losses.CrossBatchMemory):
        return loss(batch.embeddings, batch.labels, batch.indices_tuple, batch.enqueue_mask)
    if isinstance(loss, pml_losses.MultipleLosses):
        return loss(batch.embeddings, batch.labels, batch.indices_tuple)
    return loss(
        batch.embeddings, batch.labels, batch.indices_tuple, batch.ref_emb, batch.ref_labels
    )


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
