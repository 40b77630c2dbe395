"""Positions of the queues of CrossBatchMemory, which PML does not save."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from torch import Tensor

from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Entry, Rule, check_entry

# Name of the state entry that holds the queue positions.
_QUEUES = "queues"


class WithQueues(ModuleWithTables):
    """Saves, loads and takes over the queue positions of the wrapped loss.

    The state has an entry ``queues`` only if the loss contains a CrossBatchMemory.
    """

    loss: torch.nn.Module
    num_classes: int

    # an averaged copy takes over the contents of the queues before they are used
    _taken_over = ("loss",)

    @property
    def queues(self) -> Tensor:
        """(Q, 2) position of each CrossBatchMemory: the next row, and 1 if all are filled."""
        return positions(self.loss)

    @property
    def _wrapped_loss(self) -> torch.nn.Module:
        # takes nothing over, which would be wrong when a state is about to be loaded
        loss = self._modules["loss"]
        assert loss is not None
        return loss

    def _saved_tables(self) -> dict[str, Tensor]:
        rows, tables = positions(self._wrapped_loss), super()._saved_tables()
        return tables | {_QUEUES: rows} if len(rows) else tables

    def _rule_of(self, name: str) -> Rule:
        return Rule(lowest=0) if name == _QUEUES else super()._rule_of(name)

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        key = prefix + _QUEUES
        check_queues(self._wrapped_loss, self.num_classes, state, prefix + "loss.", key)

    def _set_tables(self, values: dict[str, Tensor]) -> None:
        rows = values.pop(_QUEUES, None)
        if rows is not None:
            set_positions(self._wrapped_loss, rows)
        super()._set_tables(values)

    def _copy_from(self, other: ModuleWithTables) -> None:
        super()._copy_from(other)
        assert isinstance(other, WithQueues)  # what it was copied from
        copy_queues(self._wrapped_loss, other._wrapped_loss)


def queues_in(loss: torch.nn.Module) -> dict[str, CrossBatchMemory]:
    """Find each CrossBatchMemory in a loss, by module name; the loss may be one itself.

    Args:
        loss: any loss.
    """
    parts = loss.named_modules()
    return {name: part for name, part in parts if isinstance(part, CrossBatchMemory)}


def positions(loss: torch.nn.Module) -> Tensor:
    """Return the positions of a loss's queues.

    Args:
        loss: any loss.

    Returns:
        (Q, 2) integers: the next row to write, and 1 if all rows have been written, else 0.

    Example:
        >>> from pytorch_metric_learning.losses import ContrastiveLoss
        >>> positions(CrossBatchMemory(ContrastiveLoss(), embedding_size=2, memory_size=4))
        tensor([[0, 0]])
    """
    rows = [[q.queue_idx, int(q.has_been_filled)] for q in queues_in(loss).values()]
    return torch.tensor(rows, dtype=torch.long, device="cpu").reshape(-1, 2)


def set_positions(loss: torch.nn.Module, rows: Tensor) -> None:
    """Set the positions of a loss's queues.

    Args:
        loss: any loss.
        rows: (Q, 2) from :func:`positions`.
    """
    for queue, (position, is_full) in zip(queues_in(loss).values(), rows.tolist(), strict=True):
        queue.queue_idx, queue.has_been_filled = position, bool(is_full)


def copy_queues(loss: torch.nn.Module, other: torch.nn.Module) -> None:
    """Copy the contents and positions of another loss's queues.

    Args:
        loss: any loss.
        other: the loss that it is a copy of.
    """
    for queue, of_other in zip(queues_in(loss).values(), queues_in(other).values(), strict=True):
        for name in ("embedding_memory", "label_memory"):
            memory = getattr(of_other, name)
            setattr(queue, name, memory.to(getattr(queue, name).device, copy=True))
    set_positions(loss, positions(other))


def check_queues(
    loss: torch.nn.Module, num_classes: int, state: Mapping[str, Any], prefix: str, key: str
) -> None:
    """Raise unless the queue entries of a state are valid.

    Args:
        loss: any loss.
        num_classes: K of the labels.
        state: the state.
        prefix: prefix of the loss's entries.
        key: name of the entry that holds :func:`positions`.

    Raises:
        ValueError: naming the entry, if one is not valid.
    """
    rows = state.get(key)
    for number, (name, queue) in enumerate(queues_in(loss).items()):
        here = prefix + name + "." if name else prefix
        rules = {
            "embedding_memory": Rule(),
            "label_memory": Rule(lowest=0, highest=num_classes - 1),
        }
        for part, rule in rules.items():
            # (missing if the state was saved with renamed entries)
            if here + part in state:
                check_entry(Entry(here + part, getattr(queue, part), rule), state[here + part])
        if rows is None or rows.is_meta:
            continue
        position, is_full = rows[number].tolist()
        if not 0 <= position < queue.memory_size or is_full not in (0, 1):
            raise ValueError(
                f"{key} must hold a row in [0, {queue.memory_size}) and 0 or 1, got "
                f"{[position, is_full]}"
            )
