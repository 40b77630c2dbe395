"""A small image folder, and the options of a run that takes a second on it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def draw_photos(root: Path, num_classes: int) -> Path:
    """Classes × 8 images of 40 × 30 pixels: a class is a mosaic, whose tint says nothing."""
    random = np.random.default_rng(0)
    for k in range(num_classes):
        mosaic = random.uniform(0, 255, (3, 4, 3))
        (root / f"class_{k:02}").mkdir(parents=True)
        for i in range(8):
            tint, noise = random.uniform(-100, 100, 3), random.normal(0, 20, mosaic.shape)
            pixels = np.clip(mosaic + tint + noise, 0, 255)
            image = Image.fromarray(pixels.astype(np.uint8))
            image.resize((40, 30), Image.Resampling.BILINEAR).save(root / f"class_{k:02}/{i}.png")
    return root


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """8 classes, of which 4 train."""
    return draw_photos(tmp_path_factory.mktemp("photos"), 8)


@pytest.fixture(scope="session")
def many_photos(tmp_path_factory) -> Path:
    """32 classes, of which 16 train: enough to learn what tells the other 16 apart."""
    return draw_photos(tmp_path_factory.mktemp("many_photos"), 32)


@pytest.fixture
def options(photos, tmp_path) -> dict:
    """Options of a short run on the folder, with a random network of three convolutions."""
    return {
        "data": "folder",
        "root": str(photos),
        "output": str(tmp_path / "run"),
        "backbone": "tiny",
        "pretrained": False,
        "freeze": (),
        "size": 16,
        "resize": 20,
        "embedding_size": 8,
        "batch_size": 16,
        "samples_per_class": 4,
        "epochs": 3,
        "steps_per_epoch": 4,
        "lr": 1e-3,
        "workers": 0,
        "device": "cpu",
        "tensorboard": False,
    }
