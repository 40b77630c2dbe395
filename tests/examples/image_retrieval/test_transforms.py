import numpy as np
import pytest
import torch
from image_retrieval.transforms import TestTransform, TrainTransform, random_box, to_tensor
from PIL import Image

HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 47, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_to_tensor_is_channels_first_and_normalised(image):
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.4, 0.3])
    tensor = to_tensor(image, mean, std)
    assert tensor.shape == (3, 30, 47)
    pixel = np.array(image)[5, 11] / 255
    torch.testing.assert_close(tensor[:, 5, 11].double(), (torch.tensor(pixel) - mean) / std)


def test_boxes_lie_in_the_image_and_have_the_area_and_aspect_asked_for():
    boxes = torch.tensor([random_box(400, 300, (0.2, 0.5)) for _ in range(500)]).double()
    left, top, right, bottom = boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= 400).all()
    assert (bottom <= 300).all()
    share = (right - left) * (bottom - top) / (400 * 300)
    aspect = (right - left) / (bottom - top)
    assert 0.19 < share.min() < 0.23
    assert 0.47 < share.max() < 0.51
    assert 0.74 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.35
    assert left.max() > 150  # they are spread over the image


def test_a_box_that_never_fits_is_the_whole_image():
    assert random_box(1000, 2, (1.0, 1.0)) == (0, 0, 1000, 2)


def test_training_views_are_random_and_repeatable(image):
    transform = TrainTransform(16, (0.2, 1.0), "bicubic", HALF, HALF)
    first, second = transform(image), transform(image)
    assert first.shape == (3, 16, 16)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(transform(image), first)


def test_half_of_the_views_are_flipped():
    ramp = Image.fromarray(np.tile(np.arange(32, dtype=np.uint8)[None, :, None], (32, 1, 3)))
    transform = TrainTransform(8, (1.0, 1.0), "bilinear", HALF, HALF)
    flipped = [bool(v[0, 0, 0] > v[0, 0, -1]) for v in (transform(ramp) for _ in range(200))]
    assert 70 < sum(flipped) < 130


def test_the_strong_view_also_changes_colours():
    gray = Image.new("RGB", (20, 20), (120, 60, 30))
    weak, strong = (TrainTransform(8, (1, 1), "bilinear", HALF, HALF, s) for s in (False, True))
    assert len({weak(gray).mean().item() for _ in range(10)}) == 1
    views = torch.stack([strong(gray) for _ in range(100)])
    assert views.mean((1, 2, 3)).std() > 0.05
    without_colour = (views[:, 0] == views[:, 2]).flatten(1).all(1)
    assert 5 < int(without_colour.sum()) < 40


@pytest.mark.parametrize("shape", [(47, 30), (30, 47), (30, 30)])
def test_test_images_are_the_middle(shape):
    transform = TestTransform(8, 10, "bilinear", HALF, HALF)
    image = Image.new("RGB", shape, (0, 0, 0))
    middle = (shape[0] // 2, shape[1] // 2)
    for dx in range(-2, 2):
        for dy in range(-2, 2):
            image.putpixel((middle[0] + dx, middle[1] + dy), (255, 255, 255))
    tensor = transform(image)
    assert tensor.shape == (3, 8, 8)
    brightest = int(tensor[0].argmax())
    assert brightest // 8 in (3, 4)
    assert brightest % 8 in (3, 4)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_test_images_are_those_of_torchvision(image, interpolation):
    try:
        from torchvision import transforms as tv
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported here: {error}")
    expected = tv.Compose(
        [
            tv.Resize(20, tv.InterpolationMode(interpolation)),
            tv.CenterCrop(16),
            tv.ToTensor(),
            tv.Normalize(HALF, HALF),
        ]
    )
    transform = TestTransform(16, 20, interpolation, HALF, HALF)
    torch.testing.assert_close(transform(image), expected(image))
