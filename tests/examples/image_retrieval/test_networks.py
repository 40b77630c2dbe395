import sys

import pytest
import torch
from image_retrieval.networks import build_backbone, build_network
from image_retrieval.settings import from_given


def test_the_network_ends_in_an_orthogonal_layer(options):
    network, backbone = build_network(from_given(options))
    assert network.training
    assert network(torch.randn(4, 3, 16, 16)).shape == (4, 8)
    torch.testing.assert_close(network[1].weight @ network[1].weight.T, torch.eye(8))
    assert (network[1].bias == 0).all()
    assert backbone.mean == (0.5, 0.5, 0.5)


def test_frozen_parts_do_not_learn(options):
    network, backbone = build_network(from_given(options | {"freeze": ("0", "1")}))
    frozen = [p for p in network.parameters() if not p.requires_grad]
    assert len(frozen) == 3
    assert frozen[0] is backbone.body[0].weight
    with pytest.raises(ValueError, match="freeze must name parts of tiny .*got 'patch_embed'"):
        build_network(from_given(options | {"freeze": ("patch_embed",)}))


@pytest.mark.parametrize("name", ["resnet50", "timm:", "torchvision:", "keras:resnet50"])
def test_other_names_are_errors(name):
    with pytest.raises(ValueError, match=f"must be timm:…, torchvision:… or tiny, got '{name}'"):
        build_backbone(name, pretrained=False)


def test_tiny_has_no_weights():
    with pytest.raises(ValueError, match="pretrained must be False for the backbone tiny"):
        build_backbone("tiny", pretrained=True)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_library_that_is_missing_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} cannot be imported .* docs/reproduce\.md"):
        build_backbone(f"{library}:resnet50", pretrained=False)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("timm:vit_small_patch16_224", 384),
        ("timm:vit_small_patch16_224.dino", 384),
        ("torchvision:googlenet", 1024),
        ("torchvision:resnet18", 512),
    ],
)
def test_backbones_of_the_libraries(options, name, features):
    freeze = ("patch_embed",) if "vit" in name else ()
    given = {"backbone": name, "size": 224, "resize": 224, "freeze": freeze}
    try:
        network, backbone = build_network(from_given(options | given))
    except ImportError as error:
        pytest.skip(str(error))
    assert network[1].in_features == features
    images = torch.randn(2, 3, 224, 224)
    assert network(images).shape == (2, 8)
    assert all(0 < value < 1 for value in (*backbone.mean, *backbone.std))
