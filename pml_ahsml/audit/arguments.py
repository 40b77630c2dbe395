"""What an audit is given, checked."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checks import check_integers, check_labels, to_tensor


def directions(embeddings: Any) -> Tensor:
    """Check embeddings and bring their rows to norm 1, in float32; rows of zeros stay.

    Args:
        embeddings: (N, D) numbers, N and D ≥ 1.
    """
    points = to_reals("embeddings", embeddings)
    if points.ndim != 2 or not points.numel():
        raise ValueError(f"embeddings must be of shape (N, D), got {tuple(points.shape)}")
    if not points.isfinite().all():
        bad = int((~points.isfinite().all(1)).sum())
        raise ValueError(
            f"embeddings must be finite, got nan or inf in {bad} of {len(points)} rows"
        )
    # float32 has no place for many numbers of float64, and for squares of large and small ones
    points = points if points.dtype == torch.float64 else points.float()
    scale = torch.linalg.vector_norm(points, torch.inf, dim=1, keepdim=True)
    points = (points / scale.where(scale > 0, 1)).float()
    return torch.nn.functional.normalize(points, dim=1)


def to_reals(name: str, values: Any) -> Tensor:
    """Return numbers as a tensor of a floating point dtype, on the CPU.

    Args:
        name: of the argument, for errors.
        values: a tensor, an array or a list; integers and bools are taken as numbers.
    """
    numbers = to_tensor(name, values)
    if numbers.is_complex():
        raise TypeError(f"{name} must be of real numbers, got {numbers.dtype}")
    return numbers if numbers.is_floating_point() else numbers.float()


class Classes(NamedTuple):
    """The classes of a data set.

    Args:
        names: K names.
        values: (K,) the label of each class, ascending; None for 0, 1, …, K − 1.
    """

    names: tuple[str, ...]
    values: Tensor | None = None


def labels_and_classes(
    labels: Any, length: int, class_names: Sequence[str] | None, num_columns: int | None = None
) -> tuple[Tensor, Classes]:
    """Check labels, number their classes, and name these by their labels if there are no names.

    Without names, classes are the labels that occur, however large these are, and all labels alike
    are an error: there is no other class that they could be of.

    Args:
        labels: (N,) integers ≥ 0; in [0, K) if there are names.
        length: N.
        class_names: K ≥ 2 names, or None.
        num_columns: columns of class probabilities, one for each class from 0 on, or None.

    Returns:
        (N,) int64 numbers of classes in [0, K), and the classes.
    """
    integers = check_integers("labels", to_tensor("labels", labels))
    names = names_of("class_names", class_names, None)
    if names is None:
        highest = int(integers.max()) if integers.numel() else 0
        integers = check_labels("labels", integers, length, highest + 1)
        values, numbers = integers.unique(return_inverse=True)
        if len(values) < 2:
            raise ValueError("labels must be of at least 2 classes, got 1")
        if len(values) <= highest and num_columns != highest + 1:
            return numbers, Classes(tuple(map(str, values.tolist())), values)
        # every number up to the largest label is a class
        return integers, Classes(tuple(map(str, range(highest + 1))))
    if len(names) < 2:
        raise ValueError(f"class_names must hold at least 2 names, got {len(names)}")
    return check_labels("labels", integers, length, len(names)), Classes(names)


def names_of(name: str, values: Sequence[str] | None, length: int | None) -> tuple[str, ...] | None:
    """Check names; None stays None.

    Args:
        name: of the argument, for errors.
        values: the names; what is not a str becomes one.
        length: how many there must be; None for any number.
    """
    if values is None:
        return None
    if isinstance(values, str):
        raise TypeError(f"{name} must be a sequence of names, got a str")
    names = tuple(str(value) for value in values)
    if length is not None and len(names) != length:
        raise ValueError(f"{name} must hold {length} names, got {len(names)}")
    return names
