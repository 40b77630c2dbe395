import numpy as np
import pytest
import torch

from benchmarks.end_to_end.data import flip_and_crop, photos


@pytest.fixture
def folder(tmp_path):
    """Files like those of CIFAR-10N, with 640 photos of two classes."""
    (tmp_path / "real").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (640, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(640) % 2
    np.savez(tmp_path / "real" / "cifar10n_images.npz", images=images)
    np.savez(
        tmp_path / "real" / "cifar10n.npz",
        labels=labels,
        noisy=np.stack([labels, 1 - labels], 1),
        noisy_kinds=["random1", "worst"],
        split=np.where(np.arange(640) < 600, "train", "test"),
    )
    return tmp_path


def test_photos_have_channels_first_and_the_labels_of_each_source(folder):
    loaded = photos(folder)
    images, labels = loaded.train
    assert images.shape == (600, 3, 32, 32)
    assert loaded.test[0].shape == (40, 3, 32, 32)
    stored = np.load(folder / "real" / "cifar10n_images.npz")["images"]
    assert images[5, 2, 3, 4] == stored[5, 3, 4, 2]
    assert torch.equal(loaded.given["random1"][0], labels)
    assert torch.equal(loaded.given["worst"][0], 1 - labels)


def test_photos_may_lie_in_the_file_of_the_labels(folder):
    path = folder / "real" / "cifar10n.npz"
    apart = photos(folder).train[0]
    images = folder / "real" / "cifar10n_images.npz"
    np.savez(path, **np.load(path), images=np.load(images)["images"])
    images.unlink()
    assert torch.equal(photos(folder).train[0], apart)


def test_a_view_is_a_shifted_window_of_the_photo_or_of_its_mirror_image():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 8)
    padded = torch.nn.functional.pad(image, [4] * 4, mode="reflect")[0]
    windows = [
        window
        for down in range(9)
        for right in range(9)
        for window in [padded[:, down : down + 8, right : right + 8]]
    ]
    whole = [*windows, *(window.flip(2) for window in windows)]
    seen = set()
    for view in flip_and_crop(image.expand(400, -1, -1, -1)):
        matches = [n for n, window in enumerate(whole) if torch.equal(view, window)]
        assert matches
        seen.update(matches)
    # every shift by one axis or the other, and both mirrorings
    assert {n % 81 // 9 for n in seen} == {n % 81 % 9 for n in seen} == set(range(9))
    assert {n // 81 for n in seen} == {0, 1}


def test_the_photos_of_a_batch_are_shifted_one_by_one():
    torch.manual_seed(0)
    views = flip_and_crop(torch.rand(1, 3, 8, 8).expand(64, -1, -1, -1))
    assert len({tuple(view.flatten().tolist()) for view in views}) > 30
