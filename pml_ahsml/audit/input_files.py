"""Reads the files that the command of the audit takes."""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .names import one_line

IMAGE_ENDINGS = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
)

# a longer value is cut in messages
_SHOWN = 60


def read_embeddings(path: Path) -> NDArray[Any]:
    """The (N, D) array of a .npy file, mapped into memory rather than read, or of a .npz file.

    Of several arrays in a .npz file that called "embeddings" is taken, or "emb".

    Raises:
        ValueError: if there is no such array in it.
    """
    found = _read_array(path, ("embeddings", "emb"))
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise ValueError(
            f"{path} must hold numbers of shape (N, D), got {found.dtype} of shape {found.shape}"
        )
    return found


def read_labels(
    path: Path, num_samples: int, column: str | None = None
) -> NDArray[np.int64] | list[str]:
    """The labels of a .npy, .csv or .txt file: integers, or names of classes.

    A .txt file has a label in each line. A .csv file may have a header, and must have one if it has
    several columns.

    Args:
        path: of the file.
        num_samples: how many there must be.
        column: name of the column; by default the only one, or the one called "label".

    Raises:
        ValueError: if the file cannot be read so; the message says the line where there is one.
    """
    if path.suffix.lower() in (".npy", ".npz"):
        if column is not None:
            raise ValueError(f"--label-column must go with a .csv file, got {path}")
        return _labels_of_array(path, num_samples)
    if path.suffix.lower() == ".txt":
        lines = read_lines(path)
        first = 1
    elif path.suffix.lower() == ".csv":
        lines, first = _csv_column(path, num_samples, column)
    else:
        raise ValueError(f"labels must be a .npy, .npz, .csv or .txt file, got {path}")
    if len(lines) != num_samples:
        raise ValueError(
            f"{path} must hold {num_samples:,} labels, one for each embedding, got {len(lines):,}"
        )
    for row, label in enumerate(lines):
        if not label.strip():
            raise ValueError(f"{path}: label {row + first} must not be empty")
    labels = [label.strip() for label in lines]
    return _as_integers(labels) if all(map(_is_integer, labels)) else labels


def read_lines(path: Path, count: int | None = None) -> list[str]:
    """The lines of a text file, ``count`` of them.

    Raises:
        ValueError: if it is no text, or has not so many lines.
    """
    lines = _read_text(path).split("\n")
    if lines[-1] == "":  # the file ends with the end of a line
        lines.pop()
    lines = [line.removesuffix("\r") for line in lines]
    if count is not None and len(lines) != count:
        raise ValueError(f"{path} must have {count:,} lines, got {len(lines):,}")
    return lines


def find_images(folder: Path, names: Sequence[str] | None, count: int) -> list[Path]:
    """The image of each sample: by its name, or all images of the folder in sorted order.

    Raises:
        ValueError: if there is no such folder, one is missing, or there are not so many.
    """
    if not folder.is_dir():
        raise ValueError(f"images must be a folder, got {folder}")
    if names is None:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS)
        if len(found) != count:
            raise ValueError(
                f"{folder} must hold {count:,} images, one for each embedding, got "
                f"{len(found):,}; or name them by --names"
            )
        return found
    images = [folder / name for name in names]
    missing = [path for path in images if not _is_file(path)]
    if missing:
        shown = one_line(str(missing[0]), _SHOWN)
        raise ValueError(
            f"{folder} must hold an image for each name, got {len(missing):,} of {count:,} "
            f"missing, the first is {shown}"
        )
    return images


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _read_array(path: Path, keys: Sequence[str]) -> NDArray[Any]:
    if path.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"embeddings must be a .npy or .npz file, got {path}")
    try:
        if path.suffix.lower() == ".npy":
            # copy on write: torch wants an array that it might write to
            return np.asarray(np.lib.format.open_memmap(path, mode="c"))
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("no archive")
            file.seek(0)
            with np.load(file) as archive:
                found = archive.files
                names = [key for key in keys if key in found] or found
                if names and (len(found) == 1 or names[0] in keys):
                    return np.asarray(archive[names[0]])
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{path} must hold an array of numbers or strings, got one of Python objects"
            ) from error
        raise ValueError(f"{path} must be a file of numpy, got another ({error})") from error
    raise ValueError(f"{path} must hold an array {keys[0]!r} or only one, got {found}")


def _labels_of_array(path: Path, num_samples: int) -> NDArray[np.int64] | list[str]:
    found = _read_array(path, ("labels", "label"))
    if found.shape != (num_samples,):
        raise ValueError(
            f"{path} must hold {num_samples:,} labels, one for each embedding, got shape "
            f"{found.shape}"
        )
    if found.dtype.kind == "U":
        return [str(label) for label in found]
    if found.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold integers or names of classes, got {found.dtype}")
    return found.astype(np.int64)


def _csv_column(path: Path, num_samples: int, column: str | None) -> tuple[list[str], int]:
    """The cells of the column of labels, and the number of the row of the first."""
    text = _read_text(path)
    header_line = text.partition("\n")[0]
    # some spreadsheets separate by semicolons
    delimiter = ";" if ";" in header_line and "," not in header_line else ","
    try:
        rows = [row for row in csv.reader(text.splitlines(True), delimiter=delimiter) if row]
    except csv.Error as error:
        raise ValueError(f"{path} must be a CSV file, got one with: {error}") from error
    if not rows:
        return [], 1
    names = [cell.strip() for cell in rows[0]]
    if len(names) == 1 and column is None:
        has_header = len(rows) == num_samples + 1
        place, first = 0, 2 if has_header else 1
    else:
        wanted = "label" if column is None else column
        if names.count(wanted) != 1:
            shown = one_line(", ".join(names), _SHOWN)
            raise ValueError(
                f"{path} must have one column {wanted!r}, or name another by --label-column, "
                f"got the columns {shown}"
            )
        place, first = names.index(wanted), 2
    for line, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise ValueError(f"{path}: row {line} must have {len(names)} cells, got {len(row)}")
    return [row[place] for row in rows[first - 1 :]], first


def _read_text(path: Path) -> str:
    try:
        # spreadsheets put a mark in front, which utf-8-sig drops
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8, got {error.reason}") from error


def _is_integer(label: str) -> bool:
    digits = label.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _as_integers(labels: Sequence[str]) -> NDArray[np.int64]:
    return np.array([int(label) for label in labels], dtype=np.int64)
