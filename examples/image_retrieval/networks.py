"""A backbone of timm, torchvision or this file, and a linear layer for the embedding."""

from importlib import import_module
from typing import Any

import kornia.augmentation as augment
import torch
from torch import nn

from .settings import Settings

_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_backbone(name: str, pretrained: bool) -> tuple[nn.Module, nn.Module]:
    """Build a network without its classifier, (N, 3, H, W) to (N, features), and its normalisation.

    Args:
        name: "timm:…", "torchvision:…" or "tiny".
        pretrained: whether to load the weights of the library (a download).

    Raises:
        ValueError: if the name is unknown, or the backbone has no pretrained weights.
        ImportError: if the library is missing, or torchvision does not fit torch.
    """
    library, _, model = name.partition(":")
    if name == "tiny":
        if pretrained:
            raise ValueError("pretrained must be False for the backbone tiny, got True")
        return _tiny(), augment.Normalize(*_HALF)
    if library == "timm" and model:
        body = _import("timm").create_model(model, pretrained=pretrained, num_classes=0)
        config = body.pretrained_cfg
        return body, augment.Normalize(tuple(config["mean"]), tuple(config["std"]))
    if library == "torchvision" and model:
        # the default initialisation of these two takes half a minute
        slow = model in ("googlenet", "inception_v3") and not pretrained
        options = {"weights": "DEFAULT" if pretrained else None}
        options |= {"init_weights": False} if slow else {}
        body = _import("torchvision").models.get_model(model, **options)
        return without_classifier(body), augment.Normalize(*_IMAGENET)
    raise ValueError(f"backbone must be timm:…, torchvision:… or tiny, got {name!r}")


def without_classifier(body: nn.Module) -> nn.Module:
    """Remove the classifier of a torchvision network; timm has an option for that."""
    if getattr(body, "aux_logits", False):  # googlenet and inception_v3 have further classifiers
        body.aux_logits = False
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(body, name):
                setattr(body, name, None)
    for name in ("fc", "classifier", "head", "heads"):
        if hasattr(body, name):
            setattr(body, name, nn.Identity())
            return body
    raise ValueError(f"backbone must end in a classifier, got {type(body).__name__}")


def build_network(settings: Settings) -> tuple[nn.Sequential, nn.Module]:
    """Build the network from images to embeddings, and the normalisation of its images.

    Its last layer starts orthogonal and with bias 0.

    Args:
        settings: backbone, pretrained, freeze, size, embedding_size.
    """
    backbone, normalize = build_backbone(settings.backbone, settings.pretrained)
    for name in settings.freeze:
        try:
            backbone.get_submodule(name).requires_grad_(False)
        except AttributeError:
            children = ", ".join(child for child, _ in backbone.named_children())
            raise ValueError(
                f"freeze must name parts of {settings.backbone} ({children}, …), got {name!r}"
            ) from None
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, settings.size, settings.size))
    head = nn.Linear(features.shape[1], settings.embedding_size)
    nn.init.orthogonal_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(backbone, head).train(), normalize


def _import(library: str) -> Any:
    try:
        return import_module(library)
    except (ImportError, RuntimeError) as error:
        # PyPI's torchvision is built for CUDA; with a CPU build of torch its import fails like this
        raise ImportError(
            f"{library} cannot be imported ({error}); docs/reproduce.md says how to install it"
        ) from error


def _tiny() -> nn.Sequential:
    """Build three convolutions, to try things out without a download."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
