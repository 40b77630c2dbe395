"""The photos of CIFAR-10N, the labels that people gave them, and how they are augmented."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.end_to_end.network import pretrained
from benchmarks.noise.data.benchmark import BATCH_SIZE, Benchmark, stored_splits
from benchmarks.noise.data.given_labels import given_labels

NAME = "cifar10n_images"
# Three passes over 10,000 photos, chosen before the first run: all eight take about an hour.
STEPS = 240
_PADDING = 4


def photos(folder: Path) -> Benchmark:
    """Load photos and labels of ``real/cifar10n.npz``.

    If that file has no ``images``, they are those of ``real/cifar10n_images.npz``.
    """
    stored = np.load(folder / "real" / "cifar10n.npz")
    with_images = stored if "images" in stored else np.load(folder / "real" / f"{NAME}.npz")
    images = with_images["images"]
    (x, y), (test_x, test_y) = stored_splits(
        {"emb": images, "labels": stored["labels"], "split": stored["split"]}
    )
    return Benchmark(
        (x.permute(0, 3, 1, 2), y),
        (test_x.permute(0, 3, 1, 2), test_y),
        epochs=STEPS // (len(x) // BATCH_SIZE),
        make_net=pretrained,
        augment=flip_and_crop,
        given=given_labels(stored),
    )


def flip_and_crop(images: Tensor) -> Tensor:
    """Mirror every second image or so, and shift each by up to four pixels, at random.

    Args:
        images: (N, C, H, W); what a shift leaves empty is filled by reflection.
    """
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, [_PADDING] * 4, mode="reflect")
    down, right = torch.randint(2 * _PADDING + 1, (2, n, 1))
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
    picked = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
