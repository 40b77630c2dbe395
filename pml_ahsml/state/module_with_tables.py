"""A module with large state that is saved and moved with it, but is not a buffer."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..precision import exact_dtype
from .counts_changes import CountsChanges
from .host_numbers import HostNumbers, read_together
from .saved_state import Contents, Entry, Rule, add_parts, foreign_contents
from .table_copies import moved, own, to_load, writable

Module = TypeVar("Module", bound="ModuleWithTables")

# Number of changes that the module has made to its tables, as a table and as a buffer.
_CHANGES, _PROBE = "changes", "copied_changes"


@dataclass(frozen=True)
class _Origin:
    """The module that another was copied from, hidden from torch; None if it is lost."""

    module: "ModuleWithTables | None"


class ModuleWithTables(CountsChanges):
    """A module with tensors that are saved and moved with it, but are not buffers.

    Record-keeper logs every buffer as a list at each step, and DistributedDataParallel broadcasts
    buffers at each forward. Neither is wanted for a table with a row per class. Tables are
    attributes and entries of ``state_dict()``. Casts (``.half()``, ``.to(dtype)``) do not change
    their dtype: in half precision running means would stall and counts overflow.

    **Loading** is all or nothing: every entry of the module and its submodules is checked before
    any is changed. A state with none of the entries is left to torch, which reports missing keys.
    A state with only some of them is an error, even with ``strict=False``.

    **Averaged copies.** An average of tables means nothing, so a copy that is averaged with the
    weights (AveragedModel, timm's ModelEma, a loop over ``state_dict().values()``) has the tables
    of the module it was copied from. Such helpers copy with ``copy.deepcopy`` and then write into
    buffers or the tensors of ``state_dict()`` from outside. The number of changes is kept in both
    and as a number. If these differ, the copy has been written to, and the tables are taken over at
    the next use. A copy that is not written to stays as it was. One that learns by itself is
    independent from then on. Methods that change tables end with :meth:`count_change`.

    Example:
        >>> module = ModuleWithTables()
        >>> module.register_table("counts", torch.zeros(3), Rule(lowest=0))
        >>> module.counts += 1
        >>> module.count_change()
        >>> module.state_dict()["counts"]
        tensor([1., 1., 1.])
        >>> module.load_state_dict({"counts": torch.tensor([1.0, -1.0, 0.0]), "changes": 1})
        Traceback (most recent call last):
        ValueError: changes must be a tensor, got int
    """

    # other attributes that a copy must take over before they are used
    _taken_over: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # not dictionaries, because record-keeper logs their contents
        self._tables = SimpleNamespace()
        self._rules = SimpleNamespace()
        self._origin: _Origin | None = None
        self._host_numbers = HostNumbers()
        self._num_changes = 0
        # in float64, in which even a slightly different average differs
        none = writable(torch.zeros((), dtype=torch.float64))
        self.register_table(_CHANGES, none, Rule(lowest=0, is_whole=True))
        self.register_buffer(_PROBE, none.clone(), persistent=False)
        self._note_version()

    def register_table(self, name: str, value: Tensor, rule: Rule) -> None:
        """Add a table.

        Args:
            name: name of the attribute and of the state entry.
            value: its first value, whose shape and dtype stay fixed.
            rule: allowed values in a state.
        """
        setattr(self._tables, name, value)
        setattr(self._rules, name, rule)

    @torch.no_grad()
    def count_change(self) -> None:
        """Record that this module has changed its tables, so it is no longer a copy of another."""
        self._take_over_if_written()
        self._origin = None
        self._num_changes += 1
        self._count()

    def on(self: Module, device: torch.device) -> Module:
        """Return this module, moved to the device if needed; cheaper than ``to`` if not.

        Args:
            device: device for the tables.
        """
        self._take_over_if_written()
        # tables move together
        here: torch.device = getattr(self._tables, _CHANGES).device
        return self if here == device else self.to(device)

    def numbers(self, name: str) -> list[float]:
        """Return the values of a small table, read from the device only after a change."""
        return self._host_numbers.of(name, getattr(self, name))

    def read_numbers(self, *others: Tensor) -> list[list[float]]:
        """Read what ``numbers`` was asked for, submodules included, and other tensors, in one."""
        tables = (
            (module._host_numbers, name, getattr(module, name))
            for module in self.modules()
            if isinstance(module, ModuleWithTables)
            for name in module._host_numbers.names
        )
        return read_together(tables, others)

    def _saved_tables(self) -> dict[str, Tensor]:
        """Return the tensors to save, by name; subclasses may add to the tables."""
        return dict(vars(self._tables))

    def _rule_of(self, name: str) -> Rule:
        """Return the allowed values of what is saved by that name."""
        rule: Rule = getattr(self._rules, name)
        return rule

    def _check_together(self, state: Mapping[str, Any], prefix: str) -> None:
        """Raise a ValueError if values that are valid by themselves do not fit together."""

    def _set_tables(self, values: dict[str, Tensor]) -> None:
        """Set the tables to values that have been checked and that only this module holds."""
        for name, value in values.items():
            setattr(self._tables, name, value)

    def _copy_from(self, other: "ModuleWithTables") -> None:
        """Take over everything that another module of the same shape has learnt."""
        here: torch.device = getattr(self._tables, _CHANGES).device
        self._set_tables(
            {name: own(table, here, table.dtype) for name, table in vars(other._tables).items()}
        )

    def _take_over_if_written(self) -> None:
        changes: Tensor = getattr(self._tables, _CHANGES)
        if changes.is_meta:
            return
        # the averaged numbers may be equal while inf − inf made other tables nan
        is_written = changes._version != self._version_of_changes
        origin = self._origin
        if origin is None and not is_written:
            return  # hot path: no values are read from the device
        if origin is None or not is_written:
            counts = [changes] if origin is None else [changes, getattr(self, _PROBE)]
            if all(float(count) == self._num_changes for count in counts):
                return
        if origin is None or origin.module is None:
            raise RuntimeError(
                f"tables of {type(self).__name__} must be changed by its own methods or by "
                "load_state_dict, got some that were written into from outside, as averages of "
                "weights are. A copy by copy.deepcopy takes the tables of its original instead; "
                "a module that was unpickled or built anew has no known original: load a state "
                "into it, or copy the loss that is trained"
            )
        # cleared, because attributes of this module would otherwise lead here again
        self._origin = None
        try:
            origin.module._take_over_if_written()
            self._copy_from(origin.module)
            self._set_changes(origin.module._num_changes)
        finally:
            self._origin = origin

    def _set_changes(self, number: int) -> None:
        self._num_changes = number
        getattr(self._tables, _CHANGES).fill_(number)
        self._buffers[_PROBE].fill_(number)  # type: ignore[union-attr]
        self._note_version()

    def _counts(self) -> list[Tensor]:
        return [getattr(self._tables, _CHANGES), getattr(self, _PROBE)]

    def _note_version(self) -> None:
        """Note torch's count of writes, which shows later writes from outside."""
        self._version_of_changes: int = getattr(self._tables, _CHANGES)._version

    def _contents(self, prefix: str) -> Contents:
        """Return everything that a state holds for this module and its submodules."""
        contents = foreign_contents(self, prefix)
        for name, table in self._saved_tables().items():
            contents.entries.append(Entry(prefix + name, table, self._rule_of(name)))
        add_parts(contents, self, prefix)
        return contents

    def _check_parts(self, state: Mapping[str, Any], prefix: str) -> None:
        for name, module in self.named_modules(remove_duplicate=False):
            if isinstance(module, ModuleWithTables):
                module._check_together(state, prefix + name + "." if name else prefix)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        self._take_over_if_written()
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, table in self._saved_tables().items():
            destination[prefix + name] = table if keep_vars else table.detach()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # the outermost module checks everything before torch goes on to its submodules
        assigns = local_metadata.get("assign_to_params_buffers", False)
        is_there = self._contents(prefix).check(type(self).__name__, state_dict, prefix)
        if is_there:
            self._check_parts(state_dict, prefix)
        values = {}
        for name, table in self._saved_tables().items():
            # removed, because torch knows no such entry
            value = state_dict.pop(prefix + name, None)
            if value is None:
                missing_keys.append(prefix + name)
                continue
            values[name] = to_load(prefix + name, value, table, assigns)
        if is_there and values:
            self._set_tables(values)
            changes: Tensor = getattr(self._tables, _CHANGES)
            self._num_changes = 0 if changes.is_meta else int(changes)
            self._buffers[_PROBE] = own(changes, changes.device, changes.dtype)
            self._note_version()
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ModuleWithTables":
        probe = self._buffers[_PROBE]
        assert probe is not None
        # training must be able to write to what was moved in inference mode
        with torch.inference_mode(False), torch.no_grad():
            tables = {name: moved(table, fn) for name, table in vars(self._tables).items()}
            device = tables[_CHANGES].device
            kind = exact_dtype(tables[_CHANGES])
            # by value: fn may be a function that makes empty tensors
            changes = getattr(self._tables, _CHANGES)
            is_written = changes._version != self._version_of_changes
            number = torch.tensor(float(self._num_changes), dtype=torch.float64, device="cpu")
            for name, old in ((_CHANGES, changes), (_PROBE, probe)):
                tables[name] = own(number if old.is_meta else old, device, kind)
        super()._apply(fn, recurse)
        # torch has cast it as well
        self._buffers[_PROBE] = tables.pop(_PROBE)
        for name, table in tables.items():
            setattr(self._tables, name, table)
        if not is_written:
            self._note_version()
        return self

    def __getattr__(self, name: str) -> Any:
        # hot path: about 130 calls per step
        tables = self.__dict__.get("_tables")
        if tables is not None:
            if self._origin is not None and (name in vars(tables) or name in self._taken_over):
                self._take_over_if_written()
            table = tables.__dict__.get(name)
            if table is not None:
                return table
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__.get("_tables")
        if tables is not None and name in vars(tables):
            setattr(tables, name, writable(value))
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        self._take_over_if_written()
        origin = None if self._origin is None else _Origin(None)
        return {**self.__dict__, "_origin": origin, "_host_numbers": HostNumbers()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._note_version()

    def __deepcopy__(self: Module, memo: dict[int, Any]) -> Module:
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        other.__dict__["_origin"] = _Origin(self)
        return other
