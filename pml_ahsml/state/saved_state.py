"""Checks of a saved state, all of them before anything is loaded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

# What torch calls an entry that is no tensor; the tables were in one before they had names.
_OF_OLD_STATES = "_extra_state"


@dataclass(frozen=True)
class Rule:
    """Which values a table may hold; never nan.

    Args:
        lowest: the smallest.
        highest: the largest.
        is_whole: whether all are whole numbers.
        may_be_inf: whether inf is among them.

    Example:
        >>> Rule(lowest=0).check("visits", torch.tensor([1.0, -1.0]))
        Traceback (most recent call last):
        ValueError: visits must lie in [0, inf), got values from -1.0 to 1.0
    """

    lowest: float = -math.inf
    highest: float = math.inf
    is_whole: bool = False
    may_be_inf: bool = False

    def check(self, key: str, values: Tensor) -> None:
        """Raise unless the values keep to the rule.

        Args:
            key: the name of the entry, for the message.
            values: of any shape.

        Raises:
            ValueError: by the name of the entry.
        """
        if values.numel() == 0 or values.is_meta:
            return
        if values.isnan().any():
            raise ValueError(f"{key} must not be nan, got {_count(values.isnan())}")
        if not self.may_be_inf and values.isinf().any():
            raise ValueError(f"{key} must be finite, got {_count(values.isinf())}")
        low, high = (end.item() for end in values.aminmax())
        if low < self.lowest or high > self.highest:
            end = "]" if self.may_be_inf or self.highest < math.inf else ")"
            raise ValueError(
                f"{key} must lie in [{self.lowest:g}, {self.highest:g}{end}, got values from {low} "
                f"to {high}"
            )
        if self.is_whole and (values != values.round()).any():
            raise ValueError(
                f"{key} must hold whole numbers, got {values[values != values.round()][0].item()}; "
                "tables are taken from one state and not averaged over several"
            )


class Entry(NamedTuple):
    """A tensor that a state must hold.

    Args:
        key: its full name.
        tensor: what it replaces.
        rule: which values it may hold, or None where that is not for us to say.
    """

    key: str
    tensor: Tensor
    rule: Rule | None


def check_entry(entry: Entry, value: Any) -> None:
    """Raise unless a value may take the place of an entry.

    Args:
        entry: the entry.
        value: what a state holds for it.

    Raises:
        ValueError: by the name of the entry.

    Example:
        >>> check_entry(Entry("visits", torch.zeros(3), Rule(lowest=0)), torch.zeros(2))
        Traceback (most recent call last):
        ValueError: visits must be of shape (3,), got (2,)
    """
    key, tensor, rule = entry
    if not isinstance(value, Tensor):
        raise ValueError(f"{key} must be a tensor, got {type(value).__name__}")
    # torch takes one number in a list for a number, as old versions saved it
    is_number = tensor.ndim == 0 and value.shape == (1,) and rule is None
    if not torch.nn.parameter.is_lazy(tensor) and value.shape != tensor.shape and not is_number:
        raise ValueError(f"{key} must be of shape {tuple(tensor.shape)}, got {tuple(value.shape)}")
    if rule is None:
        return
    if value.layout != torch.strided or value.is_quantized:
        raise ValueError(f"{key} must be a dense tensor, got one of {value.layout}, {value.dtype}")
    if value.is_meta and not tensor.is_meta:
        raise ValueError(f"{key} must hold values, got a tensor on the meta device")
    kind = "floating point" if tensor.is_floating_point() else "integer"
    if _kind(value) != kind:
        article = "a" if tensor.is_floating_point() else "an"
        raise ValueError(f"{key} must be of {article} {kind} dtype, got {value.dtype}")
    # as it will be: what is finite in float64 need not be in float32
    rule.check(key, value.to(tensor.dtype))


def check_on_hyperboloid(key: str, means: Tensor, is_there: Tensor) -> None:
    """Raise unless rows are points of the hyperboloid, or means of such.

    Args:
        key: the name of the entry.
        means: (N, D + 1), time coordinate first.
        is_there: (N,) bool, the rows to look at.

    Raises:
        ValueError: by the name of the entry.

    Example:
        >>> check_on_hyperboloid("means", torch.zeros(2, 3), torch.tensor([False, True]))
        Traceback (most recent call last):
        ValueError: means must be on the hyperboloid in row 1, got (0, …) with the rest of norm 0
    """
    if means.is_meta:
        return
    time, space = means[:, 0], means[:, 1:]
    # a mean of time coordinates, which are at least 1, is longer than that of the others;
    # the rest is rounding
    is_point = (time >= 1 - 1e-3) & (time * (1 + 1e-3) >= space.norm(dim=1))
    bad = (is_there & ~is_point).nonzero()
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"{key} must be on the hyperboloid in row {row}, got ({float(time[row]):g}, …) with "
            f"the rest of norm {float(space[row].norm()):g}"
        )


@dataclass(frozen=True)
class Contents:
    """What a state holds of a module and its parts.

    Args:
        entries: all tensors.
        free: what the names of entries begin with that are read in a way of their own.
    """

    entries: list[Entry]
    free: list[str]

    def check(self, owner: str, state: Mapping[str, Any], prefix: str) -> bool:
        """Raise unless a state holds all entries, and no others, or none of them.

        Args:
            owner: the class of the module.
            state: the state, with or without the entries of other modules.
            prefix: what the names of the module's entries begin with.

        Returns:
            Whether the entries are there.

        Raises:
            ValueError: by the name of an entry that is missing, does not belong there or holds
                what it cannot.
        """
        keys = [key for key in state if key.startswith(prefix) and not self._is_free(key)]
        for key in keys:
            if key.split(".")[-1] == _OF_OLD_STATES:
                raise ValueError(
                    f"{key} must not be in a state of {owner}, whose tables have names of their "
                    "own, got a checkpoint of an older version of pml_ahsml"
                )
        here = [entry for entry in self.entries if entry.key in state]
        if not here:
            return False
        # a parameter that has two names is saved by one of them in some formats
        known = {id(entry.tensor) for entry in here}
        for entry in self.entries:
            if entry.key not in state and id(entry.tensor) not in known:
                raise ValueError(
                    f"{entry.key} must be in a state of {owner}, got {len(here)} of its "
                    f"{len(self.entries)} entries without it"
                )
        expected = {entry.key for entry in self.entries}
        for key in keys:
            if key not in expected:
                raise ValueError(
                    f"{key} must not be in a state of this {owner}, which has no such entry, got "
                    "a checkpoint of one with other options"
                )
        for entry in here:
            check_entry(entry, state[entry.key])
        return True

    def _is_free(self, key: str) -> bool:
        return key.startswith(tuple(self.free))


def foreign_contents(module: torch.nn.Module, prefix: str) -> Contents:
    """What torch saves of a module itself, its parts left out.

    Args:
        module: the module.
        prefix: what the names of its entries begin with.
    """
    skipped = module._non_persistent_buffers_set
    tensors = [*module._parameters.items(), *module._buffers.items()]
    entries = [
        Entry(prefix + name, tensor, None)
        for name, tensor in tensors
        if tensor is not None and name not in skipped
    ]
    return Contents(entries, [])


def has_own_way(module: torch.nn.Module) -> bool:
    """Whether a module of others reads a state in a way that cannot be foreseen here."""
    return (
        type(module)._load_from_state_dict is not torch.nn.Module._load_from_state_dict
        or type(module).set_extra_state is not torch.nn.Module.set_extra_state
        or bool(module._load_state_dict_pre_hooks)
    )


def _kind(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "floating point"
    is_integer = not tensor.is_complex() and tensor.dtype != torch.bool
    return "integer" if is_integer else str(tensor.dtype)


def _count(bad: Tensor) -> str:
    return f"{int(bad.sum())} of {bad.numel()}"
