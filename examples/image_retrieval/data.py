"""Training images, test images of other classes, and injected label noise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_metric_learning import datasets as pml_datasets
from torch import Tensor
from torch.utils.data import Dataset

from pml_ahsml.data import inject_label_noise, read_noise_list

from .settings import Settings

_PUBLISHED = {
    "cub": pml_datasets.CUB,
    "cars": pml_datasets.Cars196,
    "sop": pml_datasets.StanfordOnlineProducts,
}
_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class ImageDataset(Dataset[tuple[Any, int]]):
    """Image files with labels; images are converted to RGB.

    Args:
        paths: paths of the N files.
        labels: (N,) integers.
        transform: applied to each RGB image; None to return it unchanged.
    """

    def __init__(
        self, paths: list[str], labels: Tensor, transform: Callable[[Any], Any] | None = None
    ) -> None:
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        with Image.open(self.paths[index]) as file:
            image = file.convert("RGB")
        return image if self.transform is None else self.transform(image), int(self.labels[index])


@dataclass(frozen=True)
class Split:
    """The files of one side of a zero-shot split.

    Args:
        paths: paths of the N files.
        labels: (N,) in 0, 1, …, K − 1.
        is_noisy: (N,) bool, True where the label was made wrong; None if unknown.
    """

    paths: list[str]
    labels: Tensor
    is_noisy: Tensor | None = None

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return int(self.labels.max()) + 1


def load(settings: Settings) -> tuple[Split, Split]:
    """Load training images with noisy labels as in the settings, and test images of other classes.

    Args:
        settings: data, root, download, noise_rate, noise_kind, noise_list, clean_list, seed.
    """
    if settings.data == "folder":
        train, test = _split_folder(settings.root)
    else:
        # CUB: 100 and 100 classes; Cars: 98 and 98; SOP: 11,318 and 11,316
        train, test = (
            _split(dataset.paths, dataset.labels)
            for dataset in (
                _PUBLISHED[settings.data](settings.root, split, download=settings.download)
                for split in ("train", "test")
            )
        )
    return _with_noise(train, settings), test


def _split(paths: list[str], labels: list[int]) -> Split:
    return Split(paths, torch.tensor(labels).unique(return_inverse=True)[1])


def _split_folder(root: str) -> tuple[Split, Split]:
    """Split the sub-folders, one for each class, in alphabetical order: the first half trains."""
    if not Path(root).is_dir():
        raise ValueError(f"root must be a folder, got {root}")
    classes = []
    for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        files = sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
        if files:
            classes.append(files)
    if len(classes) < 4:
        raise ValueError(
            "root must have at least 4 sub-folders with images, two classes to train on and two to "
            f"test with, got {len(classes)} in {root}"
        )
    half = len(classes) // 2
    train, test = (
        _split([p for c in part for p in c], [k for k, c in enumerate(part) for _ in c])
        for part in (classes[:half], classes[half:])
    )
    return train, test


def _with_noise(train: Split, settings: Settings) -> Split:
    if settings.noise_list:
        noise = read_noise_list(settings.noise_list, settings.clean_list)
        order = noise.order(train.paths)
        labels = noise.labels[order]
        is_noisy = None if noise.is_noisy is None else noise.is_noisy[order]
    else:
        labels, is_noisy = inject_label_noise(
            train.labels,
            settings.noise_rate,
            settings.noise_kind,
            generator=torch.Generator().manual_seed(settings.seed),
        )
    # noise that dissolves classes leaves gaps
    return replace(train, labels=labels.unique(return_inverse=True)[1], is_noisy=is_noisy)
