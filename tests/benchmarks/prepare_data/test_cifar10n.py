import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.prepare_data import cifar10n, sources

CLASSES = [f"class {k}" for k in range(10)]
TRUTH = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5))  # five batches of ten


def batch(labels, first):
    """Images whose upper left pixel is (row, label, 7)."""
    data = np.zeros((len(labels), 3, 32, 32), dtype=np.uint8)
    data[:, 0, 0, 0] = first + np.arange(len(labels))
    data[:, 1, 0, 0] = labels
    data[:, 2, 0, 0] = 7
    return {b"data": data.reshape(len(labels), -1), b"labels": [int(k) for k in labels]}


def write(folder, truth):
    files = {
        f"data_batch_{n + 1}": batch(part, 10 * n) for n, part in enumerate(np.split(truth, 5))
    }
    files["test_batch"] = batch(np.arange(20) % 10, 100)
    files["batches.meta"] = {b"label_names": [name.encode() for name in CLASSES]}
    with tarfile.open(folder / sources.CIFAR_ARCHIVE, "w:gz") as archive:
        for name, content in files.items():
            stored = pickle.dumps(content, protocol=2)
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(stored)
            archive.addfile(entry, io.BytesIO(stored))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10n, "CIFAR", replace(sources.CIFAR, hashes={}))
    monkeypatch.setattr(cifar10n, "CIFAR_N", replace(sources.CIFAR_N, hashes={}))
    (tmp_path / "data").mkdir()
    kinds = cifar10n.KINDS.values()
    given = {name: (TRUTH + shift) % 10 for shift, name in enumerate(kinds, 1)}
    torch.save({"clean_label": TRUTH, **given}, tmp_path / sources.CIFAR_N_LABELS)
    write(tmp_path, TRUTH)
    return tmp_path


def test_classes_take_turns_with_their_first_images(folder):
    made = cifar10n.cifar10n(folder, train=2, test=1)
    assert made["labels"].tolist() == [*range(10), *range(10), *range(10)]
    assert made["split"].tolist() == ["train"] * 20 + ["test"] * 10
    index = made["cifar_index"]
    assert index[:20].reshape(2, 10).T.tolist() == [
        np.flatnonzero(k == TRUTH)[:2].tolist() for k in range(10)
    ]
    assert (index[20:] == -1).all()
    # the images are those of the labels
    assert made["images"].shape == (30, 32, 32, 3)
    assert (made["images"][:20, 0, 0, 0] == index[:20]).all()
    assert (made["images"][:, 0, 0, 1] == made["labels"]).all()
    assert (made["images"][20:, 0, 0, 0] == 100 + np.arange(10)).all()
    assert made["class_names"].tolist() == CLASSES


def test_what_people_said_stands_by_kind_and_the_test_set_is_right(folder):
    made = cifar10n.cifar10n(folder, train=2, test=1)
    assert made["noisy_kinds"].tolist() == ["aggregate", "random1", "random2", "random3", "worst"]
    shifted = (made["noisy"] - made["labels"][:, None]) % 10
    assert (shifted[:20] == [1, 2, 3, 4, 5]).all()
    assert (shifted[20:] == 0).all()


def test_images_of_another_order_are_refused(folder):
    write(folder, TRUTH[::-1])
    with pytest.raises(ValueError, match="tar.gz must have the labels of data/CIFAR-10_human.pt"):
        cifar10n.cifar10n(folder)
