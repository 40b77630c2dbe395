"""Counts the work of a step on a GPU, without a GPU."""

from collections import Counter
from contextlib import ExitStack

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Operations whose result has a size, or a value on the host, that only the device knows.
_WAITS = {
    "_linalg_check_errors",
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "lift_fresh",  # a number or a list pushed to the device
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}
_INDEXING = {"_index_put_impl_", "index", "index_put", "index_put_"}

# Operations that only look at a tensor in another way.
_VIEWS = {
    "_unsafe_view",
    "alias",
    "as_strided",
    "detach",
    "detach_",
    "diagonal",
    "expand",
    "permute",
    "select",
    "slice",
    "split",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
}


class DeviceWork(ExitStack):
    """Counts the operations in a block, and those for which the host must wait.

    Example:
        >>> with DeviceWork() as work:
        ...     total = float(torch.ones(3).sum())
        >>> work.num_waits
        1
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    @property
    def num_operations(self) -> int:
        """How many kernels would be started, views left out."""
        return self.operations.total()

    @property
    def num_waits(self) -> int:
        """How often the host would wait for the device."""
        return self.waits.total()

    def __enter__(self):
        super().__enter__()
        for mode in (_Functions(self), _Operations(self)):
            self.enter_context(mode)
        return self


class _Functions(TorchFunctionMode):
    """Detects reads of values that are no operation: on the CPU ``tolist`` and ``numpy``."""

    def __init__(self, work: DeviceWork) -> None:
        super().__init__()
        self.work = work

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("tolist", "numpy") and isinstance(args[0], torch.Tensor):
            self.work.waits[name] += 1
        return func(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self, work: DeviceWork) -> None:
        super().__init__()
        self.work = work

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name not in _VIEWS:
            self.work.operations[name] += 1
        by_mask = name in _INDEXING and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if by_mask or name in _WAITS:
            self.work.waits[name] += 1
        return func(*args, **(kwargs or {}))
