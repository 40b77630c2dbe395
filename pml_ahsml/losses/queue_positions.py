"""Where the queues of CrossBatchMemory stand, which PML keeps in no state."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from torch import Tensor

from ..state.module_with_tables import ModuleWithTables
from ..state.saved_state import Entry, Rule, check_entry

# The entry of a state that says where the queues stand.
_QUEUES = "queues"


class WithQueues(ModuleWithTables):
    """Saves, loads and takes over where the queues in the loss that it wraps stand.

    With a CrossBatchMemory in it the state has an entry ``queues``; without, there is none.
    """

    loss: torch.nn.Module
    num_classes: int

    # a copy that is averaged takes over what the queues hold before they are used
    _taken_over = ("loss",)

    @property
    def queues(self) -> Tensor:
        """(Q, 2) where each CrossBatchMemory stands: the next row, and 1 if all are filled."""
        return positions(self.loss)

    @property
    def _wrapped_loss(self) -> torch.nn.Module:
        # without taking anything over, which is not for a state that is about to be loaded
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
    """The memories in a loss by the names of their modules; it may be one itself.

    Args:
        loss: any loss.
    """
    parts = loss.named_modules()
    return {name: part for name, part in parts if isinstance(part, CrossBatchMemory)}


def positions(loss: torch.nn.Module) -> Tensor:
    """Where its queues stand.

    Args:
        loss: any loss.

    Returns:
        (Q, 2) integers: the row that is written next, and 1 if all rows have been written, else 0.

    Example:
        >>> from pytorch_metric_learning.losses import ContrastiveLoss
        >>> positions(CrossBatchMemory(ContrastiveLoss(), embedding_size=2, memory_size=4))
        tensor([[0, 0]])
    """
    rows = [[q.queue_idx, int(q.has_been_filled)] for q in queues_in(loss).values()]
    return torch.tensor(rows, dtype=torch.long, device="cpu").reshape(-1, 2)


def set_positions(loss: torch.nn.Module, rows: Tensor) -> None:
    """Let its queues go on from where others stood.

    Args:
        loss: any loss.
        rows: (Q, 2) of :func:`positions`.
    """
    for queue, (position, is_full) in zip(queues_in(loss).values(), rows.tolist(), strict=True):
        queue.queue_idx, queue.has_been_filled = position, bool(is_full)


def copy_queues(loss: torch.nn.Module, other: torch.nn.Module) -> None:
    """Let its queues hold what those of another hold.

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
    """Raise unless what a state holds of the queues can be.

    Args:
        loss: any loss.
        num_classes: K of the labels.
        state: the state.
        prefix: what the names of the loss's entries begin with.
        key: the name of the entry of :func:`positions`.

    Raises:
        ValueError: by the name of an entry.
    """
    rows = state.get(key)
    for number, (name, queue) in enumerate(queues_in(loss).items()):
        here = prefix + name + "." if name else prefix
        rules = {
            "embedding_memory": Rule(),
            "label_memory": Rule(lowest=0, highest=num_classes - 1),
        }
        for part, rule in rules.items():
            # (a state may have been saved while others of its entries were renamed)
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
