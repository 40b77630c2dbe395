"""Images to tensors, by Pillow and torch alone, so that they run where torchvision does not."""

import math

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_ASPECT = (3 / 4, 4 / 3)


def to_tensor(image: Image.Image, mean: Tensor, std: Tensor) -> Tensor:
    """(3, H, W), values of [0, 1] less the mean, by the standard deviation."""
    values = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 255
    return (values - mean[:, None, None]) / std[:, None, None]


class TrainTransform:
    """A random crop of a random shape, resized to a square, flipped half of the time.

    Randomness is torch's, which a DataLoader seeds in each worker.

    Args:
        size: of the square, in pixels.
        scale: range of the area of the crop, as a share of the image's.
        interpolation: "bilinear" or "bicubic".
        mean: of a channel.
        std: of a channel.
        strong: also change brightness, contrast and saturation by up to 40 % and drop the colours
            of every fifth image: the strong view of two.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float],
        interpolation: str,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        strong: bool = False,
    ) -> None:
        self.size, self.scale, self.resampling = size, scale, RESAMPLING[interpolation]
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)
        self.strong = strong

    def __call__(self, image: Image.Image) -> Tensor:
        """The view of an RGB image."""
        image = image.crop(random_box(image.width, image.height, self.scale))
        image = image.resize((self.size, self.size), self.resampling)
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.strong:
            image = _distort(image)
        return to_tensor(image, self.mean, self.std)


class TestTransform:
    """The square in the middle, after the shorter side was resized.

    Args:
        size: of the square, in pixels.
        resize: the shorter side before that, at least ``size``.
        interpolation: "bilinear" or "bicubic".
        mean: of a channel.
        std: of a channel.
    """

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(
        self,
        size: int,
        resize: int,
        interpolation: str,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self.size, self.resize, self.resampling = size, resize, RESAMPLING[interpolation]
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)

    def __call__(self, image: Image.Image) -> Tensor:
        """The view of an RGB image."""
        short = min(image.size)
        shape = [
            self.resize if side == short else self.resize * side // short for side in image.size
        ]
        image = image.resize((shape[0], shape[1]), self.resampling)
        left, top = (round((side - self.size) / 2) for side in shape)
        image = image.crop((left, top, left + self.size, top + self.size))
        return to_tensor(image, self.mean, self.std)


def random_box(width: int, height: int, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """A random box inside an image: its area by ``scale``, its aspect in [3/4, 4/3].

    Args:
        width: of the image.
        height: of the image.
        scale: range of the area, as a share of the image's.

    Returns:
        left, top, right, bottom; the whole image where ten draws did not fit into it.
    """
    low, high = (math.log(aspect) for aspect in _ASPECT)
    for _ in range(10):
        share, aspect, x, y = torch.rand(4).tolist()
        area = width * height * (scale[0] + (scale[1] - scale[0]) * share)
        ratio = math.exp(low + (high - low) * aspect)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(x * (width - w + 1)), int(y * (height - h + 1))
            return left, top, left + w, top + h
    return 0, 0, width, height


def _distort(image: Image.Image) -> Image.Image:
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    factors = (0.6 + 0.8 * torch.rand(3)).tolist()
    for enhancer, factor in zip(enhancers, factors, strict=True):
        image = enhancer(image).enhance(factor)
    return image.convert("L").convert("RGB") if torch.rand(()) < 0.2 else image
