"""Small pictures as data URIs, for a page that needs no other file."""

import base64
import io
import os
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


class Thumbnail(NamedTuple):
    """A small picture.

    Args:
        uri: the picture as a data URI.
        pixels: its longer side.
    """

    uri: str
    pixels: int


def thumbnails(images: Any, sizes: Iterable[tuple[int, int]]) -> dict[int, Thumbnail]:
    """Thumbnails of some of the images.

    Args:
        images: paths of files, arrays, tensors or pillow's images; ``images[i]`` is read. A smaller
            image stays as it is.
        sizes: (i, largest side in pixels) of those that are wanted.

    Returns:
        PNG, or JPEG where that is shorter. An image that cannot be read is left out, and a
        warning counts these.

    Raises:
        ValueError: if an array has not the shape of an image.
        TypeError: if an image is none of these.
        ImportError: if pillow is not installed.
    """
    try:
        from PIL import Image  # noqa: F401
    except ImportError as error:
        raise ImportError("images need pillow: pip install pillow") from error
    found, unreadable = {}, []
    for i, size in sizes:
        try:
            found[i] = _thumbnail(images[i], size, f"images[{i}]")
        except OSError as error:  # no such file, or no picture in it
            unreadable.append(f"images[{i}]: {error}")
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} images cannot be read and are not shown, the first is "
            f"{unreadable[0]}",
            stacklevel=4,
        )
    return found


def _thumbnail(image: Any, size: int, name: str) -> Thumbnail:
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        picture = _from_file(image, size)
    else:
        is_picture = isinstance(image, Image.Image)
        picture = image.copy() if is_picture else Image.fromarray(_as_bytes(image, name))
    if picture.mode.startswith(("I", "F")):  # whole numbers of 16 or 32 bits, or floats
        picture = Image.fromarray(_as_bytes(np.asarray(picture), name))
    elif picture.mode not in ("L", "RGB", "RGBA"):
        has_alpha = picture.mode in ("LA", "La", "PA", "RGBa") or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    picture.thumbnail((size, size))
    kinds = {"png": _encoded(picture, "PNG", optimize=True)}
    if picture.mode == "RGB":
        kinds["jpeg"] = _encoded(picture, "JPEG", quality=85)
    kind = min(kinds, key=lambda kind: len(kinds[kind]))
    uri = f"data:image/{kind};base64,{base64.b64encode(kinds[kind]).decode('ascii')}"
    return Thumbnail(uri, max(picture.size))


def _from_file(path: str | os.PathLike[str], size: int) -> Any:
    """The picture in a file, upright; OSError if there is none."""
    from PIL import Image, ImageOps

    try:
        # closes the file
        with Image.open(path) as file:
            file.draft("RGB", (2 * size, 2 * size))  # a JPEG need not be decoded in full
            return ImageOps.exif_transpose(file)
    # what pillow raises for a broken file depends on its kind
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error


def _encoded(picture: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    # only what is seen: no place, date or camera
    picture.info.clear()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _as_bytes(image: Any, name: str) -> NDArray[np.uint8]:
    """An array as uint8 (H, W), (H, W, 3) or (H, W, 4)."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"{name} must be a path, an array, a tensor or a pillow image, "
            f"got {type(image).__name__}"
        )
    if image.dtype.kind not in "buif":
        raise TypeError(f"{name} must be of numbers, got {image.dtype}")
    channels = (1, 3, 4)
    if image.ndim == 3 and image.shape[2] not in channels and image.shape[0] in channels:
        image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in channels):
        raise ValueError(
            f"{name} must be of shape (H, W), (H, W, C) or (C, H, W), C in {channels}, "
            f"got {image.shape}"
        )
    if image.size == 0:
        raise ValueError(f"{name} must hold pixels, got shape {image.shape}")
    return np.ascontiguousarray(image if image.dtype == np.uint8 else _stretched(image))


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values in [0, 1] times 255; others with their lowest at 0 and their highest at 255."""
    values = np.nan_to_num(values.astype(np.float64))
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        values = (values - low) / (high - low or 1.0)
    return np.asarray((values * 255).round(), dtype=np.uint8)
