"""Checks of a saved state, made before anything is loaded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

# torch's name of an entry that is not a tensor; old versions saved the tables in one.
_OF_OLD_STATES = "_extra_state"


@dataclass(frozen=True)
class Rule:
    """Allowed values of a table; nan is never allowed.

    Args:
        lowest: smallest value.
        highest: largest value.
        is_whole: whether all values must be whole numbers.
        may_be_inf: whether inf is allowed.

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
        """Raise unless the values follow the rule.

        Args:
            key: name of the entry, for the message.
            values: tensor of any shape.

        Raises:
            ValueError: naming the entry, if a value is not allowed.
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
                "use tables from one state, not averaged over several"
            )


class Entry(NamedTuple):
    """A tensor expected in a state.

    Args:
        key: full name.
        tensor: tensor that it replaces.
        rule: allowed values, or None for tensors of other libraries' modules.
    """

    key: str
    tensor: Tensor
    rule: Rule | None


def check_entry(entry: Entry, value: Any) -> None:
    """Raise unless a value of a state fits an entry.

    Args:
        entry: the expected tensor.
        value: the value in the state.

    Raises:
        ValueError: naming the entry, if the value does not fit.

    Example:
        >>> check_entry(Entry("visits", torch.zeros(3), Rule(lowest=0)), torch.zeros(2))
        Traceback (most recent call last):
        ValueError: visits must be of shape (3,), got (2,)
    """
    key, tensor, rule = entry
    if not isinstance(value, Tensor):
        raise ValueError(f"{key} must be a tensor, got {type(value).__name__}")
    # torch loads a tensor of shape (1,) into a scalar, because old versions saved scalars so
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
    # check the dtype that is loaded: a value finite in float64 may overflow float32
    rule.check(key, value.to(tensor.dtype))


def check_on_hyperboloid(key: str, means: Tensor, is_there: Tensor) -> None:
    """Raise unless rows are points of the hyperboloid or means of such points.

    Args:
        key: name of the entry, for the message.
        means: (N, D + 1) rows, time coordinate first.
        is_there: (N,) bool, the rows to check.

    Raises:
        ValueError: naming the entry, if a row is not on the hyperboloid.

    Example:
        >>> check_on_hyperboloid("means", torch.zeros(2, 3), torch.tensor([False, True]))
        Traceback (most recent call last):
        ValueError: means must be on the hyperboloid in row 1, got (0, …) with the rest of norm 0
    """
    if means.is_meta:
        return
    time, space = means[:, 0], means[:, 1:]
    # a mean has a time coordinate of at least 1 and at least the norm of its space coordinates;
    # 1e-3 allows for rounding
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
    """Expected contents of a state for a module and its submodules.

    Args:
        entries: all expected tensors.
        free: prefixes of entries that are not checked, because their module loads them by its own
            method.
    """

    entries: list[Entry]
    free: list[str]

    def check(self, owner: str, state: Mapping[str, Any], prefix: str) -> bool:
        """Raise unless a state holds either all entries and no others, or none of them.

        Args:
            owner: class name of the module.
            state: the state, which may hold entries of other modules.
            prefix: prefix of the module's entries.

        Returns:
            Whether the state holds the entries.

        Raises:
            ValueError: naming an entry that is missing, unexpected or has a wrong value.
        """
        keys = [key for key in state if key.startswith(prefix) and not self._is_free(key)]
        for key in keys:
            if key.split(".")[-1] == _OF_OLD_STATES:
                raise ValueError(
                    f"{key} must not be in a state of {owner}, whose tables are separate entries, "
                    "got a checkpoint of an older version of pml_ahsml"
                )
        here = [entry for entry in self.entries if entry.key in state]
        if not here:
            return False
        # some formats save a parameter with two names only once
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
    """Return what torch saves of a module, without its submodules.

    Args:
        module: the module.
        prefix: prefix of its entries.
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
    """Tell whether a module loads its state by a method of its own, which cannot be checked."""
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


def add_parts(contents: Contents, module: torch.nn.Module, prefix: str) -> None:
    """Add what a state holds for the submodules of a module.

    Args:
        contents: what it holds for the module; changed in place.
        module: the module.
        prefix: of its entries.
    """
    for name, part in module._modules.items():
        if part is None:
            continue
        here = prefix + name + "."
        contents_of = getattr(part, "_contents", None)  # of a ModuleWithTables
        if contents_of is not None:
            of_part: Contents = contents_of(here)
        elif has_own_way(part):
            of_part = Contents([], [here])
        else:
            of_part = foreign_contents(part, here)
            add_parts(of_part, part, here)
        contents.entries.extend(of_part.entries)
        contents.free.extend(of_part.free)
