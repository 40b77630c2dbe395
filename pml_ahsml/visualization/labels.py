"""Checks the arguments of plots, and shows names literally."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import NDArray

from ..checks import check_integers, to_tensor


def check_labels(name: str, labels: Any, num_rows: int) -> NDArray[np.int64]:
    """Return labels as a (num_rows,) array of integers ≥ 0; raise if they are not valid."""
    values = check_integers(name, to_tensor(name, labels))
    if values.shape != (num_rows,):
        raise ValueError(f"{name} must be of shape ({num_rows},), got {tuple(values.shape)}")
    if values.min() < 0:
        raise ValueError(f"{name} must be at least 0, got {int(values.min())}")
    return np.asarray(values.numpy())


def check_groups(name: str, groups: Any, classes: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return groups as a (K,) array of integers ≥ 0, one for each class; raise if not valid."""
    values = to_tensor(name, groups)
    highest = -1 if classes is None else int(classes.max())
    if values.ndim != 1 or len(values) <= highest:
        raise ValueError(
            f"{name} must be of shape (K,), K > {highest}, one for each class, got "
            f"{tuple(values.shape)}"
        )
    return check_labels(name, values, len(values))


def check_trust(name: str, trust: Any, num_rows: int | None = None) -> NDArray[np.float64]:
    """Return trust as a (num_rows,) array in [0, 1]; raise if it is not valid."""
    values = to_tensor(name, trust).double()
    rows = "N" if num_rows is None else num_rows
    if values.ndim != 1 or len(values) == 0 or num_rows not in (None, len(values)):
        raise ValueError(f"{name} must be of shape ({rows},), got {tuple(values.shape)}")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"{name} must lie in [0, 1], got values from {float(values.min())} to "
            f"{float(values.max())}"
        )
    return np.asarray(values.numpy())


def check_names(name: str, names: Sequence[str], minimum: int) -> None:
    """Raise unless ``names`` has at least ``minimum`` entries."""
    if isinstance(names, str):
        raise TypeError(f"{name} must be a sequence of names, got {names!r}")
    if len(names) < minimum:
        raise ValueError(f"{name} must have at least {minimum} entries, got {len(names)}")


def show_literally(texts: Iterable[Text]) -> None:
    """Switch off TeX: matplotlib reads text between two $ as a formula.

    Args:
        texts: the texts that show names.
    """
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)


def fill_legend(legend: Legend, names: Sequence[str]) -> None:
    """Set the texts of a legend, and show them literally.

    Args:
        legend: a legend made with placeholder labels, because matplotlib drops an entry whose label
            begins with _.
        names: one for each entry.
    """
    texts = legend.get_texts()
    for text, name in zip(texts, names, strict=True):
        text.set_text(name)
    show_literally(texts)


def shortened(name: str, length: int = 24) -> str:
    """Cut a name to ``length`` characters, so that it fits beside a plot."""
    name = str(name)  # names may be numbers
    return name if len(name) <= length else name[: length - 1] + "…"
