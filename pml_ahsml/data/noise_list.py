"""Noisy labels as published: lists of samples and labels in text files."""

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

# A comma or white space parts the name from the label. Other characters that Unicode counts as
# white space may be part of a name.
_WITH_COMMA = re.compile(r"[ \t]*(.*?)[ \t]*,[ \t]*([+-]?[0-9]+)[ \t]*", re.DOTALL | re.ASCII)
_WITH_SPACE = re.compile(r"[ \t]*(.*?)[ \t]+([+-]?[0-9]+)[ \t]*", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class NoiseList:
    """Samples with the labels that a list gives them.

    Args:
        names: what the list calls the samples: paths, or indices as text.
        labels: (N,) as given; they may start at 1 and have gaps. A PML trainer maps them to
            0, 1, 2, … with ``dataset_labels`` and ``set_min_label_to_zero=True``.
        is_noisy: (N,) bool, True where the label is wrong; None where no list of the rightly
            labelled samples was read.
    """

    names: tuple[str, ...]
    labels: Tensor
    is_noisy: Tensor | None

    def order(self, names: Sequence[str | int], *, components: int = 2) -> Tensor:
        """Where the samples of a data set stand in this list.

        Paths differ in where the data set lies on a machine, so only their ends are compared.

        Args:
            names: paths (or indices) of the samples of the data set, in its order.
            components: parts of a path, counted from its end, that have to agree, at least 1. Two
                are the folder of the class and the file, which tell the images of CUB-200, Cars-196
                and SOP apart.

        Returns:
            (len(names),) int64 positions, so that ``labels[positions]`` are the labels of the data
            set.

        Raises:
            TypeError: for components that are no integer.
            ValueError: for a name that the list does not hold, or holds twice.
        """
        components = check_count("components", components, minimum=1)
        positions: dict[tuple[str, ...], int] = {}
        for position, name in enumerate(self.names):
            key = _key(name, components)
            if key in positions:
                raise ValueError(
                    f"components must tell the samples of the list apart, got {components}, with "
                    f"which {self.names[positions[key]]!r} and {name!r} are the same"
                )
            positions[key] = position
        missing = [name for name in names if _key(str(name), components) not in positions]
        if missing:
            raise ValueError(
                f"names must be those of the list, got {missing[0]!r} and {len(missing) - 1} others"
                " that it does not hold"
            )
        found = [positions[_key(str(name), components)] for name in names]
        return torch.tensor(found, dtype=torch.long)


def read_noise_list(
    path: str | os.PathLike[str], clean_path: str | os.PathLike[str] | None = None
) -> NoiseList:
    r"""Read a list of noisy labels, as published with PRISM.

    A line holds a sample and its label, an integer: ``path,label``, or ``path label`` or
    ``index label``. What stands behind the last comma, or without a comma behind the last space or
    tab, is the label, so paths may hold spaces. Empty lines are passed over. PRISM's authors
    publish beside each list ``…noised_train.csv`` a second one, ``…noised_cleaned_train.csv``, of
    the samples in it whose label is right; it is what tells wrong labels from right ones.

    Args:
        path: the list.
        clean_path: the list of those samples whose label is right. Only its samples are read: in
            a small-cluster list, labels are numbered anew and cannot be compared with others.

    Returns:
        The list, in the order of the file.

    Raises:
        ValueError: for a line of another form, with the file and the number of the line, or a clean
            sample that the list does not hold.

    Source:
        Format: the lists of Liu et al. (PRISM), CVPR 2021. Reader: this project.

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
    # bytes are split at ends of lines; text would be at form feeds and the like in a name, too
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
    # Python refuses to read integers of some thousand digits
    return len(digits) < 1000 and _INT64.min <= int(digits) <= _INT64.max


def _key(name: str, components: int) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts[-components:]
