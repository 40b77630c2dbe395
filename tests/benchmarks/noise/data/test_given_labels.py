import numpy as np
import pytest
import torch

from benchmarks.noise.data import load
from benchmarks.noise.labels import noisy_labels


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "real").mkdir()
    return tmp_path


def stored(count: int = 300) -> dict[str, np.ndarray]:
    labels = np.arange(count) % 3
    return {
        "emb": np.random.default_rng(0).normal(size=(count, 5)).astype(np.float16),
        "labels": labels,
        "split": np.where(np.arange(count) < count - 30, "train", "test"),
    }


def test_given_labels_come_with_gold_labels(folder):
    table = stored()
    noisy = np.stack([table["labels"], (table["labels"] + 1) % 3], 1)
    np.savez(
        folder / "real/cifar10n.npz", **table, noisy=noisy, noisy_kinds=np.array(["best", "worst"])
    )
    data = load("cifar10n", folder)
    truth = data.train[1]
    assert len(truth) == 270
    assert len(data.test[1]) == 30
    assert torch.equal(noisy_labels("given:best", 0, data), truth)
    # one set of labels serves all seeds
    for seed in range(3):
        assert torch.equal(noisy_labels("given:worst", seed, data), (truth + 1) % 3)
    assert data.train[0].norm(dim=1).tolist() == pytest.approx([1] * 270, abs=1e-5)
    assert data.epochs * (270 // 128) == 600
    with pytest.raises(ValueError, match=r"noise must be given by one of \['best', 'worst'\]"):
        noisy_labels("given:nobody", 0, data)


def test_an_annotator_has_a_set_of_labels_for_each_seed(folder):
    table = stored()
    table["emb"] = np.zeros((300, 384), np.float16)
    np.savez(folder / "hwu64_minilm.npz", **table)
    assert load("hwu", folder).given == {}
    sets = np.stack([np.full(270, seed) for seed in range(3)])
    np.savez(folder / "real/annotator.npz", hwu=sets)
    data = load("hwu", folder)
    for seed in range(4):
        assert noisy_labels("given:annotator", seed, data).eq(seed % 3).all()
