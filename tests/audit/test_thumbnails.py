"""Small pictures as data URIs."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from pml_ahsml.audit.thumbnails import thumbnails


def picture(thumbnail):
    head, _, data = thumbnail.uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def pixels(image, size=96):
    thumbnail = thumbnails([image], [(0, size)])[0]
    shown = np.asarray(picture(thumbnail))
    assert thumbnail.pixels == max(shown.shape[:2])
    return shown


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 4)])
def test_small_images_stay_as_they_are(shape):
    image = noise(*shape)
    np.testing.assert_array_equal(pixels(image), image)
    np.testing.assert_array_equal(pixels(torch.from_numpy(image)), image)
    np.testing.assert_array_equal(pixels(Image.fromarray(image)), image)


def test_colours():
    image = np.zeros((8, 6, 3), dtype=np.uint8)
    image[..., 0], image[..., 2] = 250, 40
    assert np.abs(pixels(image).astype(int) - image).max() <= 4  # as JPEG


def test_channels_first_as_torch_has_them():
    image = np.zeros((6, 8, 4), dtype=np.uint8)
    image[2:, :, 1] = 200
    image[..., 3] = 255
    np.testing.assert_array_equal(pixels(torch.from_numpy(image).permute(2, 0, 1)), image)
    grey = noise(1, 6, 8)
    np.testing.assert_array_equal(pixels(grey), grey[0])
    np.testing.assert_array_equal(pixels(grey.transpose(1, 2, 0)), grey[0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5], [1.0, 0.2]], [[0, 128], [255, 51]]),
        ([[-1.0, 0.0], [1.0, 3.0]], [[0, 64], [128, 255]]),
        ([[0.0, 16.0], [8.0, 4.0]], [[0, 255], [128, 64]]),
        ([[5.0, 5.0], [5.0, 5.0]], [[0, 0], [0, 0]]),
        ([[0.0, float("nan")], [1.0, 1.0]], [[0, 0], [255, 255]]),
    ],
)
def test_other_numbers_are_stretched(values, expected):
    np.testing.assert_array_equal(pixels(np.array(values)), expected)
    assert pixels(np.array([[False, True]])).tolist() == [[0, 255]]
    assert pixels(np.array([[0, 1000]])).tolist() == [[0, 255]]


def test_pictures_of_other_modes():
    deep = Image.fromarray(np.array([[0, 40_000], [20_000, 40_000]], dtype=np.uint16))
    np.testing.assert_array_equal(pixels(deep), [[0, 255], [128, 255]])
    assert pixels(Image.new("F", (2, 2), 0.5)).tolist() == [[128, 128], [128, 128]]
    assert pixels(Image.new("LA", (2, 2), (9, 50))).tolist() == [[[9, 9, 9, 50]] * 2] * 2
    assert pixels(Image.new("1", (2, 2), 1)).tolist() == [[[255] * 3] * 2] * 2
    assert pixels(Image.new("CMYK", (2, 2), (0, 0, 0, 0))).tolist() == [[[255] * 3] * 2] * 2
    clear = Image.new("P", (2, 2))
    clear.info["transparency"] = 0
    assert pixels(clear)[..., 3].tolist() == [[0, 0], [0, 0]]


def test_large_images_are_made_small():
    assert pixels(noise(400, 300, 3)).shape == (96, 72, 3)
    assert pixels(noise(400, 300, 3), size=48).shape == (48, 36, 3)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp"])
def test_files(tmp_path, ending):
    path = tmp_path / f"image.{ending}"
    Image.fromarray(noise(120, 60, 3)).save(path)
    assert pixels(path).shape[:2] == (96, 48)
    assert pixels(str(path)).shape[:2] == (96, 48)


def test_a_file_is_shown_upright_and_without_what_is_not_seen(tmp_path):
    path = tmp_path / "photo.jpg"
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by a quarter
    tags[0x010E] = "a secret place"
    Image.fromarray(noise(40, 80, 3)).save(path, exif=tags)
    thumbnail = thumbnails([path], [(0, 96)])[0]
    shown = picture(thumbnail)
    assert shown.size == (40, 80)
    assert not shown.getexif()
    assert b"secret" not in base64.b64decode(thumbnail.uri.partition(",")[2])


def test_a_users_image_is_not_changed():
    image = Image.fromarray(noise(200, 200, 3))
    image.info["note"] = "mine"
    thumbnails([image], [(0, 20)])
    assert image.size == (200, 200)
    assert image.info == {"note": "mine"}


def test_a_photo_is_short():
    ramp = np.linspace(0, 255, 500)
    photo = np.stack([ramp[:, None] + 0 * ramp, ramp + 0 * ramp[:, None], noise(500, 500)], 2)
    assert len(thumbnails([photo.astype(np.uint8)], [(0, 96)])[0].uri) < 12_000


def test_only_what_is_wanted_is_read():
    class Images:
        def __getitem__(self, i):
            assert i in (3, 5)
            return noise(4, 4)

    assert list(thumbnails(Images(), [(5, 48), (3, 96)])) == [5, 3]


def test_unreadable_files_are_counted(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    images = [tmp_path / "missing.png", noise(4, 4), tmp_path / "broken.png"]
    with pytest.warns(
        UserWarning, match=r"^2 images cannot be read .* first is images\[0\]: .*mis"
    ):
        found = thumbnails(images, [(i, 48) for i in range(3)])
    assert list(found) == [1]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros(5), ValueError, r"images\[0\] must be of shape \(H, W\), .*, got \(5,\)"),
        (np.zeros((5, 5, 7)), ValueError, r"images\[0\] must be of shape .*, got \(5, 5, 7\)"),
        (np.zeros((0, 4)), ValueError, r"images\[0\] must hold pixels, got shape \(0, 4\)"),
        (3, TypeError, r"images\[0\] must be a path, an array, .*, got int"),
        (np.array([["a"]]), TypeError, r"images\[0\] must be of numbers, got <U1"),
    ],
)
def test_errors(image, error, message):
    with pytest.raises(error, match=message):
        thumbnails([image], [(0, 96)])
