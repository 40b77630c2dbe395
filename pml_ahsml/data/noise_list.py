"""Reads published lists of noisy labels."""

import codecs
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from ..checks import check_count

_INT64 = torch.iinfo(torch.int64)

# A comma, spaces or tabs separate the name from the label. Other Unicode white space may be part of
# a name.
_WITH_COMMA = re.compile(r"[ \t]*(.*?)[ \t]*,[ \t]*([+-]?[0-9]+)[ \t]*", re.DOTALL | re.ASCII)
_WITH_SPACE = re.compile(r"[ \t]*(.*?)[ \t]+([+-]?[0-9]+)[ \t]*", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class NoiseList:
    """Samples and the labels that a list gives them.

    Args:
        names: the names of the samples in the list: paths, or indices as text.
        labels: (N,) as in the file; they may start at 1 and have gaps. A PML trainer maps them to
            0, 1, 2, … with ``dataset_labels`` and ``set_min_label_to_zero=True``.
        is_noisy: (N,) bool, True where the label is wrong; None without a list of clean samples.
    """

    names: tuple[str, ...]
    labels: Tensor
    is_noisy: Tensor | None

    def order(self, names: Sequence[str | int], *, components: int = 2) -> Tensor:
        """Find the positions of a data set's samples in this list.

        Only the ends of paths are compared, because the root folder differs between machines.

        Args:
            names: paths (or indices) of the data set's samples, in its order.
            components: number of path components that must agree, counted from the end, ≥ 1. Two,
                the class folder and the file name, identify every image of CUB-200, Cars-196 and
                SOP.

        Returns:
            (len(names),) int64 positions, so that ``labels[positions]`` are the labels of the data
            set.

        Raises:
            TypeError: if ``components`` is not an integer.
            ValueError: if a name is missing from the list, or two samples of the list have the same
                last ``components``.
        """
        components = check_count("components", components, minimum=1)
        positions: dict[tuple[str, ...], int] = {}
        for position, name in enumerate(self.names):
            key = _key(name, components)
            if key in positions:
                raise ValueError(
                    f"components must identify every sample of the list, got {components}, which "
                    f"cannot tell {self.names[positions[key]]!r} from {name!r}"
                )
            positions[key] = position
        missing = [name for name in names if _key(str(name), components) not in positions]
        if missing:
            raise ValueError(
                f"names must be in the list, got {missing[0]!r} and {len(missing) - 1} others that "
                "are not in it"
            )
        found = [positions[_key(str(name), components)] for name in names]
        return torch.tensor(found, dtype=torch.long)


def read_noise_list(
    path: str | os.PathLike[str], clean_path: str | os.PathLike[str] | None = None
) -> NoiseList:
    r"""Read a list of noisy labels in the format of PRISM.

    Each line holds a sample and its integer label: ``path,label``, ``path label`` or
    ``index label``. The label follows the last comma, or in a line without a comma the last space
    or tab, so paths may contain spaces. Empty lines are skipped. PRISM comes with pairs of lists:
    ``…noised_train.csv`` holds all samples, ``…noised_cleaned_train.csv`` those with a correct
    label.

    Args:
        path: the list.
        clean_path: the list of the samples whose label is correct. Only the sample names are read:
            a small-cluster list renumbers the labels, so they cannot be compared.

    Returns:
        The list, in the order of the file.

    Raises:
        ValueError: if a line is malformed (the error names the file and the line), or a clean
            sample is not in the list.

    Source:
        Format: the lists of Liu et al. (PRISM), CVPR 2021.

    Example:
        >>> import tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.csv").write_text("cars/a car/1.jpg,4\ncars/a car/2.jpg,7\n")
        >>> _ = (folder / "cleaned.csv").write_text("cars/a car/1.jpg,4\n")
        >>> noise = read_noise_list(folder / "train.csv", folder / "cleaned.csv")
        >>> noise.labels, noise.is_noisy
        (tensor([4, 7]), tensor([False,  True]))
        >>> noise.order(["/my/data/a car/2.jpg", "/my/data/a car/1.jpg"])
        tensor([1, 0])
    """
    names, labels = _read(Path(path))
    is_noisy = None
    if clean_path is not None:
        clean = set(_read(Path(clean_path))[0])
        unknown = clean - set(names)
        if unknown:
            raise ValueError(
                f"clean_path must list samples of {os.fspath(path)}, got {min(unknown)!r} and "
                f"{len(unknown) - 1} others that are not in it"
            )
        is_noisy = torch.tensor([name not in clean for name in names], dtype=torch.bool)
    return NoiseList(tuple(names), torch.tensor(labels, dtype=torch.long), is_noisy)


def _read(path: Path) -> tuple[list[str], list[int]]:
    names, labels = [], []
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    # split bytes, not text: str.splitlines also splits at form feeds and the like inside a name
    for number, raw in enumerate(content.splitlines(), start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"line {number} of {path} must be UTF-8, got {raw!r}") from None
        if not line.strip(" \t"):
            continue
        parts = (_WITH_COMMA if "," in line else _WITH_SPACE).fullmatch(line)
        if parts is None or not parts[1]:
            raise ValueError(
                f"line {number} of {path} must be a sample and its label, got {line!r}"
            )
        if not _fits_int64(parts[2]):
            raise ValueError(
                f"line {number} of {path} must have a label that int64 can hold, got {parts[2]}"
            )
        names.append(parts[1])
        labels.append(int(parts[2]))
    return names, labels


def _fits_int64(digits: str) -> bool:
    # int() refuses more than 4,300 digits; int64 needs 19, and leading zeros may add some
    return len(digits) < 1000 and _INT64.min <= int(digits) <= _INT64.max


def _key(name: str, components: int) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts[-components:]
