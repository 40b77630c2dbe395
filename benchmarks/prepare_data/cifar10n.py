"""CIFAR-10N: a thousand images of each class, and what people called them."""

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.prepare_data.sentences import Arrays
from benchmarks.prepare_data.sources import CIFAR, CIFAR_ARCHIVE, CIFAR_N, CIFAR_N_LABELS

# names of the benchmark, and of the file
KINDS = {
    "aggregate": "aggre_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "worst": "worse_label",
}
_TRAIN, _TEST, _CLASSES = 1000, 200, 10


def cifar10n(folder: Path, train: int = _TRAIN, test: int = _TEST) -> Arrays:
    """The first images of each class of both sets; the classes take turns.

    Args:
        folder: a checkout of CIFAR-N that also holds the archive of CIFAR-10.
        train: images of each class for training.
        test: images of each class for testing.
    """
    people = _labels(CIFAR_N.checked(folder, CIFAR_N_LABELS))
    images, truth, test_images, test_truth, names = _images(CIFAR.checked(folder, CIFAR_ARCHIVE))
    if not np.array_equal(people["clean_label"], truth):
        raise ValueError(f"{CIFAR_ARCHIVE} must have the labels of {CIFAR_N_LABELS}, got others")
    chosen, of_test = in_turns(truth, train), in_turns(test_truth, test)
    given = np.stack([people[name][chosen] for name in KINDS.values()], axis=1)
    right = np.repeat(test_truth[of_test][:, None], len(KINDS), axis=1)
    return {
        "images": np.concatenate([images[chosen], test_images[of_test]]),
        "labels": np.concatenate([truth[chosen], test_truth[of_test]]),
        "noisy": np.concatenate([given, right]),
        "noisy_kinds": np.array(list(KINDS)),
        "split": np.array(["train"] * len(chosen) + ["test"] * len(of_test)),
        "class_names": names,
        "cifar_index": np.concatenate([chosen, np.full(len(of_test), -1)]),
    }


def in_turns(labels: np.ndarray, of_each: int) -> np.ndarray:
    """Rows of the first ``of_each`` samples of each class: one of each class, then the next."""
    first = [np.flatnonzero(labels == k)[:of_each] for k in range(_CLASSES)]
    return np.stack(first, axis=1).ravel()


def _labels(path: Path) -> dict[str, np.ndarray]:
    # (the file holds arrays of NumPy, which torch does not load unasked)
    allowed: list[Any] = [
        np._core.multiarray._reconstruct,
        np.ndarray,
        np.dtype,
        np.dtypes.Int64DType,
    ]
    with torch.serialization.safe_globals(allowed):
        loaded: dict[str, np.ndarray] = torch.load(path, weights_only=True)
    return loaded


def _images(
    path: Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) and labels of the training set, of the test set, and the classes."""
    parts = [f"data_batch_{n}" for n in range(1, 6)]
    with tarfile.open(path) as archive:
        batches = {name: _stored(archive, name) for name in (*parts, "test_batch", "batches.meta")}
    train, test = [batches[name] for name in parts], batches["test_batch"]
    return (
        np.concatenate([_pixels(part) for part in train]),
        np.concatenate([part[b"labels"] for part in train]),
        _pixels(test),
        np.array(test[b"labels"]),
        np.array([name.decode() for name in batches["batches.meta"][b"label_names"]]),
    )


def _stored(archive: tarfile.TarFile, name: str) -> dict[bytes, Any]:
    file = archive.extractfile(f"cifar-10-batches-py/{name}")
    if file is None:
        raise ValueError(f"{archive.name!r} must hold {name} as a file, got none")
    # the archive is the known one: its hash was checked
    read: dict[bytes, Any] = pickle.load(io.BytesIO(file.read()), encoding="bytes")
    return read


def _pixels(part: dict[bytes, Any]) -> np.ndarray:
    return np.asarray(part[b"data"]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
