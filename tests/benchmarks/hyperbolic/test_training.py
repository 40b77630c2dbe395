import math
from pathlib import Path

import pytest
import torch

from benchmarks.hyperbolic import training
from benchmarks.hyperbolic.norms import wrong_label_auroc
from benchmarks.hyperbolic.results import Job
from benchmarks.hyperbolic.timing import ratio
from benchmarks.noise.data import load
from pml_ahsml import AdaptiveNoiseAwareLoss, LorentzSimilarity

NOWHERE = Path("nowhere")  # synthetic data are made


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(training, "num_steps", lambda _: 3)


def test_ways_differ_in_nothing_but_the_distance(few_steps):
    results = {
        way: training.train(Job("synthetic", "SupCon", "none:0", 8, 0, way, 0), NOWHERE)
        for way in ("own", "cosine", "lorentz", "flat")
    }
    own, cosine = results["own"], results["cosine"]
    assert (own.map_at_r, own.precision_at_1) == (cosine.map_at_r, cosine.precision_at_1)
    assert own.map_at_r == own.cosine_map_at_r
    assert math.isnan(own.at_rim)
    assert 0 <= results["lorentz"].at_rim <= 1
    assert results["lorentz"].map_at_r != results["flat"].map_at_r
    assert all(0 < result.precision_at_1 <= 1 for result in results.values())


def test_a_wrapped_loss_trains_and_shares_its_scale(few_steps):
    job = Job("synthetic", "MultiSimilarity", "symmetric:0.5", 128, 1, "lorentz", 0)
    net, loss = training.trained(job, load("synthetic", NOWHERE))
    assert isinstance(loss, AdaptiveNoiseAwareLoss)
    assert isinstance(loss.distance, LorentzSimilarity)
    assert loss.distance.learnt_scale.is_found
    assert loss.class_statistics.distance is loss.distance
    assert net[-1].out_features == 128


def test_neighbours_are_those_of_the_distance_of_training():
    # two classes in one direction, told apart by the norm alone
    embeddings = torch.tensor([[0.2, 0.0], [0.21, 0.001], [1.0, 0.0], [1.01, 0.005]])
    labels = torch.tensor([0, 0, 1, 1])
    loss = type("Loss", (), {"distance": LorentzSimilarity(scale=1.0)})
    found = training.tested(embeddings, labels, loss)
    assert found["precision_at_1"] == 1
    assert found["cosine_precision_at_1"] == 0
    assert found["at_rim"] == 0


def test_a_small_norm_ranks_first():
    inputs, is_wrong = torch.tensor([[0.1, 0.0], [3.0, 0.0], [0.2, 0.0]]), torch.tensor([1, 0, 1])
    assert wrong_label_auroc(torch.nn.Identity(), inputs, is_wrong) == 1
    assert wrong_label_auroc(torch.nn.Identity(), inputs, 1 - is_wrong) == 0


def test_a_ratio_of_times_is_positive():
    assert ratio(16, 4, rounds=1) > 0
