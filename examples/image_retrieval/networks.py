"""Backbones of timm, torchvision or this file, with a linear layer for the embedding."""

from importlib import import_module

import torch
from torch import Tensor, nn

from .settings import Settings

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# what torchvision calls the classifier of its networks
_CLASSIFIERS = ("fc", "classifier", "head", "heads")


class Backbone(nn.Module):
    """A network without its classifier, and how its input is normalised.

    Args:
        body: (N, 3, H, W) to (N, features).
        mean: of a channel.
        std: of a channel.
    """

    def __init__(self, body: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.body, self.mean, self.std = body, tuple(mean), tuple(std)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, features) of images (N, 3, H, W)."""
        return self.body(images)


def build_backbone(name: str, pretrained: bool) -> Backbone:
    """A backbone by name.

    Args:
        name: "timm:…", "torchvision:…" or "tiny".
        pretrained: with the weights that the library has for it (a download).

    Raises:
        ValueError: for another name, or weights for a backbone that has none.
        ImportError: where the library is missing, or torchvision does not fit torch.
    """
    library, _, model = name.partition(":")
    if library in ("timm", "torchvision") and model:
        _check_import(library)
    if name == "tiny":
        if pretrained:
            raise ValueError("pretrained must be False for the backbone tiny, got True")
        return Backbone(_tiny(), (0.5,) * 3, (0.5,) * 3)
    if library == "timm" and model:
        import timm

        body = timm.create_model(model, pretrained=pretrained, num_classes=0)
        return Backbone(body, body.pretrained_cfg["mean"], body.pretrained_cfg["std"])
    if library == "torchvision" and model:
        return Backbone(_from_torchvision(model, pretrained), *_IMAGENET)
    raise ValueError(f"backbone must be timm:…, torchvision:… or tiny, got {name!r}")


def build_network(settings: Settings) -> tuple[nn.Sequential, Backbone]:
    """The network, images to embeddings, and its first part.

    The last layer starts orthogonal and without a bias.

    Args:
        settings: backbone, pretrained, freeze, size, embedding_size.
    """
    backbone = build_backbone(settings.backbone, settings.pretrained)
    for name in settings.freeze:
        try:
            backbone.body.get_submodule(name).requires_grad_(False)
        except AttributeError:
            children = ", ".join(child for child, _ in backbone.body.named_children())
            raise ValueError(
                f"freeze must name parts of {settings.backbone} ({children}, …), got {name!r}"
            ) from None
    backbone.eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, settings.size, settings.size))
    head = nn.Linear(features.shape[1], settings.embedding_size)
    nn.init.orthogonal_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(backbone, head).train(), backbone


def _check_import(library: str) -> None:
    try:
        import_module(library)
    except (ImportError, RuntimeError) as error:
        # what PyPI has of torchvision is built for CUDA, and fails in this way beside a CPU torch
        raise ImportError(
            f"{library} cannot be imported ({error}); docs/reproduce.md says how to install it"
        ) from error


def _from_torchvision(model: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    options = {"weights": "DEFAULT" if pretrained else None}
    if model in ("googlenet", "inception_v3") and not pretrained:
        # without these they build two classifiers more, and initialise for half a minute
        options |= {"aux_logits": False, "init_weights": False}
    body = models.get_model(model, **options)
    if getattr(body, "aux_logits", False):  # inception_v3 keeps its second classifier
        body.aux_logits, body.AuxLogits = False, None
    for name in _CLASSIFIERS:
        if hasattr(body, name):
            setattr(body, name, nn.Identity())
            return body
    raise ValueError(f"backbone must have a classifier at its end, got torchvision:{model}")


def _tiny() -> nn.Sequential:
    """Three convolutions, to try things out without a download."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
