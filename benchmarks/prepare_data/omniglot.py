"""Eight alphabets of Omniglot, 28 × 28 pixels of ink."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.prepare_data.sentences import Arrays
from benchmarks.prepare_data.sources import OMNIGLOT, OMNIGLOT_ARCHIVES

_SIZE = 28


def omniglot8(folder: Path) -> Arrays:
    """All characters of the two small background sets, each alphabet once."""
    drawings: dict[str, list[bytes]] = {}
    for name in OMNIGLOT_ARCHIVES:
        with zipfile.ZipFile(OMNIGLOT.checked(folder, name)) as archive:
            found: dict[str, list[bytes]] = {}
            for member in sorted(archive.namelist()):
                if member.endswith(".png"):
                    character = "/".join(member.split("/")[-3:-1])
                    found.setdefault(character, []).append(archive.read(member))
        # (two alphabets are in both)
        drawings = {**found, **drawings}
    names = sorted(drawings)
    alphabets = np.array([name.split("/")[0] for name in names])
    alphabet_names, alphabet = np.unique(alphabets, return_inverse=True)
    counts = [len(drawings[name]) for name in names]
    images = [ink(drawing) for name in names for drawing in drawings[name]]
    return {
        "images": np.stack(images),
        "labels": np.repeat(np.arange(len(names), dtype=np.int16), counts),
        "alphabets": np.repeat(alphabet.astype(np.int8), counts),
        "alphabet_names": alphabet_names,
        "class_names": np.array(names),
    }


def ink(drawing: bytes) -> np.ndarray:
    """(28, 28) how much of each pixel is black, 0 to 255."""
    image = Image.open(io.BytesIO(drawing)).convert("L")
    return 255 - np.asarray(image.resize((_SIZE, _SIZE), Image.Resampling.BOX))
