import sys
from types import SimpleNamespace

import pytest
import torch

from benchmarks.gpu.networks import build


def test_without_timm_a_small_network_stands_in_under_that_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    network, name = build("resnet50")
    assert name.startswith("stand-in for resnet50 (ModuleNotFoundError: ")
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 64)


def test_networks_of_timm_have_random_weights_and_no_classifier(monkeypatch):
    asked = []
    timm = SimpleNamespace(create_model=lambda *args, **options: asked.append((args, options)))
    monkeypatch.setitem(sys.modules, "timm", timm)
    assert build("resnet50")[1] == "resnet50"
    assert asked == [(("resnet50",), {"pretrained": False, "num_classes": 0})]


@pytest.mark.parametrize("name", ["resnet50", "vit_small_patch16_224"])
def test_timm_has_these_networks(name):
    pytest.importorskip("timm", reason="timm is not installed")
    network, found = build(name)
    assert found == name
    assert network(torch.zeros(2, 3, 224, 224)).ndim == 2
