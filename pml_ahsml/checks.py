"""Checks of arguments; every error reads "<argument> must be <rule>, got <value>"."""

import math
import numbers
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# torch 2.2 has no uint16, uint32 and uint64 yet
_INTEGER_DTYPES = frozenset(
    getattr(torch, name)
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    if hasattr(torch, name)
)


def check_positive(name: str, value: Any) -> float:
    """Return ``value`` as a Python number; raise unless it is positive and finite.

    NumPy scalars and tensors without dimensions count as numbers, a bool does not.
    """
    number = _checked_number(name, value)
    # an integer beyond the range of floats counts as infinite
    if not 0 < number <= sys.float_info.max:
        raise ValueError(f"{name} must be positive and finite, got {number}")
    return number


def check_in_interval(name: str, value: Any, low: float, high: float) -> float:
    """Return ``value`` as a Python number; raise unless it is in [low, high]."""
    number = _checked_number(name, value)
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low}, {high}], got {number}")
    return number


def check_count(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as a Python integer; raise unless it is an integer ≥ ``minimum``."""
    count = _python_number(value)
    if not isinstance(count, int):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if count < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {count}")
    return count


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` as a Python bool; raise unless it is a bool of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
    return bool(value)


def check_tensor(name: str, value: Any) -> None:
    """Raise unless ``value`` is a dense tensor with values."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.layout != torch.strided or value.is_nested:
        layout = "nested" if value.is_nested else value.layout
        raise TypeError(f"{name} must be a dense tensor, got a {layout} one")
    if value.is_meta:
        raise ValueError(f"{name} must be a tensor with values, got one on the meta device")


def check_integers(name: str, values: Any) -> Tensor:
    """Return ``values`` as int64; raise unless they are a tensor of an integer dtype."""
    check_tensor(name, values)
    if values.dtype not in _INTEGER_DTYPES:
        raise TypeError(f"{name} must be of an integer dtype, got {values.dtype}")
    integers: Tensor = values.to(torch.long)
    return integers


class ValueCheck(NamedTuple):
    """A check of the values of a tensor, in two steps, so that several can be made by one read.

    Args:
        numbers: a few numbers about the values, on their device.
        verify: takes these numbers, read by the host, and raises if the values are wrong.
    """

    numbers: Tensor
    verify: Callable[[Sequence[float]], None]

    def now(self) -> None:
        """Read the numbers and check them."""
        self.verify(self.numbers.tolist())


def check_embeddings(name: str, embeddings: Any, embedding_size: int) -> None:
    """Raise unless ``embeddings`` is a floating point (N, embedding_size) tensor of finite rows.

    The norm of each row must be finite in float32, in which statistics are kept.
    """
    finite_rows(name, embeddings, embedding_size).now()


def finite_rows(name: str, embeddings: Any, embedding_size: int) -> ValueCheck:
    """The check of values of :func:`check_embeddings`, which raises for anything else at once."""
    check_tensor(name, embeddings)
    if not embeddings.is_floating_point():
        raise TypeError(f"{name} must be of a floating point dtype, got {embeddings.dtype}")
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_size:
        raise ValueError(
            f"{name} must be of shape (N, {embedding_size}), got {tuple(embeddings.shape)}"
        )
    rows = embeddings.detach().float()

    def verify(norm: Sequence[float]) -> None:
        # one norm of all is cheaper than a mask, and finite unless a row is bad or all overflow
        if math.isfinite(norm[0]):
            return
        finite = torch.isfinite(embeddings).all(1)
        if not finite.all():
            bad = int((~finite).sum())
            raise ValueError(
                f"{name} must be finite, got nan or inf in {bad} of {len(embeddings)} rows"
            )
        beyond = int((~torch.linalg.vector_norm(rows, dim=1).isfinite()).sum())
        if beyond:
            raise ValueError(
                f"{name} must have rows whose norm float32 can hold, got {beyond} of "
                f"{len(embeddings)} rows beyond it"
            )

    return ValueCheck(torch.linalg.vector_norm(rows)[None], verify)


def check_labels(name: str, labels: Any, num_rows: int, num_classes: int) -> Tensor:
    """Return the labels as int64.

    Raise unless they are an integer (num_rows,) tensor with values in [0, num_classes).
    """
    integers, check = labels_in_range(name, labels, num_rows, num_classes)
    check.now()
    return integers


def labels_in_range(
    name: str, labels: Any, num_rows: int, num_classes: int
) -> tuple[Tensor, ValueCheck]:
    """The labels as int64 and the check of their values, or an error for anything else."""
    integers = check_integers(name, labels)
    if integers.shape != (num_rows,):
        raise ValueError(f"{name} must be of shape ({num_rows},), got {tuple(labels.shape)}")
    hint = (
        "; a PML trainer maps a data set's labels to 0, 1, 2, … with "
        "dataset_labels=… and set_min_label_to_zero=True"
    )
    return integers, in_range(name, integers, num_classes, hint)


def in_range(name: str, integers: Tensor, size: int, hint: str = "") -> ValueCheck:
    """The check that integers lie in [0, size)."""

    def verify(ends: Sequence[float]) -> None:
        low, high = ends
        if low < 0 or high >= size:
            raise ValueError(
                f"{name} must lie in [0, {size}), got values from {low:.0f} to {high:.0f}{hint}"
            )

    none = integers.numel() == 0
    ends = integers.new_zeros(2) if none else torch.stack(torch.aminmax(integers))
    return ValueCheck(ends, verify)


def to_tensor(name: str, value: Any) -> Tensor:
    """Return an array, a list or a tensor as a tensor on the CPU without a gradient."""
    if isinstance(value, Tensor):
        check_tensor(name, value)
    try:
        # on the CPU, whatever torch.set_default_device says
        return torch.as_tensor(value, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} must be a tensor, or numbers to make one of, got {type(value).__name__}"
        ) from error


def _checked_number(name: str, value: Any) -> float:
    number = _python_number(value)
    if number is None:
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    return number


def _python_number(value: Any) -> int | float | None:
    """Return a number of Python, NumPy or torch as a Python number; None for anything else."""
    if isinstance(value, Tensor | np.ndarray):
        if value.ndim > 0 or (isinstance(value, Tensor) and value.is_meta):
            return None
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return int(value) if isinstance(value, numbers.Integral) else float(value)
