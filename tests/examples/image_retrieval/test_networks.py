import sys
from types import SimpleNamespace

import pytest
import torch
from image_retrieval.networks import build_backbone, build_network, without_classifier
from image_retrieval.settings import Settings


def test_the_network_ends_in_an_orthogonal_layer(options):
    network, normalize = build_network(Settings(**options))
    assert network.training
    assert network(torch.randn(4, 3, 16, 16)).shape == (4, 8)
    torch.testing.assert_close(network[1].weight @ network[1].weight.T, torch.eye(8))
    assert (network[1].bias == 0).all()
    assert (normalize(torch.ones(1, 3, 1, 1)) == 1).all()
    assert (normalize(torch.zeros(1, 3, 1, 1)) == -1).all()


def test_frozen_parts_do_not_learn(options):
    network, _ = build_network(Settings(**options | {"freeze": ("0", "1")}))
    frozen = [p for p in network.parameters() if not p.requires_grad]
    assert len(frozen) == 3
    assert frozen[0] is network[0][0].weight
    with pytest.raises(ValueError, match="freeze must name parts of tiny .*got 'patch_embed'"):
        build_network(Settings(**options | {"freeze": ("patch_embed",)}))


@pytest.mark.parametrize("name", ["resnet50", "timm:", "torchvision:", "keras:resnet50"])
def test_other_names_are_errors(name):
    with pytest.raises(ValueError, match=f"must be timm:…, torchvision:… or tiny, got '{name}'"):
        build_backbone(name, pretrained=False)


def test_tiny_has_no_weights():
    with pytest.raises(ValueError, match="pretrained must be False for the backbone tiny"):
        build_backbone("tiny", pretrained=True)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_missing_library_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} cannot be imported .* docs/reproduce\.md"):
        build_backbone(f"{library}:resnet50", pretrained=False)


class Library(torch.nn.Module):
    """A network as torchvision has them: features, a classifier, and a second one in training."""

    def __init__(self, classifier):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        self.last, self.aux_logits = classifier, True
        setattr(self, classifier, torch.nn.Linear(3, 1000))
        self.aux1 = torch.nn.Linear(3, 1000)

    def forward(self, images):
        features = self.features(images)
        output = getattr(self, self.last)(features)
        return (output, self.aux1(features)) if self.training and self.aux_logits else output


@pytest.mark.parametrize("classifier", ["fc", "classifier", "head", "heads"])
def test_a_backbone_of_torchvision_loses_its_classifiers(options, classifier, monkeypatch):
    asked = {}

    def get_model(name, **options):
        asked.update(options, name=name)
        return Library(classifier)

    library = SimpleNamespace(models=SimpleNamespace(get_model=get_model))
    monkeypatch.setitem(sys.modules, "torchvision", library)
    given = {"backbone": "torchvision:googlenet", "freeze": ("features",)}
    network, normalize = build_network(Settings(**options | given))
    assert asked == {"name": "googlenet", "weights": None, "init_weights": False}
    assert network[1].in_features == 3
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 8)
    assert len(list(network.parameters())) == 2  # those of the embedding
    assert float(normalize(torch.full((1, 3, 1, 1), 0.485))[0, 0]) == pytest.approx(0, abs=1e-6)
    build_backbone("torchvision:resnet18", pretrained=True)
    assert asked["weights"] == "DEFAULT"


def test_a_network_without_a_classifier_is_an_error():
    with pytest.raises(ValueError, match="backbone must end in a classifier, got Sequential"):
        without_classifier(torch.nn.Sequential())


def test_a_backbone_of_timm_is_made_without_a_classifier(options, monkeypatch):
    asked = {}

    def create_model(name, **options):
        asked.update(options, name=name)
        body = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        body.pretrained_cfg = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}
        return body

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    network, normalize = build_network(Settings(**options | {"backbone": "timm:vit"}))
    assert asked == {"name": "vit", "pretrained": False, "num_classes": 0}
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 8)
    black = normalize(torch.zeros(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(black, torch.tensor([-0.2, -0.4, -0.6]))
