"""Batches that are refused on some ranks only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from pml_ahsml import AdaptiveNoiseAwareLoss
from tests.distributed import grown
from tests.distributed.grown import D, K, tables_of

_SIZE = 12


@dataclass(frozen=True)
class Fault:
    """What is wrong on the last rank.

    Args:
        spoil: arguments of the wrapper, from good embeddings and labels.
        kind, message: of the error of the last rank.
        is_of_all: whether the ranks disagree, so that all have the same error.
        on_first_too: whether rank 0 has the same fault.
        has_memory: whether a CrossBatchMemory is wrapped.
    """

    spoil: Callable[[Tensor, Tensor], dict[str, Any]]
    kind: str
    message: str
    is_of_all: bool = False
    on_first_too: bool = False
    has_memory: bool = False


def _has_nan(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": embeddings.index_fill(0, torch.tensor([3]), torch.nan), "labels": labels}


def _has_bad_label(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": embeddings, "labels": labels.index_fill(0, torch.tensor([0]), K)}


def _is_too_wide(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": torch.cat([embeddings, embeddings], 1), "labels": labels}


def _is_no_tensor(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": embeddings.tolist(), "labels": labels}


def _has_no_labels(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": embeddings}


def _has_bad_tuple(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    # found by what comes after the checks
    rows = torch.tensor([_SIZE + 7])
    return {"embeddings": embeddings, "labels": labels, "indices_tuple": (rows,) * 4}


def _has_view_ids(embeddings: Tensor, labels: Tensor) -> dict[str, Any]:
    return {"embeddings": embeddings, "labels": labels, "view_ids": torch.arange(_SIZE)}


FAULTS = {
    "nan": Fault(_has_nan, "ValueError", "embeddings must be finite"),
    "nan before a memory": Fault(
        _has_nan, "ValueError", "embeddings must be finite", has_memory=True
    ),
    "nan on two ranks": Fault(
        _has_nan, "ValueError", "embeddings must be finite", on_first_too=True
    ),
    "label": Fault(_has_bad_label, "ValueError", "labels must lie in"),
    "shape": Fault(_is_too_wide, "ValueError", "embeddings must be of shape"),
    "type": Fault(_is_no_tensor, "TypeError", "embeddings must be a tensor"),
    "no labels": Fault(_has_no_labels, "ValueError", "labels must be given"),
    "indices_tuple": Fault(_has_bad_tuple, "IndexError", "out of"),
    "view_ids": Fault(_has_view_ids, "ValueError", "view_ids must be given", is_of_all=True),
}


def all_faults(rank: int, world_size: int, start: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outcome of each fault on this rank, one after the other in one process group."""
    return {name: _one(fault, rank, world_size, start) for name, fault in FAULTS.items()}


def _one(fault: Fault, rank: int, world_size: int, start: dict[str, Any]) -> dict[str, Any]:
    wrapped: torch.nn.Module = losses.ContrastiveLoss()
    if fault.has_memory:
        wrapped = losses.CrossBatchMemory(wrapped, D, memory_size=64)
    loss = grown.wrapper(wrapped, sync=True)
    loss.load_state_dict(loss.state_dict() | start)
    inputs, labels = grown.batch(rank, _SIZE)
    good = {"embeddings": inputs[:, :D].requires_grad_(), "labels": labels}
    if fault.has_memory:
        loss(**good).backward()
    is_faulty = rank == world_size - 1 or (fault.on_first_too and rank == 0)
    before = _state(loss)
    error: Exception | None = None
    try:
        loss(**(fault.spoil(**good) if is_faulty else good))
    except Exception as caught:
        error = caught
    after = _state(loss)
    loss(**good).backward()
    return {
        "error": (type(error).__name__, str(error)),
        "is_unchanged": _equal(before, after),
        "learns_on": not _equal(after, _state(loss)),
    }


def _state(loss: AdaptiveNoiseAwareLoss) -> dict[str, Tensor]:
    state = {name: table.clone() for name, table in tables_of(loss.state_dict()).items()}
    if isinstance(loss.loss, losses.CrossBatchMemory):
        state["queue_idx"] = torch.tensor(loss.loss.queue_idx)
    return state


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(table, other[name]) for name, table in one.items()
    )
