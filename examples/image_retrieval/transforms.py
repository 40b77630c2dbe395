"""Turns images into tensors, with kornia's augmentations and torch's resizing."""

from typing import Any

import kornia.augmentation as augment
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate


class Transform(nn.Sequential):
    """Steps on (1, 3, H, W) in [0, 1]; takes an RGB image, returns (3, H, W)."""

    def forward(self, image: Image.Image) -> Tensor:
        """Overrides ``nn.Sequential.forward``."""
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return super().forward(pixels[None] / 255)[0]


# Torch resizes, because kornia's crop does not anti-alias and its Resize blurs with a Gaussian.
# Torch anti-aliases like Pillow, with which the published networks were trained.
def resize(image: Tensor, shape: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (1, 3, H, W) to ``shape``, with anti-aliasing."""
    return interpolate(image, shape, mode=interpolation, antialias=True).clamp(0, 1)


class ResizedCrop(augment.RandomResizedCrop):
    """kornia's random crop, resized by :func:`resize`."""

    def apply_transform(
        self,
        input: Tensor,  # noqa: A002  (kornia's name)
        params: Any,
        flags: Any,
        transform: Tensor | None = None,
    ) -> Tensor:
        """Overrides ``RandomResizedCrop.apply_transform``."""
        # the corners include the last pixel
        (left, top), _, (right, bottom), _ = params["src"][0].long().tolist()
        crop = input[..., top : bottom + 1, left : right + 1]
        return resize(crop, flags["size"], flags["resample"].name.lower())


class ResizedShorterSide(nn.Module):
    """The whole image, its shorter side resized to ``size``."""

    def __init__(self, size: int, interpolation: str) -> None:
        super().__init__()
        self.size, self.interpolation = size, interpolation

    def forward(self, image: Tensor) -> Tensor:
        """Resize (1, 3, H, W)."""
        height, width = (self.size * side // min(image.shape[-2:]) for side in image.shape[-2:])
        return resize(image, (height, width), self.interpolation)


def training_view(
    size: int, min_scale: float, interpolation: str, normalize: nn.Module, strong: bool = False
) -> Transform:
    """Make a transform: a random crop, resized to a square, flipped half of the time.

    Random numbers come from torch, which a DataLoader seeds in each worker.

    Args:
        size: side of the square, in pixels.
        min_scale: smallest area of the crop, as a share of the image.
        interpolation: "bilinear" or "bicubic".
        normalize: the last step.
        strong: also change brightness, contrast and saturation by up to 40 %, and remove the colour
            of a fifth of the images, for the strong one of two views.
    """
    crop = ResizedCrop((size, size), (min_scale, 1.0), resample=interpolation)
    colours = [augment.ColorJitter(0.4, 0.4, 0.4), augment.RandomGrayscale(p=0.2)]
    return Transform(crop, augment.RandomHorizontalFlip(), *(colours if strong else []), normalize)


def evaluation_view(size: int, short: int, interpolation: str, normalize: nn.Module) -> Transform:
    """Make a transform: resize the shorter side to ``short``, then crop the centre."""
    whole = ResizedShorterSide(short, interpolation)
    return Transform(whole, augment.CenterCrop(size), normalize)
