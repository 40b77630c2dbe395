"""Reads what somebody said of the labels: a CSV file of verdicts."""

import csv
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..checks import check_integers
from .names import one_line

if TYPE_CHECKING:
    from .label_audit import LabelAudit

VERDICTS = ("wrong", "right", "unsure")

# stands for the number of a class where several have its name
_SEVERAL = -1

# a longer value of a cell is cut in messages
_SHOWN = 40


class Verdicts(NamedTuple):
    """What somebody said of the labels.

    Args:
        right: (N,) bool, labels that are right.
        wrong: (N,) bool, labels that are wrong.
        corrected: (N,) the right classes of wrong ones; -1 where none is named.
    """

    right: Tensor
    wrong: Tensor
    corrected: Tensor


def check_verdicts(
    right: Tensor, wrong: Tensor, corrected: Tensor | None, num_samples: int, of_classes: Tensor
) -> None:
    """Raise unless these are verdicts of so many labels, by (K,) labels of the classes."""
    for name, values in (("right", right), ("wrong", wrong), ("corrected", corrected)):
        if values is not None and values.shape != (num_samples,):
            raise ValueError(f"{name} must be of shape ({num_samples},), got {tuple(values.shape)}")
    for name, mask in (("right", right), ("wrong", wrong)):
        if mask.dtype != torch.bool:
            raise TypeError(f"{name} must be of dtype bool, got {mask.dtype}")
    if (right & wrong).any():
        raise ValueError(
            f"right and wrong must not overlap, got {int((right & wrong).sum())} labels in both"
        )
    if corrected is not None:
        integers = check_integers("corrected", corrected)
        unknown = integers[(integers != -1) & ~torch.isin(integers, of_classes)]
        if len(unknown):
            raise ValueError(f"corrected must hold -1 and labels of classes, got {int(unknown[0])}")


def read_verdicts(path: str | PathLike[str], audit: "LabelAudit") -> Verdicts:
    """The verdicts of a file; ``LabelAudit.apply`` describes it.

    Raises:
        ValueError: if the file is not as described; the message says the line.
    """
    count = len(audit.labels)
    verdicts = Verdicts(
        torch.zeros(count, dtype=torch.bool),
        torch.zeros(count, dtype=torch.bool),
        torch.full((count,), -1, dtype=torch.long),
    )
    numbers: dict[str, int] = {}
    for k, name in enumerate(audit.class_names):
        numbers[name] = _SEVERAL if name in numbers else k
    line_of: dict[int, int] = {}
    given = audit.numbers_of(audit.labels).tolist()
    of_classes = audit.labels_of_classes.tolist()
    # spreadsheets put a mark in front, which utf-8-sig drops
    with open(path, encoding="utf-8-sig", newline="") as file:
        for line, row in _rows(path, file):
            verdict = _cell(row, "verdict").lower()
            if not verdict:
                continue
            if verdict not in VERDICTS:
                raise _error(path, line, f"verdict must be one of {VERDICTS}", verdict)
            i = _index(path, line, _cell(row, "index"), count)
            if i in line_of:
                raise _error(path, line, f"index must stand once, line {line_of[i]} has it too", i)
            line_of[i] = line
            # a class may be called " tea"
            label = row.get("label") or ""
            if label and numbers.get(label, _SEVERAL) == _SEVERAL:
                raise _error(path, line, "label must be the name of one class", label)
            if verdict == "right" and label and numbers[label] != given[i]:
                name = one_line(audit.class_names[given[i]], _SHOWN)
                rule = f"label must be {name!r} or empty where it is right"
                raise _error(path, line, rule, label)
            if verdict == "wrong" and label and numbers[label] == given[i]:
                raise _error(path, line, "label must be another class where it is wrong", label)
            if verdict == "right":
                verdicts.right[i] = True
            elif verdict == "wrong":
                verdicts.wrong[i] = True
                number = numbers[label] if label else -1
                verdicts.corrected[i] = number if number < 0 else of_classes[number]
    return verdicts


def _rows(path: str | PathLike[str], file: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number of the line that each row begins in, and the row by the names of the columns."""
    try:
        header_line = next(file, "")
        # some spreadsheets separate by semicolons
        delimiter = ";" if ";" in header_line and "," not in header_line else ","
        header = [name.strip() for name in next(csv.reader([header_line], delimiter=delimiter), [])]
        for name in ("index", "verdict"):
            if name not in header:
                raise _error(path, 1, f"the columns must include {name!r}", ", ".join(header))
        # cells may hold whole texts
        reader = csv.reader(file, delimiter=delimiter)
        line = 2
        for cells in reader:
            if len(cells) > len(header):
                raise _error(path, line, f"a row must have {len(header)} cells", len(cells))
            if cells:
                yield line, dict(zip(header, cells, strict=False))
            line = reader.line_num + 2
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8, got {error.reason}") from error
    except csv.Error as error:
        raise ValueError(f"{path} must be a CSV file, got one with: {error}") from error


def _cell(row: Mapping[str, str], column: str) -> str:
    return (row.get(column) or "").strip()


def _index(path: str | PathLike[str], line: int, cell: str, count: int) -> int:
    # not longer than any index: Python refuses to read a number of thousands of digits
    if not (cell.isascii() and cell.isdigit() and len(cell) < 20) or int(cell) >= count:
        raise _error(path, line, f"index must be an integer in [0, {count})", cell)
    return int(cell)


def _error(path: str | PathLike[str], line: int, rule: str, value: object) -> ValueError:
    shown = one_line(value, _SHOWN) if isinstance(value, str) else value
    return ValueError(f"{path}, line {line}: {rule}, got {shown!r}")
