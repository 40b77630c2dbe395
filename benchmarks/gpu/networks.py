"""Networks of timm with random weights, or a small one in their place."""

from importlib import import_module

from torch import nn

from benchmarks.gpu.cases import reason

STAND_IN = "stand-in"


def build(name: str) -> tuple[nn.Module, str]:
    """Build a network from images to features, without its classifier.

    Args:
        name: a network of timm, or "stand-in" for three convolutions.

    Returns:
        The network, and what it is. If timm cannot be imported that is a stand-in, and why.
    """
    if name == STAND_IN:
        return _stand_in(), STAND_IN
    try:
        timm = import_module("timm")
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision for another torch
        return _stand_in(), f"{STAND_IN} for {name} ({reason(error)})"
    return timm.create_model(name, pretrained=False, num_classes=0), name


def _stand_in() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
