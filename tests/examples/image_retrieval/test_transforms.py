import kornia.augmentation as augment
import numpy as np
import pytest
import torch
from image_retrieval.transforms import ResizedCrop, evaluation_view, training_view
from PIL import Image

ONE = augment.Normalize((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def as_tensor(image):
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 255


@pytest.fixture
def image() -> Image.Image:
    # Pillow clips between its two passes, so no value is near 0 or 255
    pixels = np.random.default_rng(0).integers(90, 166, (30, 46, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_the_last_step_normalises_each_channel(image):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.4, 0.3)
    view = evaluation_view(30, 30, "bilinear", augment.Normalize(mean, std))(image)
    assert view.shape == (3, 30, 30)
    pixel = np.array(image)[5, 8 + 11] / 255  # of 46 columns 16 are cut, 8 on each side
    expected = (torch.tensor(pixel) - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(view[:, 5, 11], expected.float())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [8, 20])
def test_crops_are_resized_as_pillow_does(image, interpolation, size):
    crop = ResizedCrop((size, size), (0.5, 1.0), resample=interpolation)
    view = crop(as_tensor(image)[None])[0]
    corners = crop._params["src"][0]
    left, top = corners[0].long().tolist()
    right, bottom = (corners[2].long() + 1).tolist()
    resampling = Image.Resampling[interpolation.upper()]
    expected = image.crop((left, top, right, bottom)).resize((size, size), resampling)
    # Pillow rounds to 1/255 after each of its two passes
    torch.testing.assert_close(view, as_tensor(expected), atol=1.5 / 255, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_evaluation_views_are_resized_as_pillow_does(image, interpolation):
    view = evaluation_view(16, 20, interpolation, ONE)(image)
    resized = image.resize((20 * 46 // 30, 20), Image.Resampling[interpolation.upper()])
    expected = resized.crop((7, 2, 23, 18))
    torch.testing.assert_close(view, as_tensor(expected), atol=1.5 / 255, rtol=0)


@pytest.mark.parametrize("shape", [(47, 30), (30, 47), (30, 30)])
def test_evaluation_views_are_the_centre(shape):
    image = Image.new("RGB", shape, (0, 0, 0))
    middle = (shape[0] // 2, shape[1] // 2)
    for dx in range(-2, 2):
        for dy in range(-2, 2):
            image.putpixel((middle[0] + dx, middle[1] + dy), (255, 255, 255))
    view = evaluation_view(8, 10, "bilinear", ONE)(image)
    assert view.shape == (3, 8, 8)
    brightest = int(view[0].argmax())
    assert brightest // 8 in (3, 4)
    assert brightest % 8 in (3, 4)


def test_crops_have_the_area_asked_for():
    crop = training_view(8, 0.2, "bilinear", ONE)[0]
    corners = crop.generate_parameters(torch.Size((300, 3, 300, 400)))["src"]
    width, height = (corners[:, 2] + 1 - corners[:, 0]).double().T
    share = width * height / (400 * 300)
    assert 0.19 < share.min() < 0.25
    assert 0.9 < share.max() <= 1


@pytest.mark.parametrize("strong", [False, True])
def test_training_views_are_random_and_repeatable(image, strong):
    view = training_view(16, 0.2, "bicubic", ONE, strong)
    torch.manual_seed(0)
    first, second = view(image), view(image)
    assert first.shape == (3, 16, 16)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(view(image), first)


def test_half_of_the_views_are_flipped():
    ramp = Image.fromarray(np.tile(np.arange(32, dtype=np.uint8)[None, :, None], (32, 1, 3)))
    view = training_view(8, 1.0, "bilinear", ONE)
    flipped = [bool(v[0, 0, 0] > v[0, 0, -1]) for v in (view(ramp) for _ in range(100))]
    assert 30 < sum(flipped) < 70


def test_the_strong_view_also_changes_colours():
    brown = Image.new("RGB", (20, 20), (120, 60, 30))
    weak, strong = (training_view(8, 1.0, "bilinear", ONE, s) for s in (False, True))
    torch.testing.assert_close(weak(brown), as_tensor(brown)[:, :8, :8])
    views = torch.stack([strong(brown) for _ in range(100)])
    assert views.mean((1, 2, 3)).std() > 0.05
    without_colour = (views[:, 0] == views[:, 2]).flatten(1).all(1)
    assert 5 < int(without_colour.sum()) < 40
